"""The keyspace: scripts touch the keys they declare and no other, what should end ends, nothing tells a secret."""

import itertools
import re
import secrets
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any
from urllib.parse import urlsplit

import pytest
import redis
from redis.exceptions import ResponseError

from otp_service.domain.alert import Alert
from otp_service.domain.audit import EventType
from otp_service.domain.callback import Callback
from otp_service.domain.checking import Approved
from otp_service.domain.circuit import Fault, Hold, Source, Success
from otp_service.domain.delivery import Accepted, Action, DeliveryReport, NotSent, Refused, Unknown
from otp_service.domain.denial import Denial
from otp_service.domain.ids import Reference
from otp_service.domain.optout_list import Cursor, OptOut
from otp_service.domain.outbox import Timer
from otp_service.domain.policy import TOMBSTONE_MS, Limit, Slot
from otp_service.storage.alerts import Alerts
from otp_service.storage.api_keys import ApiKeys
from otp_service.storage.callbacks import Callbacks
from otp_service.storage.cursors import Cursors
from otp_service.storage.keyrings import Keyrings
from otp_service.storage.readiness import dead_shards, fix_shards
from otp_service.storage.schema.keys import Keys
from otp_service.storage.schema.writers import OTHER_NAMES, method_of
from otp_service.storage.script_files import Script, Value, load, names
from otp_service.storage.scripts import Scripts
from otp_service.storage.store import Store

from .harness import BANK, CODE, SHARDS, SHOP, WRONG, StoreHarness, fresh_number, word

SCRIPTS = names()
ENDLESS = (
    r"otp:\{s..\}:(outbox|dead|timers|audit|opted_out)$",
    r"otp:\{s..\}:optouts:",
    r"otp:\{meta\}:(shards|index_keys|key_ids)$",
    r"otp:\{keys\}:",
    r"otp:\{sync\}:cursor:",
    r"otp:\{alerts\}:due$",
)
"""The keys that `keys.py` documents as having no TTL."""
NEXT = Refused("40002", "Spam", Action.NEXT_SENDER)
BLOCKED = Refused("40300", "Blocked", Action.STOP_PERSON, opted_out=True)


class Spy(Scripts):
    """Marks in the server's own log where each script begins and ends, and remembers what it declared."""

    def __init__(self, store: Store, marker: "redis.Redis") -> None:
        super().__init__(store)
        self._marker = marker
        self.calls: list[tuple[Script, tuple[str, ...]]] = []

    def _run(self, script: Script, keys: Sequence[str], args: Sequence[Value], *, repeat: bool) -> Any:
        self.calls.append((script, tuple(keys)))
        self._marker.echo(f"begin {len(self.calls) - 1}")
        try:
            return super()._run(script, keys, args, repeat=repeat)
        finally:
            self._marker.echo("end")


class NamedKeys(Keys):
    """Remembers which method built a key."""

    def __init__(self, shards: int) -> None:
        super().__init__(shards)
        self.made: dict[str, str] = {}

    def __getattribute__(self, name: str) -> Any:
        value = super().__getattribute__(name)
        if name.startswith("_") or not callable(value) or name == "shard":
            return value

        def build(*args: Any) -> Any:
            key = value(*args)
            self.made[key] = name
            return key

        return build


def plain(url: str) -> "redis.Redis":
    """A client of the very node, cluster or not."""
    parts = urlsplit(url)
    if parts.scheme == "unix":
        return redis.Redis(unix_socket_path=parts.path, decode_responses=True)
    return redis.Redis(host=parts.hostname or "", port=parts.port or 0, decode_responses=True)


def operations(harness: StoreHarness) -> Iterator[Reference]:
    """Every operation in every outcome that writes, on many numbers; each verification as it ends."""
    app = replace(SHOP, starts_per_number=(Limit(50, 60_000),))

    def started(**changes: Any) -> Reference:
        return harness.start(fresh_number(), app, **changes).reference

    yield from checks(harness, app)
    yield from loops(harness, app)
    # sent again, refused in all ways
    number = fresh_number()
    ref = harness.start(number, app, context={"amount": "10"}).reference
    harness.refused(number, app)
    harness.refused(number, app, context={"amount": "10"})
    harness.cool(ref)
    harness.start(number, app, context={"amount": "10"})
    harness.age(ref, 700_000)
    harness.start(number, app)
    harness.refused(number, replace(app, starts_per_number=(Limit(1, 60_000),)), purpose="x")
    harness.refused(number, app, purpose="x", queue_max=1)
    yield ref
    # the ways of a delivery
    ref = started()
    job = harness.take(ref)
    harness.begin(job, body="")
    harness.must_begin(job, app)
    harness.deliveries.record_retry(job, 1_000, NotSent("connect"))
    job = harness.requeue(ref)
    harness.must_begin(job, app)
    harness.deliveries.record_unknown(job, 1_000, Unknown("timeout"))
    job = harness.requeue(ref)
    harness.must_begin(job, app)
    harness.deliveries.record_refused(job, NEXT)
    second = harness.take(ref)
    harness.deliveries.record_rate_wait(second, 1_000)
    second = harness.requeue(ref, 2)
    harness.must_begin(second, app)
    harness.deliveries.record_accepted(second, Accepted("m2", "queued"))
    for status in ("sent", "delivery_failed", "delivered"):
        harness.apply(ref, status, "m2", 2)
    harness.apply(ref, "delivered", "foreign", 2)
    harness.reports.record_click(ref, 2, word("evt"))
    yield ref
    ref = started()
    harness.send(ref, "m1")
    harness.raw.zadd(harness.keys.timers(harness.keys.shard(ref.number_hash)), {f"poll:{ref.delivery_id(1)}": 1})
    harness.due_deliveries.claim_poll(Timer(harness.keys.shard(ref.number_hash), "poll", ref, 1))
    harness.apply(ref, "delivery_failed", "m1")
    job = harness.take(ref)
    harness.must_begin(job, app)
    harness.deliveries.record_refused(job, BLOCKED)
    yield ref
    for stop in ("cancel", "expire", "opt out", "impossible"):
        ref = started()
        job = harness.take(ref)
        if stop == "cancel":
            harness.verifications.cancel(word(), ref, "shop")
        elif stop == "expire":
            harness.age(ref, 300_000)
        elif stop == "opt out":
            entry = OptOut("profile-a", True, 1, "STOP", "inbound")
            harness.optouts.record(ref.number_hash, "+1", entry, word("evt"))
            harness.optouts.record(ref.number_hash, "+1", replace(entry, opted_out=False), word("evt"))
            harness.optouts.record(ref.number_hash, "+1", replace(entry, at_ms=2), word("evt"))
            harness.optouts.record_unclear(ref.number_hash, "+1", "profile-a")
            for standing in list(harness.optouts.standing("profile-a")):
                harness.optouts.lift("profile-a", standing)
        if stop == "impossible":
            harness.deliveries.record_impossible(job, "sender_missing", "gone")
        else:
            harness.begin(job, app)
        harness.verifications.expire(ref)
        yield ref


def loops(harness: StoreHarness, app: Any) -> Iterator[Reference]:
    """The ways in which a delivery's loop is closed: in time, at the end, by the person."""

    def due(ref: Reference, kind: str, ordinal: int = 1) -> Timer:
        shard = harness.keys.shard(ref.number_hash)
        harness.raw.zadd(harness.keys.timers(shard), {f"{kind}:{ref.delivery_id(ordinal)}": 1})
        return Timer(shard, kind, ref, ordinal)

    ref = harness.start(fresh_number(), app).reference  # never sent
    harness.deliveries.return_to_queue(harness.take(ref), "no key", 1_000, may_fail_over=False)
    harness.due_deliveries.requeue(due(ref, "retry"))
    for _ in range(2):  # the next sender has it, and then waits
        harness.deliveries.record_held(harness.take(ref), "sender_down", "connect", 1_000)
    yield ref
    ref = harness.start(fresh_number(), app).reference  # never sent, and a better sender has it
    harness.deliveries.pass_to_next_sender(harness.take(ref), "40333", "spent", ["backup"])
    yield ref
    ref = harness.start(fresh_number(), app).reference  # never sent, and the next sender has it
    harness.due_deliveries.claim_failover(due(ref, "failover"))
    yield ref
    alone = replace(app, route=app.route[:1])
    ref = harness.start(fresh_number(), alone).reference  # nobody is left to send it
    harness.deliveries.record_impossible(harness.take(ref), "sender_missing", "no sender")
    yield ref
    ref = harness.start(fresh_number(), alone).reference
    job = harness.take(ref)
    harness.must_begin(job, alone)
    harness.deliveries.record_refused(job, NEXT)
    yield ref
    ref = harness.start(fresh_number(), app).reference  # a report is the first that names the message
    job = harness.take(ref)
    harness.must_begin(job, app)
    harness.deliveries.record_unknown(job, 1_000, Unknown("timeout"))
    harness.apply(ref, "sent", "m5")
    yield ref
    ref = harness.start(fresh_number(), app).reference  # the sender is held, and the next one has it
    route = [sender.name for sender in app.route]
    assert harness.deliveries.pass_to_next_sender(harness.take(ref), "sender_down", "connect", route[1:])
    yield ref
    ref = harness.start(fresh_number(), app).reference  # lies in the carrier's queue
    harness.send(ref, "m3")
    harness.due_deliveries.claim_failover(due(ref, "failover"))
    harness.apply(ref, "queued", "m3")
    harness.due_deliveries.claim_failover(due(ref, "failover"))
    blocked = DeliveryReport("m3", "+1", "delivery_failed", error=BLOCKED)
    harness.tell(ref, blocked, event=word("evt"))
    yield ref
    ref = harness.start(fresh_number(), app).reference  # the answer is lost
    job = harness.take(ref)
    harness.must_begin(job, app)
    harness.due_deliveries.claim_failover(due(ref, "failover"))
    harness.deliveries.record_unknown(job, 1_000, Unknown("timeout"))
    harness.due_deliveries.claim_failover(due(ref, "failover"))
    harness.due_deliveries.requeue(due(ref, "retry"))
    for job in [job for job in harness.jobs(ref) if job.reference == ref and job.ordinal == 1]:
        harness.begin(job, app)
    harness.due_deliveries.close_delivery(due(ref, "closing"))
    harness.age(ref, 400_000)
    for ordinal in (1, 2):
        harness.due_deliveries.close_delivery(due(ref, "closing", ordinal))
    yield ref
    number = fresh_number()
    ref = harness.start(number, app).reference
    harness.send(ref, "m4")
    harness.apply(ref, "delivered", "m4")
    for _ in range(2):
        denial = Denial(
            frozenset({"shop"}),
            frozenset({"pool"}),
            harness.now(),
            harness.verifications.first_received(ref.number_hash, "e"),
        )
        harness.verifications.deny(ref, denial)
    harness.cool(ref)
    harness.start(number, app)  # the one that reached the person goes first
    yield ref


def checks(harness: StoreHarness, app: Any) -> Iterator[Reference]:
    """Guesses in all outcomes, and a receipt's way."""
    ref = harness.start(fresh_number(), app).reference
    harness.check(ref, WRONG, app)
    harness.check(ref, CODE, app, receipt_id="r", by_purpose="login")
    harness.check(ref, CODE, app)
    for _ in range(2):
        harness.verifications.redeem(word(), ref, "shop", "r", harness.now() + 60_000)
    harness.verifications.redeem(word(), ref, "shop", "x", harness.now() + 60_000)
    yield ref
    ref = harness.start(fresh_number(), app).reference
    for _ in range(6):
        harness.check(ref, WRONG, app)
    harness.check(ref, CODE, BANK)
    yield ref
    ref = harness.start(fresh_number(), app).reference
    harness.age(ref, 300_000)
    harness.check(ref, CODE, app)
    yield ref


def other_places(harness: StoreHarness) -> None:
    """What has no number."""
    harness.raw.xadd(harness.keys.outbox(3), {"delivery": "nonsense"})
    harness.raw.zadd(harness.keys.timers(3), {"r:nonsense": 1})
    harness.outbox.read_new([3], 10, 0.001)
    harness.due_timers.due(10)
    marks = Keyrings(harness.store, harness.keys)
    marks.claim(harness.ring.fingerprint)
    marks.register(harness.ring.kids)
    place = Slot("app", "shop", Limit(2, 60_000))
    for _ in range(3):
        harness.limits.acquire([place])
    harness.limits.release([place])
    harness.sender_rate.acquire_rate_slot("pool", 50.0, 1_000)
    harness.idempotency.look("d1", "f")
    harness.idempotency.reserve("d1", "f", "o")
    harness.idempotency.complete("d1", "o", 200, "{}")
    harness.idempotency.reserve("d2", "f", "o")
    harness.audit.record(EventType.WEBHOOK_REJECTED, {"reason": "x"}, throttle_ms=1_000)
    cursors = Cursors(harness.store, harness.scripts, harness.keys)
    cursors.acquire_lease("me", force=False)
    cursors.advance("me", "profile-a", Cursor(1, 2, 3))
    cursors.release_lease("me", 60_000)
    cursors.acquire_lease("me", force=False)
    cursors.acquire_lease("you", force=True)
    alerts = Alerts(harness.store, harness.scripts, harness.keys)
    alerts.raise_alert("trouble", "a text")
    alerts.raise_alert("trouble", "a text")
    alerts.claim()
    callbacks(harness)
    api_keys = ApiKeys(
        harness.store,
        harness.scripts,
        harness.keys,
        harness.audit,
        token_hex=secrets.token_hex,
        token_urlsafe=secrets.token_urlsafe,
    )
    made = api_keys.create("shop", ["verify"], 60_000)
    assert api_keys.rotate(made.id, 0)
    assert api_keys.revoke(made.id)
    assert api_keys.revoke(api_keys.create("shop", ["verify"], None).id)
    harness.audit.trim(60_000)
    harness.circuits.record_hold(Hold("profile:z", "40333", "spent", None, 1, after=1), word())
    harness.circuits.record_hold(Hold("sender:z", "40013", "rejected", 1, 1), word())
    harness.circuits.record_hold(Hold("sender:z", "40013", "rejected", 1, 1, source=Source.REPORT), word())
    harness.circuits.record_delivered(["sender:z"])
    for _ in range(5):
        harness.circuits.record_fault(Fault("sender:z", "connect"), word())
    harness.circuits.admit(["sender:z"])
    harness.raw.hset(harness.keys.circuit("sender:z"), mapping={"open_until_ms": 1, "next_probe_ms": 1})
    StoreHarness(harness.store, harness.keys, harness.scripts, harness.ring).circuits.admit(["sender:z"])
    harness.circuits.record_success(Success("sender:z"), probe=False)
    harness.circuits.record_fault(Fault("sender:z", "connect"), word())
    harness.circuits.record_fault(Fault("sender:y", "connect"), word())
    harness.circuits.record_success(Success("sender:y", sent=True), probe=False)
    harness.sender_stats.record_result("pool", delivered=True)
    harness.sender_stats.record_health({"pool": (0.5, None)})
    harness.sender_stats.claim_health_poll()
    fix_shards(harness.store, harness.keys)
    dead_shards(harness.store, harness.keys)


def callbacks(harness: StoreHarness) -> None:
    """An app's queue: sent, failed, dead, replayed, crowded out."""
    queue = Callbacks(harness.store, harness.scripts, harness.keys, most_waiting=2, most_dead=1)
    for number in range(5):
        queue.put(Callback(f"evt_00-{number}-0", "shop", "verification.started", "vrf_x", "{}"))
        queue.put(Callback(f"evt_00-{number}-0", "shop", "verification.started", "vrf_x", "{}"))
    for number in range(3):
        taken = queue.claim("shop")
        if taken is not None and number == 0:
            queue.schedule_retry(taken, 1, 0, "status 500")
        elif taken is not None and number == 1:
            queue.record_sent(taken)
        elif taken is not None:
            queue.schedule_retry(taken, 1, 1_000, "status 429")
    queue.replay("shop", None)
    taken = queue.claim("shop")
    assert taken is not None
    queue.dead_letter(taken, 1_000, "status 410")
    queue.claim("shop")


def test_scripts_touch_the_keys_they_declare_and_no_other(store_url: str) -> None:
    """Seen in the server's own log, over everything that the scripts of the package do.

    Each key used is one of the script's KEYS and built by the method of `Keys` that the header names. What is written
    has its `!` in the header, and whatever has a `!` is written: what the dictionary says of writers is true.
    """
    marker = plain(store_url)
    keys = NamedKeys(SHARDS)
    opened = StoreHarness.open(store_url, lambda store: Spy(store, marker))
    harness = StoreHarness(opened.store, keys, opened.scripts, opened.ring)
    harness.outbox.open()
    writing = {name.upper() for name, command in marker.command().items() if "write" in command["flags"]}
    used: dict[str, set[str]] = {name: set() for name in SCRIPTS}
    written: dict[str, set[str]] = {name: set() for name in SCRIPTS}
    with plain(store_url) as client, client.monitor() as monitor:
        for _ in operations(harness):
            pass
        other_places(harness)
        marker.echo("over")
        inside: tuple[Script, tuple[str, ...]] | None = None
        while True:
            seen = monitor.next_command()
            words = _words(seen["command"])
            if words[0].upper() == "ECHO":
                if words[1] == "over":
                    break
                inside = _spy(harness).calls[int(words[1].split()[1])] if words[1] != "end" else None
            elif seen["client_type"] == "lua" and words[0].upper() != "TIME":
                assert inside is not None, words
                script, declared = inside
                assert words[1] in declared, f"{script.name} uses {words[1]}, which is none of its KEYS"
                name = (*script.keys, *script.optional)[declared.index(words[1])]
                used[script.name].add(name)
                if words[0].upper() in writing:
                    written[script.name].add(name)
    harness.close()
    marker.close()
    assert [name for name, keys_used in used.items() if not keys_used] == []
    assert {name: names_ - load(name).written for name, names_ in written.items() if names_ - load(name).written} == {}
    assert {name: load(name).written - names_ for name, names_ in written.items() if load(name).written - names_} == {}
    for script, declared in _spy(harness).calls:
        for name, key in zip((*script.keys, *script.optional), declared, strict=False):
            method = keys.made[key]
            assert method == method_of(name) or script.name in OTHER_NAMES.get(method, ()), (script.name, name, key)


def _spy(harness: StoreHarness) -> Spy:
    assert isinstance(harness.scripts, Spy)
    return harness.scripts


def _words(command: str) -> list[str]:
    # MONITOR's line as redis-py gives it: words joined by blanks; ours have none in command, key or the mark's number.
    return command.split(" ", 2) if not command.upper().startswith("ECHO") else ["ECHO", command[5:]]


def test_a_key_of_a_verification_stays_in_its_numbers_slot(harness: StoreHarness) -> None:
    """Everything of one number carries one hash tag, and one only."""
    for ref in operations(harness):
        tag = f"otp:{{s{harness.keys.shard(ref.number_hash):02x}}}:"
        mine = [key for key in harness.all_keys() if ref.token in key or ref.number_hash in key]
        assert all(key.startswith(tag) for key in mine)


@pytest.mark.cluster
def test_a_cluster_refuses_a_script_that_leaves_its_slot(cluster_server: Any) -> None:
    """The `#!lua` line makes the server itself refuse; without it a stray key would go unseen."""
    stray = "#!lua\nreturn redis.call('SET', 'otp:{s01}:stray', '1')"
    with pytest.raises(ResponseError, match=r"(?i)slot|non.local"):
        cluster_server.eval(stray, 1, "otp:{s00}:x")
    assert all(load(name).text.startswith("#!lua\n") for name in SCRIPTS)
    assert not cluster_server.exists("otp:{s01}:stray")


def test_every_key_ends_by_itself_but_those_that_say_so(harness: StoreHarness) -> None:
    """Whatever happens to a verification, its keys have a TTL: the record's at most its end and 24 hours."""
    for ref in operations(harness):
        assert 0 < harness.raw.pttl(harness.keys.record(ref)) <= 600_000 + TOMBSTONE_MS
    other_places(harness)
    endless = [key for key in harness.all_keys() if harness.raw.pttl(key) == -1]
    assert [key for key in endless if not any(re.match(pattern, key) for pattern in ENDLESS)] == []


def test_nothing_that_has_gone_comes_back_without_an_end(harness: StoreHarness) -> None:
    """Late writes to a verification whose keys are gone (deleted or expired) make no key that would stay for ever."""
    for ref in list(operations(harness)):
        harness.raw.delete(harness.keys.record(ref), harness.keys.secrets(ref))
        shard = harness.keys.shard(ref.number_hash)
        stream = harness.raw.xadd(harness.keys.outbox(shard), {"delivery": ref.delivery_id(1)})
        assert stream
        for job in [job for job in harness.jobs(ref) if job.reference == ref]:
            harness.begin(job)
            harness.deliveries.record_accepted(job, Accepted("late", "queued"))
            harness.deliveries.record_refused(job, NEXT)
            harness.deliveries.record_unknown(job, 1, Unknown("x"))
        harness.apply(ref, "delivered")
        harness.reports.record_click(ref, 1, word("evt"))
        harness.check(ref, CODE)
        harness.verifications.cancel(word(), ref, "shop")
        harness.verifications.expire(ref)
        harness.verifications.redeem(word(), ref, "shop", "r", harness.now() + 9_999)
        for kind in ("retry", "poll", "failover", "closing"):
            harness.raw.zadd(harness.keys.timers(shard), {f"{kind}:{ref.delivery_id(1)}": 1})
        harness.due_deliveries.requeue(Timer(shard, "retry", ref, 1))
        harness.due_deliveries.claim_poll(Timer(shard, "poll", ref, 1))
        harness.due_deliveries.claim_failover(Timer(shard, "failover", ref, 1))
        harness.due_deliveries.close_delivery(Timer(shard, "closing", ref, 1))
        harness.verifications.deny(ref, Denial(frozenset({"shop"}), frozenset({"pool"}), harness.now(), harness.now()))
        for timer in [timer for timer in harness.timers(ref) if ref.token in timer]:
            harness.raw.zadd(harness.keys.timers(shard), {timer: 1})
        for due in harness.due_timers.due(1_000):
            {
                "retry": harness.due_deliveries.requeue,
                "closing": harness.due_deliveries.close_delivery,
                "failover": harness.due_deliveries.claim_failover,
            }[due.kind](due)
        gone = (harness.keys.record(ref), harness.keys.secrets(ref))
        assert [key for key in gone if harness.raw.exists(key)] == []
        assert not [timer for timer in harness.timers(ref) if ref.token in timer]


def test_a_store_that_is_searched_tells_no_secret(harness: StoreHarness) -> None:
    """Fifty flows with known codes, numbers and API keys: no key and no value, raw or as dumped, holds one of them."""
    tokens = itertools.count(1)
    keys = ApiKeys(
        harness.store,
        harness.scripts,
        harness.keys,
        harness.audit,
        token_hex=lambda n: f"{next(tokens):0{2 * n}x}",
        token_urlsafe=lambda n: f"canary{next(tokens)}".ljust(43, "k"),
    )
    canaries = []
    for flow in range(50):
        number, code = f"+1415{7_000_000 + flow * 7919}", f"{900_000 + flow * 1_931}"
        api_key = keys.create("shop", ["verify"], None).key
        canaries += [number, number[1:], number[2:], code, api_key, api_key.split("_")[2]]
        ref = harness.start(number, code=code, context={"amount": f"canary-amount-{flow}"}).reference
        canaries.append(f"canary-amount-{flow}")
        harness.must_begin(harness.take(ref), body=harness.ring.seal(f"to={number} text={code}".encode()))
        if flow % 3:
            harness.check(ref, f"{int(code) + 1}", context={"amount": f"canary-amount-{flow}"})
            canaries.append(f"{int(code) + 1}")
        if flow % 2:
            done = harness.check(ref, code, context={"amount": f"canary-amount-{flow}"})
            assert isinstance(done, Approved)
    raw = harness.open_raw()
    haystack = b"\n".join(part for key in raw.scan_iter(count=1000) for part in (key, raw.dump(key) or b""))
    text = repr(harness.snapshot())
    raw.close()
    assert len(text) > 50_000
    # Six digits may stand in a time or a hash by chance; a whole word of digits may not.
    for canary in canaries:
        pattern = rf"(?<![0-9a-f]){re.escape(canary)}(?![0-9a-f])"
        assert not re.search(pattern, text), canary
        if len(canary) > 6:
            assert canary.encode() not in haystack, canary


def test_an_alert_is_told_once_and_is_not_lost(harness: StoreHarness) -> None:
    """One trouble is one alert in a while; a claimed one comes again unless it is done."""
    alerts = Alerts(harness.store, harness.scripts, harness.keys)
    assert [
        alerts.raise_alert("auth", "text"),
        alerts.raise_alert("auth", "text"),
        alerts.raise_alert("other", "more"),
    ] == [
        True,
        False,
        True,
    ]
    first, second = alerts.claim(), alerts.claim()
    assert isinstance(first, Alert)
    assert isinstance(second, Alert)
    assert {first.text, second.text} == {"text", "more"}
    assert alerts.claim() is None
    alerts.acknowledge(first)
    assert harness.raw.zcard(harness.keys.alerts()) == 1
    (member,) = harness.raw.zrange(harness.keys.alerts(), 0, -1)
    harness.raw.zadd(harness.keys.alerts(), {member: 1})
    assert alerts.claim() == second
    old = "1-x\x1fancient"
    harness.raw.zadd(harness.keys.alerts(), {old: 1})
    assert alerts.claim() is None
    assert harness.raw.zscore(harness.keys.alerts(), old) is None


def test_one_process_reads_the_carriers_list(harness: StoreHarness) -> None:
    """The lease is one's, the cursor moves by its owner only, and after the end the list rests."""
    cursors = Cursors(harness.store, harness.scripts, harness.keys)
    assert cursors.acquire_lease("me", force=False) == 0
    assert cursors.acquire_lease("me", force=False) == 0
    assert cursors.acquire_lease("you", force=True) > 0
    assert cursors.load("profile") == Cursor()
    assert not cursors.advance("you", "profile", Cursor(9, 9, 9))
    assert cursors.advance("me", "profile", Cursor(1, 2, 3))
    assert cursors.load("profile") == Cursor(1, 2, 3)
    cursors.release_lease("you", 60_000)
    assert cursors.acquire_lease("you", force=True) > 0
    cursors.release_lease("me", 60_000)
    assert 0 < cursors.acquire_lease("you", force=False) <= 60_000
    assert cursors.acquire_lease("you", force=True) == 0
