"""Telnyx's error codes and titles, and the JSON of an error response.

`CarrierError` is raised anywhere below the routes; `app` turns it into a response.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

DOCS_URL = "https://developers.telnyx.com/docs/overview/errors/"

TITLES: Mapping[str, str] = {
    "10004": "Missing required parameter",
    "10005": "Resource not found",
    "10007": "Unexpected error",
    "10008": "Request timed out",
    "10009": "Authentication failed",
    "10010": "Not authorized",
    "10011": "Too many requests",
    "10015": "Bad Request",
    "10023": "JSON is invalid",
    "10026": "Invalid parameter type",
    "10027": "Unprocessable Entity",
    "10032": "Invalid enumerated value",
    "10033": "Value outside of range",
    "10036": "Conflict",
    "40001": "Not routable",
    "40002": "Blocked as spam - temporary",
    "40003": "Blocked as spam - permanent",
    "40004": "Rejected by destination",
    "40005": "Message expired during transmission",
    "40006": "Recipient server unavailable",
    "40008": "Undeliverable",
    "40009": "Invalid message body",
    "40010": "Not 10DLC registered",
    "40011": "Too many requests",
    "40012": "Invalid messaging destination number",
    "40013": "Invalid messaging source number",
    "40014": "Message expired in queue",
    "40015": "Blocked as spam",
    "40016": "T-Mobile 10DLC sending limit reached",
    "40017": "AT&T 10DLC spam message rejected",
    "40018": "AT&T 10DLC sending limit reached",
    "40020": "Blocked as artificially inflated traffic",
    "40300": "Blocked due to STOP message",
    "40301": "Unsupported message type",
    "40302": "Message too large",
    "40304": "Invalid combination of message content",
    "40305": "Invalid 'from' address",
    "40310": "Invalid 'to' address",
    "40316": "No content provided",
    "40317": "Invalid MMS content",
    "40318": "Message queue full",
    "40321": "No usable numbers on messaging profile",
    "41000": "WhatsApp Error",
}


class CarrierError(Exception):
    """An error response: HTTP status, Telnyx's code, and which part of the request is wrong."""

    def __init__(
        self,
        status: int,
        code: str,
        detail: str,
        *,
        pointer: str | None = None,
        parameter: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(f"{code}: {detail}")
        self.status = status
        self.code = code
        self.detail = detail
        self.pointer = pointer
        self.parameter = parameter
        self.headers = dict(headers or {})

    def envelope(self) -> dict[str, Any]:
        """The body of the response."""
        return {"errors": [error_item(self.code, self.detail, pointer=self.pointer, parameter=self.parameter)]}


def error_item(code: str, detail: str, *, pointer: str | None = None, parameter: str | None = None) -> dict[str, Any]:
    """One error, for an error response or for the `errors` of a message."""
    item: dict[str, Any] = {
        "code": code,
        "title": TITLES.get(code, "Error"),
        "detail": detail,
        "meta": {"url": DOCS_URL + code},
    }
    source = {name: value for name, value in (("pointer", pointer), ("parameter", parameter)) if value}
    if source:
        item["source"] = source
    return item


def not_found(detail: str = "The requested resource or URL could not be found.") -> CarrierError:
    """404: there is no such resource."""
    return CarrierError(404, "10005", detail)
