"""`/v2/messaging_optouts`: who opted out of which profile, oldest first."""

from __future__ import annotations

from flask import Blueprint, Response, request

from otp_service.sandbox.carrier import Carrier
from otp_service.sandbox.clock import parse_rfc3339
from otp_service.sandbox.paging import bad_parameter, page
from otp_service.sandbox.responses import json_response


def blueprint(carrier: Carrier) -> Blueprint:
    """The route. Telnyx has none to add or remove an opt-out."""
    routes = Blueprint("v2_optouts", __name__)

    @routes.get("/v2/messaging_optouts")
    def list_optouts() -> Response:
        query = request.args
        since, until = _time("created_at[gte]"), _time("created_at[lte]")
        profile_id = query.get("filter[messaging_profile_id]")
        # A '+' that was not percent-encoded arrives as a space.
        sender = (query.get("filter[from]") or "").strip().removeprefix("+")
        blocks = [
            block
            for block in carrier.optouts
            if (since is None or block.created_at >= since)
            and (until is None or block.created_at <= until)
            and (not profile_id or block.profile_id == profile_id)
            and (not sender or block.sender.removeprefix("+") == sender)
        ]
        redact = query.get("redaction_enabled", "").lower() == "true"
        return json_response(page(query, blocks, lambda block: block.to_json(redact=redact)))

    return routes


def _time(name: str) -> float | None:
    text = request.args.get(name)
    if not text:
        return None
    # The '+' of a zone that was not percent-encoded arrives as a space.
    time_s = parse_rfc3339(text) or parse_rfc3339(text.replace(" ", "+"))
    if time_s is None:
        raise bad_parameter(name, f"'{name}' must be an ISO 8601 time.")
    return time_s
