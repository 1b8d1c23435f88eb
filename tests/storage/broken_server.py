"""A server that is spoken to as Redis is, and whose connections fail where a test says.

Each reply to `GET` is the key itself, so that a reply which belongs to another command is seen.
"""

import contextlib
import socket
import threading
from collections.abc import Callable, Iterator
from types import TracebackType

PRIMARY = b"*2\r\n$4\r\nrole\r\n$6\r\nmaster\r\n"
REPLICA = b"*2\r\n$4\r\nrole\r\n$7\r\nreplica\r\n"


class End(Exception):
    """The connection is to end."""


Answer = Callable[["Talk", list[bytes]], bytes]
"""Makes the reply to a command, or raises End."""


class Talk:
    """One connection, as the server has it."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self._read = connection.makefile("rb")
        self.asked = 0
        """Commands but for the greeting."""

    def commands(self) -> Iterator[list[bytes]]:
        """Each command that comes."""
        while line := self._read.readline():
            parts = []
            for _ in range(int(line[1:])):
                length = int(self._read.readline()[1:])
                parts.append(self._read.read(length + 2)[:-2])
            self.asked += parts[0] != b"HELLO"
            yield parts

    def send(self, data: bytes) -> None:
        """Send something now."""
        self._connection.sendall(data)


def good(_: Talk, command: list[bytes]) -> bytes:
    """What a server that works would say."""
    if command[0] == b"HELLO":
        return PRIMARY
    return b"$%d\r\n%b\r\n" % (len(command[1]), command[1])


class BrokenServer:
    """Answers the first connections as `faults` say, one after the other, and later ones well."""

    def __init__(self, *faults: Answer) -> None:
        self._faults = list(faults)
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listening.getsockname()[1])
        self.connections = 0
        self._open: list[socket.socket] = []
        self._thread = threading.Thread(target=self._accept, daemon=True)

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _ = self._listening.accept()
                self._open.append(connection)
                answer = self._faults[self.connections] if self.connections < len(self._faults) else good
                self.connections += 1
                threading.Thread(target=self._serve, args=(connection, answer), daemon=True).start()

    def _serve(self, connection: socket.socket, answer: Answer) -> None:
        with connection, contextlib.suppress(OSError, End, ValueError):
            talk = Talk(connection)
            for command in talk.commands():
                talk.send(answer(talk, command))

    def __enter__(self) -> "BrokenServer":
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()
        for connection in self._open:
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        self._thread.join(60)
