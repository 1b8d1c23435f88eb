"""uvicorn's HTTP protocol, which answers a few endpoints in the parser's callbacks.

uvicorn makes a task, a scope, an event and several messages for each request. For the endpoints in `Endpoints` none of
it is made, which saves the time for it. Everything else, and all about connections (keep-alive, pipelined requests,
closing), stays uvicorn's.

The base class is not a public interface of uvicorn. It is pinned in setup.cfg to a minor version, and
`tests/front/test_protocol.py` fails where a new one behaves otherwise.
"""

import asyncio
import logging
import select
import threading
from collections.abc import Mapping
from functools import partial
from typing import Any, cast

import httptools
from uvicorn.config import Config
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol, RequestResponseCycle
from uvicorn.server import ServerState

from .. import greenlets
from ..web.http import Reply
from .plain import Endpoints, Found, plain_headers
from .receiving import HEAD_MAX, Receiving

PIPELINED_MAX = 256
"""Requests of one connection that may wait for their turn; with more the connection is closed. uvicorn has no limit."""

_log = logging.getLogger("otp.front")


class _TooManyAtOnce(Exception):
    """More requests came at once than may wait."""


class _Done:
    """An event that nobody waits for."""

    def set(self) -> None:
        """Does nothing."""


class _Exchange:
    """A request that is answered here. It stands where uvicorn keeps its own, so that uvicorn queues later ones."""

    __slots__ = ("body", "disconnected", "found", "headers", "keep_alive", "message_event", "response_complete")

    def __init__(self, found: Found, headers: Mapping[str, str], *, keep_alive: bool) -> None:
        self.found = found
        self.headers = headers
        self.keep_alive = keep_alive
        self.body = bytearray()
        self.response_complete = False
        self.disconnected = False
        self.message_event = _Done()


class FrontProtocol(HttpToolsProtocol):
    """One connection."""

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
        *,
        endpoints: Endpoints,
        opened: Receiving,
        receiving: Receiving,
        ending: threading.Event,
    ) -> None:
        super().__init__(config, server_state, app_state, _loop)
        self._endpoints = endpoints
        self._opened: Receiving | None = opened
        self._receiving = receiving
        self._ending = ending
        self._arriving = False
        """Whether a part of a request is here."""
        self._in_head = True
        """Whether the headers are not complete."""
        self._left = HEAD_MAX
        """How many bytes may come before the head is complete, or more of the body has come."""
        self._may_answer = True
        """Whether no request of the bytes that came last is answered here."""
        self._exchange: _Exchange | None = None
        """The request that is being read, if it is to be answered here."""
        self._head_again: bytes | None = None
        """The head of a request that asked for another protocol, without that wish."""

    # ---- called by the loop ----------------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """A connection is open; its first request is awaited."""
        super().connection_made(transport)
        if self._opened is not None:
            self._opened.begin(self)

    def data_received(self, data: bytes) -> None:
        """Some bytes of a request, or of several."""
        self._end_opened()
        self._left -= len(data)
        self._may_answer = True
        self._unset_keepalive_if_required()
        try:
            self._parse(data)
        except httptools.HttpParserError:
            self.send_400_response("Invalid HTTP request received.")
        if not self._arriving:
            self._receiving.end(self)
        elif self._left < 0:
            self._refuse(431)
        else:
            self._receiving.begin(self)

    def _parse(self, data: bytes) -> None:
        """Parse what came, as HTTP/1 only.

        The parser takes what follows a wish for another protocol (Java's client wishes for HTTP/2 in each request) for
        that protocol, and would take a body for the next request. So the head is parsed again without the wish.
        """
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserUpgrade as upgrade:
            head, self._head_again = self._head_again, None
            if head is not None:
                # A new one, since this one has ended with `Connection: close`. Otherwise as uvicorn's.
                self.parser = httptools.HttpRequestParser(self)
                self.parser.set_dangerous_leniencies(lenient_data_after_close=True)
                self._parse(head + data[upgrade.args[0] :])

    def connection_lost(self, exc: Exception | None) -> None:
        """The connection has ended."""
        self._end_opened()
        self._receiving.end(self)
        super().connection_lost(exc)

    def _end_opened(self) -> None:
        if self._opened is not None:
            self._opened.end(self)
            self._opened = None

    def end_keeping(self) -> None:
        """Close it after the request that is being answered, if one is. Later ones look at `ending` themselves."""
        if self.cycle is not None:
            self.cycle.keep_alive = False

    def shutdown(self) -> None:
        """Close it if no request is on its way; otherwise its response is the last."""
        if not self._arriving and not self._has_unread():
            super().shutdown()

    def _has_unread(self) -> bool:
        """Whether bytes of a request are here that the loop has not read yet."""
        poll = select.poll()
        poll.register(self.transport.get_extra_info("socket").fileno(), select.POLLIN)
        return bool(poll.poll(0))

    def give_up(self) -> None:
        """The request takes too long to arrive."""
        self._refuse(408)

    def _refuse(self, status: int) -> None:
        """End a connection whose request is not here as a whole, so that no endpoint can answer it."""
        if self.transport.is_closing():
            return
        if self._is_next():
            self.transport.write(STATUS_LINE[status] + b"content-length: 0\r\nconnection: close\r\n\r\n")
        self.transport.close()

    def send_400_response(self, msg: str) -> None:
        """What came is no HTTP. Where an earlier request waits for its response, it must not get this one."""
        if self._is_next():
            super().send_400_response(msg)
        else:
            self.transport.close()

    def _is_next(self) -> bool:
        """Whether the next response is that of the request which is being read, or of the next one."""
        if self._arriving and not self._in_head:
            return not self.pipeline
        return self.cycle is None or self.cycle.response_complete

    # ---- the parser's callbacks ------------------------------------------------------------------------------------

    def on_message_begin(self) -> None:
        """A request begins. What uvicorn needs for it is made if it is uvicorn's."""
        self.url = b""
        self.expect_100_continue = False
        self.headers = []
        self._exchange = None
        self._arriving = True
        self._in_head = True
        self._left = HEAD_MAX

    def on_header(self, name: bytes, value: bytes) -> None:
        """A header. A trailer is none: what comes after the body must not pass for a key."""
        if self._in_head:
            super().on_header(name, value)

    def on_headers_complete(self) -> None:
        """Decide who answers."""
        if self.parser.should_upgrade() and self.parser.get_method() != b"CONNECT":
            self._head_again = self._without_upgrade()
            return
        self._in_head = False
        self._left = HEAD_MAX
        self._exchange = self._plain_exchange()
        if self._exchange is not None:
            self._may_answer = False
            self.cycle = cast("RequestResponseCycle", self._exchange)
        else:
            self._pass_on()

    def _without_upgrade(self) -> bytes:
        first = b"%b %b HTTP/%b\r\n" % (self.parser.get_method(), self.url, self.parser.get_http_version().encode())
        headers = [b"%b: %b\r\n" % header for header in self.headers if header[0] != b"upgrade"]
        return b"".join([first, *headers, b"\r\n"])

    def _plain_exchange(self) -> _Exchange | None:
        method = self.parser.get_method()
        found = self._endpoints.find(method, self.url)
        if found is None or self.expect_100_continue or self._is_busy() or not self._is_http_1_1():
            return None
        headers = plain_headers(method, self.headers)
        if headers is None:
            return None
        return _Exchange(found, headers, keep_alive=self._keeps_alive())

    def _is_busy(self) -> bool:
        """Whether this request has to take its turn: behind an earlier one, or behind other connections.

        uvicorn answers one request of a connection at a time, and waits for a caller who does not read. Answering all
        that came at once here would hold up everybody else, and keep all the responses.
        """
        if not self._may_answer or self.flow.write_paused or self.pipeline:
            return True
        return self.cycle is not None and not self.cycle.response_complete

    def _keeps_alive(self) -> bool:
        """Whether more requests may come on this connection after the one whose head is here."""
        return self.parser.should_keep_alive() and not self._ending.is_set()

    def _is_http_1_1(self) -> bool:
        return bool(self.parser.get_http_version() == "1.1")

    def _pass_on(self) -> None:
        """Let uvicorn answer this request: begin it as uvicorn would have done."""
        if len(self.pipeline) >= PIPELINED_MAX:
            raise _TooManyAtOnce
        url, headers, expect = self.url, self.headers, self.expect_100_continue
        super().on_message_begin()
        self.url, self.expect_100_continue = url, expect
        self.headers.extend(headers)
        super().on_headers_complete()
        if self._ending.is_set():
            self.cycle.keep_alive = False

    def on_body(self, body: bytes) -> None:
        """A part of the body. Its length was looked at with the headers."""
        self._left = HEAD_MAX
        if self._exchange is None:
            super().on_body(body)
        else:
            self._exchange.body += body

    def on_message_complete(self) -> None:
        """The request is complete."""
        if self._head_again is not None:
            return
        exchange, self._exchange = self._exchange, None
        self._arriving = False
        if exchange is None:
            super().on_message_complete()
        else:
            greenlets.start(partial(self._serve, exchange))

    # ---- answering -------------------------------------------------------------------------------------------------

    def _serve(self, exchange: _Exchange) -> None:
        try:
            body = bytes(exchange.body)
            peer = self.client[0] if self.client else ""
            endpoint, path, query = exchange.found
            self._answer(exchange, endpoint(path, query, exchange.headers, lambda _: body, peer))
        except Exception:  # noqa: BLE001 - the endpoint answers every fault; what is left is ours
            _log.error("unexpected", exc_info=True)
            self.transport.close()

    def _answer(self, exchange: _Exchange, reply: Reply) -> None:
        exchange.response_complete = True
        if self.transport.is_closing():
            return
        self.transport.write(self._response(exchange, reply))
        if not exchange.keep_alive:
            self.transport.close()
        self.on_response_complete()

    def _response(self, exchange: _Exchange, reply: Reply) -> bytes:
        """The response as uvicorn and Flask would write it, byte for byte."""
        head = [f"content-length: {len(reply.body)}\r\n"]
        head += [f"{name.lower()}: {value}\r\n" for name, value in reply.headers.items()]
        if not exchange.keep_alive:
            head.append("connection: close\r\n")
        head.append("\r\n")
        always = [b"%b: %b\r\n" % pair for pair in self.server_state.default_headers]
        return b"".join([STATUS_LINE[reply.status], *always, "".join(head).encode("latin-1"), reply.body])
