"""Endings: cancel, expire, redeem, and what is left of a verification afterwards."""

from collections.abc import Callable
from functools import partial

import pytest

from otp_service.domain.checking import Approved
from otp_service.domain.ending import Canceled, Ended, NotFound, Redeemed
from otp_service.domain.ids import Reference
from otp_service.domain.policy import MAX_LIFETIME_MS, TOMBSTONE_MS
from otp_service.domain.verification import Status
from otp_service.storage.record_views import CLOCK_PLAY_MS
from otp_service.storage.schema.fields import Record
from otp_service.storage.script_files import load
from tests.conftest import wait_until

from .harness import CODE, SHOP, WRONG, StoreHarness, at_once, fresh_number, word


def approve(harness: StoreHarness, ref: Reference) -> None:
    """End by the right code."""
    harness.check(ref, CODE)


def exhaust(harness: StoreHarness, ref: Reference) -> None:
    """End by wrong codes."""
    for _ in range(5):
        harness.check(ref, WRONG)


def cancel(harness: StoreHarness, ref: Reference) -> None:
    """End by the caller."""
    harness.verifications.cancel(word(), ref, "shop")


def expire(harness: StoreHarness, ref: Reference) -> None:
    """End by the worker's timer."""
    harness.age(ref, 300_000)
    assert harness.verifications.expire(ref)


ENDINGS = {"approved": approve, "exhausted": exhaust, "canceled": cancel, "expired": expire}


@pytest.mark.parametrize("status", list(ENDINGS))
def test_a_tombstone_holds_the_reason_and_no_secret(harness: StoreHarness, status: str) -> None:
    """After each end: no digest, no sealed number or code, the mask and hash only, kept for 24 hours."""
    number = fresh_number()
    ref = harness.start(number).reference
    job = harness.take(ref)
    harness.must_begin(job, body="sealed-body")
    ENDINGS[status](harness, ref)
    record = harness.record(ref)
    assert record["status"] == status
    assert not harness.raw.exists(harness.keys.secrets(ref))
    text = repr(harness.snapshot())
    assert CODE not in text
    assert number not in text
    assert number[1:] not in text
    assert "sealed-body" not in text
    assert TOMBSTONE_MS - 5_000 < harness.raw.pttl(harness.keys.record(ref)) <= TOMBSTONE_MS + SHOP.code_ttl_ms
    shift(harness, ref, expires_ms=-600_000)
    assert not harness.verifications.expire(ref)
    assert f"expiry:{ref.token}" not in harness.timers(ref)
    assert harness.record(ref)["status"] == status


def test_at_the_codes_end_open_deliveries_get_their_closing(harness: StoreHarness) -> None:
    """Whatever became of the verification; one that ended well needs none."""
    open_, ended = harness.start(fresh_number()).reference, harness.start(fresh_number()).reference
    harness.send(ended, "msg-ended")
    harness.apply(ended, "delivered", "msg-ended")
    for ref in (open_, ended):
        harness.check(ref, CODE)
        assert f"closing:{ref.delivery_id(1)}" not in harness.timers(ref)
        shift(harness, ref, expires_ms=-600_000)
        assert not harness.verifications.expire(ref)
    closing = harness.timers(open_)[f"closing:{open_.delivery_id(1)}"]
    assert closing == int(harness.record(open_)["expires_ms"]) + 30_000
    assert f"closing:{ended.delivery_id(1)}" not in harness.timers(ended)


@pytest.mark.parametrize("first", list(ENDINGS))
def test_an_end_is_final(harness: StoreHarness, first: str) -> None:
    """No other ending and no guess changes an ended verification; each later answer names how it ended."""
    ref = harness.start(fresh_number()).reference
    ENDINGS[first](harness, ref)
    before = harness.record(ref)
    events = harness.events(ref)
    end = Ended(Status(first))
    assert harness.check(ref, CODE) == end
    assert harness.check(ref, WRONG) == end
    assert harness.verifications.cancel(word(), ref, "shop") == end
    assert not harness.verifications.expire(ref)
    assert harness.record(ref) == before
    assert harness.events(ref) == events


def test_a_receipt_is_spent_once_of_fifty_at_once(harness: StoreHarness) -> None:
    """One redeem is the first; all others learn when it was spent."""
    ref = harness.start(fresh_number()).reference
    harness.check(ref, CODE, receipt_id="r-1")
    ends = harness.now() + 60_000
    jobs = [partial(harness.verifications.redeem, word(), ref, "shop", "r-1", ends) for _ in range(50)]
    answers = [answer for answer in at_once(jobs) if isinstance(answer, Redeemed)]
    assert len(answers) == 50
    assert sum(answer.first for answer in answers) == 1
    assert len({answer.at_ms for answer in answers}) == 1
    assert harness.events(ref).count("receipt.redeemed") == 1


def test_who_redeemed_is_told_so_again_in_any_run_of_the_store(harness: StoreHarness) -> None:
    """A failover may come between the step and its answer. Anybody else is told that the receipt is over."""
    ref, operation = harness.start(fresh_number()).reference, word("redeem-")
    harness.check(ref, CODE, receipt_id="r")

    def redeem(operation: str) -> object:
        return harness.verifications.redeem(operation, ref, "shop", "r", harness.now() + 60_000)

    first = redeem(operation)
    assert isinstance(first, Redeemed)
    harness.set_record(ref, {Record.RUN: "another"})
    assert redeem(operation) == first
    assert redeem(word("redeem-")) == NotFound()


def test_only_this_approvals_receipt_in_its_time_counts(harness: StoreHarness) -> None:
    """Another receipt id, an unapproved verification, a receipt whose time is over: all invalid and unspent."""
    number = fresh_number()
    ref = harness.start(number, purpose="pay").reference
    ends = harness.now() + 60_000
    redeem = partial(harness.verifications.redeem, word(), ref, "shop")
    assert redeem("r-1", ends) == NotFound()
    assert redeem("", ends) == NotFound()
    harness.check(ref, CODE, receipt_id="r-1")
    assert redeem("r-2", ends) == NotFound()
    assert redeem("r-1", harness.now() - 1) == NotFound()
    assert harness.verifications.redeem(word(), ref, "bank", "r-1", ends) == NotFound()
    assert redeem("r-1", ends) == Redeemed(
        int(harness.record(ref)["redeemed_ms"]), True, mask=f"+1******{number[-4:]}", purpose="pay"
    )


def test_a_race_of_endings_has_one_winner(harness: StoreHarness) -> None:
    """Right code, cancel and expiry at once: one final status, one event of an end."""
    for _ in range(10):
        ref = harness.start(fresh_number()).reference
        jobs: list[Callable[[], object]] = [
            *[partial(harness.check, ref, CODE) for _ in range(5)],
            *[partial(harness.verifications.cancel, word(), ref, "shop") for _ in range(5)],
            *[partial(harness.verifications.expire, ref) for _ in range(5)],
        ]
        answers = at_once(jobs)
        approved = sum(isinstance(answer, Approved) for answer in answers)
        canceled = sum(isinstance(answer, Canceled) for answer in answers)
        assert (approved, canceled) in ((1, 0), (0, 1))
        ends = {"verification.approved", "verification.canceled", "verification.expired"}
        assert sum(event in ends for event in harness.events(ref)) == 1


def test_an_early_timer_changes_nothing(harness: StoreHarness) -> None:
    """A timer that fires although a repeat has given more time is set again to the record's own expiry."""
    number = fresh_number()
    ref = harness.start(number).reference
    shard = harness.keys.shard(ref.number_hash)
    harness.raw.zadd(harness.keys.timers(shard), {f"expiry:{ref.token}": 1})
    due = [due for due in harness.due_timers.due(100) if due.reference == ref]
    assert [one.kind for one in due] == ["expiry"]
    assert not harness.verifications.expire(ref)
    assert harness.record(ref)["status"] == "pending"
    assert harness.timers(ref)[f"expiry:{ref.token}"] == int(harness.record(ref)["expires_ms"])


def test_ten_workers_expire_once(harness: StoreHarness) -> None:
    """The end by time is one event, whoever is first."""
    ref = harness.start(fresh_number()).reference
    harness.age(ref, 300_000)
    assert sum(at_once([partial(harness.verifications.expire, ref)] * 10)) == 1
    assert harness.events(ref).count("verification.expired") == 1


def test_a_view_of_a_late_one_is_expired_before_anybody_ended_it(harness: StoreHarness) -> None:
    """Reading never shows a code as usable that no check would accept."""
    ref = harness.start(fresh_number()).reference
    harness.age(ref, 300_000)
    view = harness.verifications.view(ref, "shop")
    assert view is not None
    assert view.status is Status.EXPIRED
    assert harness.record(ref)["status"] == "pending"
    assert harness.verifications.cancel(word(), ref, "shop") == Ended(Status.EXPIRED)
    assert harness.record(ref)["status"] == "expired"


def test_versions_of_many_at_once(harness: StoreHarness) -> None:
    """One question for verifications on different shards; each event makes its own grow; what is gone has none."""
    refs = [harness.start(fresh_number()).reference for _ in range(5)]
    harness.raw.delete(harness.keys.record(refs[4]))
    before = harness.verifications.versions(refs)
    assert before[4] is None
    harness.verifications.cancel(word(), refs[1], "shop")
    after = harness.verifications.versions(refs)
    views = [harness.verifications.view(ref, None) for ref in refs]
    assert after == [view and view.version for view in views]
    grown = [now - then for then, now in zip(before, after, strict=True) if then is not None and now is not None]
    assert [bool(more) for more in grown] == [False, True, False, False]
    assert harness.verifications.versions([]) == []


def test_secrets_vanish_by_themselves_at_expiry(harness: StoreHarness) -> None:
    """Without any process running the store itself forgets digest, number and code when the time is over."""
    app = SHOP.__class__(name="brief", brand="B", route=SHOP.route, code_ttl_ms=1_000)
    ref = harness.start(fresh_number(), app).reference
    secrets = harness.keys.secrets(ref)
    assert harness.raw.pttl(secrets) in {-2, *range(1_001)}, "it ends, or has ended"
    wait_until(lambda: not harness.raw.exists(secrets))
    assert harness.check(ref, CODE, app) == Ended(Status.EXPIRED)


def test_the_stores_clock_alone_decides_expiry(harness: StoreHarness) -> None:
    """Checked to the second without any help of timers: good before, late after."""
    for life_ms in (1_000, 10_000):  # on a busy machine the shorter one may be over at once
        app = SHOP.__class__(name="brief", brand="B", route=SHOP.route, code_ttl_ms=life_ms)
        early, late = harness.start(fresh_number(), app).reference, harness.start(fresh_number(), app).reference
        answer = harness.check(early, CODE, app)
        if harness.now() < int(harness.record(early)["expires_ms"]):
            assert isinstance(answer, Approved)
            break
    wait_until(lambda: harness.now() >= int(harness.record(late)["expires_ms"]))
    assert harness.check(late, CODE, app) == Ended(Status.EXPIRED)


def shift(harness: StoreHarness, ref: Reference, **by_ms: int) -> None:
    """Move single times of the record."""
    record = harness.record(ref)
    harness.set_record(ref, {name: int(record[name]) + ms for name, ms in by_ms.items()})


@pytest.mark.parametrize(
    "times",
    [
        {"expires_ms": 86_400_000, "created_ms": -MAX_LIFETIME_MS},
        {"expires_ms": 86_400_000, "created_ms": -86_000_000},
        {"expires_ms": 60_000, "created_ms": 60_000},
        {"expires_ms": 600_000, "created_ms": 600_000},
        {"created_ms": 86_400_000},
        {"expires_ms": -300_000},
    ],
)
def test_no_time_alone_prolongs_a_code(harness: StoreHarness, times: dict[str, int]) -> None:
    """Neither a later `expires` nor a clock that was set back: no check approves, nothing is sent, and it is shown."""
    number = fresh_number()
    checked, sent, timed, canceled, again = (
        harness.start(to).reference for to in (fresh_number(), fresh_number(), fresh_number(), fresh_number(), number)
    )
    for ref in (checked, sent, timed, canceled, again):
        shift(harness, ref, **times)
        view = harness.verifications.view(ref, "shop")
        assert view is not None
        assert view.status is Status.EXPIRED
    assert harness.check(checked, CODE) == Ended(Status.EXPIRED)
    assert harness.begin(harness.take(sent)) is None
    assert harness.status(sent) == "expired"
    assert harness.verifications.expire(timed)
    assert harness.record(timed)["status"] == "expired"
    assert harness.verifications.cancel(word(), canceled, "shop") == Ended(Status.EXPIRED)
    harness.refused(number)  # the cool-down is the number's
    assert harness.record(again)["status"] == "expired"


@pytest.mark.parametrize(
    "times", [{"created_ms": 3_000, "expires_ms": 3_000}, {"expires_ms": 299_000, "created_ms": -1_000}]
)
def test_a_small_clock_difference_ends_no_code(harness: StoreHarness, times: dict[str, int]) -> None:
    """A store whose clock is slewed, or another server a few seconds behind, changes nothing."""
    ref = harness.start(fresh_number()).reference
    shift(harness, ref, **times)
    harness.must_begin(harness.take(ref))
    assert isinstance(harness.check(ref, CODE), Approved)


def test_the_scripts_know_the_greatest_life() -> None:
    """One figure in two languages."""
    text = load("verification/check").text
    assert f"GREATEST_LIFE_MS = {MAX_LIFETIME_MS}\n" in text
    assert f"CLOCK_PLAY_MS = {CLOCK_PLAY_MS}\n" in text


def test_what_is_gone_is_not_found(harness: StoreHarness) -> None:
    """When the tombstone too is gone, an id is as unknown as one that never was."""
    ref = harness.start(fresh_number()).reference
    cancel(harness, ref)
    harness.raw.delete(harness.keys.record(ref))
    assert harness.check(ref, CODE) == NotFound()
    assert harness.verifications.cancel(word(), ref, "shop") == NotFound()
    assert harness.verifications.view(ref, "shop") is None
    assert harness.verifications.timeline(ref) == []
