"""Which requests are answered in the loop: those of the plain form, which leaves nothing to interpret.

Everything else is Flask's: it has the rules for spellings of paths, repeated headers and chunked bodies. So there is no
second set of such rules that could differ.
"""

from collections.abc import Mapping, Sequence

from ..web.endpoint import Endpoint
from ..web.http import MAX_BODY

Headers = Sequence[tuple[bytes, bytes]]
"""Names in lower case and values, as the parser gives them."""

Endpoints = Mapping[tuple[bytes, bytes], Endpoint]
"""By method and path; the paths have no parameters."""

_READ = {
    b"authorization": "authorization",
    b"content-type": "content-type",
    b"content-length": "content-length",
    b"idempotency-key": "idempotency-key",
}
"""The headers that these endpoints read."""

_NEVER_PLAIN = frozenset((b"transfer-encoding", b"expect", b"upgrade"))


def plain_headers(method: bytes, headers: Headers) -> dict[str, str] | None:
    """The headers that an endpoint reads, if the request has the plain form; otherwise None.

    Plain: none of these headers twice, no name with an underscore (WSGI would take it for a hyphen), and for a POST a
    Content-Length that is in the limit.
    """
    found: dict[str, str] = {}
    for name, value in headers:
        wanted = _READ.get(name)
        if wanted is not None:
            if wanted in found:
                return None
            found[wanted] = value.decode("latin-1")
        elif name in _NEVER_PLAIN or b"_" in name:
            return None
    return found if _is_plain_length(found.get("content-length"), method) else None


def _is_plain_length(length: str | None, method: bytes) -> bool:
    if method != b"POST":
        return length is None
    return length is not None and len(length) <= 5 and length.isdecimal() and int(length) <= MAX_BODY
