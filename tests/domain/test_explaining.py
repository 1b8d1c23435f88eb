"""Explanations of records that somebody wrote: what the rules come to, and what they do not.

That real decisions explain themselves is tested over the store (`tests/storage/test_explained.py`).
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest

from otp_service.domain.delivery import Action, Refused
from otp_service.domain.explaining.explain import explain
from otp_service.domain.explaining.record import Basis, Explanation, Happened
from otp_service.domain.policy import App, Limit, Policy, Sender, SenderKind

POOL = Sender("pool", SenderKind.NUMBER_POOL, "p-1", None, 20.0)
OTHER = Sender("other", SenderKind.LONG_CODE, "p-1", "+18445550002", 20.0)
BACKUP = Sender("backup", SenderKind.LONG_CODE, "p-2", "+18445550001", 20.0)
SHOP = App("shop", "Acme", (POOL, OTHER, BACKUP), resend_after_ms=(30_000,), wrong_codes_per_number=(Limit(3, 60_000),))
POLICY = Policy({"shop": SHOP}, {one.name: one for one in SHOP.route})
TIME_MS = 1_790_000_000_000

Event = tuple[int, str, dict[str, Any]]
START: Event = (0, "verification.started", {"purpose": "login", "channel": "sms"})
QUEUED: Event = (0, "delivery.queued", {"sender": "pool", "kind": "number_pool"})
SENDING: Event = (10, "delivery.sending", {"try": 1})
SENT: Event = (20, "delivery.sent", {"carrier_status": "queued"})
LOGIN = (START, QUEUED, SENDING, SENT)
TOO_SOON = {"code": "resend_too_soon", "limit": "resend_after", "purpose": "login", "channel": "sms"}


def wrong(at_ms: int, left: int) -> Event:
    """A wrong code, with so many guesses left."""
    return at_ms, "check.failed", {"checks_left": left}


def refusal_of(code: str, title: str, in_report: bool) -> Refused | None:
    """A few of the carrier's codes."""
    actions = {"40309": Action.STOP_PERSON, "40002": Action.NEXT_SENDER, "40310": Action.STOP_PERSON}
    return Refused(code, title, actions[code]) if code in actions and not in_report else None


def happened(events: Sequence[Event]) -> list[Happened]:
    """Events of one verification and number. `delivery` of the detail says which delivery, the first if nothing."""
    made = []
    for seq, (at_ms, kind, told) in enumerate(events, 1):
        detail = dict(told)
        delivery = f"dlv_v-{detail.pop('delivery', 1)}" if kind.startswith("delivery.") else None
        made.append(
            Happened(seq, TIME_MS + at_ms, kind, "shop", detail.pop("of", "vrf_v"), delivery, "sha256:", detail)
        )
    return made


def explained(*events: Event, policy: Policy = POLICY) -> Explanation:
    """The last of these events, by those before it."""
    *before, last = happened(events)
    found = explain(last, before, lambda _: policy, refusal_of)
    assert found is not None
    return found


AGREE: dict[str, Sequence[Event]] = {
    "by the code's time": (*LOGIN, (300_000, "verification.expired", {})),
    "by a restart": (*LOGIN, (4_000, "store.restarted", {}), (5_000, "verification.expired", {})),
    "a restart before it was sent": (
        *LOGIN[:2],
        (4_000, "store.restarted", {}),
        (5_000, "delivery.expired", {"reason": "code_expired"}),
    ),
    "a limit of other people": (
        (0, "verification.refused", {"code": "rate_limited", "limit": "devices", "wait_ms": 9, "purpose": "login"}),
    ),
    "the guard's budget": (
        (0, "verification.refused", {"code": "guard_refused", "limit": "block_1k", "purpose": "login"}),
    ),
    "the risk hook": ((0, "verification.refused", {"code": "risk_denied", "risk": "deny"}),),
    "the ladder": (*LOGIN, (10_000, "verification.refused", {**TOO_SOON, "wait_ms": 20_000})),
    "all sends used": (
        *LOGIN,
        (30_000, "verification.resent", START[2]),
        (61_000, "verification.refused", {**TOO_SOON, "wait_ms": 269_000}),
    ),
    "fewer guesses than configured": (
        (0, "verification.started", {**START[2], "max_checks": 3}),
        *LOGIN[1:],
        wrong(100, 2),
    ),
    "wrong codes that were lifted": (
        *LOGIN,
        *(wrong(100 + n, 4 - n) for n in range(3)),
        (200, "person.lock_lifted", {}),
        (300, "verification.approved", {}),
    ),
    "wrong codes of a subject": (
        (0, "verification.started", {**START[2], "sub": "somebody"}),
        *LOGIN[1:],
        *(wrong(100 + n, 4 - n) for n in range(3)),
        (300, "verification.approved", {}),
    ),
    "wrong codes of subjects whom the ledger does not name": (
        (0, "verification.started", {**START[2], "of_subject": True}),
        *LOGIN[1:],
        *(wrong(100 + n, 4 - n) for n in range(3)),
        (300, "verification.approved", {}),
        (31_000, "verification.started", {**START[2], "of_subject": True}),
        (62_000, "verification.resent", {**START[2], "of_subject": True}),
    ),
    "wrong codes that are old": (*LOGIN, *(wrong(100 + n, 4 - n) for n in range(3)), (61_000, *wrong(0, 1)[1:])),
    "a refusal by the carrier": (
        *LOGIN[:3],
        (20, "delivery.failed", {"code": "40002", "title": "Spam"}),
        (20, "delivery.fell_back", {"to": "dlv_v-2", "reason": "40002"}),
    ),
    "the profile is to blame, and another one is left": (
        *LOGIN[:3],
        (20, "delivery.failed", {"code": "40309", "title": "Country"}),
        (20, "delivery.fell_back", {"to": "dlv_v-2", "reason": "40309"}),
    ),
    "not sent in time": (
        *LOGIN[:2],
        (20_000, "delivery.failed", {"code": "not_sent_in_time", "title": "late"}),
        (20_000, "delivery.fell_back", {"to": "dlv_v-2", "reason": "not_sent_in_time"}),
    ),
    "an answer is lost": (
        *LOGIN[:3],
        (20_000, "delivery.fell_back", {"to": "dlv_v-2", "reason": "answer_lost"}),
    ),
    "the second sender": (
        *LOGIN[:3],
        (20_000, "delivery.fell_back", {"to": "dlv_v-2", "reason": "answer_lost"}),
        (20_000, "delivery.queued", {"sender": "backup", "delivery": 2}),
    ),
    "no report": (*LOGIN, (330_000, "delivery.unconfirmed", {"reason": "no_receipt"})),
    "an emptied store knows nothing": (*LOGIN, (100, "store.emptied", {}), (200, *START[1:])),
    "a verifier is missing": (*LOGIN, (100, "check.failed", {"reason": "code_verifier"})),
}

DIFFER: dict[str, Sequence[Event]] = {
    "no restart is on record": (*LOGIN, (5_000, "verification.expired", {})),
    "it had ended": (*LOGIN, (100, "verification.canceled", {}), (200, "verification.approved", {})),
    "after the code's end": (*LOGIN, (300_500, "verification.approved", {})),
    "a budget was spent": (*LOGIN, *(wrong(100 + n, 4 - n) for n in range(3)), (300, "verification.approved", {})),
    "no guess was left": (*LOGIN, *(wrong(61_000 * n, 4 - n) for n in range(1, 4)), (190_000, *wrong(0, 2)[1:])),
    "the ladder came first": (
        *LOGIN,
        (9, "verification.refused", {"code": "rate_limited", "limit": "devices", "wait_ms": 9, "purpose": "login"}),
    ),
    "the guard knows the number": (
        *LOGIN,
        (100, "verification.approved", {}),
        (200, "verification.refused", {"code": "guard_refused", "limit": "block_1k"}),
    ),
    "nothing stood in the way": (
        (0, "verification.refused", {"code": "too_many_wrong_codes", "limit": "wrong_codes_per_number", "wait_ms": 9}),
    ),
    "another wait": (*LOGIN, (10_000, "verification.refused", {**TOO_SOON, "wait_ms": 25_000})),
    "it was too soon": (*LOGIN, (10_000, "verification.resent", START[2])),
    "nobody else helps": (
        *LOGIN[:3],
        (20, "delivery.failed", {"code": "40310", "title": "Recipient"}),
        (20, "delivery.fell_back", {"to": "dlv_v-2", "reason": "40310"}),
    ),
    "it was in time": (*LOGIN[:2], (5_000, "delivery.fell_back", {"to": "dlv_v-2", "reason": "not_sent_in_time"})),
    "no try was made": (*LOGIN[:2], (20_000, "delivery.fell_back", {"to": "dlv_v-2", "reason": "answer_lost"})),
    "it was tried": (
        *LOGIN[:3],
        (20_000, "delivery.fell_back", {"to": "dlv_v-2", "reason": "answer_lost"}),
        (20_000, "delivery.queued", {"sender": "pool", "delivery": 2}),
    ),
    "no newer message": (*LOGIN[:2], (10, "delivery.suppressed", {"reason": "replaced"})),
    "the person had stopped": (
        *LOGIN[:2],
        (5, "optout.added", {"messaging_profile_id": "p-1", "keyword": "STOP", "source": "inbound"}),
        SENDING,
    ),
    "the code still lived": (*LOGIN[:2], (10, "delivery.expired", {"reason": "code_expired"})),
    "reports were awaited": (*LOGIN, (310_000, "delivery.unconfirmed", {"reason": "no_receipt"})),
    "nobody had its message": (*LOGIN[:2], (50, "verification.denied", {})),
    "it is no STOP": ((0, "optout.added", {"messaging_profile_id": "p-1", "keyword": "THANKS", "source": "inbound"}),),
}


@pytest.mark.parametrize("name", AGREE)
def test_the_rules_come_to_it(name: str) -> None:
    """The outcome is the one on record."""
    found = explained(*AGREE[name])
    assert found.agrees, found


@pytest.mark.parametrize("name", DIFFER)
def test_the_rules_come_to_something_else(name: str) -> None:
    """The record says what the service cannot have decided."""
    found = explained(*DIFFER[name])
    assert not found.agrees
    assert found.recorded != found.recomputed


def test_what_is_not_on_record_is_taken_from_it() -> None:
    """Whether a code was right is one step of many, and named as recorded."""
    steps = explained(*LOGIN, wrong(100, 4)).steps
    assert [step.rule for step in steps if step.basis is Basis.RECORDED] == ["it was compared, and wrong"]


def test_another_configuration_comes_to_something_else() -> None:
    """The number of guesses is that of the configuration that decided."""
    other = replace(POLICY, apps={"shop": replace(SHOP, max_checks=9)})
    assert explained(*LOGIN, wrong(100, 4)).agrees
    found = explained(*LOGIN, wrong(100, 4), policy=other)
    assert (found.recorded, found.recomputed) == ("wrong, 4 checks left", "wrong, 8 checks left")


def test_what_is_no_decision_is_not_explained() -> None:
    """What the carrier or a person did."""
    *before, last = happened(LOGIN)
    assert explain(last, before, lambda _: POLICY, refusal_of) is None
