"""A store that refuses, hangs, forgets its scripts or swallows replies: no guess is free, nothing is done twice."""

import contextlib
import select
import socket
import threading
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import redis

from otp_service.domain.alert import Alert
from otp_service.domain.audit import ZERO, EventType
from otp_service.domain.checking import Approved, Wrong
from otp_service.domain.circuit import Fault, Hold, Success
from otp_service.domain.delivery import Accepted, Action, NotSent, Refused, Unknown
from otp_service.domain.denial import Denial
from otp_service.domain.ending import Canceled, Ended, Redeemed
from otp_service.domain.errors import ConfigError, NotReady, StoreUnavailable
from otp_service.domain.optout_list import OptOut
from otp_service.domain.outbox import Job, Timer
from otp_service.domain.policy import Limit, Slot
from otp_service.domain.starting import Started
from otp_service.domain.verification import Status
from otp_service.runtime.dev import embedded_store
from otp_service.storage import connect, readiness
from otp_service.storage.alerts import Alerts
from otp_service.storage.api_keys import ApiKeys
from otp_service.storage.cursors import Cursors
from otp_service.storage.schema import Keys

from .harness import CODE, WRONG, Confused, StoreHarness, at_once, fresh_number, word


@pytest.fixture(scope="module")
def own_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[embedded_store.EmbeddedServer]:
    """A server of our own, to be mistreated."""
    directory = tmp_path_factory.mktemp("own")
    server = embedded_store.start(directory, log=directory / "server.log")
    try:
        server.wait_ready()
        yield server
    finally:
        server.stop()


@pytest.fixture
def harness(own_server: embedded_store.EmbeddedServer) -> Iterator[StoreHarness]:
    """An empty store over it, reachable."""
    made = StoreHarness.open(own_server.url)
    made.raw.flushall()
    made.outbox.open()
    try:
        yield made
    finally:
        made.close()


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
        assert harness.record(ref)["digest"]
    assert harness.record(ref) == before
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
            partial(harness.verifications.start, harness.order(fresh_number())),
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
        harness.check(harness.order(fresh_number()).reference, CODE)
    with pytest.raises(StoreUnavailable):
        readiness.ping(harness.store)
    assert time.monotonic() - began < 1.0
    harness.close()
    with pytest.raises(StoreUnavailable):
        connect.connect("redis+cluster://127.0.0.1:1")


def test_a_hanging_store_is_refused_within_a_second() -> None:
    """A store that takes connections and never answers costs a second at most."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        harness = StoreHarness.open(f"redis://127.0.0.1:{listener.getsockname()[1]}")
        began = time.monotonic()
        with pytest.raises(StoreUnavailable):
            harness.check(harness.order(fresh_number()).reference, CODE)
        assert time.monotonic() - began < 1.5
        harness.close()


def test_forgotten_scripts_are_sent_again(harness: StoreHarness) -> None:
    """SCRIPT FLUSH, as after a restart or failover, goes unnoticed, under parallel use too."""
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


@pytest.mark.parametrize("policy", ["allkeys-lru", "volatile-lru", "volatile-ttl", "allkeys-random"])
def test_a_store_that_forgets_under_pressure_is_not_ready(harness: StoreHarness, policy: str) -> None:
    """Any policy but noeviction is refused, and the refusal names it."""
    readiness.require_no_eviction(harness.store)
    harness.raw.config_set("maxmemory-policy", policy)
    try:
        with pytest.raises(NotReady, match=policy):
            readiness.require_no_eviction(harness.store)
    finally:
        harness.raw.config_set("maxmemory-policy", "noeviction")


def test_the_number_of_shards_never_changes(harness: StoreHarness) -> None:
    """The first start fixes it; another number would give every person a second budget."""
    at_once([partial(readiness.fix_shards, harness.store, harness.keys)] * 5)
    readiness.fix_shards(harness.store, harness.keys)
    with pytest.raises(NotReady, match="16 shards"):
        readiness.fix_shards(harness.store, Keys(8))
    readiness.fix_shards(harness.store, harness.keys)
    assert abs(readiness.clock_ms(harness.store) - time.time() * 1000) < 5_000


@pytest.mark.parametrize("written", ["16", "16|1", "16|2", "|", "x"])
def test_a_store_of_another_layout_is_refused(harness: StoreHarness, written: str) -> None:
    """Read by this version, its API keys would lose their ends."""
    harness.raw.set(harness.keys.shard_count(), written)
    with pytest.raises(NotReady, match=r"another version|shards"):
        readiness.fix_shards(harness.store, harness.keys)
    assert harness.raw.get(harness.keys.shard_count()) == written


@pytest.mark.parametrize(
    "url", ["redis+sentinel://127.0.0.1:26379", "redis://127.0.0.1:notaport", "redis+cluster://127.0.0.1:x"]
)
def test_an_unusable_url_is_a_mistake_of_configuration(url: str) -> None:
    """The sentence names the variable."""
    with pytest.raises(ConfigError, match="OTP_REDIS_URL"):
        connect.connect(url)


def test_a_urls_password_is_not_for_people() -> None:
    """User, password and query values are left out where the URL is shown."""
    shown = connect.masked("rediss://user:secret@store.example:6380/0?password=secret2")
    assert "secret" not in shown
    assert "user" not in shown
    assert "store.example:6380" in shown


def test_a_sentinel_url_is_opened_lazily() -> None:
    """A Sentinel that is not there is an outage of the store, found when it is needed."""
    store = connect.connect("redis+sentinel://me:pw@127.0.0.1:1,127.0.0.1:2/main/0")
    began = time.monotonic()
    with pytest.raises(StoreUnavailable):
        readiness.ping(store)
    assert time.monotonic() - began < 1.0
    store.close()


# ---- lost replies -------------------------------------------------------------------------------------------------


class Swallower:
    """A proxy before the store. Armed, it lets the next script run and swallows the reply."""

    def __init__(self, target: str) -> None:
        self._target = target
        self.armed = 0
        self.swallowed = 0
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"redis://127.0.0.1:{self._listener.getsockname()[1]}"
        self._open: list[socket.socket] = []
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                near, _ = self._listener.accept()
                far = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
                far.connect(self._target)
                self._open += (near, far)
                threading.Thread(target=self._serve, args=(near, far), daemon=True).start()

    def _serve(self, near: socket.socket, far: socket.socket) -> None:
        # One request, one reply at a time: the clients here never have two under way on a connection.
        with contextlib.suppress(OSError):
            while request := near.recv(1 << 20):
                far.sendall(request)
                # A long script comes in several pieces, and its reply after the last.
                while near in select.select([near, far], [], [])[0]:
                    piece = near.recv(1 << 20)
                    if not piece:
                        break
                    request += piece
                    far.sendall(piece)
                reply = far.recv(1 << 20)
                if self.armed and b"EVAL" in request and not reply.startswith(b"-NOSCRIPT"):
                    self.armed -= 1
                    self.swallowed += 1
                    break
                near.sendall(reply)
        near.close()
        far.close()

    def close(self) -> None:
        """End everything."""
        # shutdown wakes the thread that waits in accept or recv, close alone does not.
        for each in (self._listener, *self._open):
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
            each.close()


@pytest.fixture
def swallower(harness: StoreHarness, own_server: embedded_store.EmbeddedServer) -> Iterator[Swallower]:
    """A proxy before the own server, which is empty."""
    made = Swallower(urlsplit(own_server.url).path)
    try:
        yield made
    finally:
        made.close()


@pytest.fixture
def lossy(swallower: Swallower) -> Iterator[StoreHarness]:
    """A store that is reached through the proxy."""
    made = StoreHarness.open(swallower.url)
    try:
        yield made
    finally:
        made.close()


def test_a_lost_reply_starts_once(lossy: StoreHarness, swallower: Swallower) -> None:
    """The start whose reply was lost is found again: one verification, one send, the whole answer."""
    swallower.armed = 1
    order = lossy.order(fresh_number())
    started = lossy.verifications.start(order)
    assert swallower.swallowed == 1
    assert isinstance(started, Started)
    assert started.reference == order.reference
    assert not started.resent
    assert lossy.waiting(order.reference) == 1
    assert lossy.events(order.reference) == ["verification.started", "delivery.queued"]


def test_a_lost_reply_is_one_guess(lossy: StoreHarness, swallower: Swallower) -> None:
    """Wrong, last wrong and right code: the repeat gets the first answer and nothing is counted twice."""
    ref = lossy.start(fresh_number()).reference
    for left in (4, 3, 2, 1):
        swallower.armed = 1
        assert lossy.check(ref, WRONG) == Wrong(left)
    swallower.armed = 1
    assert lossy.check(ref, WRONG) == Ended(Status.EXHAUSTED)
    assert lossy.record(ref)["attempts"] == "5"
    assert len(lossy.wrong_codes(ref.number_hash, "shop")) == 5
    good = lossy.start(fresh_number()).reference
    swallower.armed = 1
    answer = lossy.check(good, CODE, receipt_id="the-receipt")
    assert isinstance(answer, Approved)
    assert answer.receipt_id == "the-receipt"
    assert lossy.record(good)["attempts"] == "1"
    assert lossy.events(good).count("verification.approved") == 1
    assert swallower.swallowed == 6


def test_a_lost_reply_cancels_and_redeems_once(lossy: StoreHarness, swallower: Swallower) -> None:
    """The one who canceled or redeemed learns that it was they."""
    ref, other = lossy.start(fresh_number()).reference, lossy.start(fresh_number()).reference
    swallower.armed = 1
    assert lossy.verifications.cancel(word(), ref, "shop") == Canceled()
    assert lossy.events(ref).count("verification.canceled") == 1
    lossy.check(other, CODE, receipt_id="r")
    swallower.armed = 1
    answer = lossy.verifications.redeem(word(), other, "shop", "r", lossy.now() + 60_000)
    assert isinstance(answer, Redeemed)
    assert answer.first
    assert lossy.events(other).count("receipt.redeemed") == 1
    assert swallower.swallowed == 2


def test_lost_replies_make_no_second_delivery(lossy: StoreHarness, swallower: Swallower) -> None:
    """Begin, result, failover, requeue, report: each once in the timeline, one entry, one next sender."""
    ref = lossy.start(fresh_number()).reference
    job = lossy.take(ref)
    swallower.armed = 1
    assert lossy.must_begin(job).attempt == 1
    swallower.armed = 1
    lossy.deliveries.record_retry(job, 60_000, NotSent("connect"))
    lossy.raw.zadd(lossy.keys.timers(job.shard), {f"retry:{ref.delivery_id(1)}": 1})
    swallower.armed = 1
    lossy.due_deliveries.requeue(Timer(job.shard, "retry", ref, 1))
    assert lossy.waiting(ref) == 1
    again = lossy.take(ref)
    lossy.must_begin(again)
    swallower.armed = 1
    lossy.deliveries.record_unknown(again, 1_000, Unknown("timeout"))
    third = lossy.requeue(ref)
    lossy.must_begin(third)
    swallower.armed = 1
    lossy.deliveries.record_refused(third, Refused("40002", "Spam", Action.NEXT_SENDER))
    assert lossy.waiting(ref) == 1
    second = lossy.take(ref)
    assert second.ordinal == 2
    lossy.must_begin(second)
    swallower.armed = 1
    lossy.deliveries.record_accepted(second, Accepted("m2", "queued"))
    swallower.armed = 1
    lossy.apply(ref, "delivered", "m2", 2)
    assert lossy.status(ref, 2) == "delivered"
    events = lossy.events(ref)
    assert swallower.swallowed == 7
    for event, times in {
        "delivery.queued": 2,
        "delivery.sending": 2,
        "delivery.retried": 2,
        "delivery.unknown": 1,
        "delivery.failed": 1,
        "delivery.fell_back": 1,
        "delivery.sent": 1,
        "delivery.delivered": 1,
    }.items():
        assert events.count(event) == times, event


def test_a_lost_reply_stores_one_answer_and_opts_out_once(lossy: StoreHarness, swallower: Swallower) -> None:
    """Idempotency keys and wishes are the same after a repeat."""
    swallower.armed = 1
    assert lossy.idempotency.reserve("digest", "body", "me") == "reserved"
    swallower.armed = 1
    lossy.idempotency.complete("digest", "me", 201, "answer")
    nh = lossy.hash_of(fresh_number())
    swallower.armed = 1
    lossy.optouts.record(nh, "+1", OptOut("profile-a", True, 5, "STOP", "inbound"), "evt")
    assert [entry.opted_out for entry in lossy.optouts.of_number(nh)] == [True]
    assert [event["type"] for event in lossy.audited_of(nh)] == ["optout.added"]
    assert swallower.swallowed == 3


def test_a_lost_reply_never_makes_room_in_a_limit(lossy: StoreHarness, swallower: Swallower) -> None:
    """Taking may cost one place too many, giving back never frees one too many."""
    place = Slot("x", "y", Limit(3, 60_000))
    assert [lossy.limits.acquire([place]) for _ in range(3)] == [0, 0, 0]
    swallower.armed = 1
    with contextlib.suppress(StoreUnavailable):
        lossy.limits.release([place])
    assert swallower.swallowed == 1
    assert lossy.limits.acquire([place]) == 0
    assert lossy.limits.acquire([place]) > 0


def test_when_both_replies_are_lost_nobody_is_told_a_lie(lossy: StoreHarness, swallower: Swallower) -> None:
    """The caller hears that the store is unavailable; what happened stands, and shows on the next look."""
    ref = lossy.start(fresh_number()).reference
    swallower.armed = 2
    with pytest.raises(StoreUnavailable):
        lossy.check(ref, WRONG)
    assert swallower.swallowed == 2
    assert lossy.record(ref)["attempts"] == "1"
    assert lossy.check(ref, WRONG) == Wrong(3)


def test_an_answer_to_somebody_else_is_no_answer(
    harness: StoreHarness, own_server: embedded_store.EmbeddedServer
) -> None:
    """A reply that echoes another operation is thrown away (CVE-2023-28858)."""
    ref = harness.start(fresh_number()).reference
    confused = StoreHarness.open(own_server.url, Confused)
    for act in (
        partial(confused.check, ref, CODE),
        partial(confused.verifications.start, confused.order(fresh_number())),
        partial(confused.verifications.cancel, word(), ref, "shop"),
        partial(confused.verifications.redeem, word(), ref, "shop", "r", 1),
    ):
        with pytest.raises(StoreUnavailable):
            act()
    confused.close()


def test_our_client_repeats_nothing_by_itself(server_harness: StoreHarness) -> None:
    """redis-py's own retries are off on every connection: only `Scripts` repeats, once, with the same operation."""
    for each in (server_harness.store.client, server_harness.store.blocking):
        retry = each.connection_pool.connection_kwargs["retry"]
        assert retry._retries == 0
        assert isinstance(each, redis.Redis)


def test_a_dead_store_is_an_outage_in_every_room(tmp_path: Path) -> None:
    """Reads too: no room lets a foreign exception out or takes silence for an answer."""
    harness = StoreHarness.open(f"unix://{tmp_path}/nobody.sock")
    ref = harness.order(fresh_number()).reference
    job = Job(0, "1-0", ref, 1)
    keys = ApiKeys(
        harness.store, harness.scripts, harness.keys, harness.audit, token_hex=lambda n: "0" * 2 * n, token_urlsafe=str
    )
    cursors = Cursors(harness.store, harness.scripts, harness.keys)
    alerts = Alerts(harness.store, harness.scripts, harness.keys)
    for act in (
        partial(harness.verifications.latest, ref.number_hash, "shop", "login"),
        partial(harness.verifications.view, ref, "shop"),
        partial(harness.verifications.timeline, ref),
        partial(harness.verifications.expire, ref),
        harness.outbox.open,
        harness.outbox.depth,
        partial(harness.outbox.read_new, [0], 1, 0.01),
        partial(harness.outbox.claim_stale, 0, 1),
        partial(harness.outbox.keep_claimed, [job]),
        partial(harness.deliveries.pending_delivery, job),
        partial(harness.reports.find_message, ref.number_hash, "m"),
        partial(harness.due_timers.due, 1),
        partial(harness.optouts.of_number, ref.number_hash),
        partial(harness.audit.read, [ZERO] * 16, shards=[0], until_ms=None, limit=1, wanted={}),
        partial(harness.audit.trim, 0),
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
        partial(readiness.clock_ms, harness.store),
        partial(readiness.require_no_eviction, harness.store),
        partial(readiness.fix_shards, harness.store, harness.keys),
        partial(readiness.dead_shards, harness.store, harness.keys),
    ):
        with pytest.raises(StoreUnavailable):
            act()
    harness.close()
