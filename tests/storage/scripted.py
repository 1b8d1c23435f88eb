"""A server on loopback that answers scripts as a test says: it loses an answer, or sends the client elsewhere."""

import contextlib
import socket
import threading
from collections.abc import Sequence
from types import TracebackType
from typing import Any

import hiredis

LOST = b""
"""In place of an answer: the script has run, perhaps, and the connection ends."""

DONE = b"*3\r\n$1\r\nr\r\n:0\r\n:0\r\n"
"""What a script answers that has run."""

_HELLO = {b"server": b"redis", b"version": b"7.0.15", b"id": 1, b"mode": b"cluster", b"role": b"master", b"proto": 2}


class ScriptedServer:
    """Answers each script with the next of `answers`, and those behind them with the last. Use as a context manager.

    `mark`: what it answers to the write behind a script that waits for replicas. It is a Cluster's only node, too.
    """

    def __init__(self, answers: Sequence[bytes], mark: bytes = b":0\r\n") -> None:
        self.scripts = 0
        self._answers = list(answers)
        self._mark = mark
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]

    def __enter__(self) -> "ScriptedServer":
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        # A close alone would not wake the thread that accepts.
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        reader = hiredis.Reader(notEnoughData=None)
        # A client that closes before it has read every reply resets the connection.
        with connection, contextlib.suppress(OSError):
            while data := connection.recv(65536):
                reader.feed(data)
                while (command := reader.gets()) is not None:
                    answer = self._answer([bytes(word).upper() for word in command])
                    if answer == LOST:
                        return
                    connection.sendall(answer)

    def _answer(self, command: list[bytes]) -> bytes:
        match command:
            case [b"EVALSHA" | b"EVAL", *_]:
                self.scripts += 1
                return self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]
            case [b"HELLO", b"3", *_]:
                return b"%%%d\r\n%s" % (len(_HELLO), _fields(3))
            case [b"HELLO", *_]:
                return b"*%d\r\n%s" % (2 * len(_HELLO), _fields(2))
            case [b"CLUSTER", *_]:
                return _resp([[0, 16383, [b"127.0.0.1", self.port, b"a" * 40]]])
            case [b"HSET", *_]:
                return self._mark
            case [b"WAIT", *_]:
                return b":1\r\n"
            case [b"COMMAND", *_]:
                return _resp([])
            case _:
                return b"+OK\r\n"


def _fields(protocol: int) -> bytes:
    return b"".join(_resp(part) for pair in (_HELLO | {b"proto": protocol}).items() for part in pair)


def _resp(value: Any) -> bytes:
    if isinstance(value, list):
        return b"*%d\r\n%s" % (len(value), b"".join(map(_resp, value)))
    return b":%d\r\n" % value if isinstance(value, int) else b"$%d\r\n%s\r\n" % (len(value), value)
