"""The risk hook over HTTP: it is asked before a code is sent, and what it says holds."""

import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from dataclasses import replace
from types import MappingProxyType
from typing import Any

import pytest

from otp_service import bootstrap, telemetry
from otp_service.bootstrap.risk import risk_receivers
from otp_service.bootstrap.stores import open_keyring, open_stores
from otp_service.bootstrap.web import WebParts, flask_app
from otp_service.domain.addresses import KeptClientIp
from otp_service.domain.risk import Decision, RiskHook, SentNumber
from otp_service.usecases.verify import risk_verdicts
from tests.documents.reading import DOCS, blocks
from tests.receivers.risk_receiver import RiskReceiver, risk_receiver

from .conftest import Answer, ApiHarness
from .people import Person


@pytest.fixture
def receiver() -> Iterator[RiskReceiver]:
    """The operator's system."""
    with risk_receiver() as running:
        yield running


Hooked = Callable[..., ApiHarness]


@pytest.fixture
def hooked(api: ApiHarness) -> Iterator[Hooked]:
    """Makes the same service, whose app has this hook."""
    with ExitStack() as ends:

        def make(hook: RiskHook, app: str = "default") -> ApiHarness:
            policy = api.settings.policy
            apps = MappingProxyType({**policy.apps, app: replace(policy.apps[app], risk=hook)})
            settings = replace(api.settings, policy=replace(policy, apps=apps))
            bootstrap.accept_keyring(settings)
            keyring = open_keyring(settings)
            risk = ends.enter_context(closing(risk_receivers(settings)))
            parts = WebParts(settings, open_stores(settings, keyring), keyring, risk=risk)
            ends.callback(parts.stores.store.close)
            web = flask_app(parts, parts.watch(threading.Event().wait))
            return replace(api, app=web, settings=settings)

        yield make


def refused(api: ApiHarness) -> list[Any]:
    """The details of the refusals on record, oldest first."""
    events = api.call("GET", "/audit/events?type=verification.refused").json["events"]
    return [event["detail"] for event in events]


def test_what_is_asked(api: ApiHarness, hooked: Hooked, receiver: RiskReceiver) -> None:
    """All that the operator lets be told; the person by the `sub` that the app knows."""
    risky = hooked(receiver.hook())
    to = api.guarded_number()
    started = risky.start(to, client_ip="192.0.2.7", purpose="pay")
    assert started.status == 201
    (question,) = receiver.questions
    assert question.pop("request_id") == started.header("X-Request-Id")
    address = question.pop("client_ip")
    assert len(address) == 20
    assert question == {
        "type": "verification.start",
        "app": "default",
        "purpose": "pay",
        "channel": "sms",
        "to": to,
        "person": started.json["sub"],
        "country": "US",
        "number_type": "fixed_line_or_mobile",
        "test": False,
    }
    (event,) = api.call("GET", "/audit/events?type=verification.started").json["events"]
    detail = event["detail"]
    assert detail.pop("guard").startswith("US|")
    assert detail == {"purpose": "pay", "channel": "sms", "client_ip": address, "risk": "allow"}
    told = risky.call("GET", f"/verify/{started.json['verification_id']}").json
    assert told["timeline"][0]["detail"]["risk"] == "allow"


def test_what_the_operator_keeps_back(api: ApiHarness, hooked: Hooked, receiver: RiskReceiver) -> None:
    """No number, no address."""
    risky = hooked(receiver.hook(number=SentNumber.MASKED, client_ip=KeptClientIp.NONE))
    to = api.number()
    assert risky.start(to, client_ip="192.0.2.7").status == 201
    (question,) = receiver.questions
    assert (question["to"], question["client_ip"]) == (f"+1******{to[-4:]}", None)
    assert to.encode() not in receiver.asked[0][1]


def test_a_denial_sends_nothing_and_offers_no_other_way(
    api: ApiHarness, hooked: Hooked, receiver: RiskReceiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    """403 with both reasons, one event with them; nothing is queued, and a start after the while is a new question."""
    monkeypatch.setattr(risk_verdicts, "VERDICT_S", 0.0)
    risky, to = hooked(receiver.hook()), api.number()
    person = Person(risky, "user-risk")
    person.enrolled()
    receiver.answer = {"decision": "deny", "reason": "sim_changed"}
    said = risky.start(to).problem(403, "guard_refused")
    assert (said["reason"], said["risk_reason"], said["alternatives"]) == ("risk_denied", "sim_changed", [])
    assert risky.start(api.number(), subject=person.subject).problem(403, "number_not_bound")
    assert refused(api) == [
        {"code": "guard_refused", "reason": "risk_denied", "risk_reason": "sim_changed", "risk": "deny"}
    ]
    assert not any(api.store.xlen(name) for name in api.store.scan_iter(match="*:outbox"))
    receiver.answer = {"decision": "allow"}
    assert risky.start(to).status == 201


def test_a_step_up_names_the_other_factors(api: ApiHarness, hooked: Hooked, receiver: RiskReceiver) -> None:
    """Those of the subject, as far as they count for the purpose."""
    risky = hooked(receiver.hook())
    person, to = Person(risky, "user-step"), api.number()
    assert person.check(risky.code(risky.started(to, subject=person.subject))).status == 200
    person.enrolled()
    receiver.answer = {"decision": "step_up"}
    said = risky.start(to, subject=person.subject).problem(403, "guard_refused")
    assert said["reason"] == "risk_step_up"
    assert [way["kind"] for way in said["alternatives"]] == ["totp"]
    assert "risk_reason" not in said


def test_a_resend_asks_too_and_a_dry_run_does_not(api: ApiHarness, hooked: Hooked, receiver: RiskReceiver) -> None:
    """What a limit refuses is no question either, and is refused as ever."""
    risky, to = hooked(receiver.hook()), api.number()
    assert risky.start(to, dry_run=True).json["would"] == "send"
    assert risky.start("+19002345678").problem(403, "destination_blocked")
    assert receiver.asked == []
    assert risky.start(to).status == 201
    risky.start(to).problem(429, "resend_too_soon")
    assert len(receiver.asked) == 1
    twice = hooked(receiver.hook(), "twice")
    number = api.number()
    assert [twice.start(number, "twice").status for _ in range(2)] == [201, 200]
    receiver.answer = {"decision": "deny"}
    twice.start(api.number(), "twice").problem(403, "guard_refused")
    assert len(receiver.asked) == 4


@pytest.mark.parametrize("decision", ["deny", "step_up"])
def test_a_refusal_answers_the_same_question_for_a_while(
    api: ApiHarness, hooked: Hooked, receiver: RiskReceiver, decision: str
) -> None:
    """Fifty starts to a number cost one question; another number, purpose or address is another question."""
    risky, to = hooked(receiver.hook()), api.number()
    receiver.answer = {"decision": decision, "reason": "sim_changed"}
    before = counted(decision)
    said = [risky.start(to, client_ip="192.0.2.7").problem(403, "guard_refused") for _ in range(50)]
    assert {(one["reason"], one["risk_reason"]) for one in said} == {(said[0]["reason"], "sim_changed")}
    assert (len(receiver.asked), counted(decision)) == (1, before + 1)
    receiver.answer = {"decision": "allow"}
    assert risky.start(to, client_ip="192.0.2.7").status == 403
    assert risky.start(to, client_ip="192.0.2.8").status == 201
    assert risky.start(to, purpose="pay", client_ip="192.0.2.7").status == 201
    assert risky.start(api.number(), client_ip="192.0.2.7").status == 201
    assert len(receiver.asked) == 4


def test_what_was_not_answered_is_asked_again(api: ApiHarness, hooked: Hooked, receiver: RiskReceiver) -> None:
    """A failure that refuses is no verdict about the number."""
    risky, to = hooked(receiver.hook(on_failure=Decision.DENY)), api.number()
    receiver.status = 500
    risky.start(to).problem(403, "guard_refused")
    receiver.status = 200
    assert risky.start(to).status == 201


@pytest.mark.parametrize(
    ("on_failure", "status"), [(Decision.ALLOW, 201), (Decision.DENY, 403), (Decision.STEP_UP, 403)]
)
def test_without_an_answer_the_policy_holds(
    api: ApiHarness, hooked: Hooked, receiver: RiskReceiver, on_failure: Decision, status: int
) -> None:
    """And says so: to the caller, in the record and in the metrics."""
    receiver.status = 500
    risky = hooked(receiver.hook(on_failure=on_failure))
    before = counted("status")
    answer: Answer = risky.start(api.number())
    assert answer.status == status
    assert counted("status") == before + 1
    if status == 403:
        assert answer.problem(403, "guard_refused")["reason"] == "risk_unanswered"
        assert refused(api) == [{"code": "guard_refused", "reason": "risk_unanswered", "risk": "status"}]
    else:
        (event,) = api.call("GET", "/audit/events?type=verification.started").json["events"]
        assert event["detail"]["risk"] == "status"


def counted(word: str) -> float:
    """How often an answer was counted."""
    return telemetry.REGISTRY.get_sample_value("otp_risk_answers_total", {"app": "default", "answer": word}) or 0.0


def test_a_key_gets_its_first_answer_without_a_second_question(
    api: ApiHarness, hooked: Hooked, receiver: RiskReceiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An Idempotency-Key that was answered; a refusal is asked again when it is kept no longer."""
    monkeypatch.setattr(risk_verdicts, "VERDICT_S", 0.0)
    risky, body = hooked(receiver.hook()), {"to": api.number()}
    receiver.answer = {"decision": "deny"}
    headers = {"Idempotency-Key": "k-risk"}
    assert risky.call("POST", "/verify/start", body, headers=headers).status == 403
    receiver.answer = {"decision": "allow"}
    assert [risky.call("POST", "/verify/start", body, headers=headers).status for _ in range(2)] == [201, 201]
    assert len(receiver.asked) == 2


def test_the_guides_receiver_answers(api: ApiHarness, hooked: Hooked, monkeypatch: pytest.MonkeyPatch) -> None:
    """The program of the guide, as it is printed: it steps up for the number in its list, and believes no forger."""
    (program,) = blocks(DOCS / "risk-hook.md", "python")
    names: dict[str, Any] = {"__name__": "guide"}
    exec(compile(program.text, "risk-hook.md", "exec"), names)
    with risk_receiver(names["Receiver"]) as running:
        monkeypatch.setenv("RISK_SECRET", running.hook().endpoint.secrets[0])
        risky = hooked(running.hook())
        assert risky.start(api.number()).status == 201
        assert risky.start("+12025550199").problem(403, "guard_refused")["risk_reason"] == "sim_changed"
        monkeypatch.setenv("RISK_SECRET", "whsec_" + "A" * 44)
        before = counted("status")
        assert risky.start(api.number()).status == 201
        assert counted("status") == before + 1
