"""The way to one server, which can be closed or made slow for other servers while callers still get through.

Who connects is told by the address that the connection comes from: servers and sentinels have addresses of their own.
"""

import contextlib
import select
import socket
import threading
import time
from collections import deque

CALLERS, SERVERS, SENTINELS = "127.0.0.1", "127.0.0.2", "127.0.0.3"
"""Where connections come from. A node of a Cluster has an address of its own, `node_address`."""

_TURN_S = 0.02


def node_address(number: int) -> str:
    """Where the connections of this node of a Cluster come from."""
    return f"127.0.1.{number + 1}"


class Relay:
    """A loopback port that leads to a server's own."""

    def __init__(self, port: int) -> None:
        self._inner_port = port
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listener.getsockname()[1])
        self.closed = threading.Event()
        """Set: nothing passes from or to servers and sentinels; their connections stay open."""
        self.cut: frozenset[str] = frozenset()
        """Nor from or to who has one of these addresses."""
        self.late_s = 0.0
        """By so much servers get later what this one sends them."""
        self._ended = False
        threading.Thread(target=self._accept, daemon=True).start()

    def end(self) -> None:
        """Let nobody through any more."""
        self._ended = True
        self._listener.close()

    def _accept(self) -> None:
        while not self._ended:
            try:
                outer, (source, _) = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._carry, args=(outer, source), daemon=True).start()

    def _carry(self, outer: socket.socket, source: str) -> None:
        with contextlib.suppress(OSError), outer, socket.create_connection(("127.0.0.1", self._inner_port)) as inner:
            for end in (outer, inner):
                # Without it a small message may wait 40 ms for the acknowledgment of the one before.
                end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            held: deque[tuple[float, bytes]] = deque()
            while not self._ended:
                if self._is_closed_to(source):
                    time.sleep(_TURN_S)
                    continue
                late_s = 0.0 if source in (CALLERS, SENTINELS) else self.late_s
                if not self._pass_on(outer, inner, held, late_s):
                    return

    def _is_closed_to(self, source: str) -> bool:
        return source in self.cut or (self.closed.is_set() and source != CALLERS)

    def _pass_on(
        self, outer: socket.socket, inner: socket.socket, held: deque[tuple[float, bytes]], late_s: float
    ) -> bool:
        """Carry what there is; whether there may be more."""
        while held and held[0][0] <= time.monotonic():
            outer.sendall(held.popleft()[1])
        for end in select.select([outer, inner], [], [], _TURN_S)[0]:
            data = end.recv(65_536)
            if not data:
                return False
            if end is outer:
                inner.sendall(data)
            elif late_s or held:
                held.append((time.monotonic() + late_s, data))
            else:
                outer.sendall(data)
        return True
