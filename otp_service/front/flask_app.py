"""The Flask app behind the event loop: a request that is complete is given to a thread of a bounded pool."""

import asyncio
import sys
from collections.abc import Awaitable, Callable, Iterable, Mapping, MutableMapping
from concurrent.futures import ThreadPoolExecutor
from io import BytesIO
from typing import Any
from urllib.parse import unquote_to_bytes

from ..web.http import MAX_BODY
from ..web.wsgi import COMPLETE

WSGIApp = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]


class FlaskApp:
    """An ASGI application that serves a WSGI one, with `threads` threads."""

    def __init__(self, app: WSGIApp, threads: int) -> None:
        self._app = app
        self._pool = ThreadPoolExecutor(threads, "request")

    async def __call__(self, scope: Mapping[str, Any], receive: Receive, send: Send) -> None:
        """Answer one request."""
        # A body that is too large already by its length is not read: the app refuses it by that header.
        body = b"" if _is_too_long(scope["headers"]) else await _body(receive)
        if body is None:
            return
        loop = asyncio.get_running_loop()
        status, headers, answer = await loop.run_in_executor(self._pool, self._run, environ_of(scope, body))
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": answer})

    def _run(self, environ: dict[str, Any]) -> tuple[int, list[tuple[bytes, bytes]], bytes]:
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
