"""Which requests are answered in the loop: those of the plain form, which leaves nothing to interpret.

Everything else is Flask's: it has the rules for spellings of paths, repeated headers and chunked bodies. So there is no
second set of such rules that could differ.
"""

import re
from collections.abc import Iterable, Mapping, Sequence

from ..web.endpoint import Endpoint
from ..web.http import MAX_BODY

Headers = Sequence[tuple[bytes, bytes]]
"""Names in lower case and values, as the parser gives them."""

Found = tuple[Endpoint, Mapping[str, str], Mapping[str, Sequence[str]]]
"""An endpoint, and what the values from path and query are."""

_VERIFICATION = re.compile(rb"/verify/(vrf_[a-z2-7]{32})(?:\?([a-z]+=[0-9]*(?:&[a-z]+=[0-9]*)*))?")
_TEMPLATE = "/verify/{verification_id}"


class Endpoints:
    """The endpoints that the loop answers: by method and path, and the one whose path names a verification."""

    def __init__(self, endpoints: Iterable[Endpoint]) -> None:
        self._by_path: dict[tuple[bytes, bytes], Found] = {}
        self._verification: Endpoint | None = None
        for endpoint in endpoints:
            route = endpoint.route
            if route.template == _TEMPLATE:
                self._verification = endpoint
            else:
                self._by_path[route.method.encode(), route.template.encode()] = (endpoint, {}, {})

    def find(self, method: bytes, url: bytes) -> Found | None:
        """The endpoint for this method and URL, if the loop answers it."""
        found = self._by_path.get((method, url))
        if found is not None or method != b"GET" or self._verification is None:
            return found
        match = _VERIFICATION.fullmatch(url)
        return None if match is None else (self._verification, {"verification_id": match[1].decode()}, _query(match[2]))


def _query(text: bytes | None) -> dict[str, list[str]]:
    """The values of each parameter. Nothing in such a query is escaped."""
    found: dict[str, list[str]] = {}
    for pair in text.decode().split("&") if text else ():
        name, _, value = pair.partition("=")
        found.setdefault(name, []).append(value)
    return found


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

    Plain: none of these headers twice, no name with an underscore (WSGI would take it for a hyphen), for a POST a
    Content-Length that is in the limit, and for others none or 0.
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
        return length is None or length == "0"  # some clients say so with every request
    return length is not None and len(length) <= 5 and length.isdecimal() and int(length) <= MAX_BODY
