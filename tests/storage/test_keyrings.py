"""What the store knows of keyrings; what nobody can read; what one worker leaves to another."""

import contextlib
import logging
import os
import secrets
import threading
from typing import Any

import pytest

from otp_service import telemetry
from otp_service.domain.delivery import NotSent
from otp_service.domain.errors import KeyUnknown, NotReady, StoreUnavailable
from otp_service.domain.ids import Reference
from otp_service.domain.outbox import Job, Timer
from otp_service.domain.policy import App
from otp_service.keyring import Keyring, create, parse
from otp_service.storage.keyrings import Keyrings
from otp_service.storage.outbox import Outbox
from otp_service.storage.schema import of_numbers
from otp_service.storage.timers import Timers

from .harness import POOL, SAME_PROFILE, StoreHarness, at_once, fresh_number

ALONE = App("shop", "Acme", (POOL,))


def other_ring() -> Keyring:
    """A keyring that has nothing to do with the tests'."""
    return parse(create(secrets.token_bytes, "2026-01-01T00:00:00Z"))


def test_the_first_index_key_is_remembered_and_another_refused(harness: StoreHarness) -> None:
    """Whoever comes first, of many at once: exactly one keyring is the store's, and its owner may come again."""
    marks = Keyrings(harness.store, harness.keys)
    prints = [other_ring().fingerprint for _ in range(8)]

    def claim(own: str) -> bool:
        try:
            marks.claim(own)
        except NotReady:
            return False
        return True

    won = at_once([lambda own=own: claim(own) for own in prints])  # type: ignore[misc]
    assert sum(won) == 1
    owner = prints[won.index(True)]
    marks.claim(owner)
    assert marks.require(owner)
    with pytest.raises(NotReady, match="another keyring"):
        marks.require(prints[won.index(False)])


def test_several_index_keys_may_live(harness: StoreHarness) -> None:
    """Where the store names two, both are its own; a third is not."""
    marks = Keyrings(harness.store, harness.keys)
    harness.raw.set(harness.keys.index_keys(), "aaaa bbbb")
    for own in ("aaaa", "bbbb"):
        marks.claim(own)
        marks.require(own)
    for foreign in ("aaaa bbbb", "cccc", "aaa", ""):
        with pytest.raises(NotReady):
            marks.claim(foreign)
    assert harness.raw.get(harness.keys.index_keys()) == "aaaa bbbb"


def test_an_emptied_store_is_marked_anew(harness: StoreHarness) -> None:
    """After FLUSHALL the readiness check of a running process writes the mark, and asking alone writes nothing."""
    marks = Keyrings(harness.store, harness.keys)
    own = harness.ring.fingerprint
    assert not marks.require(own)
    assert not harness.raw.exists(harness.keys.index_keys())
    marks.claim(own)
    harness.raw.flushall()
    marks.claim(own)
    assert marks.require(own)


def test_a_store_with_data_and_without_a_mark_is_taken_by_nobody_who_starts(harness: StoreHarness) -> None:
    """Keys of the API are no such data; one start is, and one opt-out. A running process marks it again."""
    marks, own = Keyrings(harness.store, harness.keys), harness.ring.fingerprint
    harness.raw.set(harness.keys.api_key("k1"), "x")
    harness.raw.set("another program:{s00}:number:1", "x")
    assert not marks.judge(own)
    number_hash = harness.start(fresh_number()).reference.number_hash
    for _ in range(2):
        for fingerprint in (own, other_ring().fingerprint):
            for ask in (marks.begin, marks.judge):
                with pytest.raises(NotReady, match="keyring accept"):
                    ask(fingerprint)
        harness.raw.flushall()
        harness.raw.hset(harness.keys.optouts(number_hash), "profile", "1|1|STOP|reply")
    assert not harness.raw.exists(harness.keys.index_keys())
    marks.claim(own)
    marks.begin(own)


def test_every_key_of_a_number_tells_that_there_is_data(harness: StoreHarness) -> None:
    """Those that must not be missed; none of a shard or of the whole store that is made before the first start."""
    keys, ref = harness.keys, harness.ring.ids.new("0" * 20, bytes(10))
    told = (keys.record(ref), keys.number(ref.number_hash), keys.optouts(ref.number_hash), keys.sticky(ref.number_hash))
    assert all(map(of_numbers, (*told, keys.opted_out(3))))
    assert not any(map(of_numbers, (keys.outbox(3), keys.audit(3), keys.timers(3), keys.shard_count(), keys.probe(3))))


def test_ids_of_keys_are_remembered(harness: StoreHarness) -> None:
    """Known is what any process had; nothing else is."""
    marks = Keyrings(harness.store, harness.keys)
    marks.register({"k1", "k2"})
    marks.register({"k3"})
    assert [marks.known(kid) for kid in ("k1", "k2", "k3", "k4", "")] == [True, True, True, False, False]


# ---- what nobody can read -------------------------------------------------------------------------------------------


def shard_of(harness: StoreHarness, ref: Reference) -> int:
    """Where it lives."""
    return harness.keys.shard(ref.number_hash)


def dead(harness: StoreHarness, shard: int) -> list[dict[str, str]]:
    """What was set aside."""
    return [dict(fields) for _, fields in harness.raw.xrange(harness.keys.dead(shard))]


def dead_letters(kind: str) -> float:
    """The counter of what was set aside."""
    return float(telemetry.OUTBOX_DEAD.labels(kind)._value.get())


def errors_of(caplog: pytest.LogCaptureFixture) -> list[logging.LogRecord]:
    """What this thread has logged as errors: those of tests that ended may have something to say."""
    return [one for one in caplog.records if one.levelno == logging.ERROR and one.thread == threading.get_ident()]


def test_hundreds_of_unreadable_timers_stop_no_retry(harness: StoreHarness, caplog: pytest.LogCaptureFixture) -> None:
    """They move aside, with a line each and a count, kept as they were; the timers behind them come."""
    ref = harness.start(fresh_number()).reference
    shard, before = shard_of(harness, ref), dead_letters("timer")
    elsewhere = harness.start_command(fresh_number()).reference
    while shard_of(harness, elsewhere) == shard:
        elsewhere = harness.start_command(fresh_number()).reference
    garbage = {f"retry:nonsense-{n}": n for n in range(250)} | {
        f"retry:{elsewhere.delivery_id(1)}": 1,  # of another shard
        f"z:{ref.delivery_id(1)}": 2,  # of a kind that is none
        f"expiry:{elsewhere.token}": 3,
        "": 4,
    }
    harness.raw.zadd(harness.keys.timers(shard), garbage)
    harness.raw.zadd(harness.keys.timers(shard), {f"retry:{ref.delivery_id(1)}": 1_000})
    seen: list[Timer] = []
    with caplog.at_level(logging.ERROR):
        for _ in range(4):
            seen += [due for due in harness.due_timers.due(100) if due.kind == "retry"]
    assert Timer(shard, "retry", ref, 1) in seen
    assert not set(garbage) & set(harness.timers(ref))
    assert {entry["timer"]: float(entry["due_ms"]) for entry in dead(harness, shard)} == garbage
    assert len(errors_of(caplog)) == len(garbage)
    assert dead_letters("timer") - before == len(garbage)
    assert "nonsense" not in caplog.text


def test_an_unreadable_entry_is_logged_counted_and_kept(
    harness: StoreHarness, caplog: pytest.LogCaptureFixture
) -> None:
    """Once, whoever finds it first, and with everything that stood in it but in the log."""
    ref = harness.start(fresh_number()).reference
    shard, before = shard_of(harness, ref), dead_letters("entry")
    harness.raw.xadd(harness.keys.outbox(shard), {"delivery": "nonsense", "more": "canary"})
    with caplog.at_level(logging.ERROR):
        assert [job.reference for job in harness.jobs(ref)] == [ref]
    (kept,) = dead(harness, shard)
    assert (kept["delivery"], kept["more"]) == ("nonsense", "canary")
    assert dead_letters("entry") - before == 1
    (error,) = errors_of(caplog)
    assert "canary" not in repr(error.__dict__)
    keys = {"outbox": harness.keys.outbox(shard), "dead": harness.keys.dead(shard)}
    again = harness.scripts.call("delivery/set_aside_entry", keys, group="workers", entry=kept["entry"], most_kept=10)
    assert again == 0
    assert len(dead(harness, shard)) == 1


def test_bytes_that_are_no_text_and_too_many_fields_are_set_aside_too(harness: StoreHarness) -> None:
    """They end no worker and stay in nobody's way; what comes with them is worked on."""
    ref = harness.start(fresh_number()).reference
    shard = shard_of(harness, ref)
    raw: Any = harness.store.client
    raw.xadd(harness.keys.outbox(shard), {b"delivery": b"\xff\xfe", b"\x80": b"\xc0"})
    raw.xadd(harness.keys.outbox(shard), {f"f{number}": "1" for number in range(6000)})
    raw.zadd(harness.keys.timers(shard), {b"expiry:\xff\xfe": 1})
    assert [job.reference for job in harness.jobs(ref)] == [ref]
    assert all(due.reference != ref for due in harness.due_timers.due(100))
    assert raw.zscore(harness.keys.timers(shard), b"expiry:\xff\xfe") is None
    assert raw.xlen(harness.keys.outbox(shard)) == 1
    text, many, timer = (fields for _, fields in raw.xrange(harness.keys.dead(shard)))
    assert os.fsencode(text["delivery"]) == b"\xff\xfe"
    assert many["packed"]
    assert os.fsencode(timer["timer"]) == b"expiry:\xff\xfe"


def test_a_foreign_keyring_sets_nothing_aside(harness: StoreHarness) -> None:
    """To it nothing is readable: it takes nothing out of the way, and the right worker finds everything."""
    Keyrings(harness.store, harness.keys).claim(harness.ring.fingerprint)
    refs = [harness.start(fresh_number()).reference for _ in range(30)]
    foreign = Outbox(harness.store, harness.scripts, harness.keys, other_ring().ids, consumer="foreign")
    for shard in range(harness.keys.shards):
        with contextlib.suppress(StoreUnavailable):
            foreign.read_new([shard], 100, 0.001)
        with contextlib.suppress(StoreUnavailable):
            foreign.claim_stale([shard], 100)
    for ref in refs:
        harness.raw.zadd(harness.keys.timers(shard_of(harness, ref)), {f"retry:{ref.delivery_id(1)}": 1})
    with pytest.raises(StoreUnavailable):
        Timers(harness.store, harness.scripts, harness.keys, other_ring().ids).due(100)
    assert not any(harness.raw.exists(harness.keys.dead(shard)) for shard in range(harness.keys.shards))
    assert {due.reference for due in harness.due_timers.due(100)} >= set(refs)


# ---- what one worker leaves to another ------------------------------------------------------------------------------


def hand_back(harness: StoreHarness, job: Job, why: str = "no key", *, may_fail_over: bool = False) -> None:
    """This worker cannot do it."""
    assert harness.deliveries.return_to_queue(job, why, 1_000, may_fail_over=may_fail_over) == "waiting"


def come(harness: StoreHarness, ref: Reference, kind: str, ordinal: int = 1) -> Timer:
    """Let a timer that is set come now."""
    timer = f"{kind}:{ref.delivery_id(ordinal)}"
    assert timer in harness.timers(ref)
    harness.raw.zadd(harness.keys.timers(shard_of(harness, ref)), {timer: 1})
    return Timer(shard_of(harness, ref), kind, ref, ordinal)


def error_of(harness: StoreHarness, ref: Reference, ordinal: int = 1) -> tuple[str, str | None, str | None]:
    """Status and error of a delivery."""
    record = harness.record(ref)
    return record[f"{ordinal}:status"], record.get(f"{ordinal}:error_code"), record.get(f"{ordinal}:error_title")


def test_what_was_handed_back_comes_to_another_worker(harness: StoreHarness) -> None:
    """Any number of times, reported once, not before its wait is over; the try of the one who can is the first."""
    ref = harness.start(fresh_number()).reference
    job = harness.take(ref)
    for _ in range(5):
        hand_back(harness, job)
        assert harness.waiting(ref) == 0
        assert not harness.due_deliveries.requeue(Timer(shard_of(harness, ref), "retry", ref, 1)), "it came at once"
        job = harness.requeue(ref)
    hand_back(harness, job)
    harness.due_deliveries.requeue(come(harness, ref, "retry"))
    other = harness.other_worker()
    permit = harness.must_begin(harness.take(ref, other))
    assert permit.attempt == 1
    assert harness.events(ref).count("delivery.put_off") == 1


def test_it_does_not_go_to_a_sender_that_could_do_no_better(harness: StoreHarness) -> None:
    """Where the key is missing, the time to be sent in is no reason to change the sender."""
    ref = harness.start(fresh_number()).reference
    hand_back(harness, harness.take(ref))
    assert harness.due_deliveries.claim_failover(come(harness, ref, "failover")) is None
    assert error_of(harness, ref)[0] == "queued"
    assert harness.record(ref)["deliveries"] == "1"
    # Once somebody could send it, the sender is judged as ever.
    job = harness.requeue(ref)
    harness.must_begin(job)
    harness.deliveries.record_retry(job, 1_000, NotSent("connect"))
    harness.due_deliveries.claim_failover(come(harness, ref, "failover"))
    assert harness.record(ref)["deliveries"] == "2"


def test_an_unknown_sender_is_passed_over_in_time(harness: StoreHarness) -> None:
    """Waited for as long as any message may take, then the next one of the route has it."""
    ref = harness.start(fresh_number(), App("shop", "Acme", (POOL, SAME_PROFILE))).reference
    hand_back(harness, harness.take(ref), "no running worker has the sender pool", may_fail_over=True)
    assert harness.record(ref)["deliveries"] == "1"
    harness.due_deliveries.claim_failover(come(harness, ref, "failover"))
    status, code, title = error_of(harness, ref)
    assert (status, code) == ("failed", "not_sent_in_time")
    assert title is not None
    assert "the sender pool" in title
    assert harness.take(ref).ordinal == 2


def test_what_could_not_be_sent_has_expired_with_its_reason(harness: StoreHarness) -> None:
    """At the code's end, whichever timer comes first: `expired`, with what stood in the way."""
    for first in ("expiry", "entry", "closing"):
        ref = harness.start(fresh_number(), ALONE).reference
        hand_back(harness, harness.take(ref), "no running worker has the key")
        harness.age(ref, 300_000 if first != "closing" else 400_000)
        if first == "closing":
            harness.raw.zadd(harness.keys.timers(shard_of(harness, ref)), {f"closing:{ref.delivery_id(1)}": 1})
            harness.due_deliveries.close_delivery(come(harness, ref, "closing"))
        else:
            if first == "expiry":
                harness.verifications.expire(ref)
            assert harness.begin(harness.requeue(ref), ALONE, body="") is None
        status, code, title = error_of(harness, ref)
        assert (status, code) == ("expired", "code_expired"), first
        assert title is not None
        assert "no running worker has the key" in title


def test_a_wait_never_goes_beyond_the_codes_end(harness: StoreHarness) -> None:
    """The entry comes once more when the code is over, so that somebody writes down how it ended."""
    ref = harness.start(fresh_number(), ALONE).reference
    job = harness.take(ref)
    harness.deliveries.return_to_queue(job, "no key", 10**9, may_fail_over=False)
    assert harness.timers(ref)[f"retry:{ref.delivery_id(1)}"] == float(harness.record(ref)["expires_ms"])


def test_the_pending_delivery_names_the_key(harness: StoreHarness) -> None:
    """Of the box, of the request once there is one; of nothing where there is neither."""
    ref = harness.start(fresh_number()).reference
    job = harness.take(ref)
    assert harness.pending_delivery(job).sealed_by == harness.ring.active_kid
    harness.must_begin(job, body="k2:AAAA")
    assert harness.pending_delivery(job).sealed_by == "k2"
    harness.raw.hset(harness.keys.secrets(ref), mapping={"body:1": "nonsense"})
    assert harness.pending_delivery(job).sealed_by == ""
    harness.raw.delete(harness.keys.secrets(ref))
    assert harness.pending_delivery(job).sealed_by == ""


def test_a_code_of_a_key_that_the_order_lacks_costs_nothing(harness: StoreHarness) -> None:
    """Any number of guesses: none is counted, against the number or the verification."""
    ref = harness.start(fresh_number()).reference
    before: dict[str, Any] = harness.snapshot()
    for _ in range(20):
        with pytest.raises(KeyUnknown) as unknown:
            harness.check(ref, "000000", digests={"k-newer": "0" * 64})
        assert unknown.value.kid == harness.ring.active_kid
    assert harness.snapshot() == before
