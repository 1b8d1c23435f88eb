"""Every delivery ends half a minute after its code, with a reason."""

import json
from collections.abc import Callable
from functools import partial

import pytest

from otp_service.domain.delivery import Action, DeliveryReport, NotSent, Refused, Unknown
from otp_service.domain.ids import Reference
from otp_service.domain.optout_list import OptOut
from otp_service.domain.outbox import Timer
from otp_service.domain.policy import App

from .about import about
from .deliveries import come, deliveries, detail, wait_on
from .harness import BACKUP, POOL, SAME_PROFILE, SHOP, StoreHarness, at_once, fresh_number

BLOCKED = Refused("40300", "Blocked due to STOP message", Action.STOP_PERSON, opted_out=True)
ALONE = App("shop", "Acme", (POOL,))
TRIO = App("shop", "Acme", (POOL, SAME_PROFILE, BACKUP))


def _nothing(harness: StoreHarness, ref: Reference) -> None:
    pass


def _retried(harness: StoreHarness, ref: Reference) -> None:
    job = harness.take(ref)
    harness.must_begin(job, ALONE)
    harness.deliveries.record_retry(job, 60_000, NotSent("connection refused"))


def _crashed(harness: StoreHarness, ref: Reference) -> None:
    harness.must_begin(harness.take(ref), ALONE)


def _lost(harness: StoreHarness, ref: Reference) -> None:
    job = harness.take(ref)
    harness.must_begin(job, ALONE)
    harness.deliveries.record_unknown(job, 2_000, Unknown("read timeout"))


def _sent(harness: StoreHarness, ref: Reference) -> None:
    harness.send(ref)


CLOSED = [
    (_nothing, "expired", "code_expired"),
    (_retried, "expired", "code_expired"),
    (_crashed, "unconfirmed", "answer_lost"),
    (_lost, "unconfirmed", "answer_lost"),
    (_sent, "unconfirmed", "no_receipt"),
]


# ---- at the end -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("act", "status", "code"), CLOSED)
def test_every_delivery_ends_and_with_a_reason(
    harness: StoreHarness, act: Callable[[StoreHarness, Reference], None], status: str, code: str
) -> None:
    """Half a minute after the code's end; what may have been sent is never called unsent. A late report still wins."""
    ref = harness.start(fresh_number(), ALONE).reference
    act(harness, ref)
    harness.age(ref, ALONE.code_ttl_ms + 30_001)
    assert harness.verifications.expire(ref)
    assert wait_on(harness, ref, "closing") == about(0)
    due = come(harness, ref, "closing")
    answers = at_once([partial(harness.due_deliveries.close_delivery, due)] * 8)
    assert [answer for answer in answers if answer] == [status]
    record = harness.record(ref)
    assert (record["1:status"], record["1:error_code"]) == (status, code)
    assert record["1:error_title"]
    assert ("connection refused" in record["1:error_title"]) is (act is _retried)
    assert [each["reason"] for each in detail(harness, ref, f"delivery.{status}")] == [code]
    assert not [timer for timer in harness.timers(ref) if ref.token in timer and not timer.startswith("expiry:")]
    assert harness.apply(ref, "delivery_failed") == "moved"
    assert harness.apply(ref, "delivered") == "moved"
    assert harness.record(ref)["deliveries"] == "1"


@pytest.mark.parametrize("word_", ["delivered", "delivery_failed", "delivery_unconfirmed"])
def test_what_has_ended_is_not_closed_again(harness: StoreHarness, word_: str) -> None:
    """A report took the timer with it; should one be left, it changes nothing."""
    ref = harness.start(fresh_number(), ALONE).reference
    harness.send(ref)
    harness.apply(ref, word_)
    assert wait_on(harness, ref, "closing") is None
    harness.age(ref, 400_000)
    shard = harness.keys.shard(ref.number_hash)
    harness.raw.zadd(harness.keys.timers(shard), {f"closing:{ref.delivery_id(1)}": 1})
    before = harness.record(ref)
    assert harness.due_deliveries.close_delivery(Timer(shard, "closing", ref, 1)) is None
    assert harness.record(ref) == before
    assert wait_on(harness, ref, "closing") is None


def test_a_repeat_gives_the_first_delivery_more_time(harness: StoreHarness) -> None:
    """The code lives longer, so the word of the first message may come later too."""
    number = fresh_number()
    ref = harness.start(number).reference
    harness.send(ref)
    harness.age(ref, 200_000)
    harness.cool(ref)
    harness.start(number)
    assert not harness.verifications.expire(ref)
    assert wait_on(harness, ref, "closing") is None
    shard = harness.keys.shard(ref.number_hash)
    harness.raw.zadd(harness.keys.timers(shard), {f"closing:{ref.delivery_id(1)}": 1})
    assert harness.due_deliveries.close_delivery(Timer(shard, "closing", ref, 1)) is None
    assert harness.status(ref) == "sent"
    assert wait_on(harness, ref, "closing") == about(SHOP.code_ttl_ms + 30_000)


# ---- reasons --------------------------------------------------------------------------------------------------------


def test_a_stop_in_a_report_blocks_the_profile(harness: StoreHarness) -> None:
    """40300 after acceptance: every sender of the profile is skipped, another profile's has it, it is on record."""
    ref = harness.start(fresh_number(), TRIO).reference
    harness.send(ref)
    assert harness.apply_report(ref, DeliveryReport("msg-1", "+1", "delivery_failed", error=BLOCKED)) == "moved"
    assert deliveries(harness, ref) == [("pool", "failed"), ("backup", "queued")]
    ((entry),) = harness.optouts.of_number(ref.number_hash)
    assert (entry.messaging_profile_id, entry.opted_out, entry.source) == ("profile-a", True, "carrier")
    (added,) = [event for event in harness.audited(ref) if event["type"] == "optout.added"]
    assert json.loads(added["detail"]) == {"messaging_profile_id": "profile-a", "source": "carrier"}


def test_refusals_in_a_loop_do_not_fill_the_record(harness: StoreHarness) -> None:
    """One of a kind in a second, and the next says how many were left out; other kinds have their own."""
    number = fresh_number()
    for profile in ("profile-a", "profile-b"):
        harness.optouts.record(harness.hash_of(number), "+1", OptOut(profile, True, 1, "STOP", "inbound"), None)
    for _ in range(5):
        assert harness.refused(number).code == "opted_out"
    harness.raw.hset(harness.keys.start_refusals(harness.hash_of(number), "shop"), "opted_out", "1")
    harness.refused(number)
    found = harness.audited_of(harness.hash_of(number))
    details = [json.loads(each["detail"]) for each in found if each["type"] == "verification.refused"]
    told = {"code": "opted_out", "purpose": "login", "channel": "sms"}
    assert details == [{**told, "skipped": 0}, {**told, "skipped": 4}]
