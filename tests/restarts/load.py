"""Callers that keep their connections: each request is sent once, and one without a good response is lost."""

import http.client
import json
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import count

from tests.sample_numbers import sample

GOOD = frozenset({200, 201, 404})
"""404 is the response to a check of nobody's code."""

_TIMEOUT_S = 60.0
_NEVER = 10**6


@dataclass(frozen=True)
class Request:
    """What is asked for."""

    method: str
    path: str
    body: bytes | None = None


@dataclass
class Load:
    """So many callers, each with one connection, until `stop`."""

    port: int
    key: str
    callers: int = 8
    answered: int = 0
    by_status: dict[int, int] = field(default_factory=dict)
    lost: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._stop = threading.Event()
        self._lock = threading.Lock()
        self._numbers = count()
        self._threads = [threading.Thread(target=self._call, args=(self._requests(),)) for _ in range(self.callers)]

    def __enter__(self) -> "Load":
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def wait_for(self, answers: int, within_s: float) -> None:
        """Go on until there were so many answers, or for so long."""
        until = time.monotonic() + within_s
        while self.answered + len(self.lost) < answers and time.monotonic() < until:
            time.sleep(0.05)

    def watch(self, verification_id: str) -> None:
        """One more caller, who waits for news of this verification again and again."""
        path = f"/verify/{verification_id}?wait=1&after={_NEVER}"
        thread = threading.Thread(target=self._call, args=(iter(lambda: Request("GET", path), None),))
        self._threads.append(thread)
        thread.start()

    def ask(self, connection: http.client.HTTPConnection, request: Request) -> tuple[int, bytes]:
        """Send one request; status and body."""
        headers = {"Authorization": f"Bearer {self.key}", "Content-Type": "application/json"}
        connection.request(request.method, request.path, request.body, headers)
        response = connection.getresponse()
        return response.status, response.read()

    def connection(self) -> http.client.HTTPConnection:
        """A connection, which is opened by the first request and by the one after `Connection: close`."""
        return http.client.HTTPConnection("127.0.0.1", self.port, timeout=_TIMEOUT_S)

    def _call(self, requests: "Iterator[Request]") -> None:
        connection = self.connection()
        while not self._stop.is_set():
            request = next(requests)
            try:
                status, _ = self.ask(connection, request)
            except (OSError, http.client.HTTPException) as error:
                self._count(request, f"{type(error).__name__}: {error}")
                connection.close()
            else:
                self._count(request, status)
        connection.close()

    def _count(self, request: Request, outcome: int | str) -> None:
        with self._lock:
            if isinstance(outcome, int) and outcome in GOOD:
                self.answered += 1
                self.by_status[outcome] = self.by_status.get(outcome, 0) + 1
            else:
                self.lost.append(f"{request.method} {request.path}: {outcome}")

    def _requests(self) -> Iterator[Request]:
        """Mostly checks, which the loop answers; some that Flask answers; a start now and then."""
        check = Request("POST", "/verify/check", json.dumps({"to": "+13015550123", "code": "000000"}).encode())
        while True:
            yield from (check,) * 8
            yield Request("GET", "/.well-known/jwks.json")
            yield start(next(self._numbers))


def start(number: int) -> Request:
    """A start for another number each time."""
    to = sample(number)
    return Request("POST", "/verify/start", json.dumps({"to": to}).encode())
