"""Processes and the store are killed while starts arrive. What was accepted is sent, and nobody gets two."""

import contextlib
import os
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest

from otp_service.storage.script_files import load

from .cluster import Cluster, Traffic
from .service_client import ServiceClient, one_key_one_body, within

REASONS = ("suppressed", "expired", "failed", "unknown")


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """Four processes of our own, ready to serve. Each test leaves them so."""
    with Cluster(tmp_path_factory.mktemp("crash")).running() as made:
        yield made


@pytest.fixture
def site(cluster: Cluster) -> Iterator[ServiceClient]:
    """The caller's and the phones' side of the cluster. Sends take a while, so that kills hit them in flight."""
    with contextlib.closing(ServiceClient(cluster.env)) as made:
        made.chaos(send={"mode": "slow", "latency_ms": 120})
        yield made


def what_became_of(site: ServiceClient, verification_id: str) -> str:
    """One line: the verification's status and times, and each delivery's with its reason.

    A process that stood still for three seconds after a restart of the store could not say that nothing was lost: then
    the codes of before are over, and what had not been sent is `expired`.
    """
    shown = site.show(verification_id)
    names = ("status", "error", "queued_at", "updated_at")
    deliveries = [{name: delivery.get(name) for name in names} for delivery in shown["deliveries"]]
    return f"{shown['status']}, {shown['created_at']} to {shown['expires_at']}: {deliveries}"


def everyone_has_one(site: ServiceClient, traffic: Traffic) -> None:
    """Every accepted start has exactly one SMS or a stated reason; nobody at all has two."""
    assert not traffic.strange, traffic.strange[:5]
    assert not traffic.gave_up
    assert len(traffic.accepted) > 30

    def waiting() -> list[str]:
        return [number for number in traffic.accepted if not site.inbox(number)]

    deadline = time.monotonic() + 90
    while (missing := waiting()) and time.monotonic() < deadline:
        time.sleep(0.3)
    unexplained = [
        number
        for number in missing
        if not any(status in REASONS for status in site.deliveries(traffic.accepted[number]))
    ]
    assert not unexplained, f"{len(unexplained)} of {len(traffic.accepted)} without an SMS and without a reason"
    found = "\n".join(what_became_of(site, traffic.accepted[number]) for number in missing)
    assert not missing, f"the carrier works, no reason counts:\n{found}"
    doubles = [number for number in traffic.accepted if len(site.inbox(number)) > 1]
    assert not doubles, f"{len(doubles)} of {len(traffic.accepted)} have two"
    sends = site.sandbox("GET", "/sandbox/journal")["requests"]
    one_key_one_body([entry for entry in sends if entry["method"] == "POST"])
    # And the codes on the phones are right.
    for number, verification in list(traffic.accepted.items())[-10:]:
        assert site.check(verification, site.code(number)).status_code == 200


def test_kill_9_of_worker_and_api(cluster: Cluster, site: ServiceClient) -> None:
    """kill -9 and SIGTERM of worker, API and the API's child, repeated: nothing lost or sent twice, no process left."""
    traffic = Traffic(site)
    traffic.begin()
    begun: dict[str, int] = {}
    for turn in range(3):
        for name in ("worker", "api"):
            time.sleep(0.6)
            cluster.end(name, signal.SIGKILL)
            begun[name] = cluster.logs().count(f"{name} started")
            cluster.start(name)
        cluster.ready()
        cluster.kill_a_child("api")
        if turn == 1:
            cluster.ready()
            # One that has not begun to work is ended by the signal itself.
            within(60, lambda: cluster.logs().count("worker started") > begun["worker"], "the worker")
            for name in ("worker", "api"):
                assert cluster.end(name, signal.SIGTERM) == 0, name
                cluster.start(name)
    time.sleep(1.5)
    traffic.finish()
    everyone_has_one(site, traffic)
    logs = cluster.logs()
    assert "Traceback" not in logs, logs[logs.index("Traceback") :][:4_000]
    assert "panicked" not in cluster.logs()


def test_the_store_hangs_and_dies(cluster: Cluster, site: ServiceClient) -> None:
    """The store stops for a while, is killed and comes back: 503 meanwhile, all well without any restart of ours."""
    traffic = Traffic(site)
    traffic.begin()
    time.sleep(1)
    cluster.stop_the_store(1.5)
    time.sleep(1)
    for _ in range(2):
        cluster.kill_the_store()
        time.sleep(1.2)
    traffic.finish()
    cluster.ready()
    everyone_has_one(site, traffic)
    logs = cluster.logs()
    assert "Traceback" not in logs, logs[logs.index("Traceback") :][:4_000]


class Way:
    """A way to the store that can be cut at the moment in which a script is called: nothing passes from then on."""

    def __init__(self, store_path: str, script: str) -> None:
        self._path = store_path
        self._sha = load(script).sha.encode()
        self._armed = threading.Event()
        self._at_cut: Callable[[], None] = lambda: None
        self.cut = threading.Event()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def arm(self, at_cut: Callable[[], None]) -> None:
        """Cut the way at the script's next call, and do this at once."""
        self._at_cut = at_cut
        self._armed.set()

    def mend(self) -> None:
        """Let everything pass again."""
        self._armed.clear()
        self.cut.clear()

    def close(self) -> None:
        """Accept no more."""
        self._listener.close()

    def _accept(self) -> None:
        while True:
            try:
                near, _ = self._listener.accept()
            except OSError:
                return
            far = socket.socket(socket.AF_UNIX)
            try:
                far.connect(self._path)
            except OSError:  # the store has ended
                near.close()
                far.close()
                continue
            for ends in ((near, far), (far, near)):
                threading.Thread(target=self._carry, args=ends, daemon=True).start()

    def _carry(self, source: socket.socket, target: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                if self._armed.is_set() and self._sha in data:
                    self.cut.set()
                    self._at_cut()
                if self.cut.is_set():
                    break
                target.sendall(data)
        # Kept open while it is cut: whoever waits for an answer goes on waiting.
        while self.cut.is_set():
            time.sleep(0.05)
        source.close()
        target.close()


@pytest.fixture
def cuttable(tmp_path: Path) -> Iterator[tuple[Cluster, Way]]:
    """A cluster whose API reaches its store by a connection that is cut before an answer is kept."""
    made = Cluster(tmp_path)
    way = Way(made.env["OTP_REDIS_URL"].removeprefix("unix://").partition("?")[0], "idempotency/complete")
    made.env["OTP_REDIS_URL"] = f"redis://127.0.0.1:{way.port}/0"
    with contextlib.closing(way), made.running():
        yield made, way


def test_kill_9_between_an_approval_and_its_answer(cuttable: tuple[Cluster, Way]) -> None:
    """The store has approved, the process dies: the repeat gets the approval and a good receipt."""
    cluster, way = cuttable
    site = ServiceClient(cluster.env)
    number = site.number()
    verification = site.started(number)
    body = {"verification_id": verification, "code": site.code(number), "to": number}

    def check() -> httpx.Response | None:
        try:
            return site.call("POST", "/verify/check", body, Idempotency_Key="login-1")
        except httpx.HTTPError:
            return None

    pids = cluster.pids("api")

    def kill() -> None:
        # Before the service, which waits for its store for less than half a second, answers without having kept it.
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    way.arm(kill)
    with ThreadPoolExecutor(1) as pool:
        lost = pool.submit(check)
        assert way.cut.wait(60), "the check did not come so far"
        cluster.end("api", signal.SIGKILL)
        assert lost.result(60) is None
    way.mend()
    cluster.start("api")
    cluster.ready()
    assert site.show(verification)["status"] == "approved"

    def repeated() -> httpx.Response | None:
        answer = check()
        # The dead request's lease is over after five seconds.
        return answer if answer is not None and answer.status_code != 409 else None

    again: httpx.Response = within(60, repeated, "the approval")
    assert again.status_code == 200, again.text
    assert again.headers["Idempotent-Replayed"] == "true"
    assert again.json()["verification_id"] == verification
    receipt = {"receipt": again.json()["receipt"], "to": number, "sub": again.json()["sub"]}
    assert site.call("POST", "/receipts/redeem", receipt).status_code == 200
    assert site.events(verification).count("verification.approved") == 1
    site.close()


def test_no_answer_is_lost_in_a_stop(cluster: Cluster, site: ServiceClient) -> None:
    """SIGTERM in the middle of requests: each is answered or refused to connect, never cut off after it was taken."""
    site.key()
    traffic = Traffic(site, callers=6, pause_s=0.0)
    traffic.begin()
    time.sleep(1.0)
    assert cluster.end("api", signal.SIGTERM) == 0
    cluster.start("api")
    cluster.ready()
    traffic.finish()
    everyone_has_one(site, traffic)
    within(60, lambda: "worker started" in cluster.logs(), "the worker")
