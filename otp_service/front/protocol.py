"""uvicorn's HTTP protocol, which answers a few endpoints in the parser's callbacks.

uvicorn makes a task, a scope, an event and several messages for each request. For the endpoints in `Endpoints` none of
it is made, which saves the time for it. Everything else, such as the order of pipelined requests, stays uvicorn's.

Not here: what is no request's but the connection's (`connection`).
"""

import asyncio
import logging
import threading
from functools import partial
from typing import Any, NoReturn, cast

import httptools
from uvicorn.config import Config
from uvicorn.protocols.http.httptools_impl import RequestResponseCycle
from uvicorn.server import ServerState

from .. import greenlets
from ..domain.errors import Refusal
from ..web.http import Reply
from .connection import Connection, Limits
from .exchange import Exchange, written
from .head import HEAD_MAX, TARGET_MAX, head_fault, method_fault
from .owners import AppOf, owner_of
from .plain import Endpoints, plain_headers
from .refusals import LARGE_HEAD, LONG_TARGET, NO_HTTP, Refusals

PIPELINED_MAX = 256
"""Requests of one connection that may wait for their turn; with more the connection is closed. uvicorn has no limit."""

_log = logging.getLogger("otp.front")


class _Refused(Exception):
    """The parser is to stop. Why is noted in `_fault`."""


class FrontProtocol(Connection):
    """One connection."""

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
        *,
        endpoints: Endpoints,
        app_of: AppOf,
        refusals: Refusals,
        limits: Limits,
        ending: threading.Event,
    ) -> None:
        super().__init__(config, server_state, app_state, _loop, refusals, limits)
        self._endpoints = endpoints
        self._app_of = app_of
        self._ending = ending
        self._left = HEAD_MAX
        """How many bytes may come before the head is complete, or more of the body has come."""
        self._came = 0
        """How many bytes of the request that is arriving have come."""
        self._holder: str | None = None
        """Whose the request is, once its head is complete."""
        self._may_answer = True
        """Whether no request of the bytes that came last is answered here."""
        self._exchange: Exchange | None = None
        """The request that is being read, if it is to be answered here."""
        self._head_again: bytes | None = None
        """The head of a request that asked for another protocol, without that wish."""
        self._fault = NO_HTTP
        """Why the parser stopped."""

    # ---- called by the loop ----------------------------------------------------------------------------------------

    def data_received(self, data: bytes) -> None:
        """Some bytes of a request, or of several."""
        if self._ended:
            self._throw_away(data)
            return
        if self._is_new:
            self._end_new()
        self._left -= len(data)
        self._may_answer = True
        self._limits.kept.end(self)
        try:
            self._parse(data)
        except httptools.HttpParserError as error:
            # Methods of RTSP are errors of no kind of their own.
            is_method = isinstance(error, httptools.HttpParserInvalidMethodError) or "Invalid method" in str(error)
            self._refuse(method_fault(data) if is_method else self._fault)
        if self._arriving and self._left < 0:
            self._refuse(LARGE_HEAD)
        if self._arriving and not self._ended:
            self._came += len(data)
            self._limits.receiving.hold(self, self._owner(), self._came)
        else:
            self._limits.receiving.end(self)

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
        """The connection has ended. Who waited for news on it waits no longer."""
        cycle: object = self.cycle
        if isinstance(cycle, Exchange) and not cycle.response_complete and cycle.work is not None:
            cycle.work.leave()
        super().connection_lost(exc)

    def _owner(self) -> str:
        """Whose the request is that is arriving: an app's if its key is known, otherwise that of an address."""
        if self._holder is None and not self._in_head:
            self._holder = owner_of(self.headers, self._peer, self._app_of)
        return self._holder or f"address {self._peer}"

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
        self._came = 0
        self._holder = None
        self._limits.connections.busy(self, self._peer)

    def on_url(self, url: bytes) -> None:
        """A part of the path and query."""
        self.url += url
        if len(self.url) > TARGET_MAX:
            self._stop(LONG_TARGET)

    def _stop(self, fault: Refusal) -> NoReturn:
        self._fault = fault
        raise _Refused

    def on_header(self, name: bytes, value: bytes) -> None:
        """A header. A trailer is none: what comes after the body must not pass for a key."""
        if not self._in_head:
            return
        name = name.lower()
        if name == b"expect" and value.lower() == b"100-continue":
            self.expect_100_continue = True
        self.headers.append((name, value))

    def on_headers_complete(self) -> None:
        """Decide who answers."""
        if self.parser.should_upgrade() and self.parser.get_method() != b"CONNECT":
            self._head_again = self._without_upgrade()
            return
        version = self.parser.get_http_version()
        fault = head_fault(version, self.headers)
        if fault is not None:
            self._stop(fault)
        self._in_head = False
        self._left = HEAD_MAX
        self._exchange = self._plain_exchange(version)
        if self._exchange is not None:
            self._may_answer = False
            self.cycle = cast("RequestResponseCycle", self._exchange)
        else:
            self._pass_on()

    def _without_upgrade(self) -> bytes:
        first = b"%b %b HTTP/%b\r\n" % (self.parser.get_method(), self.url, self.parser.get_http_version().encode())
        headers = [b"%b: %b\r\n" % header for header in self.headers if header[0] != b"upgrade"]
        return b"".join([first, *headers, b"\r\n"])

    def _plain_exchange(self, version: str) -> Exchange | None:
        method = self.parser.get_method()
        found = self._endpoints.find(method, self.url)
        if found is None or self.expect_100_continue or self._is_busy():
            return None
        headers = plain_headers(method, self.headers)
        if headers is None:
            return None
        # Whether more requests may come on this connection after the one whose head is here.
        keep_alive = version != "1.0" and self.parser.should_keep_alive() and not self._ending.is_set()
        return Exchange(found, headers, keep_alive=keep_alive)

    def _is_busy(self) -> bool:
        """Whether this request has to take its turn: behind an earlier one, or behind other connections.

        uvicorn answers one request of a connection at a time, and waits for a caller who does not read. Answering all
        that came at once here would hold up everybody else, and keep all the responses.
        """
        if not self._may_answer or self.flow.write_paused or self.pipeline:
            return True
        return self.cycle is not None and not self.cycle.response_complete

    def _pass_on(self) -> None:
        """Let uvicorn answer this request: begin it as uvicorn would have done."""
        if len(self.pipeline) >= PIPELINED_MAX:
            raise _Refused
        url, headers, expect = self.url, self.headers, self.expect_100_continue
        super().on_message_begin()
        self.url, self.expect_100_continue = url, expect
        self.headers.extend(headers)
        super().on_headers_complete()
        self.cycle.transport = cast("asyncio.Transport", _Ending(self))
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
            exchange.work = greenlets.start(partial(self._serve, exchange))

    # ---- answering -------------------------------------------------------------------------------------------------

    def _serve(self, exchange: Exchange) -> None:
        try:
            body = bytes(exchange.body)
            peer = self.client[0] if self.client else ""
            endpoint, path, query = exchange.found
            self._answer(exchange, endpoint(path, query, exchange.headers, lambda _: body, peer))
        except greenlets.Left:
            # The caller has closed the connection: nobody needs a response.
            exchange.response_complete = True
        except Exception:  # noqa: BLE001 - the endpoint answers every fault; what is left is ours
            _log.error("unexpected", exc_info=True)
            self.transport.close()

    def _answer(self, exchange: Exchange, reply: Reply) -> None:
        exchange.response_complete = True
        if self.transport.is_closing():
            return
        always = self.server_state.default_headers
        self.transport.write(written(reply, always, keep_alive=exchange.keep_alive))
        if not exchange.keep_alive:
            self._end()
        self.on_response_complete()


class _Ending:
    """The transport as uvicorn's cycle sees it: it closes as the protocol does."""

    __slots__ = ("_protocol", "is_closing", "write")

    def __init__(self, protocol: FrontProtocol) -> None:
        self._protocol = protocol
        self.write = protocol.transport.write
        self.is_closing = protocol.transport.is_closing

    def close(self) -> None:
        """Close after the last response."""
        self._protocol._end()
