"""What a request line with its headers may be: how long, and with one Host. Looked at before anything is made of it."""

from collections.abc import Sequence

from ..domain.errors import Refusal
from .refusals import HOST, LARGE_HEAD, NO_HTTP

TARGET_MAX = 16 * 1024
"""Bytes of a path with its query. The longest that the service itself makes is a cursor of 256 shards, some 7 kB."""

HEAD_MAX = 64 * 1024
"""Bytes of a request line with its headers, and of what comes between or after the parts of a chunked body."""

HEADERS_MAX = 100


def head_fault(version: str, headers: Sequence[tuple[bytes, bytes]]) -> Refusal | None:
    """Why a head cannot be accepted; None if it can. Names in lower case."""
    if version not in ("1.1", "1.0"):
        return NO_HTTP
    if len(headers) > HEADERS_MAX:
        return LARGE_HEAD
    hosts = 0
    for name, _ in headers:
        hosts += name == b"host"
    return None if hosts == 1 or (hosts == 0 and version == "1.0") else HOST
