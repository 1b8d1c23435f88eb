"""One node of a Cluster hangs: what belongs to it is refused, and everything else permits on."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any, cast

import pytest
from nacl.signing import SigningKey

from otp_service import bootstrap, config
from otp_service.domain.audit import ZERO
from otp_service.domain.checking import Approved
from otp_service.domain.circuit import PASS, Fault, Hold, Success
from otp_service.domain.continuity import Reached
from otp_service.domain.delivery import Accepted
from otp_service.domain.errors import NotReady, StoreUnavailable
from otp_service.domain.ids import Reference
from otp_service.domain.outbox import Job, Timer
from otp_service.domain.policy import Limit, Slot
from otp_service.runtime.delivery_worker import DeliveryWorker
from otp_service.storage import api_keys, connect, readiness
from otp_service.storage.answering import STORE_ERRORS
from otp_service.storage.audit_consumer import AuditConsumer
from otp_service.storage.callbacks import Callbacks
from otp_service.storage.sender_rate import SenderRate
from otp_service.usecases.audit_cursors import next_positions
from otp_service.usecases.held_deliveries import HeldDeliveries

from ..conftest import wait_until
from ..e2e.in_process import Commands
from ..ledger.harness import ledger_over
from ..web.conftest import ApiHarness, make_settings
from .api_keys import keys_of
from .conftest import opened
from .harness import ALL_EXPORTED, CODE, SHOP, WRONG, StoreHarness, fresh_number, word
from .nodes import Nodes, three
from .slots import Slots

pytestmark = pytest.mark.cluster
EVERY = (0, 1, 2)


@pytest.fixture(scope="module")
def nodes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Nodes]:
    """Three primaries."""
    with three(tmp_path_factory.mktemp("three")) as made:
        yield made


@pytest.fixture
def harness(nodes: Nodes) -> Iterator[StoreHarness]:
    """All store classes over the empty Cluster."""
    nodes.empty()
    with opened(nodes.url) as made:
        yield made


@pytest.fixture
def api(nodes: Nodes, harness: StoreHarness, tmp_path: Path) -> Iterator[ApiHarness]:
    """A service over the Cluster. It reads nothing in the background after the test."""
    ended, seed = threading.Event(), SigningKey.generate()
    settings = make_settings(tmp_path, nodes.url, seed)
    web = bootstrap.build_web(settings, has_read=lambda: ended.is_set() and threading.Event().wait())
    yield ApiHarness(web, settings, config.load_keyring(settings), seed, harness.raw)
    ended.set()


def number_on(nodes: Nodes, harness: StoreHarness, index: int) -> str:
    """A number whose shard is on this node."""
    while True:
        number = fresh_number()
        shard = harness.keys.shard(harness.hash_of(number))
        if nodes.index_of(harness.raw, harness.keys.timers(shard)) == index:
            return number


def started_on_each(nodes: Nodes, harness: StoreHarness) -> list[Reference]:
    """One verification on each node."""
    return [harness.start(number_on(nodes, harness, index)).reference for index in EVERY]


def answered(ask: Callable[[], object]) -> None:
    """Wait until the service has noticed that a node answers again."""

    def noticed() -> bool:
        with suppress(*STORE_ERRORS):
            ask()
            return True
        return False

    wait_until(noticed, 30, "an answer")


@pytest.mark.parametrize("dead", EVERY)
def test_numbers_of_living_shards_go_on(nodes: Nodes, harness: StoreHarness, dead: int) -> None:
    """Start, send and check pass for them, whichever node it is; for numbers of the dead one they are refused."""
    lost = harness.start(number_on(nodes, harness, dead)).reference
    with nodes.hanging(dead):
        for index in set(EVERY) - {dead}:
            ref = harness.start(number_on(nodes, harness, index)).reference
            harness.verifications.view(ref, "shop")
            job = harness.take(ref)
            assert harness.pending_delivery(job).sender == "pool"
            assert harness.sender_rate.acquire_rate_slot("pool", 20.0, 10_000) >= 0
            assert harness.circuits.admit(["account", "profile:a", "sender:pool"]) == PASS
            harness.must_begin(job)
            harness.deliveries.record_accepted(job, Accepted("m", "queued"))
            assert isinstance(harness.check(ref, CODE), Approved)
        for act in (partial(harness.check, lost, WRONG), partial(harness.start, number_on(nodes, harness, dead))):
            with pytest.raises(StoreUnavailable):
                act()
    answered(lambda: harness.status(lost))
    assert isinstance(harness.check(lost, CODE), Approved)


@pytest.mark.parametrize("dead", EVERY)
def test_what_looks_at_all_shards_sees_the_living(nodes: Nodes, harness: StoreHarness, dead: int) -> None:
    """Timers, groups, depth, versions, events, counts, trimming and the clock; a page of the record names the
    dead ones."""
    audit_consumer = AuditConsumer(harness.store, harness.scripts, harness.keys)
    audit_consumer.open()
    refs = started_on_each(nodes, harness)
    living = [ref for index, ref in enumerate(refs) if index != dead]
    for ref in refs:
        harness.raw.zadd(harness.keys.timers(harness.keys.shard(ref.number_hash)), {f"expiry:{ref.token}": 1})
    with nodes.hanging(dead):
        assert {due.reference.token for due in harness.due_timers.due(100)} == {ref.token for ref in living}
        harness.outbox.open()
        assert harness.outbox.depth() == 2
        known = harness.verifications.versions(refs)
        assert [index for index, version in enumerate(known) if version is None] == [dead]
        assert {event.shard for event in audit_consumer.read_new(100)} == {
            harness.keys.shard(ref.number_hash) for ref in living
        }
        audit_consumer.acknowledge(audit_consumer.claim_stale(100))
        apps = [f"app{number}" for number in range(12)]
        assert 0 < len(Callbacks(harness.store, harness.scripts, harness.keys).counts(apps)) < 12
        assert set(harness.sender_stats.health(["pool", "backup"])) == {"pool", "backup"}
        every = range(harness.keys.shards)
        page = harness.audit.read([ZERO] * len(every), shards=every, until_ms=None, limit=10, wanted={})
        assert {event.shard for event in page.events} == {harness.keys.shard(ref.number_hash) for ref in living}
        harness.audit.trim(0, ALL_EXPORTED)
        assert abs(readiness.clock_ms(harness.store) - time.time() * 1000) < 5_000
        readiness.ping(harness.store)
        readiness.require_no_eviction(harness.store)
        gone = [
            shard
            for shard in range(harness.keys.shards)
            if nodes.index_of(harness.raw, harness.keys.timers(shard)) == dead
        ]
        assert readiness.dead_shards(harness.store, harness.keys) == gone
        assert (page.at_end, page.unread) == (True, frozenset(gone))


def test_the_record_of_a_dead_shard_is_in_the_ledger_and_the_rest_comes_later(
    nodes: Nodes, harness: StoreHarness, tmp_path: Path
) -> None:
    """A page has what the ledger and the living shards have, and nothing is passed over when the dead one is back. What
    happened before the ledger's end needs nobody."""
    refs = started_on_each(nodes, harness)
    shards = [harness.keys.shard(ref.number_hash) for ref in refs]
    every = range(harness.keys.shards)
    with ledger_over(harness, tmp_path / "ledger.db") as ledger:
        read = partial(ledger.record.read, limit=100, wanted={})
        ledger.export_all()
        for ref in refs:
            harness.check(ref, WRONG)
        with nodes.hanging(0):
            page = read([ZERO] * len(every), shards=every, until_ms=None)
            assert (page.at_end, shards[0] in page.unread) == (True, True)
            assert [event.type for event in page.events].count("verification.started") == 3
            assert {event.shard for event in page.events if event.type == "check.failed"} == set(shards[1:])
            after = next_positions([ZERO] * len(every), page, 100)
            assert after is not None
            assert read(after, shards=every, until_ms=None).is_stuck
            before = page.events[0].at_ms - 1
            assert read([ZERO] * len(every), shards=shards[:1], until_ms=before).unread == frozenset()
            ledger.source.trim({shard: Reached("9-9") for shard in every})
        answered(lambda: harness.status(refs[0]))
        last = read(after, shards=every, until_ms=None)
        assert [(event.type, event.shard) for event in last.events] == [("check.failed", shards[0])]
        assert (last.at_end, last.unread) == (True, frozenset())


def test_a_page_of_the_record_names_the_dead_shards(nodes: Nodes, harness: StoreHarness, api: ApiHarness) -> None:
    """It is 503 only where there is nothing left to show. Who reads is on record on another shard than the dead first
    one; a filter that needs no dead shard is whole."""
    first = nodes.index_of(harness.raw, harness.keys.audit(0))

    def is_on(number: str, index: int) -> bool:
        shard = harness.keys.shard(api.vault.ids.number_hash(number))
        return nodes.index_of(harness.raw, harness.keys.audit(shard)) == index

    living, lost = (
        next(number for number in iter(api.number, "") if is_on(number, first) is dead) for dead in (False, True)
    )
    assert api.call("POST", "/verify/start", {"to": living}).status == 201
    assert api.call("GET", "/audit/events").header("Unread-Shards") is None
    with nodes.hanging(first):
        page = api.call("GET", "/audit/events")
        assert (page.status, (page.header("Unread-Shards") or "")[:2]) == (200, "00")
        kinds = [event["type"] for event in page.json["events"]]
        assert kinds.count("verification.started") == 1
        further = f"/audit/events?cursor={page.json['next_cursor']}"
        seen = [event["type"] for event in api.call("GET", further).json.get("events", ())]
        assert "verification.started" not in seen
        last = api.call("GET", further + "&type=verification.started")
        last.problem(503, "store_unavailable")
    wait_until(lambda: api.call("POST", "/verify/start", {"to": lost}).status in (200, 201, 429), 30, "its return")
    found = api.call("GET", further + "&type=verification.started").json
    assert ([event["to"][-4:] for event in found["events"]], found["next_cursor"]) == ([lost[-4:]], None)


def test_the_tail_of_the_record_says_what_it_lacks(
    nodes: Nodes, harness: StoreHarness, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """It shows what there is, and does not succeed."""
    started_on_each(nodes, harness)
    monkeypatch.setenv("OTP_REDIS_URL", nodes.url)
    fixed = nodes.index_of(harness.raw, harness.keys.shard_count())
    with nodes.hanging((fixed + 1) % 3):
        status, out, err = Commands(capsys).run("audit", "tail", "--json")
    assert (status, out.count('"verification.started"')) == (1, 2)
    assert "of the store do not respond: their latest events are missing" in err
    assert err.endswith("The record could not be read to its end.\n")


def test_a_dead_node_costs_one_timeout_and_not_one_for_each_shard(nodes: Nodes, harness: StoreHarness) -> None:
    """A look at sixteen shards, six of them dead, ends in about one timeout; the next one waits for nothing."""
    started_on_each(nodes, harness)
    with nodes.hanging(1):
        began = time.monotonic()
        harness.due_timers.due(100)
        assert time.monotonic() - began < 4 * connect.TIMEOUT_S


def test_what_is_not_known_of_senders_stops_nobody(nodes: Nodes, harness: StoreHarness) -> None:
    """A breaker on the dead node is closed, what is learned of it is lost; each process counts limits alone."""
    scope = next(
        f"sender:{n}" for n in range(99) if nodes.index_of(harness.raw, harness.keys.circuit(f"sender:{n}")) == 2
    )
    sender = next(f"s{n}" for n in range(99) if nodes.index_of(harness.raw, harness.keys.sender_rate(f"s{n}")) == 2)
    limits = Slots.over(harness.scripts, harness.keys, is_cluster=True)
    places = [Slot("app", f"a{n}", Limit(2, 60_000)) for n in range(4)]
    harness.circuits.record_hold(Hold(scope, "40333", "spent", 60_000, 8_000, 1), "n")
    assert not harness.circuits.admit([scope]).passes
    with nodes.hanging(2):
        wait_until(lambda: harness.circuits.admit([scope]) == PASS, 30, "the breaker is not known")
        assert harness.circuits.record_hold(Hold(scope, "40333", "spent", 60_000, 8_000, 1), "n") == "counted"
        assert not harness.circuits.record_fault(Fault(scope, "connect"), "n")
        assert not harness.circuits.record_success(Success(scope), probe=True)
        harness.circuits.record_delivered([scope])
        harness.sender_stats.record_result(scope, delivered=True)
        processes = [SenderRate(harness.store, harness.scripts, harness.keys) for _ in range(2)] * 2
        waits = [process.acquire_rate_slot(sender, 0.05, 50_000) for process in processes]
        assert waits[0] == 0, "together they keep the rate, as if the shard were well"
        assert 0 < waits[1] <= 20_000 < waits[2] <= 40_000
        assert waits[3] < 0
        for place in places:
            assert [limits.acquire([place]) > 0 for _ in range(3)] == [False, False, True]


def test_a_key_that_is_known_goes_on_while_its_shard_is_dead(
    harness: StoreHarness, nodes: Nodes, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Longer than on one server, whose numbers would be out of reach too: a shard costs its own numbers only. Never
    for what was revoked or is not known, and not for ever."""
    keys = keys_of(harness)
    valid, revoked = keys.create("shop", ["verify"], None), keys.create("shop", ["verify"], None)
    assert keys.revoke(revoked.id)
    assert keys.authenticate(valid.key)
    assert keys.authenticate(revoked.key) is None
    with nodes.hanging(nodes.index_of(harness.raw, harness.keys.api_keys())):
        principal = keys.authenticate(valid.key)
        assert principal is not None
        assert principal.app == "shop"
        for unknown in (revoked.key, "otp_000000000000_" + "A" * 43):
            with pytest.raises(StoreUnavailable):
                keys.authenticate(unknown)
        monkeypatch.setattr(api_keys, "BELIEVED_S", 0.0)
        assert keys.authenticate(valid.key)
        monkeypatch.setattr(api_keys, "BELIEVED_IN_CLUSTER_S", 0.0)
        with pytest.raises(StoreUnavailable):
            keys.authenticate(valid.key)


def test_every_node_is_asked_for_its_eviction_policy(nodes: Nodes, harness: StoreHarness) -> None:
    """One that evicts is found wherever it is, also while another is dead."""
    for index in EVERY:
        nodes.raws[index].config_set("maxmemory-policy", "allkeys-lru")
        try:
            with nodes.hanging((index + 1) % 3), pytest.raises(NotReady, match="allkeys-lru"):
                readiness.require_no_eviction(harness.store)
        finally:
            nodes.raws[index].config_set("maxmemory-policy", "noeviction")


def test_readiness_names_the_dead_shards(nodes: Nodes, harness: StoreHarness, api: ApiHarness) -> None:
    """Also if it is the node that holds what is fixed at the start, /readyz stays 200 and warns; 503 with all dead."""
    dead = nodes.index_of(harness.raw, harness.keys.shard_count())
    assert api.call("GET", "/readyz", key=None).json == {"status": "ready"}

    def seen(check: str) -> list[str]:
        answer = api.call("GET", "/readyz", key=None)
        assert answer.status == 200
        return [warning["detail"] for warning in answer.json.get("warnings", ()) if warning["check"] == check]

    with nodes.hanging(dead):
        assert " of 16 shards take no writes: s0" in wait_until(lambda: seen("writes"), 30, "a warning")[0]
        nodes.notice_within(1_000)
        told = wait_until(lambda: seen("servers"), 30, "what the other nodes say of it")[0]
        assert told.startswith("Nodes of the Cluster that are down: 1. 546")
        assert " of 16384 slots have no living primary: " in told
        nodes.notice_within(15_000)
        with nodes.hanging((dead + 1) % 3), nodes.hanging((dead + 2) % 3):
            wait_until(lambda: api.call("GET", "/readyz", key=None).status == 503, 30, "an end of the readiness")
            waits = [harness.sender_rate.acquire_rate_slot("alone", 0.05, 50_000) for _ in range(2)]
            assert waits[0] == 0 < waits[1] <= 20_000


class Sends:
    """What a worker does with jobs and timers, without a carrier."""

    def __init__(self, harness: StoreHarness) -> None:
        self._harness = harness

    def send(self, job: Job) -> None:
        """Send at once, or put off what is asked for the first time."""
        harness = self._harness
        pending = harness.deliveries.pending_delivery(job)
        if pending is not None:
            harness.sender_rate.acquire_rate_slot(pending.sender, 1000.0, 10_000)
            if harness.begin(job, SHOP) is not None:
                harness.deliveries.record_accepted(job, Accepted(word("m"), "queued"))

    @property
    def timers(self) -> "Sends":
        """What runs timers: this, too."""
        return self

    @property
    def held(self) -> HeldDeliveries:
        """Nothing waits for a breaker."""
        return HeldDeliveries(cast("Any", None), time.monotonic)

    def run(self, due: Timer) -> str | None:
        """Expire, or put back."""
        if due.kind == "expiry":
            self._harness.verifications.expire(due.reference)
        elif due.kind == "retry":
            self._harness.due_deliveries.requeue(due)
        return None


@contextmanager
def working(harness: StoreHarness) -> Iterator[None]:
    """A worker that runs."""
    stop = threading.Event()
    parts: Any = {"concurrency": 4, "close": lambda: None}
    sends = cast("Any", Sends(harness))
    worker = DeliveryWorker(harness.outbox, harness.due_timers, sends, **parts)
    thread = threading.Thread(target=worker.run, args=(stop,))
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join(30)


def test_a_worker_goes_on(nodes: Nodes, harness: StoreHarness) -> None:
    """Started while a node hangs, it sends, retries, expires and takes over what lies on the others, and later its."""
    dead = 0
    lost = harness.start(number_on(nodes, harness, dead)).reference
    living = [index for index in EVERY if index != dead]
    retried, expired = (harness.start(number_on(nodes, harness, index)).reference for index in living)
    harness.take(retried)
    left = harness.take(expired, harness.other_worker())
    shard = harness.keys.shard(expired.number_hash)
    with nodes.hanging(dead), working(harness):
        ref = harness.start(number_on(nodes, harness, living[0])).reference
        wait_until(lambda: harness.status(ref) == "sent", 30, "a delivery")
        wait_until(lambda: harness.status(retried) == "sent", 30, "one of its own that it did not know of")
        # The entry of a worker that died long ago.
        outbox, idle = harness.keys.outbox(shard), ("IDLE", 60_000, "JUSTID")
        harness.raw.execute_command("XCLAIM", outbox, "workers", "gone", 0, left.entry, *idle)
        wait_until(lambda: harness.status(expired) == "sent", 30, "what a dead worker left")
        harness.set_record(expired, {"expires_ms": "1"})
        harness.raw.zadd(harness.keys.timers(shard), {f"expiry:{expired.token}": 1})
        wait_until(lambda: harness.record(expired)["status"] == "expired", 30, "the expiry")
        nodes.wake(dead)
        answered(lambda: harness.status(lost))
        wait_until(lambda: harness.status(lost) == "sent", 30, "what lay on the dead node")
