"""The Flask app behind the event loop: a request that is complete is given to a thread of a bounded pool.

What costs much, and what an operator needs while the rest is busy, have pools of their own (`PLACES`). In each, callers
take turns. So one app's audit reads hold up neither logins nor another app's.
"""

import logging
import sys
from collections.abc import Awaitable, Callable, Iterable, Mapping, MutableMapping
from functools import partial
from io import BytesIO
from typing import Any
from urllib.parse import unquote_to_bytes

from ..domain.errors import Refusal
from ..web.http import MAX_BODY
from ..web.wsgi import COMPLETE, PATH_AS_SENT
from .fair_pool import FairPool, Full
from .owners import AppOf, owner_of, peer_network
from .refusals import BUSY, FAULT, Refusals

WSGIApp = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
Scope = Mapping[str, Any]
Response = tuple[int, list[tuple[bytes, bytes]], bytes]

PLACES: Mapping[str, tuple[tuple[str, ...], int, int]] = {
    "audit": (("/audit/",), 1, 64),
    "metrics": (("/metrics",), 1, 16),
    "documents": (("/docs", "/openapi.json", "/.well-known/"), 1, 64),
    "webhooks": (("/webhooks/",), 2, 256),
}
"""Beginnings of paths, threads, and how many requests may wait for one."""

NEWS = "news"
NEWS_THREADS = 16
"""Requests that wait for news and have not the form that the loop answers itself."""

WAITING = 256
"""Other requests that may wait for a thread."""

PATIENCE_S = 10.0
"""For a thread. Later the caller has most likely gone."""

_log = logging.getLogger("otp.front")


class FlaskApp:
    """An ASGI application that serves a WSGI one, with `threads` threads for what has no place of its own."""

    def __init__(self, app: WSGIApp, threads: int, refusals: Refusals, app_of: AppOf) -> None:
        self._app = app
        self._refusals = refusals
        self._app_of = app_of
        self._pools = {name: FairPool(name, count, waiting, PATIENCE_S) for name, (_, count, waiting) in PLACES.items()}
        self._pools[NEWS] = FairPool(NEWS, NEWS_THREADS, NEWS_THREADS, PATIENCE_S)
        self._pools[""] = FairPool("request", threads, WAITING, PATIENCE_S)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        # A body that is too large already by its length is not read: the app refuses it by that header.
        body = b"" if _is_too_long(scope["headers"]) else await _body(receive)
        if body is None:
            return
        status, headers, answer = await self._answer(scope, body)
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": answer})

    async def _answer(self, scope: Scope, body: bytes) -> Response:
        peer = peer_network(scope["client"][0]) if scope["client"] else ""
        pool = self._pools[_place(scope)]
        try:
            return await pool.run(owner_of(scope["headers"], peer, self._app_of), partial(self._run, scope, body))
        except Full:
            # More requests of the connection would be refused too, at the cost of all others.
            return self._refused(BUSY, (b"connection", b"close"))
        except Exception:  # noqa: BLE001 - the last catch: whatever it is, the caller gets a clear 500
            _log.error("unexpected", exc_info=True)
            return self._refused(FAULT)

    def _refused(self, refusal: Refusal, *more: tuple[bytes, bytes]) -> Response:
        reply = self._refusals(refusal)
        named = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in reply.headers.items()]
        return reply.status, [(b"content-length", str(len(reply.body)).encode()), *named, *more], reply.body

    def _run(self, scope: Scope, body: bytes) -> Response:
        environ = environ_of(scope, body)
        began: list[tuple[str, list[tuple[str, str]]]] = []
        parts = self._app(environ, lambda status, headers, _=None: began.append((status, headers)))
        try:
            body = b"".join(parts)
        finally:
            close = getattr(parts, "close", None)
            if close is not None:
                close()
        status, headers = began[0]
        return int(status[:3]), [(name.encode("latin-1"), value.encode("latin-1")) for name, value in headers], body


def _place(scope: Scope) -> str:
    path = scope["path"]
    for name, (beginnings, _, _) in PLACES.items():
        if path.startswith(beginnings):
            return name
    return NEWS if path.startswith("/verify/") and b"wait" in scope["query_string"] else ""


def _is_too_long(headers: Iterable[tuple[bytes, bytes]]) -> bool:
    return any(name == b"content-length" and int(value) > MAX_BODY for name, value in headers)


async def _body(receive: Receive) -> bytes | None:
    """The body, or as much of it as shows that it is too large; None if the caller has gone."""
    body = b""
    while len(body) <= MAX_BODY:
        message = await receive()
        if message["type"] != "http.request":
            return None
        body += message["body"]
        if not message["more_body"]:
            break
    return body


def environ_of(scope: Mapping[str, Any], body: bytes) -> dict[str, Any]:
    """A WSGI environment. Header names with an underscore are left out: they would pass for others."""
    client, server = scope["client"] or ("", 0), scope["server"] or ("", 0)
    environ: dict[str, Any] = {
        "REQUEST_METHOD": scope["method"],
        "SCRIPT_NAME": "",
        "PATH_INFO": unquote_to_bytes(scope["raw_path"]).decode("latin-1"),
        PATH_AS_SENT: scope["raw_path"].decode("latin-1"),
        "QUERY_STRING": scope["query_string"].decode("latin-1"),
        "SERVER_NAME": str(server[0]),
        "SERVER_PORT": str(server[1]),
        "SERVER_PROTOCOL": f"HTTP/{scope['http_version']}",
        "REMOTE_ADDR": client[0],
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": scope["scheme"],
        "wsgi.input": BytesIO(body),
        "wsgi.input_terminated": True,
        COMPLETE: len(body) <= MAX_BODY and not _is_too_long(scope["headers"]),
        "wsgi.errors": sys.stderr,
        "wsgi.multithread": True,
        "wsgi.multiprocess": True,
        "wsgi.run_once": False,
    }
    for name, value in scope["headers"]:
        if b"_" not in name:
            _add_header(environ, name.decode("latin-1").upper().replace("-", "_"), value.decode("latin-1"))
    return environ


def _add_header(environ: dict[str, Any], name: str, value: str) -> None:
    key = name if name in ("CONTENT_TYPE", "CONTENT_LENGTH") else f"HTTP_{name}"
    environ[key] = f"{environ[key]},{value}" if key in environ else value
