"""`/v2/messages…`: every way of sending, and schedule, cancel, retrieve."""

from __future__ import annotations

from collections.abc import Callable
from uuid import UUID

from flask import Blueprint, Response

from otp_service.sandbox.carrier import Carrier
from otp_service.sandbox.errors import not_found
from otp_service.sandbox.message_json import message_json
from otp_service.sandbox.responses import json_response
from otp_service.sandbox.send_request import SendRequest
from otp_service.sandbox.sending import KINDS


def blueprint(carrier: Carrier) -> Blueprint:
    """The routes under `/v2/messages`."""
    routes = Blueprint("v2_messages", __name__)

    def send_view(kind: str) -> Callable[[], Response]:
        return lambda: SendRequest(carrier, kind).run()

    for kind in KINDS:
        path = "/v2/messages" if kind == "generic" else f"/v2/messages/{kind}"
        routes.add_url_rule(path, f"send_{kind}", send_view(kind), methods=["POST"])

    @routes.get("/v2/messages/<message_id>")
    def show(message_id: str) -> Response:
        message = carrier.messages.get(_uuid(message_id))
        if message is None:
            raise not_found("The message was not found.")
        with carrier.messages.lock:
            return json_response({"data": message_json(message)})

    @routes.delete("/v2/messages/<message_id>")
    def cancel(message_id: str) -> Response:
        message = carrier.sending.cancel(_uuid(message_id))
        with carrier.messages.lock:
            # The only operation that responds without "data" around the resource.
            return json_response(message_json(message))

    return routes


def _uuid(text: str) -> str:
    try:
        return str(UUID(text))
    except ValueError:
        raise not_found("The message was not found.") from None
