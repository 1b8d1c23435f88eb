"""A request that the loop answers itself, and how its response is written."""

from collections.abc import Iterable, Mapping

from uvicorn.protocols.http.httptools_impl import STATUS_LINE

from ..greenlets import Work
from ..web.http import Reply
from .plain import Found


class _Done:
    """An event that nobody waits for."""

    def set(self) -> None:
        """Does nothing."""


_DONE = _Done()


class Exchange:
    """A request that is answered in the loop. It stands where uvicorn keeps its own, so uvicorn queues later ones."""

    __slots__ = ("body", "disconnected", "found", "headers", "keep_alive", "message_event", "response_complete", "work")

    def __init__(self, found: Found, headers: Mapping[str, str], *, keep_alive: bool) -> None:
        self.found = found
        self.headers = headers
        self.keep_alive = keep_alive
        self.body = bytearray()
        self.response_complete = False
        self.disconnected = False
        self.message_event = _DONE
        self.work: Work | None = None


def written(reply: Reply, always: Iterable[tuple[bytes, bytes]], *, keep_alive: bool) -> bytes:
    """The response as uvicorn and Flask would write it, byte for byte. `always`: headers of every response."""
    named = "".join([f"{name.lower()}: {value}\r\n" for name, value in reply.headers.items()])
    end = "\r\n" if keep_alive else "connection: close\r\n\r\n"
    head = f"content-length: {len(reply.body)}\r\n{named}{end}".encode("latin-1")
    return b"".join([STATUS_LINE[reply.status], *[b"%b: %b\r\n" % pair for pair in always], head, reply.body])
