"""What the store knows of keyrings; what nobody can read; what one worker leaves to another."""

import contextlib
import logging
import os
import secrets
from typing import Any

import pytest

from otp_service import telemetry
from otp_service.domain.delivery import NotSent
from otp_service.domain.errors import KeyUnknown, NotReady, StoreUnavailable
from otp_service.domain.operation import Due, Job
from otp_service.domain.policy import App
from otp_service.domain.verification import Reference
from otp_service.keyring import Keyring, create, parse
from otp_service.storage.keyrings import Keyrings
from otp_service.storage.outbox import Outbox

from .house import POOL, TWIN, House, at_once, fresh_number

ALONE = App("shop", "Acme", (POOL,))


def other_ring() -> Keyring:
    """A keyring that has nothing to do with the tests'."""
    return parse(create(secrets.token_bytes, "2026-01-01T00:00:00Z"))


def test_the_first_index_key_is_remembered_and_another_refused(house: House) -> None:
    """Whoever comes first, of many at once: exactly one keyring is the store's, and its owner may come again."""
    marks = Keyrings(house.store, house.keys)
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


def test_several_index_keys_may_live(house: House) -> None:
    """Where the store names two, both are its own; a third is not."""
    marks = Keyrings(house.store, house.keys)
    house.raw.set(house.keys.index_keys(), "aaaa bbbb")
    for own in ("aaaa", "bbbb"):
        marks.claim(own)
        marks.require(own)
    for foreign in ("aaaa bbbb", "cccc", "aaa", ""):
        with pytest.raises(NotReady):
            marks.claim(foreign)
    assert house.raw.get(house.keys.index_keys()) == "aaaa bbbb"


def test_an_emptied_store_is_marked_anew(house: House) -> None:
    """After FLUSHALL the readiness check of a running process writes the mark, and asking alone writes nothing."""
    marks = Keyrings(house.store, house.keys)
    own = house.ring.fingerprint
    assert not marks.require(own)
    assert not house.raw.exists(house.keys.index_keys())
    marks.claim(own)
    house.raw.flushall()
    marks.claim(own)
    assert marks.require(own)


def test_ids_of_keys_are_remembered(house: House) -> None:
    """Known is what any process had; nothing else is."""
    marks = Keyrings(house.store, house.keys)
    marks.register({"k1", "k2"})
    marks.register({"k3"})
    assert [marks.known(kid) for kid in ("k1", "k2", "k3", "k4", "")] == [True, True, True, False, False]


# ---- what nobody can read -------------------------------------------------------------------------------------------


def shard_of(house: House, ref: Reference) -> int:
    """Where it lives."""
    return house.keys.shard(ref.number_hash)


def dead(house: House, shard: int) -> list[dict[str, str]]:
    """What was set aside."""
    return [dict(fields) for _, fields in house.raw.xrange(house.keys.dead(shard))]


def buried(kind: str) -> float:
    """The counter of what was set aside."""
    return float(telemetry.OUTBOX_DEAD.labels(kind)._value.get())


def test_hundreds_of_timers_that_nobody_can_read_stop_no_retry(house: House, caplog: pytest.LogCaptureFixture) -> None:
    """They move aside, with a line each and a count, kept as they were; the timers behind them come."""
    ref = house.start(fresh_number()).reference
    shard, before = shard_of(house, ref), buried("timer")
    elsewhere = house.order(fresh_number()).reference
    while shard_of(house, elsewhere) == shard:
        elsewhere = house.order(fresh_number()).reference
    garbage = {f"r:nonsense-{n}": n for n in range(250)} | {
        f"r:{elsewhere.delivery_id(1)}": 1,  # of another shard
        f"z:{ref.delivery_id(1)}": 2,  # of a kind that is none
        f"x:{elsewhere.body}": 3,
        "": 4,
    }
    house.raw.zadd(house.keys.timers(shard), garbage)
    house.raw.zadd(house.keys.timers(shard), {f"r:{ref.delivery_id(1)}": 1_000})
    seen: list[Due] = []
    with caplog.at_level(logging.ERROR):
        for _ in range(4):
            seen += [due for due in house.outbox.due(100) if due.kind == "r"]
    assert Due(shard, "r", ref, 1) in seen
    assert not set(garbage) & set(house.timers(ref))
    assert {entry["timer"]: float(entry["due"]) for entry in dead(house, shard)} == garbage
    assert len(caplog.records) == len(garbage)
    assert buried("timer") - before == len(garbage)
    assert "nonsense" not in caplog.text


def test_an_entry_that_nobody_can_read_is_told_counted_and_kept(house: House, caplog: pytest.LogCaptureFixture) -> None:
    """Once, whoever finds it first, and with everything that stood in it but in the log."""
    ref = house.start(fresh_number()).reference
    shard, before = shard_of(house, ref), buried("entry")
    house.raw.xadd(house.keys.outbox(shard), {"dlv": "nonsense", "more": "canary"})
    with caplog.at_level(logging.ERROR):
        assert [job.reference for job in house.jobs(ref)] == [ref]
    (kept,) = dead(house, shard)
    assert (kept["dlv"], kept["more"]) == ("nonsense", "canary")
    assert buried("entry") - before == 1
    assert len(caplog.records) == 1
    assert "canary" not in repr(caplog.records[0].__dict__)
    keys = [house.keys.outbox(shard), house.keys.timers(shard), house.keys.dead(shard)]
    assert house.scripts.run("bury", keys, ["workers", "entry", kept["entry"], 10]) == 0
    assert len(dead(house, shard)) == 1


def test_bytes_that_are_no_text_and_too_many_fields_are_set_aside_too(house: House) -> None:
    """They end no worker and stay in nobody's way; what comes with them is worked on."""
    ref = house.start(fresh_number()).reference
    shard = shard_of(house, ref)
    raw: Any = house.store.client
    raw.xadd(house.keys.outbox(shard), {b"dlv": b"\xff\xfe", b"\x80": b"\xc0"})
    raw.xadd(house.keys.outbox(shard), {f"f{number}": "1" for number in range(6000)})
    raw.zadd(house.keys.timers(shard), {b"x:\xff\xfe": 1})
    assert [job.reference for job in house.jobs(ref)] == [ref]
    assert all(due.reference != ref for due in house.outbox.due(100))
    assert raw.zscore(house.keys.timers(shard), b"x:\xff\xfe") is None
    assert raw.xlen(house.keys.outbox(shard)) == 1
    text, many, timer = (fields for _, fields in raw.xrange(house.keys.dead(shard)))
    assert os.fsencode(text["dlv"]) == b"\xff\xfe"
    assert many["packed"]
    assert os.fsencode(timer["timer"]) == b"x:\xff\xfe"


def test_a_foreign_keyring_sets_nothing_aside(house: House) -> None:
    """To it nothing is readable: it takes nothing out of the way, and the right worker finds everything."""
    Keyrings(house.store, house.keys).claim(house.ring.fingerprint)
    refs = [house.start(fresh_number()).reference for _ in range(30)]
    foreign = Outbox(house.store, house.scripts, house.keys, other_ring().index_key, consumer="foreign")
    for shard in range(house.keys.shards):
        with contextlib.suppress(StoreUnavailable):
            foreign.take([shard], 100, 0.001)
        with contextlib.suppress(StoreUnavailable):
            foreign.take_over(shard, 100)
    for ref in refs:
        house.raw.zadd(house.keys.timers(shard_of(house, ref)), {f"r:{ref.delivery_id(1)}": 1})
    with pytest.raises(StoreUnavailable):
        foreign.due(100)
    assert not any(house.raw.exists(house.keys.dead(shard)) for shard in range(house.keys.shards))
    assert {due.reference for due in house.outbox.due(100)} >= set(refs)


# ---- what one worker leaves to another ------------------------------------------------------------------------------


def hand_back(house: House, job: Job, why: str = "no key", *, may_fall: bool = False) -> None:
    """This worker cannot do it."""
    assert house.outbox.hand_back(job, "key_unknown", why, 1_000, may_fall=may_fall) == "waiting"


def come(house: House, ref: Reference, kind: str, ordinal: int = 1) -> Due:
    """Let a timer that is set come now."""
    timer = f"{kind}:{ref.delivery_id(ordinal)}"
    assert timer in house.timers(ref)
    house.raw.zadd(house.keys.timers(shard_of(house, ref)), {timer: 1})
    return Due(shard_of(house, ref), kind, ref, ordinal)


def error_of(house: House, ref: Reference, ordinal: int = 1) -> tuple[str, str | None, str | None]:
    """Status and error of a delivery."""
    record = house.record(ref)
    return record[f"{ordinal}:st"], record.get(f"{ordinal}:ec"), record.get(f"{ordinal}:et")


def test_what_was_handed_back_comes_to_another_worker(house: House) -> None:
    """Any number of times, told once, not before its wait is over; the try of the one who can is the first."""
    ref = house.start(fresh_number()).reference
    job = house.take(ref)
    for _ in range(5):
        hand_back(house, job)
        assert house.waiting(ref) == 0
        assert not house.outbox.requeue(Due(shard_of(house, ref), "r", ref, 1)), "it came at once"
        job = house.requeue(ref)
    hand_back(house, job)
    house.outbox.requeue(come(house, ref, "r"))
    other = house.other_worker()
    go = house.must_begin(house.take(ref, other))
    assert go.attempt == 1
    assert house.events(ref).count("delivery.put_off") == 1


def test_it_does_not_go_to_a_sender_that_could_do_no_better(house: House) -> None:
    """Where the key is missing, the time to be sent in is no reason to change the sender."""
    ref = house.start(fresh_number()).reference
    hand_back(house, house.take(ref))
    assert house.outbox.fall_over(come(house, ref, "f")) is None
    assert error_of(house, ref)[0] == "queued"
    assert house.record(ref)["dn"] == "1"
    # Once somebody could send it, the sender is judged as ever.
    job = house.requeue(ref)
    house.must_begin(job)
    house.outbox.retry_later(job, 1_000, NotSent("connect"))
    house.outbox.fall_over(come(house, ref, "f"))
    assert house.record(ref)["dn"] == "2"


def test_a_sender_that_nobody_knows_gives_way_in_time(house: House) -> None:
    """Waited for as long as any message may take, then the next one of the route has it."""
    ref = house.start(fresh_number(), App("shop", "Acme", (POOL, TWIN))).reference
    hand_back(house, house.take(ref), "no worker at hand has the sender pool", may_fall=True)
    assert house.record(ref)["dn"] == "1"
    house.outbox.fall_over(come(house, ref, "f"))
    status, code, title = error_of(house, ref)
    assert (status, code) == ("failed", "not_sent_in_time")
    assert title is not None
    assert "the sender pool" in title
    assert house.take(ref).ordinal == 2


def test_what_nobody_could_send_has_expired_and_says_why(house: House) -> None:
    """At the code's end, whichever timer comes first: `expired`, with what stood in the way."""
    for first in ("expiry", "entry", "closing"):
        ref = house.start(fresh_number(), ALONE).reference
        hand_back(house, house.take(ref), "no worker at hand has the key")
        house.age(ref, 300_000 if first != "closing" else 400_000)
        if first == "closing":
            house.outbox.close(come(house, ref, "c"))
        else:
            if first == "expiry":
                house.verifications.expire(ref)
            assert house.begin(house.requeue(ref), ALONE, body="") is None
        status, code, title = error_of(house, ref)
        assert (status, code) == ("expired", "code_expired"), first
        assert title is not None
        assert "no worker at hand has the key" in title


def test_a_wait_never_goes_beyond_the_codes_end(house: House) -> None:
    """The entry comes once more when the code is over, so that somebody writes down how it ended."""
    ref = house.start(fresh_number(), ALONE).reference
    job = house.take(ref)
    house.outbox.hand_back(job, "key_unknown", "no key", 10**9, may_fall=False)
    assert house.timers(ref)[f"r:{ref.delivery_id(1)}"] == float(house.record(ref)["expires"])


def test_the_draft_names_the_key(house: House) -> None:
    """Of the box, of the request once there is one; of nothing where there is neither."""
    ref = house.start(fresh_number()).reference
    job = house.take(ref)
    assert house.draft(job).sealed_by == house.ring.active_kid
    house.must_begin(job, body="k2:AAAA")
    assert house.draft(job).sealed_by == "k2"
    house.raw.hset(house.keys.secrets(ref), mapping={"b1": "nonsense"})
    assert house.draft(job).sealed_by == ""
    house.raw.delete(house.keys.secrets(ref))
    assert house.draft(job).sealed_by == ""


def test_a_code_of_a_key_that_the_order_lacks_costs_nothing(house: House) -> None:
    """Any number of guesses: none is counted, against the number or the verification."""
    ref = house.start(fresh_number()).reference
    before: dict[str, Any] = house.snapshot()
    for _ in range(20):
        with pytest.raises(KeyUnknown) as unknown:
            house.check(ref, "000000", digests={"k-newer": "0" * 64})
        assert unknown.value.kid == house.ring.active_kid
    assert house.snapshot() == before
