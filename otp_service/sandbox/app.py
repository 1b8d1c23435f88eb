"""The sandbox as a WSGI application: routes, the API key, the request log and the error responses.

Under `/v2` an error is `{"errors": […]}` as in Telnyx's API, elsewhere `{"error": "…"}`. Two operations (list
opt-outs, cancel) are documented with the error object itself as the body; their errors have both forms at once.
"""

from __future__ import annotations

from typing import Any

from flask import Flask, Response, g, request
from werkzeug.exceptions import HTTPException, MethodNotAllowed, RequestEntityTooLarge
from werkzeug.routing import RequestRedirect

from otp_service.sandbox import control, page, v2_messages, v2_numbers, v2_optouts
from otp_service.sandbox.carrier import Carrier
from otp_service.sandbox.errors import CarrierError, not_found
from otp_service.sandbox.response_faults import ENVIRON_KEY, FaultKind, ResponseFault
from otp_service.sandbox.responses import control_error, json_response

MAX_BODY_BYTES = 1_000_000
_V2 = "/v2"


def create_app(carrier: Carrier) -> Flask:
    """The application of one carrier."""
    app = Flask(__name__, static_folder=None)
    app.config.update(MAX_CONTENT_LENGTH=MAX_BODY_BYTES, PROVIDE_AUTOMATIC_OPTIONS=False, PROPAGATE_EXCEPTIONS=False)
    # Paths contain numbers, so they must not be normalized.
    app.url_map.merge_slashes = False
    app.logger.disabled = True  # Flask logs raw paths, which contain numbers.

    @app.before_request
    def log_and_authenticate() -> None:
        if not _is_v2():
            return
        _log_request(carrier)
        _check_key(carrier)

    @app.after_request
    def log_status(response: Response) -> Response:
        logged = g.pop("logged_request", None)
        fault = request.environ.get(ENVIRON_KEY)
        unsent = isinstance(fault, ResponseFault) and fault.kind in {FaultKind.HANG, FaultKind.RESET}
        if logged is not None and not unsent:
            carrier.request_log.set_status(logged, response.status_code)
        response.headers.setdefault("Cache-Control", "no-store")
        return response

    @app.errorhandler(CarrierError)
    def carrier_error(error: CarrierError) -> Response:
        return json_response(_envelope(error), error.status, error.headers)

    @app.errorhandler(HTTPException)
    def http_error(error: HTTPException) -> Response:
        if not _is_v2():
            return control_error((error.description or error.name).split("\n")[0], error.code or 500)
        return carrier_error(_from_http_error(error))

    @app.errorhandler(Exception)
    def unexpected_error(_: Exception) -> Response:
        if not _is_v2():
            return control_error("an unexpected error occurred", 500)
        return carrier_error(CarrierError(500, "10007", "An unexpected error occurred."))

    for part in (v2_messages, v2_numbers, v2_optouts, control, page):
        app.register_blueprint(part.blueprint(carrier))
    return app


def _is_v2() -> bool:
    return request.path == _V2 or request.path.startswith(_V2 + "/")


def _log_request(carrier: Carrier) -> None:
    too_large: RequestEntityTooLarge | None = None
    try:
        body = request.get_data()
    except RequestEntityTooLarge as error:
        body, too_large = b"", error
    g.logged_request = carrier.request_log.add(
        request.method,
        request.path,
        request.query_string.decode("ascii", "replace"),
        list(request.headers.items()),
        body,
    )
    if too_large is not None:
        raise too_large


def _check_key(carrier: Carrier) -> None:
    scheme, _, key = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not carrier.accepts_key(key.strip()):
        raise CarrierError(401, "10009", "The API key is missing or not valid.")


def _from_http_error(error: HTTPException) -> CarrierError:
    if isinstance(error, RequestEntityTooLarge):
        return CarrierError(413, "10015", f"The request body is larger than {MAX_BODY_BYTES} bytes.")
    if isinstance(error, MethodNotAllowed):
        allow = ", ".join(sorted(error.valid_methods or ()))
        return CarrierError(
            405, "10015", "The method is not allowed here.", headers={"Allow": allow} if allow else None
        )
    if isinstance(error, RequestRedirect) or error.code == 404:
        return not_found()
    return CarrierError(error.code or 400, "10015", "The request could not be understood.")


def _envelope(error: CarrierError) -> dict[str, Any]:
    envelope = error.envelope()
    bare = request.path.startswith("/v2/messaging_optouts") or request.method == "DELETE"
    return {**envelope["errors"][0], **envelope} if bare else envelope
