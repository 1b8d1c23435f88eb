"""What an open breaker means for a message: wait, or leave it to a better sender."""

from dataclasses import replace

import pytest

from otp_service.domain.circuit import BreakerDecision
from otp_service.domain.outbox import Timer
from tests.fakes import FakeSenderHealth

from .scenario import HELD, JOB, PENDING, POOL, REF, Scenario, use_case

PAUSED = BreakerDecision(False, 700, "sender_down", "connect")
PROBE = BreakerDecision(True, probe=True)


@pytest.mark.parametrize("has_body", [False, True])
@pytest.mark.parametrize(("rest", "written"), [(("other",), ()), ((), ("stays",)), (("third",), ("stays",))])
def test_a_pause_is_waited_for(has_body: bool, rest: tuple[str, ...], written: tuple[str, ...]) -> None:
    """Nothing is sent; another sender may have it, unless those that are left are held."""
    scenario = Scenario(pending=replace(PENDING, has_body=has_body, next_senders=rest))
    sender_health = FakeSenderHealth(decision=PAUSED, better=("other",))
    use_case(scenario, sender_health=sender_health).send(JOB)
    assert scenario.log[1:] == [("record_held", "sender_down", 700, *written)]
    assert (scenario.carrier.sent, sender_health.learned) == ([], [])


def test_what_only_waits_takes_no_slot_of_the_rate() -> None:
    """A pause that is known is kept before; what waits for it is told to go on once, when it is over."""
    sender_health = FakeSenderHealth(paused=PAUSED)
    scenario = Scenario()
    deliver = use_case(scenario, sender_health=sender_health)
    deliver.send(JOB)
    assert scenario.log == [("record_held", "sender_down", 700, "stays")]
    assert deliver.held.released() == []
    sender_health.paused = None
    assert deliver.held.released() == [(Timer(JOB.shard, "retry", REF, 1), 0)]
    assert deliver.held.released() == []


def test_a_held_sender_is_passed_over_for_a_better_one() -> None:
    """Nothing is sent by it."""
    scenario = Scenario(pending=replace(PENDING, next_senders=("third", "other")))
    sender_health = FakeSenderHealth(decision=HELD, held_too=PROBE, better=("other",))
    use_case(scenario, sender_health=sender_health).send(JOB)
    assert scenario.log[1:] == [("pass_to_next_sender", "40333", ("other",))]
    assert (scenario.carrier.sent, sender_health.learned) == ([], [])


@pytest.mark.parametrize("rest", [(), ("third",), ("other",)])
def test_a_held_sender_without_a_better_one_is_tried(rest: tuple[str, ...]) -> None:
    """None is left, or all are held for longer, or the store says that none can have it: then this one sends it.

    What its answer teaches is a probe's.
    """
    scenario = Scenario(pending=replace(PENDING, next_senders=rest), opted_out={"other"})
    sender_health = FakeSenderHealth(decision=HELD, held_too=PROBE, better=("other",))
    use_case(scenario, sender_health=sender_health).send(JOB)
    asked = ["pass_to_next_sender"] if rest == ("other",) else []
    assert scenario.steps() == [
        "acquire_rate_slot",
        *asked,
        "compose",
        "begin_send",
        "send",
        "count",
        "record_accepted",
    ]
    assert sender_health.learned == [(POOL, scenario.carrier.outcome, PROBE)]


def test_a_held_sender_that_is_paused_too_is_waited_for() -> None:
    """The hold does not stop it, the pause does."""
    scenario = Scenario()
    use_case(scenario, sender_health=FakeSenderHealth(decision=HELD, held_too=PAUSED)).send(JOB)
    assert scenario.log[1:] == [("record_held", "sender_down", 700, "stays")]
