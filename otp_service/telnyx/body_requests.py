"""Requests to the carrier, as they are written to a connection: what is the same in all of them is made once.

httpx reads the URL and each header anew for every request, builds a request of httpcore from them, and an answer of
its own from httpcore's. That takes a fifth of a send.
"""

from collections.abc import Mapping
from typing import NamedTuple

import httpcore
import httpx


class Prepared(NamedTuple):
    """A request. `head`: its first line and headers, with the empty line behind them."""

    method: str
    url: httpx.URL
    head: bytes
    body: bytes

    def __repr__(self) -> str:
        # The head holds the API key, the body a code and a number; paths hold ids and numbers.
        return f"Prepared({self.method})"

    def as_httpx(self, timeouts: Mapping[str, float]) -> httpx.Request:
        """The same for a transport of httpx."""
        fields = [line.partition(b": ")[::2] for line in self.head.split(b"\r\n")[1:-2]]
        extensions = {"timeout": dict(timeouts)}
        stream = httpx.ByteStream(self.body)
        return httpx.Request(self.method, self.url, headers=fields, stream=stream, extensions=extensions)


class BodyRequests:
    """Builds requests below one base URL, with these headers and those that a body needs."""

    def __init__(self, base_url: str, headers: Mapping[str, str]) -> None:
        host = httpx.URL(base_url).netloc.decode("ascii")
        self._base_url = base_url
        self._fields = b"".join(_field(name, value) for name, value in {"Host": host, **headers}.items())
        self._known: dict[str, tuple[httpx.URL, bytes]] = {}

    def build(
        self,
        method: str,
        path: str,
        body: bytes | None = None,
        *,
        params: Mapping[str, str] | None = None,
        idempotency_key: str | None = None,
    ) -> Prepared:
        """The request. Raises httpcore.LocalProtocolError for what would be more than one."""
        url, head = self._beginning(method, path, params)
        if idempotency_key is not None:
            head += _field("Idempotency-Key", idempotency_key)
        if body is not None:
            head += b"Content-Type: application/json\r\nContent-Length: %d\r\n" % len(body)
        return Prepared(method, url, head + b"\r\n", body or b"")

    def _beginning(self, method: str, path: str, params: Mapping[str, str] | None) -> tuple[httpx.URL, bytes]:
        # What is posted to names an operation, one of a few. Other paths hold ids.
        if method == "POST" and path in self._known:
            return self._known[path]
        url = httpx.URL(self._base_url + path, params=params) if params else httpx.URL(self._base_url + path)
        target = url.raw_path.decode("ascii")
        made = url, b"%b%b" % (_line(f"{method} {target} HTTP/1.1"), self._fields)
        if method == "POST":
            self._known[path] = made
        return made


def _field(name: str, value: str) -> bytes:
    return _line(f"{name}: {value}")


def _line(text: str) -> bytes:
    if "\r" in text or "\n" in text:
        raise httpcore.LocalProtocolError("a line break within a header")
    return f"{text}\r\n".encode("ascii")
