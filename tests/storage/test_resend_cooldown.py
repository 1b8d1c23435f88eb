"""Cool-downs between sends of one (app, number, purpose): their steps, and what ends them."""

from collections.abc import Callable, Sequence
from dataclasses import replace

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from otp_service.domain.checking import Approved
from otp_service.domain.ids import Reference
from otp_service.domain.starting import Started, StartRefused

from .harness import BANK, CODE, SHOP, UNCAPPED, StoreHarness, fresh_number
from .sends import ENDS, cancel, expire

HOUR_MS = 3_600_000


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


def test_a_new_verification_reports_the_cool_downs_wait(harness: StoreHarness) -> None:
    """`next_send` of the reply is the wait that the next start gets, and sends are counted from its own first one."""
    number = fresh_number()
    cancel(harness, harness.start(number).reference)
    harness.cool(harness.latest(harness.hash_of(number), "shop", "login") or pytest.fail("none"))
    started = harness.start(number)
    assert (started.sends, started.max_sends) == (1, 4)
    assert started.next_send_ms - started.now_ms == 60_000
    refused = harness.refused(number)
    assert refused.sends_left == 3
    assert 55_000 < refused.wait_ms <= 60_000


def test_cool_downs_of_other_apps_and_purposes_are_their_own(harness: StoreHarness) -> None:
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


def test_after_the_last_send_the_wait_is_the_longer_of_end_and_cool_down(harness: StoreHarness) -> None:
    """With a code that lives shorter than a step, a caller who waits until its end would be refused again."""
    number = fresh_number()
    brief = replace(SHOP, code_ttl_ms=10_000, resend_after_ms=(60_000,))
    ref = harness.start(number, brief).reference
    harness.set_record(ref, {"sends": 2})
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
@example(ages=[0, 0], waits=[4_000_000, 0, 4_000_000])  # sends of the same moment leave the ladder together
def test_the_cool_downs_wait_is_exact(server_harness: StoreHarness, ages: list[int], waits: list[int]) -> None:
    """For any sends and any steps the wait is what the rule says, to the moments between two looks at the clock."""
    harness, number = server_harness, fresh_number()
    app, before = replace(SHOP, resend_after_ms=tuple(waits)), harness.now()
    sends = sorted(before - age for age in ages)
    both = [f"{send}\x1fshop\x1f{purpose}" for send in reversed(sends) for purpose in ("pay", "login")]
    harness.set_sends(harness.hash_of(number), both)
    answer = harness.verifications.start(harness.start_command(number, app, per_number=UNCAPPED))
    after = harness.now()
    if isinstance(answer, Started):
        assert opens(sends, waits, after) <= after
        assert answer.next_send_ms == opens([*sends, answer.now_ms], waits, answer.now_ms)
        stays = [send for send in sends if send + HOUR_MS > answer.now_ms]
        assert len(harness.sends(harness.hash_of(number))) == 2 * len(stays) + 1
    else:
        assert isinstance(answer, StartRefused)
        assert answer.code == "resend_too_soon"
        assert opens(sends, waits, before) - after <= answer.wait_ms <= opens(sends, waits, before) - before
