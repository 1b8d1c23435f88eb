"""uvicorn's server, with an end that loses no request.

Told to end, a process first says so (`/readyz` is 503, every response closes its connection, requests that wait for
news are answered) and serves on, so that a load balancer can send new requests elsewhere. Then it takes no more
connections, serves those that are open for a moment more, closes what is idle, and finishes what is being answered.
"""

import asyncio
import socket
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import cast

from uvicorn import Config, Server

from .accepting import Acceptor, ProcessShare
from .protocol import FrontProtocol
from .receiving import LAST_REQUESTS_S

TICK_S = 0.05
CLOSED_AT_ONCE = 16
"""Idle connections that are closed before the loop looks again whether requests have come on others."""


class FrontServer(Server):
    """Serves until it is told to end. `begin_end` is called in the loop, then; for `drain_s` it serves on.

    `share`: the connections of this process beside those of others on the same socket.
    """

    def __init__(
        self,
        config: Config,
        begin_end: Callable[[], None],
        drain_s: float = 0.0,
        share: ProcessShare | None = None,
    ) -> None:
        super().__init__(config)
        self._begin_end = begin_end
        self._drain_s = drain_s
        self._share = share or ProcessShare([0], 0)
        self._acceptors: list[Acceptor] = []

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Take connections from these sockets, which listen."""
        await super().startup(sockets=[])
        self._acceptors = [
            Acceptor(listening, self._new_protocol, self._share, lambda: len(self.server_state.connections))
            for listening in sockets or []
        ]

    def capture_signals(self) -> AbstractContextManager[None]:  # type: ignore[override]
        """Signals are not handled here: uvicorn would raise them again at the end, and so end the whole process."""
        return nullcontext()

    async def main_loop(self) -> None:
        """Serve until told to end, and then for as long as a load balancer needs to notice."""
        await super().main_loop()
        self._begin_end()
        for connection in self.server_state.connections:
            cast("FrontProtocol", connection).end_keeping()
        await self.serve_on(self._drain_s)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """End: no new connections, the last requests, those in flight."""
        self._begin_end()
        await self.stop_listening()
        await self.serve_on(min(LAST_REQUESTS_S, self._drain_s), while_connected=True)
        await self._close_idle()
        await super().shutdown([])

    async def stop_listening(self) -> None:
        """Take no more connections than the system has made already."""
        for acceptor in self._acceptors:
            await acceptor.close()

    def _new_protocol(self) -> asyncio.Protocol:
        make = cast("Callable[..., asyncio.Protocol]", self.config.http_protocol_class)
        return make(config=self.config, server_state=self.server_state, app_state=self.lifespan.state, _loop=None)

    async def serve_on(self, seconds: float, *, while_connected: bool = False) -> None:
        """Serve for so long, or until no connection is left."""
        loop = asyncio.get_running_loop()
        until, ticks = loop.time() + seconds, 0
        while loop.time() < until and (self.server_state.connections or not while_connected):
            await asyncio.sleep(TICK_S)
            # It keeps the time in the responses.
            await self.on_tick(ticks)
            ticks += 1

    async def _close_idle(self) -> None:
        for number, connection in enumerate(list(self.server_state.connections), 1):
            connection.shutdown()
            if number % CLOSED_AT_ONCE == 0:
                await asyncio.sleep(0)
