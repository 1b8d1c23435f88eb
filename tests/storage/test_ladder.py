"""How often a number may be sent to: the ladder of (app, number, purpose), and the caps over all apps and purposes."""

import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from otp_service.domain.checking import Approved, Limited, Wrong
from otp_service.domain.delivery import Action, NotSent, Refused, Unknown
from otp_service.domain.denial import Denial
from otp_service.domain.ids import Reference
from otp_service.domain.outbox import Timer
from otp_service.domain.policy import TOMBSTONE_MS, App, Limit, NumberLimits
from otp_service.domain.starting import Started, StartRefused

from .harness import (
    BANK,
    CODE,
    EVERYWHERE,
    POOL,
    SHOP,
    UNCAPPED,
    WRONG,
    StoreHarness,
    Twice,
    at_once,
    fresh_number,
    word,
)

HOUR_MS = 3_600_000
TEN_MINUTES_MS = 600_000
DEAD_LINE = Refused("40001", "Landline", Action.STOP_PERSON)
ONE_SENDER = replace(SHOP, route=(POOL,))


def cancel(harness: StoreHarness, ref: Reference) -> None:
    """The caller withdraws it."""
    harness.verifications.cancel(word(), ref, "shop")


def exhaust(harness: StoreHarness, ref: Reference) -> None:
    """Five wrong codes."""
    for _ in range(5):
        harness.check(ref, WRONG)


def expire(harness: StoreHarness, ref: Reference) -> None:
    """Its time runs out: the record says so, the sends stay as young as they are."""
    harness.raw.hset(harness.keys.record(ref), "expires_ms", harness.now() - 1)


def expire_by_timer(harness: StoreHarness, ref: Reference) -> None:
    """The same, and the worker has noticed."""
    expire(harness, ref)
    assert harness.verifications.expire(ref)


def deny(harness: StoreHarness, ref: Reference) -> None:
    """The person says that it was not them."""
    harness.send(ref, word("msg"))
    denial = Denial(frozenset({"shop"}), frozenset({"pool"}), harness.now() + 1, harness.now() + 1)
    assert harness.verifications.deny(ref, denial) == "denied"


ENDS = (cancel, exhaust, expire, expire_by_timer, deny)


@pytest.mark.parametrize("end", ENDS)
def test_no_end_but_an_approval_ends_the_cool_down(
    harness: StoreHarness, end: Callable[[StoreHarness, Reference], None]
) -> None:
    """Start and end in a loop is one send, then refusals with the ladder's wait; the last step repeats."""
    number, refs = fresh_number(), set()
    for wait_ms in (30_000, 60_000, 120_000, 120_000, 120_000):
        ref = harness.start(number, per_number=UNCAPPED).reference
        refs.add(ref)
        end(harness, ref)
        harness.set_wrong_codes(ref.number_hash, "shop", [])
        for _ in range(3):
            refused = harness.refused(number, per_number=UNCAPPED)
            assert (refused.code, refused.sends_left, refused.limit) == ("resend_too_soon", 4, "resend_after")
            assert wait_ms - 5_000 < refused.wait_ms <= wait_ms
        harness.cool(ref)
    assert len(refs) == 5


def test_an_approval_ends_it(harness: StoreHarness) -> None:
    """After a login the next one begins with the first step again; of other purposes it says nothing."""
    number = fresh_number()
    first = harness.start(number).reference
    cancel(harness, first)
    harness.cool(first)
    harness.start(number, purpose="pay")
    second = harness.start(number).reference
    assert isinstance(harness.check(second, CODE), Approved)
    third = harness.start(number)
    assert third.next_send_ms - third.created_ms == 30_000
    assert harness.refused(number, purpose="pay", per_number=UNCAPPED).code == "resend_too_soon"


def test_a_new_verification_tells_the_ladders_wait(harness: StoreHarness) -> None:
    """`next_send` of the reply is what the next start is told, and sends are counted from its own first one."""
    number = fresh_number()
    cancel(harness, harness.start(number).reference)
    harness.cool(harness.verifications.latest(harness.hash_of(number), "shop", "login") or pytest.fail("none"))
    started = harness.start(number)
    assert (started.sends, started.max_sends) == (1, 4)
    assert started.next_send_ms - started.now_ms == 60_000
    refused = harness.refused(number)
    assert refused.sends_left == 3
    assert 55_000 < refused.wait_ms <= 60_000


def test_ladders_of_other_apps_and_purposes_are_their_own(harness: StoreHarness) -> None:
    """The cool-down of a login says nothing of a payment's, nor of another app's."""
    number = fresh_number()
    for app, purpose in ((SHOP, "login"), (SHOP, "pay"), (BANK, "login")):
        started = harness.start(number, app, purpose=purpose)
        assert started.next_send_ms - started.now_ms == 30_000


def test_without_steps_only_the_caps_stand(harness: StoreHarness) -> None:
    """`resend_after = []`: a verification is sent once; the next one need not wait, until the caps refuse."""
    app, number = replace(SHOP, resend_after_ms=()), fresh_number()
    for _ in range(5):
        ref = harness.start(number, app).reference
        pending = harness.refused(number, app)
        assert (pending.code, pending.sends_left) == ("resend_too_soon", 0)
        cancel(harness, ref)
    assert (harness.refused(number, app).code, harness.refused(number, app).sends_left) == ("rate_limited", None)


def test_after_the_last_send_the_wait_is_the_longer_of_end_and_ladder(harness: StoreHarness) -> None:
    """With a code that lives shorter than a step, a caller who waits until its end would be refused again."""
    number = fresh_number()
    brief = replace(SHOP, code_ttl_ms=10_000, resend_after_ms=(60_000,))
    ref = harness.start(number, brief).reference
    harness.raw.hset(harness.keys.record(ref), "sends", 2)
    refused = harness.refused(number, brief)
    assert refused.sends_left == 0
    assert 55_000 < refused.wait_ms <= 60_000
    expire(harness, ref)
    assert 55_000 < harness.refused(number, brief).wait_ms <= 60_000


def opens(sends: Sequence[int], waits: Sequence[int], now: int) -> int:
    """The first moment that the rule of the ladder allows, found by trying every moment at which it could change."""

    def blocked(at: int) -> bool:
        young = [send for send in sends if send + HOUR_MS > at]
        return bool(young and waits) and at < max(young) + waits[min(len(young), len(waits)) - 1]

    moments = {now, *(send + HOUR_MS for send in sends), *(send + wait for send in sends for wait in waits)}
    return min(at for at in moments if at >= now and not blocked(at))


@settings(max_examples=150, derandomize=True)
@given(
    ages=st.lists(st.integers(0, HOUR_MS + 60_000), max_size=90),
    waits=st.lists(st.sampled_from([0, 1_000, 30_000, 60_000, 120_000, 1_800_000, 4_000_000]), max_size=5),
)
def test_the_ladders_wait_is_exact(server_harness: StoreHarness, ages: list[int], waits: list[int]) -> None:
    """For any sends and any steps the wait is what the rule says, to the moments between two looks at the clock."""
    harness, number = server_harness, fresh_number()
    app, before = replace(SHOP, resend_after_ms=tuple(waits)), harness.now()
    sends = sorted(before - age for age in ages)
    both = [f"{send}\x1fshop\x1f{purpose}" for send in reversed(sends) for purpose in ("pay", "login")]
    harness.set_sends(harness.hash_of(number), both)
    answer = harness.verifications.start(harness.order(number, app, per_number=UNCAPPED))
    after = harness.now()
    if isinstance(answer, Started):
        assert opens(sends, waits, after) <= after
        assert answer.next_send_ms == opens([*sends, answer.now_ms], waits, answer.now_ms)
        stays = [send for send in sends if send + HOUR_MS > answer.now_ms]
        assert counted(harness, number) == 2 * len(stays) + 1
    else:
        assert answer.code == "resend_too_soon"
        assert opens(sends, waits, before) - after <= answer.wait_ms <= opens(sends, waits, before) - before


def test_parallel_starts_of_many_apps_and_purposes_reach_the_cap_exactly(harness: StoreHarness, store_url: str) -> None:
    """Sixty starts at once over connections of their own, apps and purposes: five pass, the others are told when."""
    number = fresh_number()
    harnesses = [StoreHarness.open(store_url) for _ in range(6)]
    apps = [replace(SHOP, name=f"app{n}") for n in range(3)]
    orders = [harness.order(number, apps[n % 3], purpose=f"p{n // 3}") for n in range(60)]
    jobs = [partial(harnesses[n % len(harnesses)].verifications.start, order) for n, order in enumerate(orders)]
    answers = at_once(jobs)
    assert sum(isinstance(answer, Started) for answer in answers) == 5
    refused = [answer for answer in answers if isinstance(answer, StartRefused)]
    assert {(answer.code, answer.limit) for answer in refused} == {("rate_limited", "service.sends_per_number")}
    assert all(TEN_MINUTES_MS - 60_000 < answer.wait_ms <= TEN_MINUTES_MS for answer in refused)
    assert len(harness.sends(harness.hash_of(number))) == 5
    for other in harnesses:
        other.close()


def test_parallel_starts_that_pass_the_ladder_are_one(harness: StoreHarness) -> None:
    """Of twenty starts at once after a cancellation one passes, before the cool-down is over none."""
    number = fresh_number()
    ref = harness.start(number).reference
    cancel(harness, ref)
    answers = at_once([partial(harness.verifications.start, harness.order(number)) for _ in range(20)])
    assert {getattr(answer, "code", None) for answer in answers} == {"resend_too_soon"}
    harness.cool(ref)
    answers = at_once([partial(harness.verifications.start, harness.order(number)) for _ in range(20)])
    assert sum(isinstance(answer, Started) for answer in answers) == 1


def test_the_caps_are_sliding_windows(harness: StoreHarness) -> None:
    """Five in ten minutes, ten an hour, twenty a day: each send counts for the window's length from its own moment."""
    number, app = fresh_number(), replace(SHOP, resend_after_ms=())
    now = harness.now()

    def told(*ages_ms: int) -> int:
        harness.set_sends(harness.hash_of(number), [f"{now - age}\x1fbank\x1fx" for age in ages_ms])
        refused = harness.refused(number, app)
        assert (refused.code, refused.limit) == ("rate_limited", "service.sends_per_number")
        return refused.wait_ms

    assert told(1, 2, 3, 4, 590_000) == pytest.approx(10_000, abs=5_000)
    ten = [660_000 + n for n in range(9)]
    assert told(*ten, HOUR_MS - 20_000) == pytest.approx(20_000, abs=5_000)
    twenty = [HOUR_MS + n for n in range(19)]
    assert told(*twenty, 86_400_000 - 60_000) == pytest.approx(60_000, abs=5_000)
    # Of two that refuse the longer wait is told.
    assert told(1, 2, 3, 4, 590_000, *ten) == pytest.approx(HOUR_MS - 660_004, abs=5_000)
    harness.set_sends(harness.hash_of(number), [f"{now - age}\x1fbank\x1fx" for age in (1, 2, 3, 4, 600_001)])
    harness.start(number, app)
    assert harness.refused(number, app, purpose="b").wait_ms == pytest.approx(TEN_MINUTES_MS, abs=5_000)


def test_the_cap_names_the_first_moment_that_passes(harness: StoreHarness) -> None:
    """A caller who obeys the wait is let through."""
    number, limits = fresh_number(), NumberLimits(sends=(Limit(2, 60_000),))
    for purpose in "ab":
        harness.start(number, purpose=purpose, per_number=limits)
    wait_ms = harness.refused(number, purpose="c", per_number=limits).wait_ms
    latest = harness.verifications.latest(harness.hash_of(number), "shop", "b")
    assert latest is not None
    harness.age(latest, wait_ms)
    harness.start(number, purpose="c", per_number=limits)


def test_the_callers_own_refusal_comes_before_the_cap(harness: StoreHarness) -> None:
    """Of several refusals the contract's first answers: `resend_too_soon`, then `rate_limited`."""
    number, one = fresh_number(), NumberLimits(sends=(Limit(1, 60_000),))
    harness.start(number, per_number=one)
    assert harness.refused(number, per_number=one).code == "resend_too_soon"
    assert harness.refused(number, BANK, per_number=one).code == "rate_limited"
    assert harness.refused(number, BANK, per_number=one, queue_max=1).code == "rate_limited"


def counted(harness: StoreHarness, number: str) -> int:
    """How many sends stand against the number."""
    return len(harness.sends(harness.hash_of(number)))


def test_a_send_that_was_never_accepted_counts_nowhere(harness: StoreHarness) -> None:
    """Refused by the whole route: ladder and caps are as before, also if the verification ended meanwhile."""
    number = fresh_number()
    for end in (None, *ENDS[:-1]):
        ref = harness.start(number, ONE_SENDER).reference
        job = harness.take(ref)
        harness.must_begin(job, ONE_SENDER)
        if end is not None:
            end(harness, ref)
            assert harness.refused(number, ONE_SENDER, purpose="login").code == "resend_too_soon"
        harness.deliveries.record_refused(job, DEAD_LINE)
        assert counted(harness, number) == 0
        if end is None:
            cancel(harness, ref)
        harness.set_wrong_codes(ref.number_hash, "shop", [])


def test_a_send_of_an_approved_verification_is_given_back_to_the_caps(harness: StoreHarness) -> None:
    """The ladder was reset, the caps still count: what the carrier then refuses is taken from them."""
    number = fresh_number()
    ref = harness.start(number, ONE_SENDER).reference
    job = harness.take(ref)
    harness.must_begin(job, ONE_SENDER)
    assert isinstance(harness.check(ref, CODE, ONE_SENDER), Approved)
    assert counted(harness, number) == 1
    harness.deliveries.record_refused(job, DEAD_LINE)
    assert counted(harness, number) == 0


def test_an_accepted_send_is_never_given_back(harness: StoreHarness) -> None:
    """A failure that the carrier reports later changes neither ladder nor caps."""
    number = fresh_number()
    ref = harness.start(number, ONE_SENDER).reference
    harness.send(ref)
    harness.apply(ref, "delivery_failed")
    cancel(harness, ref)
    assert counted(harness, number) == 1
    assert harness.refused(number, ONE_SENDER).code == "resend_too_soon"


def test_a_send_whose_answer_is_lost_is_never_given_back(harness: StoreHarness) -> None:
    """The person may have it."""
    number = fresh_number()
    ref = harness.start(number, ONE_SENDER).reference
    job = harness.take(ref)
    harness.must_begin(job, ONE_SENDER)
    harness.deliveries.record_unknown(job, 1_000, Unknown("timeout"))
    harness.age(ref, 400_000)
    shard = harness.keys.shard(ref.number_hash)
    harness.raw.zadd(harness.keys.timers(shard), {f"closing:{ref.delivery_id(1)}": 1})
    assert harness.due_deliveries.close_delivery(Timer(shard, "closing", ref, 1)) == "unconfirmed"
    assert counted(harness, number) == 1


def test_canceling_before_a_worker_sends_gives_nothing_back(harness: StoreHarness) -> None:
    """Or a caller would be let through whenever the worker is slower than the cancellation."""
    number = fresh_number()
    ref = harness.start(number).reference
    cancel(harness, ref)
    assert harness.begin(harness.take(ref)) is None
    assert harness.status(ref) == "suppressed"
    assert counted(harness, number) == 1
    assert harness.refused(number).code == "resend_too_soon"


@pytest.mark.parametrize("how", ["worker", "timer"])
def test_what_no_worker_sent_in_time_is_given_back(harness: StoreHarness, how: str) -> None:
    """A code that ran out unsent costs the person nothing, whether a worker or the closing timer finds it."""
    number = fresh_number()
    ref = harness.start(number).reference
    harness.age(ref, 400_000)
    if how == "worker":
        assert harness.begin(harness.take(ref)) is None
    else:
        shard = harness.keys.shard(ref.number_hash)
        harness.raw.zadd(harness.keys.timers(shard), {f"closing:{ref.delivery_id(1)}": 1})
        assert harness.due_deliveries.close_delivery(Timer(shard, "closing", ref, 1)) == "expired"
        assert harness.due_deliveries.close_delivery(Timer(shard, "closing", ref, 1)) is None
    assert harness.status(ref) == "expired"
    assert counted(harness, number) == 0


def test_failovers_of_one_send_are_one(harness: StoreHarness) -> None:
    """The next sender's delivery counts neither on the ladder nor in the caps; both refused gives one back."""
    number = fresh_number()
    harness.start(number, purpose="other")
    ref = harness.start(number).reference
    job = next(each for each in harness.jobs(ref) if each.reference == ref)
    harness.must_begin(job)
    assert harness.deliveries.record_refused(job, Refused("40002", "Spam", Action.NEXT_SENDER)) == "failed_over"
    assert counted(harness, number) == 2
    second = harness.take(ref)
    harness.must_begin(second)
    harness.deliveries.record_refused(second, Refused("40002", "Spam", Action.NEXT_SENDER))
    assert counted(harness, number) == 1
    assert harness.refused(number, purpose="other").code == "resend_too_soon"
    harness.start(number)


def test_an_older_sends_failure_gives_its_own_step_back(harness: StoreHarness) -> None:
    """The newer send's wait stands, with one send less on the ladder."""
    number = fresh_number()
    ref = harness.start(number, ONE_SENDER).reference
    job = harness.take(ref)
    harness.must_begin(job, ONE_SENDER)
    harness.cool(ref)
    harness.start(number, ONE_SENDER)
    assert harness.refused(number, ONE_SENDER).wait_ms > 50_000
    harness.deliveries.record_refused(job, DEAD_LINE)
    assert counted(harness, number) == 1
    assert 20_000 < harness.refused(number, ONE_SENDER).wait_ms <= 30_000


def test_a_lost_reply_counts_one_send_and_gives_one_back(harness: StoreHarness, store_url: str) -> None:
    """Every script run twice is as if it had run once."""
    twice = StoreHarness.open(store_url, Twice)
    number = fresh_number()
    kept = twice.start(number, purpose="kept").reference
    ref = twice.start(number, ONE_SENDER).reference
    assert counted(harness, number) == 2
    job = next(each for each in twice.jobs(ref) if each.reference == ref)
    twice.deliveries.begin_send(job, "shop", "sealed", SHOP.wrong_codes_per_number, EVERYWHERE.wrong_codes)
    twice.deliveries.record_refused(job, DEAD_LINE)
    assert counted(harness, number) == 1
    twice.check(kept, WRONG)
    assert len(harness.wrong_codes(kept.number_hash)) == 1
    twice.check(kept, CODE)
    assert len(harness.wrong_codes(kept.number_hash)) == 1
    twice.close()


def test_a_request_that_did_not_leave_yet_counts(harness: StoreHarness) -> None:
    """While it is tried again the send stands."""
    number = fresh_number()
    ref = harness.start(number).reference
    job = harness.take(ref)
    harness.must_begin(job)
    harness.deliveries.record_retry(job, 1_000, NotSent("connect"))
    cancel(harness, ref)
    assert harness.refused(number).code == "resend_too_soon"
    job = harness.requeue(ref) if harness.status(ref) == "sending" else job
    assert counted(harness, number) == 1


# ---- wrong codes over all apps --------------------------------------------------------------------------------------


def test_wrong_codes_are_limited_over_all_apps(harness: StoreHarness) -> None:
    """An app's own budget is not reached, the installation's is: start, check and sending are refused in every app."""
    number, limits = fresh_number(), NumberLimits(sends=(), wrong_codes=(Limit(6, 60_000),))
    apps = [replace(SHOP, name=f"app{n}", route=(POOL,)) for n in range(3)]
    refs = [harness.start(number, app, per_number=limits).reference for app in apps]
    for ref, app in zip(refs[:2], apps, strict=False):
        for left in (4, 3, 2):
            assert harness.check(ref, WRONG, app, per_number=limits) == Wrong(left)
    for ref, app in zip(refs, apps, strict=True):
        answer = harness.check(ref, CODE, app, per_number=limits)
        assert isinstance(answer, Limited)
        assert 0 < answer.wait_ms <= 60_000
        refused = harness.refused(number, app, purpose="x", per_number=limits)
        assert (refused.code, refused.limit) == ("too_many_wrong_codes", "service.wrong_codes_per_number")
    job = next(each for each in harness.jobs(refs[2]) if each.reference == refs[2])
    assert (
        harness.deliveries.begin_send(job, apps[2].name, "x", apps[2].wrong_codes_per_number, limits.wrong_codes)
        is None
    )
    assert harness.record(refs[2])["1:error_code"] == "too_many_wrong_codes"
    harness.age_wrong_codes(refs[0].number_hash, 60_001)
    assert isinstance(harness.check(refs[2], CODE, apps[2], per_number=limits), Approved)


def test_the_budget_over_all_apps_is_exact_under_a_race(harness: StoreHarness) -> None:
    """Guesses at once in many apps: as many are judged as the limit says, and the right ones are not counted."""
    number, limits = fresh_number(), NumberLimits(sends=(), wrong_codes=(Limit(7, 60_000),))
    apps = [replace(SHOP, name=f"app{n}") for n in range(4)]
    refs = [harness.start(number, app, per_number=limits).reference for app in apps]
    jobs = [
        partial(harness.check, ref, WRONG, app, per_number=limits)
        for ref, app in zip(refs, apps, strict=True)
        for _ in range(5)
    ]
    at_once(jobs)
    assert sum(int(harness.record(ref)["attempts"]) for ref in refs) == 7
    assert len(harness.wrong_codes(harness.hash_of(number))) == 7


def test_an_approval_in_one_app_leaves_anothers_streak(harness: StoreHarness) -> None:
    """Who may log in at one app vouches for nothing at another; the budget over all apps loses no wrong code by it."""
    number = fresh_number()
    mine, theirs = harness.start(number).reference, harness.start(number, BANK).reference
    for _ in range(3):
        harness.check(theirs, WRONG, BANK)
    assert isinstance(harness.check(mine, CODE), Approved)
    assert harness.in_a_row(mine.number_hash, "bank") == 3
    assert len(harness.wrong_codes(mine.number_hash)) == 3


# ---- on record ------------------------------------------------------------------------------------------------------


def refusals(harness: StoreHarness, number: str) -> list[dict[str, object]]:
    """The details of the refused starts on record."""
    events = harness.audited_of(harness.hash_of(number))
    return [json.loads(event["detail"]) for event in events if event["type"] == "verification.refused"]


@pytest.mark.parametrize(
    ("changes", "limits", "code", "limit"),
    [
        ({}, EVERYWHERE, "resend_too_soon", "resend_after"),
        ({"purpose": "x"}, NumberLimits(sends=(Limit(1, 60_000),)), "rate_limited", "service.sends_per_number"),
        ({"purpose": "x", "outer_wait_ms": 9}, EVERYWHERE, "rate_limited", "starts_per_client_ip or starts_per_app"),
    ],
)
def test_a_refusal_says_which_limit_and_for_how_long(
    harness: StoreHarness, changes: dict[str, Any], limits: NumberLimits, code: str, limit: str
) -> None:
    """The event names the limit and the wait; a hundred refusals in a loop are one event."""
    number = fresh_number()
    cancel(harness, harness.start(number).reference)
    for _ in range(10):
        assert harness.refused(number, per_number=limits, **changes).limit == limit
    detail = refusals(harness, number)[0]
    assert (detail["code"], detail["limit"], detail["skipped"]) == (code, limit, 0)
    assert isinstance(detail["wait_ms"], int)
    assert detail["wait_ms"] > 0


def test_what_is_remembered_of_a_number_ends(harness: StoreHarness) -> None:
    """It lives as long as the longest cap and the tombstones, with an hour's slack, and holds no more than it needs."""
    number, app = fresh_number(), replace(SHOP, resend_after_ms=())
    key = harness.keys.number(harness.hash_of(number))

    def ttl_after(limits: NumberLimits, app: App = app) -> int:
        ref = harness.start(number, app, per_number=limits).reference
        cancel(harness, ref)
        return int(harness.raw.pttl(key))

    tombstone_ms = TOMBSTONE_MS + SHOP.code_ttl_ms
    assert tombstone_ms - 60_000 < ttl_after(NumberLimits(sends=(Limit(3, 60_000),))) <= tombstone_ms + HOUR_MS
    week_ms = 7 * 86_400_000
    assert week_ms - 60_000 < ttl_after(NumberLimits(sends=(Limit(3, week_ms),))) <= week_ms + HOUR_MS
    old = [f"{harness.now() - 2 * HOUR_MS - n}\x1fshop\x1fx" for n in range(30)]
    harness.set_sends(harness.hash_of(number), old)
    ttl_after(NumberLimits(sends=(Limit(3, 60_000),)))
    assert counted(harness, number) == 3
