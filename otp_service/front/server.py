"""uvicorn's server, which ends the requests that wait for news before it waits for requests to end."""

import socket
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext

from uvicorn import Config, Server


class FrontServer(Server):
    """Serves until it is told to end. `end_waits` is called in the loop, then."""

    def __init__(self, config: Config, end_waits: Callable[[], None]) -> None:
        super().__init__(config)
        self._end_waits = end_waits

    def capture_signals(self) -> AbstractContextManager[None]:  # type: ignore[override]
        """Signals are not handled here: uvicorn would raise them again at the end, and so end the whole process."""
        return nullcontext()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """End: no new connections, no waits, the requests in flight."""
        self._end_waits()
        await super().shutdown(sockets)
