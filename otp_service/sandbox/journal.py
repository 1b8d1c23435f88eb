"""Every request that came to `/v2`, as it came: the oracle that tests compare the service with.

An entry is there from the moment its request was read. `status` is the status line that left on the wire: null
while the answer is outstanding, and for good when chaos swallowed it (`timeout`, `reset_after_request`); a
`half_body` keeps its status, because the status line did go out. The key (`Authorization`) is never kept.

Bounded: the latest 100,000 requests and 256 MB of bodies; `dropped` counts what fell out at the old end.
"""

from __future__ import annotations

import json
import threading
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from otp_service.sandbox.clock import Clock, rfc3339

MAX_REQUESTS = 100_000
MAX_BODY_BYTES = 256_000_000
_SECRET_HEADERS = frozenset({"authorization", "proxy-authorization", "cookie"})


@dataclass(slots=True)
class Entry:
    """One request; bodies stay raw until somebody reads the journal."""

    method: str
    path: str
    query: str
    headers: tuple[tuple[str, str], ...]
    body: bytes
    received_at: float
    status: int | None = None
    answered_at: float | None = None

    def to_json(self) -> dict[str, Any]:
        """The entry as it is listed."""
        return {
            "method": self.method,
            "path": self.path,
            "query": self.query,
            "headers": dict(self.headers),
            "body": _body(self.body),
            "status": self.status,
            "received_at": rfc3339(self.received_at, timespec="microseconds"),
            "answered_at": (None if self.answered_at is None else rfc3339(self.answered_at, timespec="microseconds")),
        }


class Journal:
    """The latest requests, oldest first."""

    def __init__(self, clock: Clock, *, max_requests: int = MAX_REQUESTS, max_body_bytes: int = MAX_BODY_BYTES) -> None:
        self._clock = clock
        self._max_requests = max_requests
        self._max_body_bytes = max_body_bytes
        self._lock = threading.Lock()
        self._entries: deque[Entry] = deque()
        self._body_bytes = 0
        self._dropped = 0

    def open(self, method: str, path: str, query: str, headers: Sequence[tuple[str, str]], body: bytes) -> Entry:
        """Note a request that has just been read."""
        kept = tuple((name, value) for name, value in headers if name.lower() not in _SECRET_HEADERS)
        with self._lock:
            entry = Entry(method, path, query, kept, body, self._clock.now())
            self._entries.append(entry)
            self._body_bytes += len(body)
            while len(self._entries) > self._max_requests or self._body_bytes > self._max_body_bytes:
                self._body_bytes -= len(self._entries.popleft().body)
                self._dropped += 1
        return entry

    def answered(self, entry: Entry, status: int) -> None:
        """Note that a status line is about to leave for `entry`."""
        entry.status, entry.answered_at = status, self._clock.now()

    def reset(self) -> None:
        """Forget all requests."""
        with self._lock:
            self._entries.clear()
            self._body_bytes = self._dropped = 0

    def stream(self) -> Iterator[bytes]:
        """The listing as JSON, piece by piece: a full journal would not fit comfortably in one string."""
        with self._lock:
            entries, dropped = tuple(self._entries), self._dropped
        yield b'{"requests":['
        for position, entry in enumerate(entries):
            yield (b"," if position else b"") + _dump(entry)
        yield b'],"dropped":%d}' % dropped


def _dump(entry: Entry) -> bytes:
    listed = entry.to_json()
    try:
        return json.dumps(listed).encode()
    except RecursionError:
        # Nested just deeply enough to be read and not be written again.
        return json.dumps({**listed, "body": entry.body.decode("utf-8", "replace")}).encode()


def _body(raw: bytes) -> Any:
    """The body as JSON if it is JSON, else as text; null if there was none."""
    if not raw:
        return None
    try:
        return json.loads(raw.decode("utf-8"), parse_constant=_refuse_constant)
    except (ValueError, RecursionError):
        return raw.decode("utf-8", "replace")


def _refuse_constant(name: str) -> None:
    raise ValueError(name)
