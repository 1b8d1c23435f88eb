"""Webhooks of the carrier: only what the signed body says counts."""

from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

import pytest

from otp_service.domain.delivery import Action, DeliveryReport, DeliveryStatus, Refused
from otp_service.domain.denial import Denial
from otp_service.domain.ids import Reference
from otp_service.domain.optout_list import OptOut
from otp_service.domain.outbox import ReportOutcome
from otp_service.domain.policy import App, Policy, Sender, SenderKind
from otp_service.keyring import create, parse
from otp_service.usecases.receive import Receive
from otp_service.usecases.receive_reply import Reply
from tests.fakes import FakeDeliveryReports, FakeOptOuts, FakeSenderHealth, FakeVerifications, verification_view

RING = parse(create(lambda n: bytes(range(n)), "2026-01-01T00:00:00Z"))
PERSON = "+12025550143"
NUMBER = RING.ids.number_hash(PERSON)
REF = RING.ids.new(NUMBER, bytes(10))
OTHER = RING.ids.new(NUMBER, b"x" * 10)
SENDERS = {
    "pool": Sender("pool", SenderKind.NUMBER_POOL, "profile-a", None, 1.0),
    "backup": Sender("backup", SenderKind.LONG_CODE, "profile-b", "+18445550001", 1.0),
    "second": Sender("second", SenderKind.LONG_CODE, "profile-b", "+18445550002", 1.0),
}
APPS = {
    "shop": App("shop", "Acme", tuple(SENDERS.values())),
    "bank": App("bank", "Bank", tuple(SENDERS.values()), denial_words=frozenset({"no", "moi non plus"})),
}
POLICY = Policy(MappingProxyType(APPS), MappingProxyType(SENDERS))
SAME = ReportOutcome("same")
DEAD = Refused("40001", "No route", Action.STOP_PERSON)


def knowing(message: tuple[Reference, int] | None = None) -> FakeDeliveryReports:
    """Two deliveries of each verification; the message `m1` of the person is this one's."""
    every = [(ref, ordinal) for ref in (REF, OTHER) for ordinal in (1, 2)]
    messages = {(NUMBER, "m1"): message} if message else {}
    return FakeDeliveryReports(dict.fromkeys(every, DeliveryStatus.SENT), messages)


@dataclass
class Scenario:
    """What is behind the ports: two verifications of the person are pending."""

    reports: FakeDeliveryReports = field(default_factory=knowing)
    optouts: FakeOptOuts = field(default_factory=FakeOptOuts)
    sender_health: FakeSenderHealth = field(default_factory=FakeSenderHealth)
    store: FakeVerifications = field(
        default_factory=lambda: FakeVerifications({ref: verification_view(ref) for ref in (REF, OTHER)}, now_ms=7_000)
    )


def use_case(scenario: Scenario) -> Receive:
    """The use case of one process."""
    return Receive(
        reports=scenario.reports,
        store=scenario.store,
        optouts=scenario.optouts,
        vault=RING,
        policy=POLICY,
        sender_health=scenario.sender_health,
    )


def report(**changes: Any) -> DeliveryReport:
    """A report for the person."""
    return DeliveryReport(**{"message_id": "m1", "to": PERSON, "status": "delivered", **changes})


def test_a_report_moves_the_delivery_that_it_names() -> None:
    """The tag in the signed body first; the number is hashed from the body, too."""
    scenario = Scenario(knowing((OTHER, 1)))
    use_case(scenario).reports.apply([report(delivery_id=REF.delivery_id(2))])
    assert scenario.reports.applied == [(REF, 2, NUMBER, "delivered")]


def test_the_index_finds_what_the_body_does_not_name() -> None:
    """By message id and number: it is known to be this delivery's message."""
    scenario = Scenario(knowing((REF, 1)))
    use_case(scenario).reports.apply([report()])
    assert scenario.reports.applied[0][:2] == (REF, 1)


def test_a_report_that_nobody_knows_changes_nothing() -> None:
    """No name that is ours, no index: nothing is applied."""
    scenario = Scenario()
    use_case(scenario).reports.apply([report(), report(to="+19999999999"), report(delivery_id="dlv_x-1")])
    assert scenario.reports.applied == []


def test_each_report_of_a_group_is_applied() -> None:
    """Several recipients in one event."""
    scenario = Scenario()
    first, second = report(delivery_id=REF.delivery_id(1)), report(delivery_id=OTHER.delivery_id(1))
    use_case(scenario).reports.apply([first, second])
    assert [entry[0] for entry in scenario.reports.applied] == [REF, OTHER]


@pytest.mark.parametrize(("earlier", "outcome"), [(0, ReportOutcome("moved", "pool")), (1, SAME)])
def test_sender_health_learns_the_outcome_of_a_report(earlier: int, outcome: ReportOutcome) -> None:
    """With what it moved, for sender health; one that comes again moves nothing."""
    scenario = Scenario()
    failed = report(delivery_id=REF.delivery_id(1), status="delivery_failed", error=DEAD)
    for _ in range(earlier):
        use_case(scenario).reports.apply([failed])
        scenario.sender_health.reports.clear()
    use_case(scenario).reports.apply([failed])
    assert scenario.sender_health.reports == [(outcome, failed)]


def test_reports_of_messages_that_are_not_ours_are_left_out() -> None:
    """Their signed body names a delivery that became another message."""
    scenario = Scenario(knowing((REF, 1)))
    use_case(scenario).reports.apply([report(delivery_id=REF.delivery_id(1), message_id="m2")])
    assert len(scenario.reports.applied) == 1
    assert scenario.sender_health.reports == []


def inbound(scenario: Scenario, **changes: Any) -> None:
    """A person wrote."""
    given: dict[str, Any] = {
        "from_number": PERSON,
        "to_number": "+18445550001",
        "messaging_profile_id": "profile-a",
        "text": "STOP",
        "autoresponse": None,
        "occurred_ms": 5_000,
        **changes,
    }
    use_case(scenario).replies.receive(Reply("e1", **given))


def test_stop_opts_out_of_the_profile_it_was_sent_to() -> None:
    """With the moment it was said, the word, and an event name of its own per profile."""
    scenario = Scenario()
    inbound(scenario)
    ((number, mask, entry, event),) = scenario.optouts.puts
    assert (number, mask, event) == (NUMBER, "+1******0143", "e1:profile-a")
    assert entry == OptOut("profile-a", True, 5_000, "STOP", "inbound")


def test_start_opts_in_again() -> None:
    """The carrier's own reading of a keyword counts before the text."""
    scenario = Scenario()
    inbound(scenario, text="hello", autoresponse="START")
    assert scenario.optouts.puts[0][2].opted_out is False


def test_a_wish_that_only_we_understood_says_so() -> None:
    """The carrier holds no block for it, so its list says nothing about it."""
    scenario = Scenario()
    for text, autoresponse in (("ARRÊT", None), ("Stop. Thank you", None), ("stop", None), ("whatever", "STOP")):
        inbound(scenario, text=text, autoresponse=autoresponse)
    assert [wish[2].source for wish in scenario.optouts.puts] == ["reply", "reply", "inbound", "inbound"]


OURS = "123456 is your Acme code. It expires in 5 minutes. Do not share it. Reply STOP to opt out."


@pytest.mark.parametrize(
    "text", [OURS, f"Liked “{OURS}”", f"Reacted 👍 to “{OURS}”", f"> {OURS}", "Liked “STOP”", "what is this"]
)
def test_quotes_change_nothing(text: str) -> None:
    """Nobody opts out or denies by quoting what we wrote, and nobody has to look at it."""
    scenario = Scenario()
    inbound(scenario, text=text)
    assert (scenario.optouts.puts, scenario.store.denials, scenario.optouts.unclear) == ([], [], [])


@pytest.mark.parametrize("text", ["we must stop sending money there", "Don't stop!", "no stop"])
def test_an_unclear_reply_is_put_on_record_and_changes_nothing(text: str) -> None:
    """For the number, without its text."""
    scenario = Scenario()
    inbound(scenario, text=text)
    assert (scenario.optouts.puts, scenario.store.denials) == ([], [])
    assert scenario.optouts.unclear == [(NUMBER, "+1******0143", "profile-a")]


def test_what_the_carrier_or_an_app_understood_is_not_unclear() -> None:
    """The carrier answered it, or an app has a word for it."""
    scenario = Scenario()
    inbound(scenario, text="we must stop", autoresponse="HELP")
    inbound(scenario, text=f"no\n{OURS}")
    assert scenario.optouts.unclear == []
    assert len(scenario.store.denials) == 2


@pytest.mark.parametrize(
    ("to_number", "profiles"), [("+18445550001", ["profile-b"]), ("+19", ["profile-a", "profile-b"]), (None, None)]
)
def test_without_a_profile_rather_too_much_is_stopped(to_number: str | None, profiles: list[str] | None) -> None:
    """The address names the profile; an unknown one means all."""
    scenario = Scenario()
    inbound(scenario, messaging_profile_id=None, to_number=to_number)
    assert [wish[2].messaging_profile_id for wish in scenario.optouts.puts] == (profiles or ["profile-a", "profile-b"])


@pytest.mark.parametrize(
    "changes", [{"text": "HELP"}, {"text": "hello"}, {"autoresponse": "HELP"}, {"from_number": "12345"}, {"text": ""}]
)
def test_other_texts_and_other_people_change_nothing(changes: dict[str, str]) -> None:
    """Help, chatter, short codes."""
    scenario = Scenario()
    inbound(scenario, **changes)
    assert scenario.optouts.puts == []
    assert scenario.store.denials == []


@pytest.mark.parametrize(
    ("changes", "apps", "senders"),
    [
        ({"text": "No!", "to_number": "+13125550100"}, {"shop", "bank"}, {"pool"}),
        ({"text": " NOT  me, please"}, {"shop", "bank"}, {"pool"}),
        ({"text": "Moi non plus"}, {"bank"}, {"pool"}),
        ({"text": "no", "messaging_profile_id": "profile-b"}, {"shop", "bank"}, {"backup"}),
        ({"text": "no", "messaging_profile_id": None}, {"shop", "bank"}, {"pool", "backup"}),
        ({"text": "no", "messaging_profile_id": None, "to_number": None}, {"shop", "bank"}, set(SENDERS)),
        ({"text": "no", "messaging_profile_id": "another"}, {"shop", "bank"}, set()),
    ],
)
def test_a_denial_counts_for_all_that_is_pending(changes: dict[str, Any], apps: set[str], senders: set[str]) -> None:
    """In the words of each app, and only of the senders that the answer can have been written to; nobody opts out."""
    scenario = Scenario()
    inbound(scenario, **changes)
    denial = Denial(frozenset(apps), frozenset(senders), 5_000, 7_000)
    assert scenario.store.denials == [(REF, denial), (OTHER, denial)]
    assert scenario.optouts.puts == []


def test_a_word_that_the_carrier_read_as_stop_denies_as_well() -> None:
    """Whatever the carrier made of it, both count."""
    scenario = Scenario()
    inbound(scenario, text="no", autoresponse="STOP")
    assert len(scenario.store.denials) == 2
    assert len(scenario.optouts.puts) == 1


@pytest.mark.parametrize("to", [PERSON, PERSON[1:]])
def test_a_click_is_noted_where_its_message_is_known(to: str) -> None:
    """With or without the plus sign; unknown messages and missing numbers are passed over."""
    scenario = Scenario(knowing((REF, 2)))
    use_case(scenario).reports.record_click("e1", "m1", to)
    use_case(scenario).reports.record_click("e1", "m1", None)
    use_case(scenario).reports.record_click("e1", "m1", "+19999999999")
    assert scenario.reports.clicks == [(REF, 2, "e1")]


def test_a_spent_profile_is_passed_on() -> None:
    """To the alerts for the people on call."""
    scenario = Scenario()
    use_case(scenario).spend_limit("profile-a")
    assert scenario.sender_health.spent == ["profile-a"]
