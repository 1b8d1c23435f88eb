"""What an answer of the carrier says of senders, and in which order they are then asked."""

from collections.abc import Collection

import pytest

from otp_service.domain import circuit, findings, routing
from otp_service.domain.circuit import (
    ACCOUNT,
    DAY_MS,
    HOLDS_AFTER,
    HOUR_MS,
    MINUTE_MS,
    Circuit,
    Fault,
    Finding,
    Hold,
    Source,
    Success,
)
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
from otp_service.domain.findings import AT_ONCE
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
        (Accepted("m"), [Success(ACCOUNT, sent=True), Success(PROFILE, sent=True), Success(OWN, sent=True)]),
        (refused("40002", Action.NEXT_SENDER), [Success(ACCOUNT), Success(OWN)]),
        (refused("40001", Action.STOP_PERSON), [Success(ACCOUNT), Success(OWN)]),
        (refused("40302", Action.BAD_REQUEST), [Success(ACCOUNT), Success(OWN)]),
        (refused("40333", Action.STOP_PROFILE, spent=True), [Hold(PROFILE, "40333", TITLE, None, HOUR_MS, 1)]),
        (refused("20100", Action.STOP_ALL), [Hold(ACCOUNT, "20100", TITLE, DAY_MS, 30_000, 1)]),
        (refused("20014", Action.STOP_ALL), [Hold(ACCOUNT, "20014", TITLE, DAY_MS, 30_000, HOLDS_AFTER)]),
        (refused("40020", Action.STOP_SENDER), [Hold(OWN, "40020", TITLE, DAY_MS, DAY_MS, 1)]),
        (refused("40010", Action.STOP_SENDER), [Hold(OWN, "40010", TITLE, 10 * MINUTE_MS, MINUTE_MS, HOLDS_AFTER)]),
        (
            refused("40312", Action.STOP_PROFILE),
            [Hold(PROFILE, "40312", TITLE, 10 * MINUTE_MS, MINUTE_MS, HOLDS_AFTER)],
        ),
        (
            Refused("http_403", TITLE, Action.BAD_REQUEST, foreign=True),
            [Hold(ACCOUNT, "http_403", TITLE, 10 * MINUTE_MS, 30_000, HOLDS_AFTER)],
        ),
        (NotSent("connect"), [Fault(OWN, "connect")]),
        (NotSent(LIMITED, 1.0), []),
        (NotSent(TOO_LATE), []),
        (Unknown("read timeout"), [Fault(OWN, "read timeout")]),
        (Unknown(IN_PROGRESS), []),
    ],
)
def test_each_answer_says_what_it_says_of_each_breaker(outcome: SendOutcome, found: list[Finding]) -> None:
    """Trouble is of the narrowest scope that it can be of; patience asked for, and a request never made, are none."""
    assert list(findings.findings(outcome, POOL)) == found


@pytest.mark.parametrize(
    ("code", "action", "after"),
    [
        ("40013", Action.STOP_SENDER, HOLDS_AFTER),
        ("40333", Action.STOP_PROFILE, HOLDS_AFTER),
        ("40020", Action.STOP_SENDER, 1),
        ("10015", Action.BAD_REQUEST, None),
        ("40008", Action.NEXT_SENDER, None),
        ("40001", Action.STOP_PERSON, None),
    ],
)
def test_a_report_is_about_one_message(code: str, action: Action, after: int | None) -> None:
    """Only the block for pumping, which comes in no other way, counts at once; the rest by several numbers or never."""
    hold = findings.refusal_hold(refused(code, action, spent=code == "40333"), POOL, Source.REPORT)
    assert (hold.after if hold else None) == after
    assert hold is None or hold.source is Source.REPORT


def test_the_list_of_codes_that_count_at_once_is_this_one() -> None:
    """Short, each with its reason: whoever adds to it has to say so here and in `deploy/docs/operation.md`."""
    account = {"10009", "20001", "20002", "20003", "20012", "20013", "20100", "40314"}
    assert set(AT_ONCE) == {*account, "40333", "40020"}
    assert all(AT_ONCE.values())


@pytest.mark.parametrize(
    ("circuits", "until"),
    [
        ([], 0),
        ([Circuit(OWN, now_ms=5)], 0),
        ([Circuit(OWN, 100, 50, is_hold=True, now_ms=5)], 100),
        ([Circuit(OWN, 100, 50, is_hold=True, now_ms=60)], 100),
        ([Circuit(OWN, 100, 50, is_hold=True), Circuit(PROFILE, 70, 70, is_hold=True)], 100),
        ([Circuit(OWN, 100, 50, is_hold=True), Circuit(PROFILE, 70, 70, is_hold=False)], None),
        ([Circuit(OWN, 100, 50, is_hold=False, now_ms=60)], 0),
    ],
)
def test_how_long_a_sender_is_held(circuits: list[Circuit], until: int | None) -> None:
    """Until the last of its holds ends, also while one message probes; nobody knows where nobody answers."""
    assert circuit.held_until(circuits) == until


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


@pytest.mark.parametrize(("probe_ms", "wait_ms"), [(250, 150), (101, 1), (100, 1), (40, 1)])
def test_an_open_breaker_tells_how_long_to_wait(probe_ms: int, wait_ms: int) -> None:
    """Until the next probe, and a millisecond at least: a wait of none would be a busy loop."""
    decision = circuit.stopped_by(Circuit(OWN, 900, probe_ms, code="40300", is_hold=True, now_ms=100))
    assert (decision.passes, decision.wait_ms, decision.code, decision.is_hold) == (False, wait_ms, "40300", True)


def test_units_of_time() -> None:
    """The durations of holds are written in these."""
    assert (MINUTE_MS, HOUR_MS, DAY_MS) == (60_000, 3_600_000, 86_400_000)
