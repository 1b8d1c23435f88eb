"""A log that answers slowly, without an end, or with more than any tile has, keeps nobody busy."""

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

import pytest

from otp_service.witness import remote_log
from otp_service.witness.remote_log import LogUnreachable, RemoteLog

Answer = Callable[[socket.socket, threading.Event], None]


@contextmanager
def answering(answer: Answer) -> Iterator[tuple[str, list[bytes]]]:
    """A server that answers each connection so: its URL, and the requests that came."""
    seen: list[bytes] = []
    stop = threading.Event()

    def serve(listening: socket.socket) -> None:
        with suppress(OSError):
            while True:
                connection, _ = listening.accept()
                with connection, suppress(OSError):
                    seen.append(connection.recv(65_536))
                    answer(connection, stop)

    with socket.create_server(("127.0.0.1", 0)) as listening:
        thread = threading.Thread(target=serve, args=(listening,), daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{listening.getsockname()[1]}", seen
        stop.set()
        listening.shutdown(socket.SHUT_RDWR)
    thread.join(30)


def dripping(head: bytes) -> Answer:
    """After this the same byte, again and again."""

    def answer(connection: socket.socket, stop: threading.Event) -> None:
        connection.sendall(head)
        while not stop.wait(0.01):
            connection.sendall(b"a")

    return answer


@pytest.mark.parametrize("head", [b"HTTP/1.1 200 OK\r\nX: ", b"HTTP/1.1 200 OK\r\nContent-Length: 9999\r\n\r\n"])
def test_one_deadline_covers_an_exchange(head: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each byte comes in time, in the head or in the body; the whole does not."""
    # Connecting and asking are within it, too, on whatever machine.
    monkeypatch.setattr(remote_log, "TOTAL_S", 1.0)
    with answering(dripping(head)) as (url, seen):
        log = RemoteLog(url, "key")
        with pytest.raises(LogUnreachable, match="ReadTimeout"):
            log.checkpoint()
        log.close()
    assert len(seen) == 1
    assert b"\r\nAuthorization: Bearer key\r\n" in seen[0]
    assert b"\r\nAccept-Encoding: identity\r\n" in seen[0]


def test_no_more_is_read_than_a_tile_has() -> None:
    """Of a body that never ends; a checkpoint that is no text is none."""

    def endless(connection: socket.socket, _: threading.Event) -> None:
        connection.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
        while True:
            connection.sendall(bytes(65_536))

    def no_text(connection: socket.socket, _: threading.Event) -> None:
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n\xff")

    for answer, words in ((endless, "more than any tile has"), (no_text, "no text")):
        with answering(answer) as (url, _):
            log = RemoteLog(url, "")
            with pytest.raises(LogUnreachable, match=words):
                log.checkpoint()
            log.close()
