"""JSON responses. Every route uses these, so all have the same format."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from flask import Response

_encoder = json.JSONEncoder(separators=(",", ":"))


def json_bytes(value: Any) -> bytes:
    """Compact ASCII JSON."""
    return _encoder.encode(value).encode()


def json_response(value: Any, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """A response with `value` as its body."""
    return bytes_response(json_bytes(value), status, headers)


def bytes_response(body: bytes, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """A response whose body is already encoded as JSON."""
    return Response(body, status, dict(headers or {}), content_type="application/json; charset=utf-8")


def control_error(message: str, status: int = 400) -> Response:
    """An error of the endpoints under `/sandbox`."""
    return json_response({"error": message}, status)
