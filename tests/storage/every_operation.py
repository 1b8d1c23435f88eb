"""Every operation of the store in every outcome that writes, for tests that look at all keys."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from otp_service.domain.admission import OuterAnswer
from otp_service.domain.audit import EventType
from otp_service.domain.callback import Callback
from otp_service.domain.circuit import Fault, Hold, Source, Success
from otp_service.domain.delivery import Accepted, Action, DeliveryReport, NotSent, Refused, Unknown
from otp_service.domain.denial import Denial
from otp_service.domain.fleet import API, ProcessRecord
from otp_service.domain.guard.policy import Mode
from otp_service.domain.guarding import GuardPlace
from otp_service.domain.guessing import GuessingRule, NewGuesses
from otp_service.domain.ids import Reference
from otp_service.domain.optout_list import Cursor, OptOut
from otp_service.domain.outbox import Timer
from otp_service.domain.person import Also
from otp_service.domain.policy import Limit, Slot
from otp_service.storage.alerts import Alerts
from otp_service.storage.audit_consumer import AuditConsumer
from otp_service.storage.callbacks import Callbacks
from otp_service.storage.callers import caused_by
from otp_service.storage.cursors import Cursors
from otp_service.storage.dead_letters import DeadLetters
from otp_service.storage.fleet import Fleet
from otp_service.storage.guesses import Guesses
from otp_service.storage.keyrings import Keyrings
from otp_service.storage.people import People
from otp_service.storage.readiness import dead_shards, fix_shards
from otp_service.storage.replica_guard import ReplicaGuard
from otp_service.storage.replicas import Replicas
from otp_service.storage.schema import Keys
from otp_service.storage.schema.fields import DeadLetter, Number, StoreRun
from otp_service.storage.store_runs import END_CODES, KEEP_CODES, StoreRuns
from otp_service.storage.told import Told

from .api_keys import keys_of
from .factors import every_factor
from .guard import every_guard
from .harness import ALL_EXPORTED, BANK, CODE, SHOP, WRONG, StoreHarness, fresh_number, word
from .spending import every_spend

NEXT = Refused("40002", "Spam", Action.NEXT_SENDER)
BLOCKED = Refused("40300", "Blocked", Action.STOP_PERSON, opted_out=True)

WEBHOOK = ("sha256:00", "k1:AA==")
"""The commitment to a webhook of the carrier, and its sealed bytes."""


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
    with caused_by(*WEBHOOK):
        for status in ("sent", "delivery_failed", "delivered"):
            harness.apply(ref, status, "m2", 2)
    harness.apply(ref, "delivered", "foreign", 2)
    with caused_by(*WEBHOOK):
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
    taken = harness.limits.outer.take([Slot("sends", "x", Limit(9, 60_000), of_send=True)])
    guarded = {"guard_place": GuardPlace("US", "a", "b", Mode.ENFORCE), "guard": "pass", "guard_taken": "-:1.0:na"}
    ref = harness.start(fresh_number(), replace(app, route=app.route[:1]), send_slots=taken, **guarded).reference
    job = harness.take(ref)
    harness.must_begin(job, app)
    harness.deliveries.record_refused(job, BLOCKED)
    due = Timer(harness.keys.shard(ref.number_hash), "return", ref, 1)
    assert harness.due_deliveries.claim_guarded(due) is not None
    harness.limits.outer.give_back(harness.due_deliveries.claim_slots(due))
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
            with caused_by(*WEBHOOK):
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
    harness.apply_report(ref, blocked)
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
        with caused_by(*WEBHOOK):
            harness.verifications.deny(ref, denial)
    harness.cool(ref)
    harness.start(number, app)  # the one that reached the person permits first
    yield ref


def checks(harness: StoreHarness, app: Any) -> Iterator[Reference]:
    """Guesses in all outcomes, and a receipt's way."""
    ref = harness.start(fresh_number(), app).reference
    harness.check(ref, WRONG, app)
    harness.check_latest(ref.number_hash, WRONG, app)
    refusing = OuterAnswer(Slot("checks", "x", Limit(1, 60_000), of_caller=True), 500)
    harness.check(ref, WRONG, app, outer_wait_ms=500, outer_limit="checks", outer_refusing=(refusing,))
    harness.check(ref, CODE, app, receipt_id="r")
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
    harness.raw.zadd(harness.keys.timers(3), {"r:later": 10**14})
    follow = {"timers": harness.keys.timers(3), "clock_step": harness.keys.clock_step(3)}
    harness.scripts.call("delivery/follow_clock", follow, seen_ms=10**15, same_step_ms=1_000)
    marks = Keyrings(harness.store, harness.keys)
    marks.claim(harness.ring.fingerprint)
    marks.register(harness.ring.kids)
    fleet = Fleet(harness.store, harness.scripts, harness.keys)
    for process in ("p1", "p2"):
        fleet.write(process, ProcessRecord(role=API, host="a", pid=1, version="1", keyring="k", key_ids=()))
    fleet.forget("p2")
    place = Slot("app", "shop", Limit(2, 60_000))
    for _ in range(3):
        harness.limits.acquire([place])
    harness.limits.release([place])
    harness.sender_rate.acquire_rate_slot("pool", 50.0, 1_000)
    harness.idempotency.look("d1", "f")
    harness.idempotency.reserve("d1", "f", "o")
    harness.idempotency.complete("d1", "o", 200, "{}")
    harness.idempotency.reserve("d2", "f", "o")
    sealed = {"sealed_idempotency": harness.keys.idempotency("d1")}
    harness.raw.hset(sealed["sealed_idempotency"], "body:2", "")
    harness.scripts.call("sealed/replace", sealed, field="body", before="{}", after="[]")
    harness.audit.record(EventType.WEBHOOK_REJECTED, {"reason": "x"}, throttle_ms=1_000)
    cursors = Cursors(harness.store, harness.scripts, harness.keys)
    cursors.acquire_lease("me", force=False)
    cursors.advance("me", "profile-a", Cursor(1, 2, 3))
    cursors.release_lease("me", 60_000)
    cursors.acquire_lease("me", force=False)
    cursors.acquire_lease("you", force=True)
    guesses = Guesses(harness.scripts, harness.keys)
    guesses.count([NewGuesses("shop", GuessingRule(wrong_codes=10), 20, 1)])
    alerts = Alerts(harness.store, harness.scripts, harness.keys)
    alerts.raise_alert("trouble", "a text")
    alerts.raise_alert("trouble", "a text")
    alerts.claim()
    callbacks(harness)
    api_keys = keys_of(harness)
    made = api_keys.create("shop", ["verify"], 60_000)
    assert api_keys.rotate(made.id, 0)
    assert api_keys.revoke(made.id)
    assert api_keys.revoke(api_keys.create("shop", ["verify"], None).id)
    harness.audit.trim(60_000, ALL_EXPORTED)
    dead_letters(harness)
    every_factor(harness)
    every_guard(harness)
    every_spend(harness)
    support(harness)
    runs(harness)
    consumer = AuditConsumer(harness.store, harness.scripts, harness.keys)
    consumer.open("0")
    consumer.open()
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


def runs(harness: StoreHarness) -> None:
    """A process beats; the store restarts, as far as what was noted says; a shard has noted another run."""
    one_server, first_shard = replace(harness.store, is_cluster=False), harness.keys.audit(0)
    made = StoreRuns(one_server, harness.scripts, Keys(1), Told(), KEEP_CODES)
    for noted in (harness.keys.live_processes(), harness.keys.run(0)):
        made.look()
        harness.raw.hset(noted, StoreRun.RUN, "another")
        made.look()
        made.look()
    StoreRuns(one_server, harness.scripts, Keys(1), Told(), END_CODES).look()
    Replicas(one_server, harness.scripts, Keys(1), ReplicaGuard(), 1).look()
    assert harness.raw.exists(first_shard)


def support(harness: StoreHarness) -> None:
    """What stands against a person is shown and taken away."""
    number = harness.hash_of(fresh_number())
    people = People(harness.store, harness.scripts, harness.keys)
    harness.raw.hset(harness.keys.number(number), mapping={Number.WRONG: "1", Number.ENDS: "1"})
    harness.raw.pexpire(harness.keys.number(number), 60_000)
    harness.optouts.record(number, "+1", OptOut("profile-a", True, 1, "STOP", "inbound"), word("evt"))
    people.record_shown(number, "+1", "shop")
    people.lift_lock(number, "+1", None, "a reason", Also(["x"], {"shop": 60_000}))
    assert people.lift_optouts(number, "+1", ["profile-a"], "shop", "a reason") == ["profile-a"]


def dead_letters(harness: StoreHarness) -> None:
    """An outbox entry and a timer that nobody could read are given back."""
    dead = harness.keys.dead(3)
    harness.raw.xadd(dead, {DeadLetter.ENTRY: "1-1", "delivery": "x"})
    harness.raw.xadd(dead, {DeadLetter.TIMER: "x", DeadLetter.DUE: "1"})
    letters = DeadLetters(harness.store, harness.scripts, harness.keys, harness.ring.ids)
    assert letters.replay(letters.list()) >= 2


def callbacks(harness: StoreHarness) -> None:
    """An app's queue: sent, failed, dead, replayed, crowded out."""
    queue = Callbacks(harness.store, harness.scripts, harness.keys, most_waiting=2, most_dead=1)
    queue.announce(["shop"])
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
