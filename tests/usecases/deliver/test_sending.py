"""What a worker does with one entry: wait, record, call, record again; in this order and for every response."""

import json
import logging
from dataclasses import replace
from types import MappingProxyType
from typing import Any

import pytest

from otp_service.domain.circuit import BreakerDecision
from otp_service.domain.delivery import Accepted, Action, DeliveryStatus, NotSent, Refused, SendOutcome, Unknown
from otp_service.domain.outbox import PendingDelivery
from otp_service.domain.policy import Policy, Sender, SenderKind, Template
from otp_service.keyring import parse, rotate
from tests.fakes import FakeSenderHealth

from .scenario import APP, CODE, JOB, NEXT, NUMBER, PENDING, POLICY, POOL, RAW, REF, RING, Scenario, box, use_case

ID = REF.delivery_id(1)


def test_a_code_goes_out_in_the_right_order() -> None:
    """The turn, the bytes, the write-down, the call, the write-down; the bytes sealed in between."""
    scenario = Scenario()
    use_case(scenario).send(JOB)
    assert scenario.steps() == ["acquire_rate_slot", "compose", "begin_send", "send", "count", "record_accepted"]
    (begun,) = [entry for entry in scenario.log if entry[0] == "begin_send"]
    assert CODE not in begun[2]
    assert NUMBER not in begun[2]
    assert begun[3:] == (APP.wrong_codes_per_number, POLICY.per_number.wrong_codes)
    (composed, key) = scenario.carrier.sent[0]
    assert key == ID
    assert composed == RING.open(begun[2])
    parts = json.loads(composed)
    assert parts["to"] == NUMBER
    assert parts["code"] == CODE
    assert parts["text"].startswith(CODE)
    assert "Acme" in parts["text"]
    assert parts["webhook_url"] == f"https://otp.example/webhooks/telnyx/{ID}"


def test_every_further_try_sends_the_bytes_of_the_first() -> None:
    """A delivery that has a body composes nothing; what the store kept is sent under the same key."""
    kept = RING.seal(b"the first bytes")
    scenario = Scenario(pending=replace(PENDING, has_body=True, box=None), body=kept, tries=3)
    use_case(scenario).send(JOB)
    assert scenario.steps() == ["acquire_rate_slot", "begin_send", "send", "count", "record_accepted"]
    assert scenario.carrier.sent == [(b"the first bytes", ID)]


@pytest.mark.parametrize(
    ("outcome", "written"),
    [
        (Accepted("m1", "queued"), ("record_accepted", Accepted("m1", "queued"))),
        (NEXT, ("record_refused", NEXT)),
        (NotSent("connect"), ("record_retry", 500, NotSent("connect"))),
        (NotSent("429", retry_after_s=7.0), ("record_retry", 7_000, NotSent("429", retry_after_s=7.0))),
        (NotSent("429", retry_after_s=0.0), ("record_retry", 500, NotSent("429", retry_after_s=0.0))),
        (Unknown("read timeout"), ("record_unknown", 2_000, Unknown("read timeout"))),
    ],
)
def test_each_answer_is_written_down_as_what_it_is(outcome: SendOutcome, written: tuple[Any, ...]) -> None:
    """Accepted, refused, not sent, lost: four ends; a wait that the carrier asks for is kept, but for "at once"."""
    scenario = Scenario(outcome=outcome)
    use_case(scenario).send(JOB)
    assert scenario.log[-1] == written
    assert ("count", "pool", type(outcome).__name__.lower()) in scenario.log


@pytest.mark.parametrize("outcome", [NotSent("connect"), Unknown("timeout")])
def test_waits_grow_and_are_bounded(outcome: SendOutcome) -> None:
    """Each further try waits at least as long, up to a bound."""
    waits = []
    for attempt in (1, 2, 3, 5, 8, 100):
        scenario = Scenario(outcome=outcome, tries=attempt - 1)
        use_case(scenario).send(JOB)
        waits.append(scenario.log[-1][1])
    assert waits == sorted(waits)
    assert waits[0] < waits[2] < waits[-1] == waits[-2] or waits[-1] <= 40_000
    assert waits[-1] <= 40_000


@pytest.mark.parametrize("outcome", [Accepted("m1"), NEXT, NotSent("connect"), Unknown("timeout")])
def test_sender_health_learns_from_every_answer(outcome: SendOutcome) -> None:
    """With the sender and the breaker decision of the message, so a probe's answer is known as one."""
    sender_health = FakeSenderHealth(decision=BreakerDecision(True, probe=True))
    use_case(Scenario(outcome=outcome), sender_health=sender_health).send(JOB)
    assert sender_health.learned == [(POOL, outcome, BreakerDecision(True, probe=True))]
    assert sender_health.numbers == {REF.number_hash}


def test_a_request_has_the_rest_of_the_codes_life_to_leave() -> None:
    """Counted from before the write-down, by the process's own clock: what passed since is taken off."""
    scenario = Scenario(pending=replace(PENDING, now_ms=PENDING.expires_ms - 2_000), late_s=1.5)
    use_case(scenario).send(JOB)
    assert scenario.carrier.within_s == pytest.approx(0.5)


def test_what_may_not_be_sent_is_not_called() -> None:
    """Where the store says that nothing is to be done, nobody calls the carrier."""
    scenario = Scenario(status=DeliveryStatus.SUPPRESSED)
    use_case(scenario).send(JOB)
    assert scenario.steps() == ["acquire_rate_slot", "compose", "begin_send"]


def test_a_vanished_record_is_settled() -> None:
    """The store is called once, so that the entry does not come back for ever."""
    scenario = Scenario(pending=None)
    use_case(scenario).send(JOB)
    assert scenario.steps() == ["begin_send"]


def test_an_ended_verification_is_settled_without_a_text() -> None:
    """Without the box there is nothing to compose; the store decides."""
    scenario = Scenario(pending=replace(PENDING, box=None))
    use_case(scenario).send(JOB)
    assert scenario.log[-1][:3] == ("begin_send", "shop", "")


NEWER = parse(rotate(RAW, lambda n: b"\x05" * n, "2026-02-01T00:00:00Z"))
UNKNOWN = [
    (replace(PENDING, sender="gone"), "sender_unknown", True),
    (replace(PENDING, app="gone"), "app_unknown", False),
    (replace(PENDING, box=NEWER.seal(b"{}"), sealed_by=NEWER.active_kid), "key_unknown", False),
    (replace(PENDING, has_body=True, sealed_by=NEWER.active_kid), "key_unknown", False),
]


@pytest.mark.parametrize(("pending", "code", "may_fail_over"), UNKNOWN)
def test_what_this_worker_does_not_know_another_may(pending: PendingDelivery, code: str, may_fail_over: bool) -> None:
    """Handed back before anything is done about it: no turn is used up, no try counted, and nothing is final.

    Only where the sender is to blame may the next one have it when time is short.
    """
    scenario = Scenario(pending=pending)
    use_case(scenario).send(JOB)
    ((step, title, *rest),) = scenario.log
    assert (step, rest, scenario.left) == ("return_to_queue", [1_500, may_fail_over], [code])
    assert str(title).startswith("no running worker has the ")


@pytest.mark.parametrize(("pending", "code", "may_fail_over"), UNKNOWN)
def test_at_the_codes_end_it_is_the_store_that_ends_it(
    pending: PendingDelivery, code: str, may_fail_over: bool
) -> None:
    """What nobody could send until then is not handed back for ever: the store writes `expired`, and why."""
    scenario = Scenario(pending=replace(pending, now_ms=300_000))
    use_case(scenario).send(JOB)
    assert scenario.log == [("begin_send", pending.app, "", (), ())]


def test_bytes_of_a_newer_worker_are_left_to_it() -> None:
    """Composed by another between our look and our try: nothing left the process, and it is not final."""
    scenario = Scenario(body=NEWER.seal(b"bytes"), tries=1)
    use_case(scenario).send(JOB)
    assert scenario.carrier.sent == []
    assert scenario.steps()[-2:] == ["begin_send", "record_retry"]


def test_a_text_that_no_longer_fits_is_not_cut() -> None:
    """Of a brand that has grown since the start: the delivery says so, and what is confirmed is never shortened."""
    android = json.dumps({"android_hash": "FA+9qCX9VSu"})
    scenario = Scenario(pending=replace(PENDING, autofill=android, box=box(context={"payee": "x" * 128})))
    use_case(scenario).send(JOB)
    assert scenario.log[1:] == [("record_impossible", "text_too_long")]
    assert scenario.carrier.sent == []


def test_a_template_needs_no_text() -> None:
    """A code that goes by WhatsApp is not stopped by words that would not fit into an SMS."""
    meta = Sender("meta", SenderKind.WHATSAPP, "profile-c", "+18445550001", 5.0, Template("login"))
    policy = replace(POLICY, senders={**POLICY.senders, "meta": meta})
    android = json.dumps({"android_hash": "FA+9qCX9VSu"})
    pending = replace(
        PENDING, sender="meta", channel="whatsapp", autofill=android, box=box(context={"payee": "x" * 128})
    )
    scenario = Scenario(pending=pending)
    use_case(scenario, policy=policy).send(JOB)
    assert len(scenario.carrier.sent) == 1


@pytest.mark.parametrize("action", list(Action))
def test_a_refusal_that_somebody_has_to_mend_is_an_error_in_the_log(
    action: Action, caplog: pytest.LogCaptureFixture
) -> None:
    """Our requests and texts, senders, profiles, the account; what concerns one person or moment is a warning."""
    with caplog.at_level(logging.WARNING, logger="otp.deliver"):
        use_case(Scenario(outcome=Refused("49999", "x", action))).send(JOB)
    (record,) = [record for record in caplog.records if record.message == "refused by the carrier"]
    ours = {Action.BAD_REQUEST, Action.STOP_SENDER, Action.STOP_PROFILE, Action.STOP_ALL}
    assert record.levelno == (logging.ERROR if action in ours else logging.WARNING)


@pytest.mark.parametrize(
    "sealed",
    [
        f"{RING.active_kid}:AAAA",
        "nonsense",
        box(RING.ids.new(REF.number_hash, b"another on")),
    ],
    ids=["too short", "no seal", "another's box"],
)
def test_an_unreadable_box_ends_with_a_reason(sealed: str) -> None:
    """Changed, or moved here from another verification: nothing is sent."""
    scenario = Scenario(pending=replace(PENDING, box=sealed))
    use_case(scenario).send(JOB)
    assert scenario.carrier.sent == []
    assert scenario.log[-1] == ("record_impossible", "unreadable")


def test_unreadable_bytes_end_with_a_reason() -> None:
    """Kept bytes that no key opens are not replaced by others."""
    scenario = Scenario(pending=replace(PENDING, has_body=True), body=f"{RING.active_kid}:AAAA", tries=1)
    use_case(scenario).send(JOB)
    assert scenario.carrier.sent == []
    assert scenario.log[-1] == ("record_impossible", "unreadable")


# ---- outages and secrets --------------------------------------------------------------------------------------------


def test_the_text_follows_the_record() -> None:
    """Locale, context, autofill and the life that is left go into the text."""
    pending = replace(
        PENDING,
        locale="de",
        autofill='{"web_origin": "example.com", "android_hash": null}',
        box=box(context={"amount": "EUR 10", "payee": "Laden"}),
        now_ms=180_000,
    )
    scenario = Scenario(pending=pending)
    use_case(scenario).send(JOB)
    text = json.loads(scenario.carrier.sent[0][0])["text"]
    assert "EUR 10 / Laden" in text
    assert "2 Minuten" in text
    assert text.endswith(f"@example.com #{CODE}")


@pytest.mark.parametrize("kind", [kind for kind in SenderKind if kind is not SenderKind.WHATSAPP])
def test_only_a_sender_that_receives_replies_asks_for_one(kind: SenderKind) -> None:
    """A name (alphanumeric) is no address: nobody can reply STOP to it."""
    sender = Sender("pool", kind, "profile-a", None, 20.0)
    policy = Policy(MappingProxyType({"shop": replace(APP, route=(sender,))}), MappingProxyType({"pool": sender}))
    scenario = Scenario()
    use_case(scenario, policy).send(JOB)
    assert ("STOP" in json.loads(scenario.carrier.sent[0][0])["text"]) is (kind is not SenderKind.ALPHANUMERIC)
