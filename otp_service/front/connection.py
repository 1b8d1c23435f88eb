"""A connection without its requests: for how long it may be idle, send and not read, and how it ends.

The base class is uvicorn's, which keeps a connection alive between requests. It is not a public interface, and pinned
in setup.cfg to one version; `tests/front/test_pinned.py` names what another one lacks.
"""

import asyncio
import select
import socket
import struct
from typing import Any

from uvicorn.config import Config
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.server import ServerState

from ..domain.errors import Refusal
from .connections import Connections
from .deadlines import Deadlines
from .exchange import written
from .owners import peer_network
from .receiving import DEADLINE_S, SEND_S, Receiving
from .refusals import LATE, NO_HTTP, Refusals

KEEP_ALIVE_S = 75.0
"""How long an idle connection is kept. Longer than the usual reverse proxy keeps it, so the proxy closes first."""

LINGER_S = 2.0
LINGER_MAX = 1024 * 1024
"""How long, and how many bytes, the rest of a request is read and thrown away whose response was sent before."""


_AT_ONCE = struct.pack("ii", 1, 0)
"""Closing is to reset the connection."""


class Limits:
    """What the connections of one process share."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        connections: int,
        deadline_s: float = DEADLINE_S,
        send_s: float = SEND_S,
        keep_s: float = KEEP_ALIVE_S,
    ) -> None:
        self.receiving = Receiving(loop, deadline_s)
        self.connections = Connections(connections, self.receiving)
        self.opened: Deadlines[Connection] = Deadlines(loop, deadline_s, Connection.give_up)
        self.sending: Deadlines[Connection] = Deadlines(loop, send_s, Connection.abort)
        self.kept: Deadlines[Connection] = Deadlines(loop, keep_s, Connection.close_idle)


class Connection(HttpToolsProtocol):
    """One connection."""

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None,
        refusals: Refusals,
        limits: Limits,
    ) -> None:
        super().__init__(config, server_state, app_state, _loop)
        self._refusals = refusals
        self._limits = limits
        self._peer = ""
        self._is_new = True
        """Whether nothing has come yet."""
        self._arriving = False
        """Whether a part of a request is here."""
        self._in_head = True
        """Whether the headers are not complete."""
        self._ended = False
        """Whether the last response was sent: nothing that comes now is looked at."""
        self._left = 0
        """How many bytes may still come of what is awaited now."""

    # ---- its life --------------------------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """It is open; its first request is awaited."""
        super().connection_made(transport)
        self._peer = peer_network(self.client[0]) if self.client else ""
        self._limits.connections.opened(self, self._peer)
        self._limits.opened.begin(self)

    def connection_lost(self, exc: Exception | None) -> None:
        """It has ended."""
        limits = self._limits
        limits.connections.closed(self, self._peer)
        limits.receiving.end(self)
        limits.sending.end(self)
        limits.kept.end(self)
        self._end_new()
        super().connection_lost(exc)

    def _end_new(self) -> None:
        if self._is_new:
            self._is_new = False
            self._limits.opened.end(self)

    def on_response_complete(self) -> None:
        """The response was sent, and the next request may begin.

        As uvicorn's own, which sets a timer for each response; here one serves all connections.
        """
        limits = self._limits
        if self.pipeline:
            limits.kept.end(self)
            super().on_response_complete()
        else:
            self.server_state.total_requests += 1
            if not self.transport.is_closing():
                if self.flow.read_paused:
                    self.flow.resume_reading()
                limits.kept.begin(self)
        if not self._arriving and (self.cycle is None or self.cycle.response_complete):
            limits.connections.idle(self, self._peer)

    def _unset_keepalive_if_required(self) -> None:
        """Something has come: it is not idle."""
        self._limits.kept.end(self)

    def pause_writing(self) -> None:
        """The caller reads too slowly."""
        super().pause_writing()
        self._limits.sending.begin(self)

    def resume_writing(self) -> None:
        """The caller has read nearly all."""
        super().resume_writing()
        self._limits.sending.end(self)

    # ---- its end ---------------------------------------------------------------------------------------------------

    def abort(self) -> None:
        """End it now, whatever is not sent; also what the system holds of it, which can be megabytes."""
        sending = self.transport.get_extra_info("socket")
        sending.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _AT_ONCE)
        self.transport.abort()

    def close_idle(self) -> None:
        """Its place is needed, or it has been idle for too long."""
        self._close()

    def _close(self) -> None:
        if self.transport.is_closing():
            return
        self.transport.close()
        if self.transport.get_write_buffer_size():
            # It closes when all is sent; somebody who reads nothing would keep it.
            self._limits.sending.begin(self)

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
        if self.transport.is_closing():
            return False  # it may have no socket any more
        poll = select.poll()
        poll.register(self.transport.get_extra_info("socket").fileno(), select.POLLIN)
        return bool(poll.poll(0))

    def give_up(self) -> None:
        """The request takes too long to arrive, or its place is needed."""
        self._refuse(LATE, lingers=False)

    def _refuse(self, refusal: Refusal, *, lingers: bool = True) -> None:
        """End a connection whose request is not here as a whole, so that no endpoint can answer it."""
        if self.transport.is_closing() or self._ended:
            return
        if not self._is_next():
            # Where an earlier request waits for its response, it must not get this one.
            self._ended = True
            self._close()
            return
        always = self.server_state.default_headers
        self.transport.write(written(self._refusals(refusal), always, keep_alive=False))
        self._end(lingers=lingers)

    def _end(self, *, lingers: bool = True) -> None:
        """Close after the last response.

        Not at once where more of the request is on its way: closing with unread bytes resets the connection, and the
        caller may never read the response.
        """
        self._ended = True
        self.pipeline.clear()
        self._limits.receiving.end(self)
        if not self._arriving or not lingers:
            self._close()
            return
        self._left = LINGER_MAX
        self.transport.write_eof()
        self.flow.resume_reading()
        self.loop.call_later(LINGER_S, self._close)

    def _throw_away(self, data: bytes) -> None:
        self._left -= len(data)
        if self._left < 0:
            self._close()

    def send_400_response(self, msg: str) -> None:
        """What came is no HTTP."""
        self._refuse(NO_HTTP)

    def _is_next(self) -> bool:
        """Whether the next response is that of the request which is being read, or of the next one."""
        if self._arriving and not self._in_head:
            return not self.pipeline
        return self.cycle is None or self.cycle.response_complete
