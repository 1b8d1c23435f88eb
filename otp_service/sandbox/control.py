"""`/sandbox/…`: the control API of the sandbox. Errors are `{"error": "one sentence"}`.

`POST /sandbox/phones/{+E.164}/clicks` with `{"message_id", "url"}` opens a shortened link as the person. The event
that is posted for it has its own format, without id and meta.

A request with the `Origin` of another site is refused, so that no web page can control a developer's sandbox. There
is no other access control, because the sandbox is made for loopback.
"""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import urlsplit

from flask import Blueprint, Response, request

from otp_service.sandbox import regions
from otp_service.sandbox.carrier import Carrier
from otp_service.sandbox.chaos_settings import ChaosError
from otp_service.sandbox.inbound import MAX_TEXT_CHARS, UnknownMessageError, UnknownNumberError
from otp_service.sandbox.responses import control_error, json_response
from otp_service.sandbox.webhooks import is_web_url


class ControlError(ValueError):
    """A request to the control API that is not valid."""


def blueprint(carrier: Carrier) -> Blueprint:
    """The routes under `/sandbox`."""
    routes = Blueprint("control", __name__, url_prefix="/sandbox")

    @routes.errorhandler(ControlError)
    @routes.errorhandler(ChaosError)
    def refused(error: ValueError) -> Response:
        return control_error(str(error))

    @routes.before_request
    def same_origin() -> Response | None:
        origin = request.headers.get("Origin")
        if origin is not None and request.method != "GET" and urlsplit(origin).netloc != request.host:
            return control_error("requests from other sites are refused", 403)
        return None

    @routes.get("/healthz")
    def healthz() -> Response:
        return json_response({"status": "ok"})

    @routes.get("/phones/<phone>/messages")
    def list_messages(phone: str) -> Response:
        messages = carrier.phones.received_by(_phone(phone))
        return json_response({"messages": [message.to_json() for message in messages]})

    @routes.post("/phones/<phone>/messages")
    def reply(phone: str) -> Response:
        person = _phone(phone)
        body = _body()
        to, text = _string(body, "to"), _string(body, "text")
        if len(text) > MAX_TEXT_CHARS:
            raise ControlError(f"text must have at most {MAX_TEXT_CHARS} characters")
        try:
            return json_response(carrier.inbound.receive(person, to, text).to_json())
        except UnknownNumberError:
            return control_error("to is not one of the account's numbers", 404)

    @routes.post("/phones/<phone>/clicks")
    def click(phone: str) -> Response:
        person = _phone(phone)
        body = _body()
        url = _string(body, "url")
        if not is_web_url(url):
            raise ControlError("url must be an http or https URL")
        try:
            carrier.inbound.click(person, _string(body, "message_id"), url)
        except UnknownMessageError:
            return control_error("message_id is not a message that this phone received", 404)
        return json_response({"status": "clicked"})

    @routes.get("/journal")
    def list_requests() -> Response:
        return Response(carrier.request_log.iter_json(), content_type="application/json; charset=utf-8")

    @routes.get("/chaos")
    def get_chaos() -> Response:
        return json_response(carrier.chaos.to_json())

    @routes.put("/chaos")
    def change_chaos() -> Response:
        return json_response(carrier.chaos.merge(_body()))

    @routes.post("/reset")
    def reset() -> Response:
        carrier.reset()
        return json_response({"status": "reset"})

    return routes


def _phone(text: str) -> str:
    if not regions.E164.fullmatch(text):
        raise ControlError("the phone in the path must be a number in +E.164 format")
    return text


def _body() -> dict[str, Any]:
    try:
        value = json.loads(request.get_data().decode("utf-8"))
    except (ValueError, RecursionError):
        raise ControlError("the body must be valid JSON") from None
    if not isinstance(value, dict):
        raise ControlError("the body must be a JSON object")
    return value


def _string(body: dict[str, Any], name: str) -> str:
    value = body.get(name)
    if not isinstance(value, str) or not value.strip():
        raise ControlError(f"{name} must be a non-empty string")
    return value
