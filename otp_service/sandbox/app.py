"""The sandbox as a WSGI application: routes, the key, the journal, and errors that never are a traceback.

Under `/v2` an error is the carrier's envelope `{"errors": […]}`, elsewhere `{"error": "…"}`. Two operations
(listing opt-outs and cancelling) are documented with a bare error object; their errors carry both forms at once.
"""

from __future__ import annotations

from typing import Any

from flask import Flask, Response, g, request
from werkzeug.exceptions import HTTPException, MethodNotAllowed, RequestEntityTooLarge
from werkzeug.routing import RequestRedirect

from otp_service.sandbox import control, page, v2_messages, v2_numbers, v2_optouts
from otp_service.sandbox.answers import control_error, json_answer
from otp_service.sandbox.carrier import Carrier
from otp_service.sandbox.errors import CarrierError, not_found
from otp_service.sandbox.wire import ENVIRON_KEY, Mishap, Wire

MAX_BODY_BYTES = 1_000_000
_V2 = "/v2"


def create_app(carrier: Carrier) -> Flask:
    """The application of one carrier."""
    app = Flask(__name__, static_folder=None)
    app.config.update(MAX_CONTENT_LENGTH=MAX_BODY_BYTES, PROVIDE_AUTOMATIC_OPTIONS=False, PROPAGATE_EXCEPTIONS=False)
    # A number in a path is data: no cleaning up of slashes around it.
    app.url_map.merge_slashes = False
    app.logger.disabled = True  # Flask logs raw paths, and those hold numbers.

    @app.before_request
    def admit() -> None:
        if not _is_v2():
            return
        _open_entry(carrier)
        _check_key(carrier)

    @app.after_request
    def close_entry(response: Response) -> Response:
        entry = g.pop("journal_entry", None)
        wire = request.environ.get(ENVIRON_KEY)
        swallowed = isinstance(wire, Wire) and wire.mishap in {Mishap.HANG, Mishap.RESET}
        if entry is not None and not swallowed:
            carrier.journal.answered(entry, response.status_code)
        response.headers.setdefault("Cache-Control", "no-store")
        return response

    @app.errorhandler(CarrierError)
    def refused(error: CarrierError) -> Response:
        return json_answer(_envelope(error), error.status, error.headers)

    @app.errorhandler(HTTPException)
    def failed(error: HTTPException) -> Response:
        if not _is_v2():
            return control_error((error.description or error.name).split("\n")[0], error.code or 500)
        return refused(_translated(error))

    @app.errorhandler(Exception)
    def broken(_: Exception) -> Response:
        if not _is_v2():
            return control_error("an unexpected error occurred", 500)
        return refused(CarrierError(500, "10007", "An unexpected error occurred."))

    for part in (v2_messages, v2_numbers, v2_optouts, control, page):
        app.register_blueprint(part.blueprint(carrier))
    return app


def _is_v2() -> bool:
    return request.path == _V2 or request.path.startswith(_V2 + "/")


def _open_entry(carrier: Carrier) -> None:
    too_large: RequestEntityTooLarge | None = None
    try:
        body = request.get_data()
    except RequestEntityTooLarge as error:
        body, too_large = b"", error
    g.journal_entry = carrier.journal.open(
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
    if scheme.lower() != "bearer" or not carrier.knows_key(key.strip()):
        raise CarrierError(401, "10009", "The API key is missing or not valid.")


def _translated(error: HTTPException) -> CarrierError:
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
