"""Waiting for the sender's rate: a short wait in the thread, a long one in the store."""

from dataclasses import replace

import pytest

from otp_service.domain.delivery import MARGIN_MS, DeliveryStatus
from otp_service.domain.outbox import LONGEST_SLEEP_MS
from tests.fakes import FakeSenderHealth

from .scenario import HELD, JOB, PENDING, Scenario, use_case


def test_a_short_wait_is_slept_a_long_one_is_spent_in_the_store() -> None:
    """A thread sleeps a quarter of a second at most; longer waits leave the process."""
    short = Scenario(wait_ms=LONGEST_SLEEP_MS)
    use_case(short).send(JOB)
    assert short.steps()[:3] == ["acquire_rate_slot", "sleep", "compose"]
    assert short.log[1] == ("sleep", LONGEST_SLEEP_MS / 1_000)
    long = Scenario(wait_ms=LONGEST_SLEEP_MS + 1)
    use_case(long).send(JOB)
    assert long.log[1:] == [("record_rate_wait", LONGEST_SLEEP_MS + 1)]


def test_a_slot_that_came_with_the_record_is_not_asked_for() -> None:
    """The entry names its sender, whose slot is taken with the read; the rest of a millisecond or two is slept."""
    scenario = Scenario()
    use_case(scenario).send(replace(JOB, sender="pool"))
    assert scenario.steps()[:2] == ["sleep", "compose"]
    assert scenario.log[0] == ("sleep", 0.005)


@pytest.mark.parametrize("sender", ["gone", ""])
def test_no_slot_is_taken_of_a_sender_that_is_not_known(sender: str) -> None:
    """What the entry says is only a hint: the record decides."""
    scenario = Scenario()
    use_case(scenario).send(replace(JOB, sender=sender))
    assert scenario.steps()[:2] == ["acquire_rate_slot", "compose"]


def test_no_slot_is_taken_before_a_pause_is_over() -> None:
    """It would be used up by a message that only waits."""
    scenario = Scenario()
    use_case(scenario, sender_health=FakeSenderHealth(paused=HELD)).send(replace(JOB, sender="pool"))
    assert scenario.steps() == ["record_held"]


def test_a_rate_slot_after_the_codes_end_is_not_used() -> None:
    """The patience is the code's life; beyond it the next sender is asked."""
    scenario = Scenario(wait_ms=5_000, pending=replace(PENDING, now_ms=299_000))
    use_case(scenario).send(JOB)
    assert scenario.log == [("acquire_rate_slot", "pool", 20.0, 1_000), ("record_impossible", "sender_busy")]


@pytest.mark.parametrize("left_ms", [-60_000, -1, 0, MARGIN_MS])
@pytest.mark.parametrize("trouble", ["no turn", "a hold", "no sender", "no app", "an unreadable box"])
def test_what_ran_out_while_it_waited_ends_as_expired(trouble: str, left_ms: int) -> None:
    """Whatever stands in the way now: no turn is reserved, no breaker asked; the store ends it with the last reason."""
    pending = replace(PENDING, now_ms=PENDING.expires_ms - left_ms)
    scenario = {
        "no turn": Scenario(wait_ms=5_000, pending=pending),
        "a hold": Scenario(pending=pending),
        "no sender": Scenario(pending=replace(pending, sender="gone")),
        "no app": Scenario(pending=replace(pending, app="gone")),
        "an unreadable box": Scenario(pending=replace(pending, box="x")),
    }[trouble]
    assert scenario.outbox.pending is not None
    use_case(scenario, sender_health=FakeSenderHealth(decision=HELD)).send(JOB)
    assert [entry[:3] for entry in scenario.log] == [("begin_send", scenario.outbox.pending.app, "")]


@pytest.mark.parametrize("has_body", [False, True])
def test_what_a_newer_message_replaces_takes_no_slot(has_body: bool) -> None:
    """The store ends it with the reason: no slot is taken, no breaker asked."""
    scenario = Scenario(pending=replace(PENDING, replaced=True, has_body=has_body), wait_ms=5_000)
    use_case(scenario, sender_health=FakeSenderHealth(decision=HELD)).send(JOB)
    assert [entry[:3] for entry in scenario.log] == [("begin_send", "shop", "")]
    assert scenario.outbox.status is DeliveryStatus.SUPPRESSED


@pytest.mark.parametrize(("next_ms", "step"), [(0, "compose"), (10_000, "record_rate_wait")])
def test_what_comes_back_for_its_slot_takes_it_if_the_pace_lets_it(next_ms: int, step: str) -> None:
    """However long the line has become; it waits again where others go now."""
    scenario = Scenario(pending=replace(PENDING, rate_limited=True), wait_ms=60_000)
    scenario.rate.next_ms["pool"] = next_ms
    use_case(scenario).send(JOB)
    assert scenario.log[0] == ("acquire_rate_slot", "pool", 20.0, 300_000, "again")
    assert scenario.steps()[1] == step
