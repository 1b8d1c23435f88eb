"""What a request line with its headers may be: how long, and with one Host. Looked at before anything is made of it."""

import re
from collections.abc import Sequence

from ..domain.errors import Refusal
from ..web.http import METHOD_UNKNOWN, METHODS
from .refusals import HOST, LARGE_HEAD, NO_HTTP

TARGET_MAX = 16 * 1024
"""Bytes of a path with its query. The longest that the service itself makes is a cursor of 256 shards, some 7 kB."""

HEAD_MAX = 64 * 1024
"""Bytes of a request line with its headers, and of what comes between or after the parts of a chunked body."""

HEADERS_MAX = 100

_REQUEST_LINE = re.compile(rb"^([!#$%&'*+.^_`|~0-9A-Za-z-]+) \S+ HTTP/1\.[01]\r?$", re.MULTILINE)
"""A request line with any word for a method (RFC 9110, 5.6.2)."""


def method_fault(data: bytes) -> Refusal:
    """Why the parser, which knows all of our methods and more, did not take the one of a request in this data."""
    words = (line[1].decode() for line in _REQUEST_LINE.finditer(data))
    return METHOD_UNKNOWN if any(word not in METHODS for word in words) else NO_HTTP


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
