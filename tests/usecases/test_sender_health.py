"""Who is asked first, whether one may be asked at all, and what answers teach; nothing here disturbs a delivery."""

from dataclasses import dataclass, field, replace
from types import MappingProxyType

import pytest

from otp_service.domain.circuit import ACCOUNT, HOLDS_AFTER, PASS, BreakerDecision, Circuit, Fault, Success
from otp_service.domain.delivery import Accepted, Action, DeliveryReport, NotSent, Refused
from otp_service.domain.errors import StoreUnavailable
from otp_service.domain.outbox import ReportOutcome
from otp_service.domain.policy import App, Policy, Sender, SenderKind, Strategy
from otp_service.domain.routing import Health
from otp_service.usecases.sender_health import SenderHealth
from tests.fakes import FakeAlertOnCall, FakeCircuits, FakeHealthReports, FakeSenderStats

POOL = Sender("pool", SenderKind.NUMBER_POOL, "a", None, 1.0)
BACKUP = Sender("backup", SenderKind.LONG_CODE, "b", "+18445550001", 1.0)
IN_ORDER = App("shop", "Acme", (POOL, BACKUP))
HEALTHIEST = replace(IN_ORDER, strategy=Strategy.HEALTHIEST)
POLICY = Policy(MappingProxyType({"shop": IN_ORDER}), MappingProxyType({"pool": POOL, "backup": BACKUP}))
SPENT = Refused("40333", "spent", Action.STOP_PROFILE, spent=True)
NH = "00" * 10


@dataclass
class Scenario:
    """Breakers, figures and people."""

    circuits: FakeCircuits = field(default_factory=FakeCircuits)
    stats: FakeSenderStats = field(default_factory=FakeSenderStats)
    alert: FakeAlertOnCall = field(default_factory=FakeAlertOnCall)
    now_s: float = 0.0
    counted: list[tuple[str, str]] = field(default_factory=list)


def use_case(scenario: Scenario, policy: Policy = POLICY) -> SenderHealth:
    """The use case of one process."""
    return SenderHealth(
        circuits=scenario.circuits,
        sender_stats=scenario.stats,
        policy=policy,
        alert=scenario.alert,
        monotonic=lambda: scenario.now_s,
        count=lambda scope, to: scenario.counted.append((scope, to)),
    )


def opened(scope: str, *, half: bool = False) -> dict[str, Circuit]:
    """An open breaker, or a half-open one."""
    return {scope: Circuit(scope, until_ms=100, probe_ms=50, now_ms=60 if half else 0)}


def names(found: tuple[tuple[Sender, ...], tuple[str, ...]]) -> tuple[list[str], list[str]]:
    """The order, and who is well."""
    return [sender.name for sender in found[0]], list(found[1])


def test_all_are_well_in_the_operators_order() -> None:
    """Figures are not looked at where the operator's order is all that counts."""
    scenario = Scenario(stats=FakeSenderStats({"pool": Health(0, 100)}))
    assert names(use_case(scenario).route(IN_ORDER, (POOL, BACKUP))) == (["pool", "backup"], ["pool", "backup"])


def test_the_healthiest_goes_first() -> None:
    """By their figures, where the operator wants that."""
    scenario = Scenario(stats=FakeSenderStats({"pool": Health(50, 50)}))
    assert names(use_case(scenario).route(HEALTHIEST, (POOL, BACKUP))) == (["backup", "pool"], ["pool", "backup"])


@pytest.mark.parametrize("scope", ["sender:pool", "profile:a"])
def test_a_broken_one_goes_last_and_is_not_well(scope: str) -> None:
    """Its own breaker or its profile's; it is still in the route."""
    scenario = Scenario(FakeCircuits(opened(scope)))
    assert names(use_case(scenario).route(IN_ORDER, (POOL, BACKUP))) == (["backup", "pool"], ["backup"])


def test_a_held_account_changes_no_order() -> None:
    """All are broken alike."""
    scenario = Scenario(FakeCircuits(opened(ACCOUNT)))
    assert names(use_case(scenario).route(IN_ORDER, (POOL, BACKUP))) == (["pool", "backup"], [])


def test_a_half_open_one_gets_one_code_a_second() -> None:
    """Or nobody would notice that it is well again; the other codes of that second go the sure way."""
    scenario = Scenario(FakeCircuits(opened("sender:pool", half=True)))
    sender_health = use_case(scenario)
    firsts = []
    for scenario.now_s in (10.0, 10.0, 10.5, 10.99, 11.0, 11.5, 12.0):
        firsts.append(sender_health.route(IN_ORDER, (POOL, BACKUP))[0][0].name)
    assert firsts == ["pool", "backup", "backup", "backup", "pool", "backup", "pool"]


def test_an_outage_leaves_the_operators_order() -> None:
    """Nobody knows who is well then, so nobody is preferred; learning fails silently, asking the breaker does not."""
    scenario = Scenario(FakeCircuits(down=True), FakeSenderStats(down=True))
    sender_health = use_case(scenario)
    assert names(sender_health.route(HEALTHIEST, (POOL, BACKUP))) == (["pool", "backup"], [])
    sender_health.record_outcome(POOL, SPENT, PASS, NH)
    sender_health.record_report(ReportOutcome("moved", "pool"), DeliveryReport("m", "+1", "delivered"), NH)
    sender_health.record_spend_limit("a")
    assert scenario.alert.told == ["a"]
    with pytest.raises(StoreUnavailable):
        sender_health.admit(POOL)


def test_what_an_answer_teaches_is_noted_with_its_decision() -> None:
    """A probe's success closes and is counted, anybody else's only ends a row of faults."""
    scopes = [ACCOUNT, "profile:a", "sender:pool"]
    tripped = {scope: Circuit(scope, until_ms=100, probe_ms=50, now_ms=60) for scope in scopes}
    scenario = Scenario(FakeCircuits(tripped))
    sender_health = use_case(scenario)
    sender_health.record_outcome(POOL, Accepted("m"), BreakerDecision(True, probe=True), NH)
    assert scenario.circuits.noted == [(Success(scope, sent=True), True) for scope in scopes]
    assert scenario.counted == [(scope, "closed") for scope in scopes]
    scenario.counted.clear()
    sender_health.record_outcome(POOL, Accepted("m"), PASS, NH)
    sender_health.record_outcome(POOL, NotSent("connect"), PASS, NH)
    assert (scenario.circuits.noted[-1], scenario.counted, scenario.alert.told) == (
        Fault("sender:pool", "connect"),
        [],
        [],
    )
    sender_health.record_outcome(POOL, SPENT, PASS, NH)
    assert (scenario.counted, scenario.alert.told) == ([("profile:a", "open")], [(SPENT, POOL)])
    assert scenario.circuits.numbers == [NH]


def meets(scenario: Scenario, refusal: Refused, number_hash: str, *, report: bool) -> None:
    """A message to the number is refused at once, or fails by its report."""
    if report:
        failed = DeliveryReport("m", "+1", "delivery_failed", error=refusal)
        use_case(scenario).record_report(ReportOutcome("moved", "pool"), failed, number_hash)
    else:
        use_case(scenario).record_outcome(POOL, refusal, PASS, number_hash)


@pytest.mark.parametrize(
    ("others", "alerted", "counted"),
    [(HOLDS_AFTER - 1, True, True), (HOLDS_AFTER, True, False), (HOLDS_AFTER - 2, False, False)],
)
def test_people_read_what_is_in_force(others: int, alerted: bool, counted: bool) -> None:
    """One odd message pages nobody, neither by its answer nor by its report; a breaker that is open does, also again.

    How often the same alert is sent is decided by the alert use case.
    """
    for report in (False, True):
        scenario, refusal = Scenario(), Refused("40013", "rejected", Action.STOP_SENDER)
        for other in range(others):
            meets(scenario, refusal, f"{other + 1:020x}", report=report)
        scenario.alert.told.clear()
        scenario.counted.clear()
        meets(scenario, refusal, NH, report=report)
        assert scenario.alert.told == ([(refusal, POOL)] if alerted else [])
        assert scenario.counted == ([("sender:pool", "open")] if counted else [])


def held(scope: str, until: int, *, is_hold: bool = True) -> dict[str, Circuit]:
    """A breaker that is open until then."""
    return {scope: Circuit(scope, until_ms=until, probe_ms=until, is_hold=is_hold)}


@pytest.mark.parametrize(
    ("states", "better"),
    [
        (held("sender:pool", 50), ["backup"]),
        ({**held("sender:pool", 50), **held("profile:b", 40)}, ["backup"]),
        ({**held("sender:pool", 50), **held("profile:b", 60)}, []),
        ({**held("sender:pool", 50), **held("profile:b", 1, is_hold=False)}, []),
        (held(ACCOUNT, 50), []),
        ({**held(ACCOUNT, 50), **held("sender:pool", 60)}, ["backup"]),
    ],
)
def test_who_is_better_than_a_held_sender(states: dict[str, Circuit], better: list[str]) -> None:
    """One that is not held, or not for so long; one that nobody answers from is not; names no longer known are none."""
    assert list(use_case(Scenario(FakeCircuits(states))).better_than(POOL, ["backup", "gone"])) == better


def test_a_hold_stops_nothing_without_a_better_sender() -> None:
    """The breaker is asked accordingly; a paused sender is no reason to wait elsewhere, a held one is."""
    scenario = Scenario(FakeCircuits(held("sender:backup", 50)))
    sender_health = use_case(scenario)
    sender_health.admit(POOL, held_too=True)
    assert scenario.circuits.noted == [((ACCOUNT, "profile:a", "sender:pool"), True)]
    assert sender_health.not_held(["pool", "backup", "gone"]) == ("pool",)
    assert use_case(Scenario(FakeCircuits(held("sender:backup", 50, is_hold=False)))).not_held(["backup"]) == (
        "backup",
    )


@pytest.mark.parametrize(
    ("outcome", "status", "tallied"),
    [
        ("moved", "delivered", [("pool", True)]),
        ("moved", "delivery_failed", [("pool", False)]),
        ("moved", "sent", []),
        ("same", "delivered", []),
    ],
)
def test_a_delivery_counts_once_for_its_sender(outcome: str, status: str, tallied: list[tuple[str, bool]]) -> None:
    """When it ends, well or badly; repeats and way stations do not count."""
    scenario = Scenario()
    use_case(scenario).record_report(ReportOutcome(outcome, "pool"), DeliveryReport("m", "+1", status), NH)
    assert scenario.stats.counted == tallied
    reached = [(ACCOUNT, "profile:a", "sender:pool")] if ("pool", True) in tallied else []
    assert scenario.circuits.reached == reached


def test_a_failed_delivery_may_hold_its_sender_and_ring_people() -> None:
    """What the carrier says afterwards counts as much as a refusal; a sender that is gone from the file does not."""
    scenario = Scenario()
    failed = DeliveryReport("m", "+1", "delivery_failed", error=SPENT)
    use_case(scenario).record_report(ReportOutcome("moved", "gone"), failed, NH)
    assert (scenario.circuits.noted, scenario.alert.told) == ([], [])
    for other in range(HOLDS_AFTER):
        assert scenario.alert.told == []
        meets(scenario, SPENT, f"{other:020x}", report=True)
    assert [hold.scope for hold in scenario.circuits.noted] == ["profile:a"] * HOLDS_AFTER
    assert scenario.alert.told == [(SPENT, POOL)]


@pytest.mark.parametrize(("profile", "held"), [("a", ["profile:a"]), ("strange", []), (None, [])])
def test_a_spent_profile_of_ours_is_not_used(profile: str | None, held: list[str]) -> None:
    """Profiles of the same account that are not configured here are left alone."""
    scenario = Scenario()
    use_case(scenario).record_spend_limit(profile)
    assert [hold.scope for hold in scenario.circuits.noted] == held
    assert scenario.alert.told == ([profile] if held else [])


@pytest.mark.parametrize(("app", "asks", "asked"), [(HEALTHIEST, True, 1), (HEALTHIEST, False, 0), (IN_ORDER, True, 0)])
def test_the_carrier_is_asked_for_ratios_where_they_matter(app: App, asks: bool, asked: int) -> None:
    """And by one process in a while."""
    scenario = Scenario(stats=FakeSenderStats(polls=asks))
    ratios = {"pool": (1.0, None), "backup": (0.5, 0.1)}
    policy = replace(POLICY, apps=MappingProxyType({"shop": app}))
    use_case(scenario, policy).ask_carrier(FakeHealthReports(ratios))
    assert scenario.stats.reports == [ratios] * asked
    assert next(one.scope for one in use_case(scenario).circuits()) == ACCOUNT
