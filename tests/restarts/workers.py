"""Two workers on one store, each of which may be restarted while codes are sent."""

import itertools
import signal
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import datetime
from pathlib import Path

import redis

from otp_service.storage.outbox import GROUP, STALE_MS

from ..e2e.cluster import Cluster
from ..e2e.service_client import ServiceClient, within

WORKERS = ("worker-a", "worker-b")
_ENDED_S = 60.0
_ARRIVED_S = 60.0


class Workers(Cluster):
    """Store, sandbox, API and the workers, the first with `options`. The carrier responds after `carrier_ms`."""

    def __init__(self, directory: Path, carrier_ms: int, *options: str) -> None:
        super().__init__(directory)
        one = self._commands.pop("worker")
        self._commands |= {WORKERS[0]: [*one, *options], WORKERS[1]: one}
        self._carrier_ms = carrier_ms
        self.statuses: list[int] = []
        self.accepted: dict[str, float] = {}
        """When the start for each number was accepted, in Unix seconds."""

    @contextmanager
    def working(self, *names: str) -> Iterator[ServiceClient]:
        """These workers run, and everything that they need."""
        with self.running("sandbox", "api", *names), closing(ServiceClient(self.env)) as client:
            client.chaos(send={"mode": "slow", "latency_ms": self._carrier_ms})
            yield client

    def start_codes(self, client: ServiceClient, count: int) -> None:
        """Start so many verifications."""
        for _ in range(count):
            client.started(number := client.number())
            self.accepted[number] = time.time()

    @contextmanager
    def starting(self, client: ServiceClient, per_s: float) -> Iterator[None]:
        """Start verifications at this rate until the end of the block."""
        stop = threading.Event()

        def run() -> None:
            while not stop.wait(1 / per_s):
                self.start_codes(client, 1)

        thread = threading.Thread(target=run)
        thread.start()
        try:
            yield
        finally:
            stop.set()
            thread.join()

    def restart(self, name: str) -> None:
        """End one and start it again; back when it works."""
        before = self._times_started(name)
        self.statuses.append(self.end(name, signal.SIGTERM, _ENDED_S))
        self.start(name)
        within(_ARRIVED_S, lambda: self._times_started(name) > before, f"{name} at work")

    def _times_started(self, name: str) -> int:
        return (self.directory / f"{name}.log").read_text().count("worker started")

    def begin_sending(self, client: ServiceClient, name: str) -> None:
        """Start a worker and wait until the carrier has its first request."""
        self.start(name)
        within(_ARRIVED_S, lambda: self._received(client), "the first message")

    def sends(self, client: ServiceClient) -> Counter[str]:
        """How many requests for each number have come to the carrier, once there is one for each."""
        within(_ARRIVED_S, lambda: self.accepted.keys() <= self._received(client).keys(), "the last message")
        return Counter(number for number, _ in self._requests(client))

    def waits_s(self, client: ServiceClient) -> list[float]:
        """How long each code took from its accepted start to the carrier, the shortest first."""
        received = self._received(client)
        return sorted(received[number] - at for number, at in self.accepted.items())

    def _received(self, client: ServiceClient) -> dict[str, float]:
        return dict(reversed(list(self._requests(client))))

    def _requests(self, client: ServiceClient) -> Iterator[tuple[str, float]]:
        for entry in client.sandbox("GET", "/sandbox/journal")["requests"]:
            if entry["method"] == "POST" and isinstance(entry["body"], dict) and "to" in entry["body"]:
                yield str(entry["body"]["to"]), datetime.fromisoformat(entry["received_at"]).timestamp()


def left_to_a_lease(store: "redis.Redis") -> tuple[int, int]:
    """How many entries of the outboxes a worker has taken; how many of them nobody else may take yet."""
    outboxes = store.keys("*:outbox")
    rows = list(itertools.chain(*(store.xpending_range(name, GROUP, "-", "+", 1000) for name in outboxes)))
    return len(rows), sum(int(row["time_since_delivered"]) < STALE_MS for row in rows)


def report(waits_s: list[float]) -> str:
    """The figures of `waits_s`."""
    middle, last = waits_s[len(waits_s) // 2], waits_s[-1]
    return f"accepted start to carrier: p50 {middle * 1000:.0f} ms, longest {last * 1000:.0f} ms"
