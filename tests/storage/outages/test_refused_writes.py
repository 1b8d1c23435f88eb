"""A store that refuses, hangs or forgets its scripts: no guess is free, and nothing happens."""

import contextlib
import socket
import threading
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest
import redis

from otp_service.domain.alert import Alert
from otp_service.domain.audit import ZERO, EventType
from otp_service.domain.checking import Approved, Wrong
from otp_service.domain.circuit import Fault, Hold, Success
from otp_service.domain.delivery import Accepted
from otp_service.domain.denial import Denial
from otp_service.domain.ending import Ended
from otp_service.domain.errors import StoreUnavailable
from otp_service.domain.optout_list import OptOut
from otp_service.domain.outbox import Job, Timer
from otp_service.domain.policy import Limit, Slot
from otp_service.domain.verification import Status
from otp_service.runtime.dev import embedded_store
from otp_service.storage import connect, readiness
from otp_service.storage.alerts import Alerts
from otp_service.storage.api_keys import ApiKeys
from otp_service.storage.cursors import Cursors

from ..harness import ALL_EXPORTED, CODE, WRONG, StoreHarness, at_once, fresh_number, word


@contextlib.contextmanager
def full(harness: StoreHarness) -> Iterator[None]:
    """No memory left; noeviction refuses writes."""
    harness.raw.config_set("maxmemory", 1)
    try:
        yield
    finally:
        harness.raw.config_set("maxmemory", 0)


@contextlib.contextmanager
def demoted(harness: StoreHarness) -> Iterator[None]:
    """A replica of somebody unreachable: stale reads work, writes are refused."""
    harness.raw.execute_command("REPLICAOF", "127.0.0.1", "1")
    try:
        yield
    finally:
        harness.raw.execute_command("REPLICAOF", "NO", "ONE")


@contextlib.contextmanager
def paused(harness: StoreHarness) -> Iterator[None]:
    """Writes hang, reads work."""
    harness.raw.client_pause(20_000, all=False)
    try:
        yield
    finally:
        harness.raw.client_unpause()


@contextlib.contextmanager
def without_replicas(harness: StoreHarness) -> Iterator[None]:
    """The store wants a replica before it takes a write, and has none."""
    harness.raw.config_set("min-replicas-to-write", 1)
    try:
        yield
    finally:
        harness.raw.config_set("min-replicas-to-write", 0)


REFUSALS = {"full": full, "demoted": demoted, "paused": paused, "without replicas": without_replicas}


@pytest.mark.parametrize("refusal", list(REFUSALS))
def test_where_writes_are_refused_no_guess_is_judged(harness: StoreHarness, refusal: str) -> None:
    """Right or wrong, a guess gets no answer while it cannot be counted; afterwards everything is as before."""
    ref = harness.start(fresh_number()).reference
    harness.check(ref, WRONG)
    before = harness.record(ref)
    with REFUSALS[refusal](harness):
        for code in (CODE, WRONG):
            with pytest.raises(StoreUnavailable):
                harness.check(ref, code)
        assert harness.record(ref) == before
        assert harness.raw.hexists(harness.keys.secrets(ref), "digest")
    assert harness.record(ref) == before
    if refusal == "demoted":
        # Promoted again it is another run of the store: nobody knows what it lacks.
        assert harness.check(ref, CODE) == Ended(Status.EXPIRED)
        return
    assert isinstance(harness.check(ref, CODE), Approved)
    assert harness.record(ref)["attempts"] == "2"


@pytest.mark.parametrize("refusal", ["full", "demoted"])
def test_where_writes_are_refused_nothing_happens(harness: StoreHarness, refusal: str) -> None:
    """Start, cancel, redeem, send, settle, limits, opt-outs: each says that the store is unavailable."""
    number = fresh_number()
    ref = harness.start(number).reference
    job = harness.take(ref)
    approved = harness.start(fresh_number()).reference
    harness.check(approved, CODE, receipt_id="r")
    before = harness.snapshot()
    soon = harness.now() + 60_000
    stop = OptOut("profile-a", True, 1, "STOP", "inbound")
    with REFUSALS[refusal](harness):
        for act in (
            partial(harness.verifications.start, harness.start_command(fresh_number())),
            partial(harness.verifications.cancel, word(), ref, "shop"),
            partial(harness.verifications.redeem, word(), approved, "shop", "r", soon),
            partial(harness.begin, job),
            partial(harness.deliveries.record_accepted, job, Accepted("m", "queued")),
            partial(harness.apply, ref, "delivered"),
            partial(harness.limits.acquire, [Slot("x", "y", Limit(1, 1000))]),
            partial(harness.sender_rate.acquire_rate_slot, "pool", 1.0, 10),
            partial(harness.optouts.record, ref.number_hash, "+1", stop, "e"),
            partial(harness.idempotency.reserve, "d", "f", "o"),
            partial(readiness.dead_shards, harness.store, harness.keys),
        ):
            with pytest.raises(StoreUnavailable):
                act()
    assert harness.snapshot() == before


def test_a_dead_store_is_refused_within_a_second(own_server: embedded_store.EmbeddedServer, tmp_path: Path) -> None:
    """Nobody waits long for a store that is not there."""
    harness = StoreHarness.open(f"unix://{tmp_path}/nobody.sock")
    began = time.monotonic()
    with pytest.raises(StoreUnavailable):
        harness.check(harness.start_command(fresh_number()).reference, CODE)
    with pytest.raises(StoreUnavailable):
        readiness.ping(harness.store)
    assert time.monotonic() - began < 10 * connect.TIMEOUT_S
    harness.close()
    with pytest.raises(StoreUnavailable):
        connect.connect("redis+cluster://127.0.0.1:1")


def test_a_hanging_store_is_refused_within_a_second() -> None:
    """A store that takes connections and never answers costs a try and a repeat, which is a second at most."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(0.1)
        harness = StoreHarness.open(f"redis://127.0.0.1:{listener.getsockname()[1]}")
        began = time.monotonic()
        with pytest.raises(StoreUnavailable):
            harness.check(harness.start_command(fresh_number()).reference, CODE)
        assert time.monotonic() - began < 10 * connect.TIMEOUT_S
        for _ in range(2):
            listener.accept()[0].close()
        with pytest.raises(TimeoutError):
            listener.accept()
        harness.close()


def test_forgotten_scripts_are_sent_again(harness: StoreHarness) -> None:
    """SCRIPT FLUSH, as after a restart or failover, permits unnoticed, under parallel use too."""
    ref = harness.start(fresh_number()).reference
    harness.raw.script_flush()
    assert harness.check(ref, WRONG) == Wrong(4)
    stop = threading.Event()

    def flush() -> None:
        while not stop.is_set():
            harness.raw.script_flush()

    flusher = threading.Thread(target=flush)
    flusher.start()
    try:
        for _ in range(5):
            other = harness.start(fresh_number()).reference
            answers = at_once([partial(harness.check, other, f"{n:06d}") for n in range(20)])
            assert sum(isinstance(answer, Wrong) for answer in answers) == 4
    finally:
        stop.set()
        flusher.join()


def test_a_defect_in_a_script_is_an_outage_and_not_an_answer(harness: StoreHarness) -> None:
    """A key of the wrong kind or a budget that cannot be read ends in `StoreUnavailable`, never in an approval."""
    ref = harness.start(fresh_number()).reference
    number = harness.keys.number(ref.number_hash)
    for field, value in (
        ("wrong:shop", "nothing"),
        ("wrong:shop", "many|1|1"),
        ("wrong:shop", "1|1|x"),
        ("wrong", "x"),
    ):
        harness.raw.hset(number, mapping={field: value})
        with pytest.raises(StoreUnavailable):
            harness.check(ref, CODE)
        harness.raw.delete(number)
    harness.raw.set(number, "not a hash")
    with pytest.raises(StoreUnavailable):
        harness.check(ref, CODE)


# ---- lost replies ---------------------------------------------------------------------------------------------------


def test_our_client_has_no_retries_of_its_own(server_harness: StoreHarness) -> None:
    """redis-py's own retries are off on every connection: only `Scripts` repeats, once, with the same operation."""
    for each in (server_harness.store.client, server_harness.store.blocking):
        retry = each.connection_pool.connection_kwargs["retry"]
        assert retry._retries == 0
        assert isinstance(each, redis.Redis)


def test_a_dead_store_is_an_outage_in_every_room(tmp_path: Path) -> None:
    """Reads too: no room lets a foreign exception out or takes silence for an answer."""
    harness = StoreHarness.open(f"unix://{tmp_path}/nobody.sock")
    ref = harness.start_command(fresh_number()).reference
    job = Job(0, "1-0", ref, 1)
    keys = ApiKeys(
        harness.store, harness.scripts, harness.keys, harness.audit, token_hex=lambda n: "0" * 2 * n, token_urlsafe=str
    )
    cursors = Cursors(harness.store, harness.scripts, harness.keys)
    alerts = Alerts(harness.store, harness.scripts, harness.keys)
    for act in (
        partial(harness.check_latest, ref.number_hash, CODE),
        partial(harness.verifications.view, ref, "shop"),
        partial(harness.verifications.timeline, ref),
        partial(harness.verifications.expire, ref),
        harness.outbox.open,
        harness.outbox.depth,
        partial(harness.outbox.read_new, [0], 1, 0.01),
        partial(harness.outbox.claim_stale, [0], 1),
        partial(harness.outbox.keep_claimed, [job]),
        partial(harness.outbox.hand_back, [0], []),
        partial(harness.deliveries.pending_delivery, job),
        partial(harness.reports.find_message, ref.number_hash, "m"),
        partial(harness.due_timers.due, 1),
        partial(harness.optouts.of_number, ref.number_hash),
        partial(harness.audit.trim, 0, ALL_EXPORTED),
        partial(harness.audit.record, EventType.KEY_CREATED, {}),
        partial(keys.authenticate, f"otp_{'0' * 12}_{'0' * 43}"),
        partial(keys.create, "shop", ["verify"], None),
        partial(keys.get, "0" * 12),
        keys.list,
        partial(keys.revoke, "0" * 12),
        partial(cursors.load, "profile"),
        partial(cursors.acquire_lease, "me", force=True),
        alerts.claim,
        partial(alerts.acknowledge, Alert("1", "text")),
        partial(harness.circuits.states, ["account"]),
        partial(harness.circuits.admit, ["account"]),
        partial(harness.circuits.record_hold, Hold("account", "20100", "Insufficient funds", 1_000, 100), "nh"),
        partial(harness.deliveries.pass_to_next_sender, job, "20100", "Insufficient funds", ["backup"]),
        partial(harness.circuits.record_fault, Fault("sender:pool", "connect"), "nh"),
        partial(harness.circuits.record_success, Success("sender:pool"), probe=True),
        partial(harness.sender_stats.record_result, "pool", delivered=True),
        partial(harness.sender_stats.health, ["pool"]),
        harness.sender_stats.claim_health_poll,
        partial(harness.sender_stats.record_health, {"pool": (1.0, None)}),
        partial(harness.verifications.pending, ref.number_hash),
        partial(harness.verifications.deny, ref, Denial(frozenset(), frozenset(), 0, 0)),
        partial(harness.verifications.first_received, ref.number_hash, "e"),
        partial(harness.deliveries.record_held, job, "sender_down", "connect", 1),
        partial(harness.due_deliveries.claim_failover, Timer(0, "failover", ref, 1)),
        partial(harness.due_deliveries.close_delivery, Timer(0, "closing", ref, 1)),
        partial(harness.due_timers.put_off, Timer(0, "closing", ref, 1), 1),
        partial(harness.due_timers.bring_forward, [Timer(0, "poll", ref, 1)]),
        partial(readiness.clock_ms, harness.store),
        partial(readiness.require_no_eviction, harness.store),
        partial(readiness.fix_shards, harness.store, harness.keys),
        partial(readiness.dead_shards, harness.store, harness.keys),
    ):
        with pytest.raises(StoreUnavailable):
            act()
    # A page names the shards that it lacks.
    page = harness.audit.read([ZERO] * 16, shards=[0], until_ms=None, limit=1, wanted={})
    assert page.unread == {0}
    assert not page.events
    harness.close()
