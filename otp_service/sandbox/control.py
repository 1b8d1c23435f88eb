"""`/sandbox/…`: steer the carrier and look behind it. Errors are `{"error": "one sentence"}`.

Beside what the phones get and send there is `POST /sandbox/phones/{+E.164}/clicks` with `{"message_id", "url"}`:
the person follows a shortened link, and the service is told (an event of a shape of its own, without id or meta).

A browser that carries another site's `Origin` is refused, so that no web page can play with a developer's
sandbox; there is no other protection here, and none is meant: it is a toy that runs on loopback.
"""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import urlsplit

from flask import Blueprint, Response, request

from otp_service.sandbox import places
from otp_service.sandbox.answers import control_error, json_answer
from otp_service.sandbox.carrier import Carrier
from otp_service.sandbox.chaos import ChaosError
from otp_service.sandbox.inbound import MAX_TEXT_CHARS, UnknownMessageError, UnknownNumberError
from otp_service.sandbox.webhooks import is_web_url


class ControlError(ValueError):
    """A request to the sandbox's own endpoints that cannot be met."""


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
        return json_answer({"status": "ok"})

    @routes.get("/phones/<phone>/messages")
    def inbox(phone: str) -> Response:
        items = carrier.handsets.inbox(_phone(phone))
        return json_answer({"messages": [item.to_json() for item in items]})

    @routes.post("/phones/<phone>/messages")
    def reply(phone: str) -> Response:
        person = _phone(phone)
        body = _body()
        to, text = _string(body, "to"), _string(body, "text")
        if len(text) > MAX_TEXT_CHARS:
            raise ControlError(f"text must have at most {MAX_TEXT_CHARS} characters")
        try:
            return json_answer(carrier.inbound.receive(person, to, text).to_json())
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
            return control_error("message_id is not a message that this phone got", 404)
        return json_answer({"status": "clicked"})

    @routes.get("/journal")
    def journal() -> Response:
        return Response(carrier.journal.stream(), content_type="application/json; charset=utf-8")

    @routes.get("/chaos")
    def chaos() -> Response:
        return json_answer(carrier.chaos.describe())

    @routes.put("/chaos")
    def change_chaos() -> Response:
        return json_answer(carrier.chaos.merge(_body()))

    @routes.post("/reset")
    def reset() -> Response:
        carrier.reset()
        return json_answer({"status": "reset"})

    return routes


def _phone(text: str) -> str:
    if not places.E164.fullmatch(text):
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
