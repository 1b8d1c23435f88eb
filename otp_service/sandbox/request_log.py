"""A log of every request to `/v2`, listed by `GET /sandbox/journal`. Tests compare the service with it.

A request is logged as soon as its body was read. `status` is the HTTP status that was sent. It is null until then,
and stays null for the chaos modes that send none (`timeout`, `reset_after_request`). `half_body` has a status,
because the status line was sent. The API key (`Authorization`) is never kept.

Bounded: the latest 100,000 requests and 256 MB of bodies. `dropped` counts the older ones that were removed.
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
class LoggedRequest:
    """One request. The body is parsed only when the log is read."""

    method: str
    path: str
    query: str
    headers: tuple[tuple[str, str], ...]
    body: bytes
    received_at: float
    status: int | None = None
    answered_at: float | None = None

    def to_json(self) -> dict[str, Any]:
        """The request as it is listed."""
        return {
            "method": self.method,
            "path": self.path,
            "query": self.query,
            "headers": dict(self.headers),
            "body": _body_json(self.body),
            "status": self.status,
            "received_at": rfc3339(self.received_at, timespec="microseconds"),
            "answered_at": (None if self.answered_at is None else rfc3339(self.answered_at, timespec="microseconds")),
        }


class RequestLog:
    """The latest requests, oldest first."""

    def __init__(self, clock: Clock, *, max_requests: int = MAX_REQUESTS, max_body_bytes: int = MAX_BODY_BYTES) -> None:
        self._clock = clock
        self._max_requests = max_requests
        self._max_body_bytes = max_body_bytes
        self._lock = threading.Lock()
        self._requests: deque[LoggedRequest] = deque()
        self._body_bytes = 0
        self._dropped = 0

    def add(self, method: str, path: str, query: str, headers: Sequence[tuple[str, str]], body: bytes) -> LoggedRequest:
        """Log a request that was just read."""
        public_headers = tuple((name, value) for name, value in headers if name.lower() not in _SECRET_HEADERS)
        with self._lock:
            logged = LoggedRequest(method, path, query, public_headers, body, self._clock.now())
            self._requests.append(logged)
            self._body_bytes += len(body)
            self._drop_oldest()
        return logged

    def set_status(self, logged: LoggedRequest, status: int) -> None:
        """Log the status that is about to be sent."""
        logged.status, logged.answered_at = status, self._clock.now()

    def reset(self) -> None:
        """Forget all requests."""
        with self._lock:
            self._requests.clear()
            self._body_bytes = self._dropped = 0

    def iter_json(self) -> Iterator[bytes]:
        """The log as JSON in pieces: a full log is too large for one string."""
        with self._lock:
            requests, dropped = tuple(self._requests), self._dropped
        yield b'{"requests":['
        for position, logged in enumerate(requests):
            yield (b"," if position else b"") + _encode(logged)
        yield b'],"dropped":%d}' % dropped

    def _drop_oldest(self) -> None:
        while len(self._requests) > self._max_requests or self._body_bytes > self._max_body_bytes:
            self._body_bytes -= len(self._requests.popleft().body)
            self._dropped += 1


def _encode(logged: LoggedRequest) -> bytes:
    listed = logged.to_json()
    try:
        return json.dumps(listed).encode()
    except RecursionError:
        # Some nestings are just shallow enough to be decoded and too deep to be encoded.
        return json.dumps({**listed, "body": logged.body.decode("utf-8", "replace")}).encode()


def _body_json(raw: bytes) -> Any:
    """The body as JSON if it is JSON, else as text; null if there was none."""
    if not raw:
        return None
    try:
        return json.loads(raw.decode("utf-8"), parse_constant=_refuse_constant)
    except (ValueError, RecursionError):
        return raw.decode("utf-8", "replace")


def _refuse_constant(name: str) -> None:
    raise ValueError(name)
