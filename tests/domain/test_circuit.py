"""What an answer of the carrier says of senders, and in which order they are then asked."""

from collections.abc import Collection

import pytest

from otp_service.domain import circuit, routing
from otp_service.domain.circuit import ACCOUNT, DAY_MS, HOUR_MS, MINUTE_MS, Circuit, Fault, Finding, Fine, Hold
from otp_service.domain.delivery import (
    IN_PROGRESS,
    LIMITED,
    TOO_LATE,
    Accepted,
    Action,
    NotSent,
    Refused,
    SendOutcome,
    Unknown,
)
from otp_service.domain.policy import Sender, SenderKind, Strategy
from otp_service.domain.routing import Health

POOL = Sender("pool", SenderKind.NUMBER_POOL, "a", None, 1.0)
BACKUP = Sender("backup", SenderKind.LONG_CODE, "b", "+18445550001", 1.0)
THIRD = Sender("third", SenderKind.LONG_CODE, "b", "+18445550002", 1.0)
OWN, PROFILE = "sender:pool", "profile:a"
TITLE = "A title"


def refused(code: str, action: Action, *, spent: bool = False) -> Refused:
    """A refusal."""
    return Refused(code, TITLE, action, spent=spent)


@pytest.mark.parametrize(
    ("outcome", "found"),
    [
        (Accepted("m"), [Fine(ACCOUNT), Fine(PROFILE), Fine(OWN)]),
        (refused("40002", Action.NEXT_SENDER), [Fine(ACCOUNT), Fine(OWN)]),
        (refused("40001", Action.STOP_PERSON), [Fine(ACCOUNT), Fine(OWN)]),
        (refused("40333", Action.STOP_SENDER, spent=True), [Hold(PROFILE, "40333", TITLE, None, HOUR_MS)]),
        (refused("20100", Action.STOP_ALL), [Hold(ACCOUNT, "20100", TITLE, DAY_MS, 30_000)]),
        (refused("40020", Action.STOP_SENDER), [Hold(OWN, "40020", TITLE, DAY_MS, DAY_MS)]),
        (refused("40010", Action.STOP_SENDER), [Hold(OWN, "40010", TITLE, 10 * MINUTE_MS, MINUTE_MS)]),
        (NotSent("connect"), [Fault(OWN, "connect")]),
        (NotSent(LIMITED, 1.0), []),
        (NotSent(TOO_LATE), []),
        (Unknown("read timeout"), [Fault(OWN, "read timeout")]),
        (Unknown(IN_PROGRESS), []),
    ],
)
def test_each_answer_says_what_it_says_of_each_breaker(outcome: SendOutcome, found: list[Finding]) -> None:
    """Trouble is of the narrowest scope that it can be of; patience asked for, and a request never made, are none."""
    assert list(circuit.findings(outcome, POOL)) == found


@pytest.mark.parametrize(
    ("now_ms", "state"), [(0, "open"), (99, "open"), (100, "half_open"), (200, "half_open"), (999, "half_open")]
)
def test_a_breaker_is_half_open_when_a_probe_may_go(now_ms: int, state: str) -> None:
    """Also after its time: then it waits for the probe that closes it."""
    assert Circuit(OWN, until_ms=200, probe_ms=100, now_ms=now_ms).state == state
    assert Circuit(OWN, now_ms=now_ms).state == "closed"


BAD = Health(delivered=50, failed=50)


@pytest.mark.parametrize(
    ("strategy", "health", "broken", "names"),
    [
        (Strategy.IN_ORDER, {"pool": BAD}, (), "pool backup third"),
        (Strategy.IN_ORDER, {}, ("pool",), "backup third pool"),
        (Strategy.HEALTHIEST, {}, (), "pool backup third"),
        (Strategy.HEALTHIEST, {"pool": Health(), "backup": Health(), "third": Health()}, (), "pool backup third"),
        (Strategy.HEALTHIEST, {"pool": BAD, "backup": Health(), "third": Health()}, (), "backup third pool"),
        (Strategy.HEALTHIEST, {"pool": BAD, "backup": Health(), "third": Health()}, ("backup",), "third pool backup"),
        (Strategy.HEALTHIEST, {n: Health() for n in ("pool", "backup", "third")}, ("pool", "backup", "third"), ""),
    ],
)
def test_the_route_is_tried_in_this_order(
    strategy: Strategy, health: dict[str, Health], broken: Collection[str], names: str
) -> None:
    """As the operator has it, or the healthier first; broken ones last, and nobody left out."""
    found = [sender.name for sender in routing.ordered((POOL, BACKUP, THIRD), strategy, health, broken)]
    assert found == (names or "pool backup third").split()


@pytest.mark.parametrize(
    ("health", "grade"),
    [
        (Health(), 20),
        (Health(0, 1), 18),
        (Health(1_000, 1), 20),
        (Health(0, 1_000), 0),
        (Health(success_ratio=0.5), 10),
        (Health(spam_ratio=0.25), 15),
        (Health(success_ratio=0.0), 0),
    ],
)
def test_a_grade_says_how_a_sender_fares(health: Health, grade: int) -> None:
    """Of nobody's deliveries nothing bad is known; one failure is not yet a bad sender."""
    assert health.grade == grade
