"""A witness that logs bring their checkpoints to: `POST /add-checkpoint` of C2SP tlog-witness."""

import contextlib
import socket
import threading
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from ..domain.errors import ConfigError, ServiceError
from ..transparency.notes import NOTE_MAX, NoteError, Signer
from ..transparency.witnessing import Submission, Witness, WitnessRefusal
from .memory import MemoryFile

PATH = "/add-checkpoint"
SIZE_MEDIA = "text/x.tlog.size"
TIMEOUT_S = 10.0
"""For each piece of a request and for the whole of its body."""

CONNECTION_S = 60.0
"""For everything on one connection: who sends a byte at a time keeps no place for ever."""

AT_ONCE = 32
"""So many connections; whoever comes then waits for none of them: the connection is closed without an answer."""

_TEXT = "text/plain; charset=utf-8"


class Accepting:
    """Judges what is brought, for the log of the memory. Safe for many threads of one process."""

    def __init__(self, signer: Signer, memory: MemoryFile, now_s: Callable[[], int]) -> None:
        self._witness = Witness(signer, now_s)
        self._file = memory
        self._lock = threading.Lock()

    def add(self, body: bytes) -> tuple[int, str]:
        """The size that was cosigned, and the lines of the answer. Raises WitnessRefusal, ConfigError."""
        submission = Submission.parse(body)
        # One at a time: between judging and remembering nobody may be cosigned.
        with self._lock:
            memory = self._file.read()
            if memory is None:
                raise ConfigError("the memory of the witness is gone, and without it nothing is cosigned")
            checkpoint, line = self._witness.judge(submission, memory.keys, memory.checkpoint)
            try:
                known = memory.followed(submission.checkpoint)
            except NoteError as error:
                raise WitnessRefusal(400, str(error)) from error
            self._file.write(known.cosigned(submission.checkpoint, line))
        return checkpoint.size, str(line)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    timeout = TIMEOUT_S
    server: "WitnessServer"

    def setup(self) -> None:
        """Begin, with an end."""
        super().setup()
        self._end = threading.Timer(CONNECTION_S, self._hang_up)
        self._end.daemon = True
        self._end.start()

    def finish(self) -> None:
        """End."""
        self._end.cancel()
        super().finish()

    def _hang_up(self) -> None:
        with contextlib.suppress(OSError):
            self.connection.shutdown(socket.SHUT_RDWR)

    def do_POST(self) -> None:
        """Judge a checkpoint."""
        if self.path != PATH:
            self._answer(404, f"There is {PATH} only.\n")
            return
        body = self._body()
        if body is None:
            self.close_connection = True
            self._answer(400, "A body of a known length is wanted.\n")
            return
        try:
            size, lines = self.server.accepting.add(body)
        except WitnessRefusal as refusal:
            self.server.tell(f"NOT COSIGNED ({refusal.status}): {refusal}")
            told = (f"{refusal}\n", _TEXT) if refusal.size is None else (f"{refusal.size}\n", SIZE_MEDIA)
            self._answer(refusal.status, *told)
        except ServiceError as error:
            self.server.tell(error.detail)
            self._answer(500, "The witness cannot remember what it would cosign.\n")
        else:
            self.server.tell(f"cosigned {size} records")
            self._answer(200, lines)

    def _body(self) -> bytes | None:
        length = self.headers.get("Content-Length", "")
        if not (length.isascii() and length.isdigit() and len(length) < 9 and int(length) <= NOTE_MAX):
            return None
        body, until = b"", time.monotonic() + TIMEOUT_S
        while len(body) < int(length) and time.monotonic() < until:
            piece = self.rfile.read1(int(length) - len(body))
            if not piece:
                return None
            body += piece
        return body if len(body) == int(length) else None

    def _answer(self, status: int, text: str, media: str = _TEXT) -> None:
        raw = text.encode()
        self.send_response_only(status)
        self.send_header("Content-Type", media)
        self.send_header("Content-Length", str(len(raw)))
        self.end_headers()
        self.wfile.write(raw)

    def log_message(self, *_: object) -> None:
        """What was cosigned or refused is told by itself."""


class WitnessServer(ThreadingHTTPServer):
    """Answers at an address. `tell` gets a line for each checkpoint that was brought."""

    daemon_threads = True

    def __init__(self, address: tuple[str, int], accepting: Accepting, tell: Callable[[str], object]) -> None:
        super().__init__(address, _Handler)
        self.accepting = accepting
        self.tell = tell
        self._places = threading.BoundedSemaphore(AT_ONCE)

    def process_request(self, request: object, client_address: object) -> None:
        """In a thread of its own, if there is a place for one more."""
        if self._places.acquire(blocking=False):
            super().process_request(request, client_address)  # type: ignore[arg-type]
        else:
            self.shutdown_request(request)  # type: ignore[arg-type]

    def process_request_thread(self, request: object, client_address: object) -> None:
        """Give the place back at the end."""
        try:
            super().process_request_thread(request, client_address)  # type: ignore[arg-type]
        finally:
            self._places.release()

    def handle_error(self, *_: object) -> None:
        """A caller who went away concerns nobody."""
