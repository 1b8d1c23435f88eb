"""The store fails in every way it can: 503 within a second, nothing approved, and all is well again when it is."""

import os
import signal
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import redis
from nacl.signing import SigningKey

from otp_service import bootstrap, config
from otp_service.runtime.dev import embedded_store

from ..conftest import wait_until
from .conftest import Answer, ApiHarness, make_settings
from .test_watch import is_watching

PROMPT_S = 10.0
"""A second as promised, and what a busy machine makes of it. Who waited for the store to wake would take for ever."""


class Faulty:
    """A service whose own store can be made to fail."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.begin()
        seed = SigningKey.generate()
        settings = make_settings(directory, self.server.url, seed)
        store = redis.Redis.from_url(self.server.url)
        self.api = ApiHarness(bootstrap.build_web(settings), settings, config.load_keyring(settings), seed, store)
        # One to be asked about while the store is away: what a hanging store has taken in it may do when it wakes.
        self.number = self.api.number()
        self.asked = self.api.started(self.number)
        self.asked_code = self.api.code(self.asked)
        self.asked_receipt = self.approved()
        # And one that nobody touches meanwhile.
        self.verification = self.api.started(self.api.number())
        self.code = self.api.code(self.verification)
        self.receipt = self.approved()

    def begin(self) -> None:
        """A server on the files. One that syncs is late in writing while the disk is slow, and a kill loses that."""
        self.server = embedded_store.start(self.directory / "store")
        self.server.wait_ready()
        with redis.Redis.from_url(self.server.url) as client:
            client.config_set("appendfsync", "no")

    def approved(self) -> str:
        """The receipt of an approval."""
        verification = self.api.started(self.api.number())
        return str(self.api.check(verification, self.api.code(verification)).json["receipt"])

    def close(self) -> None:
        """End the store."""
        self.api.store.close()
        self.server.stop()

    def requests(self) -> dict[str, Callable[[], Answer]]:
        """One of every request that needs the store."""
        api = self.api
        start, keyed = {"to": api.number()}, {"Idempotency-Key": "k"}
        optout = {
            "id": "e",
            "event_type": "message.received",
            "payload": {"id": "m", "from": {"phone_number": self.number}, "text": "STOP", "autoresponse_type": "STOP"},
        }
        return {
            "start": lambda: api.call("POST", "/verify/start", start),
            "start with a key": lambda: api.call("POST", "/verify/start", start, headers=keyed),
            "resend": lambda: api.start(self.number),
            "check": lambda: api.check(self.asked, self.asked_code),
            "check by number": lambda: api.call("POST", "/verify/check", {"to": self.number, "code": self.asked_code}),
            "show": lambda: api.call("GET", f"/verify/{self.asked}"),
            "cancel": lambda: api.call("POST", f"/verify/{self.asked}/cancel"),
            "redeem": lambda: api.call("POST", "/receipts/redeem", {"receipt": self.asked_receipt}),
            "opt-outs": lambda: api.call("GET", f"/optouts/{self.number}"),
            "audit": lambda: api.call("GET", "/audit/events"),
            "webhook": lambda: api.hook({"data": optout}),
        }

    def all_refuse(self, *names: str) -> None:
        """Each of the requests (all by default) is a prompt 503 with Retry-After."""
        wanted = {name: request for name, request in self.requests().items() if name in names or not names}

        def refused(name: str) -> None:
            began = time.monotonic()
            answer = wanted[name]()
            took = time.monotonic() - began
            answer.problem(503, "store_unavailable")
            assert took < PROMPT_S, (name, took)

        with ThreadPoolExecutor(len(wanted)) as pool:
            list(pool.map(refused, wanted))

    def all_is_well(self) -> None:
        """The code that was right before is right now, once; readiness reports it."""
        wait_until(lambda: self.api.call("GET", "/readyz", key=None).status == 200, what="readiness")
        # After a restart nobody knows for a moment whether the store has all that it was told.
        deadline = time.monotonic() + 30
        while (answer := self.api.check(self.verification, self.code)).status == 503:
            assert time.monotonic() < deadline
            time.sleep(0.05)
        assert answer.status == 200
        self.api.check(self.verification, self.code).problem(410, "already_approved")
        assert self.api.call("POST", "/receipts/redeem", {"receipt": self.receipt}).status == 200

    def not_ready(self, reason: str) -> None:
        """Liveness holds; readiness fails and names the reason."""
        assert self.api.call("GET", "/healthz", key=None).status == 200
        deadline = time.monotonic() + 30
        while (answer := self.api.call("GET", "/readyz", key=None)).status == 200:
            assert time.monotonic() < deadline
            time.sleep(0.05)
        assert reason in {entry["check"] for entry in answer.problem(503, "not_ready")["reasons"]}


@pytest.fixture(autouse=True)
def patient() -> None:
    """Here it is tried how long the service waits."""


@pytest.fixture
def faulty(tmp_path: Path) -> Iterator[Faulty]:
    """A service over a store of its own."""
    made = Faulty(tmp_path)
    try:
        yield made
    finally:
        made.close()


def test_a_store_that_hangs(faulty: Faulty) -> None:
    """Stopped in mid-air: every request is 503 in about a second, and the first after it wakes is answered right."""
    pid = faulty.server.child.pid
    faulty.api.key()
    os.kill(pid, signal.SIGSTOP)
    try:
        faulty.all_refuse()
        # A key that nobody has looked up lately.
        faulty.api.call("GET", "/audit/events", key="otp_000000000000_" + "A" * 43).problem(503, "store_unavailable")
        faulty.not_ready("store")
        # What needs no store is answered, and what is wrong in form as well.
        faulty.api.call("POST", "/webhooks/telnyx", b"{}", key=None).problem(401, "unauthorized")
        assert faulty.api.call("GET", "/.well-known/jwks.json", key=None).status == 200
    finally:
        os.kill(pid, signal.SIGCONT)
    faulty.all_is_well()


def test_a_store_that_fails_ends_the_waits_for_news(faulty: Faulty) -> None:
    """A waiting request gets 503 soon after, not that nothing has changed."""
    api = faulty.api
    api.key()
    with ThreadPoolExecutor(3) as pool:
        wait_until(lambda: not is_watching(), what="the end of earlier waits")
        waits = [pool.submit(api.call, "GET", f"/verify/{faulty.asked}?wait=25") for _ in range(3)]
        wait_until(is_watching, what="a wait")
        os.kill(faulty.server.child.pid, signal.SIGKILL)
        for wait in waits:
            wait.result(20).problem(503, "store_unavailable")


def test_a_store_that_is_killed_and_comes_back(faulty: Faulty) -> None:
    """kill -9, then a new server on the same files: pending codes, spent receipts and keys are as they were."""
    os.kill(faulty.server.child.pid, signal.SIGKILL)
    faulty.server.child.process.wait(30)
    faulty.all_refuse()
    faulty.not_ready("store")
    faulty.begin()
    faulty.all_is_well()
    assert "run" in {entry["check"] for entry in faulty.api.call("GET", "/readyz", key=None).json["warnings"]}
    restarted = faulty.api.call("GET", "/audit/events?type=store.restarted").json["events"]
    assert [event["detail"] for event in restarted] == [{"codes": "kept"}]


WRITING = ("start", "start with a key", "resend", "check", "check by number", "cancel", "redeem", "webhook")


@pytest.mark.parametrize("fault", ["full", "read-only replica", "no replicas"])
def test_a_store_that_reads_but_refuses_writes(faulty: Faulty, fault: str) -> None:
    """No memory left, a replica after a failover, too few replicas: 503, no guess is judged and none is free."""
    store = faulty.api.store
    wrong = f"{(int(faulty.code) + 1) % 10**6:06d}"
    if fault == "full":
        store.config_set("maxmemory", 1)
    elif fault == "no replicas":
        store.config_set("min-replicas-to-write", 1)
    else:
        store.replicaof("127.0.0.1", "1")
    try:
        faulty.all_refuse(*WRITING)
        for _ in range(10):
            faulty.api.check(faulty.verification, wrong).problem(503, "store_unavailable")
        shown = faulty.api.call("GET", f"/verify/{faulty.verification}")
        if fault == "read-only replica":
            # What a replica shows may be old: it is not read from either.
            shown.problem(503, "store_unavailable")
            faulty.not_ready("store")
        else:
            assert shown.json["checks_left"] == 5
            faulty.not_ready("writes")
    finally:
        store.config_set("maxmemory", 0)
        store.config_set("min-replicas-to-write", 0)
        store.replicaof("NO", "ONE")
    faulty.all_is_well()


def test_a_store_that_would_forget(faulty: Faulty) -> None:
    """Another maxmemory-policy than noeviction, set while we run, fails readiness with the reason."""
    faulty.api.store.config_set("maxmemory-policy", "allkeys-lru")
    faulty.not_ready("eviction")


def test_scripts_and_connections_that_vanish(faulty: Faulty) -> None:
    """SCRIPT FLUSH and CLIENT KILL between requests: nothing is lost, nothing is counted twice."""
    api = faulty.api
    for left in (4, 3, 2, 1):
        api.store.script_flush()
        api.store.client_kill_filter(_type="normal", skipme=True)
        wrong = f"{(int(faulty.code) + left) % 10**6:06d}"
        problem = api.check(faulty.verification, wrong).problem(422, "code_incorrect")
        assert problem["checks_left"] == left
    api.store.script_flush()
    faulty.all_is_well()


def test_an_emptied_store_approves_nothing(faulty: Faulty) -> None:
    """FLUSHALL: keys are unknown, verifications are 404, receipts are worth nothing."""
    faulty.api.store.flushall()
    deadline = time.monotonic() + 30
    while faulty.api.check(faulty.verification, faulty.code).status != 401:
        assert faulty.api.check(faulty.verification, faulty.code).status in (404, 401)
        assert time.monotonic() < deadline
    faulty.api._keys.clear()
    faulty.api.check(faulty.verification, faulty.code).problem(404, "verification_not_found")
    faulty.api.call("POST", "/receipts/redeem", {"receipt": faulty.receipt}).problem(422, "receipt_invalid")
