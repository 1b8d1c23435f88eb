"""JSON answers, spelled the same everywhere."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from flask import Response

_encoder = json.JSONEncoder(separators=(",", ":"))


def json_bytes(value: Any) -> bytes:
    """Compact ASCII JSON."""
    return _encoder.encode(value).encode()


def json_answer(value: Any, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """`value` as an answer."""
    return bytes_answer(json_bytes(value), status, headers)


def bytes_answer(body: bytes, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """JSON that is already spelled."""
    return Response(body, status, dict(headers or {}), content_type="application/json; charset=utf-8")


def control_error(message: str, status: int = 400) -> Response:
    """An error of the sandbox's own endpoints."""
    return json_answer({"error": message}, status)
