"""Trouble with sending itself: who gets an alert, how often, with which text; and that no delivery is delayed by it."""

from dataclasses import dataclass, field
from types import MappingProxyType

import pytest

from otp_service.domain.delivery import Accepted, Action, NotSent, Refused, SendOutcome, Unknown
from otp_service.domain.policy import OnCall, Policy, Sender, SenderKind
from otp_service.usecases.alert_on_call import AlertOnCall
from tests.fakes import FakeAlerts, FakePager

PROFILE = "abc85f64-5717-4562-b3fc-2c9600000000"
POOL = Sender("pool", SenderKind.NUMBER_POOL, PROFILE, None, 20.0)
BACKUP = Sender("backup", SenderKind.LONG_CODE, PROFILE, "+18445550001", 20.0)
PEOPLE = OnCall("+18445550001", ("+12025550190", "+12025550191"))
SPENT = Refused("40333", "Messaging profile spend limit reached", Action.STOP_SENDER, spent=True)
CLOSED = Refused("20100", "Insufficient funds", Action.STOP_ALL)


@dataclass
class Scenario:
    """The use case and what is behind its ports."""

    on_call: OnCall | None = PEOPLE
    alerts: FakeAlerts = field(default_factory=FakeAlerts)
    counted: list[str] = field(default_factory=list)

    def use_case(self) -> AlertOnCall:
        """The use case of one process."""
        policy = Policy(MappingProxyType({}), MappingProxyType({"pool": POOL, "backup": BACKUP}))
        return AlertOnCall(alerts=self.alerts, policy=policy, on_call=self.on_call, count=self.counted.append)


@pytest.fixture
def scenario() -> Scenario:
    """Nothing has happened yet."""
    return Scenario()


def test_a_fault_of_the_account_or_a_sender_raises_an_alert(scenario: Scenario) -> None:
    """Each kind is, each once, however many messages meet it; what concerns one person or request is not."""
    for action in Action:
        for _ in range(3):
            scenario.use_case().refused(Refused("40000", "Something", action), POOL)
    texts = [alert.text for alert in scenario.alerts.waiting]
    assert len(texts) == 2
    assert "sends nothing for this account" in texts[1]
    assert "sender pool" in texts[0]
    for _ in range(3):
        scenario.use_case().refused(Refused("http_404", "nothing here", Action.BAD_REQUEST, foreign=True), POOL)
    assert "not answered by the carrier: nothing here" in scenario.alerts.waiting[2].text
    assert len(scenario.alerts.waiting) == 3


def test_a_fault_of_a_profile_is_reported_with_its_senders(scenario: Scenario) -> None:
    """By the sender whose message met it."""
    scenario.use_case().refused(Refused("40312", "The profile is disabled", Action.STOP_PROFILE), POOL)
    assert "sender pool" in scenario.alerts.waiting[0].text


def test_faults_of_senders_are_kept_apart(scenario: Scenario) -> None:
    """The second sender that fails, and another reason at the first, are news."""
    use_case = scenario.use_case()
    for sender in (POOL, BACKUP):
        use_case.refused(Refused("40010", "Not registered", Action.STOP_SENDER), sender)
    use_case.refused(Refused("40003", "Blocked as spam", Action.STOP_SENDER), POOL)
    assert len(scenario.alerts.waiting) == 3


def test_no_text_holds_digits_that_look_like_a_code_or_a_number(scenario: Scenario) -> None:
    """Not the carrier's code, not the profile's id, not what stands in the carrier's own title."""
    scenario.use_case().refused(Refused("40010", "Not 10DLC registered: +12025550143", Action.STOP_SENDER), POOL)
    scenario.use_case().refused(CLOSED, None)
    scenario.use_case().spend_limit(PROFILE)
    assert len(scenario.alerts.waiting) == 3
    assert not any(char.isdigit() for alert in scenario.alerts.waiting for char in alert.text)


def test_a_spent_profile_is_reported_with_its_senders(scenario: Scenario) -> None:
    """By the carrier's own webhook: whose messages stop, and until when."""
    scenario.use_case().spend_limit(PROFILE)
    (alert,) = scenario.alerts.waiting
    assert "backup, pool" in alert.text
    assert "midnight UTC" in alert.text


@pytest.mark.parametrize("profile", [None, "00000000-0000-0000-0000-000000000000"])
def test_a_profile_that_is_not_ours_raises_no_alert(scenario: Scenario, profile: str | None) -> None:
    """The account may have other users than this service."""
    scenario.use_case().spend_limit(profile)
    assert scenario.alerts.waiting == []


def test_much_of_an_apps_limit_is_reported_with_what_follows(scenario: Scenario) -> None:
    """Each level by itself."""
    for percent in (80, 100, 100):
        scenario.use_case().app_spend("shop", percent)
    texts = [alert.text for alert in scenario.alerts.waiting]
    assert [text.partition("has ")[2][:12] for text in texts] == ["spent 80 per", "reached its "]


def test_one_group_message_goes_to_all_on_call(scenario: Scenario) -> None:
    """From the configured number, with a key that names the alert; then the queue is empty."""
    scenario.use_case().refused(CLOSED, POOL)
    pager = FakePager(Accepted("message-1"))
    assert scenario.use_case().send(pager)
    assert not scenario.use_case().send(pager)
    ((sender, to, text, key),) = pager.sent
    assert (sender, to, key) == (PEOPLE.sender, PEOPLE.to, "alert-1-1")
    assert text.startswith("otp-service: ")
    assert scenario.counted == ["raised", "accepted"]


@pytest.mark.parametrize("outcome", [NotSent("no connection"), Unknown("no answer")])
def test_what_may_not_have_arrived_is_sent_again_under_its_key(scenario: Scenario, outcome: SendOutcome) -> None:
    """A lost answer does not lose the alert, and does not ring the phones twice."""
    scenario.use_case().refused(CLOSED, POOL)
    pager = FakePager(outcome)
    scenario.use_case().send(pager)
    assert not scenario.use_case().send(pager)
    scenario.alerts.later()
    scenario.use_case().send(pager)
    assert [key for *_, key in pager.sent] == ["alert-1-1"] * 2
    assert len(scenario.alerts.waiting) == 1


def test_a_refused_alert_is_not_repeated(scenario: Scenario) -> None:
    """An account that is closed refuses the alert as well: the log and the metric remain."""
    scenario.use_case().refused(CLOSED, POOL)
    scenario.use_case().send(FakePager(CLOSED))
    assert scenario.alerts.waiting == []
    assert scenario.counted == ["raised", "refused"]


def test_nothing_here_disturbs_a_delivery(scenario: Scenario) -> None:
    """A store that does not answer is counted, and the caller does not notice."""
    scenario.alerts.down = True
    scenario.use_case().refused(SPENT, POOL)
    scenario.use_case().refused(CLOSED, None)
    scenario.use_case().spend_limit(PROFILE)
    assert scenario.counted == ["lost", "lost", "lost"]


def test_nobody_on_call_means_nothing_queued_and_nothing_sent() -> None:
    """Without [alerts] the service does not even look."""
    scenario = Scenario(on_call=None)
    scenario.use_case().refused(CLOSED, POOL)
    pager = FakePager(Accepted("message-1"))
    assert not scenario.use_case().send(pager)
    assert (scenario.alerts.waiting, pager.sent) == ([], [])
