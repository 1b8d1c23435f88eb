"""The judge's rules about authenticator apps and recovery codes: right evidence keeps them, each change breaks one."""

from dataclasses import replace
from typing import Any

import pyotp
import pytest

from . import breaches
from .evidence import Call, Event
from .factor_rules import FREE
from .judge import judge
from .sample_evidence import T0, at, event, sample

FAC, CODES_ID, SUB, WHO = "fac_app", "fac_codes", "sub-1", "subject-1"
TOTP = pyotp.TOTP("JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP")
CODES = [f"CODE-{number}" for number in range(10)]


def asked(kind: str, began: float, status: int | None, **other: Any) -> Call:
    """A request about the person's factors."""
    sent = {"api": "api1", "tried": ("api1",), "subject": WHO} | other
    return Call(kind, "", T0 + began, T0 + began + 0.02, status, **sent)


def shown(began: float) -> str:
    """What the app shows then."""
    return TOTP.at(int(T0 + began))


def approved(began: float, guess: str, kind: str = "totp", receipt: str = "") -> Call:
    """An approval."""
    name = FAC if kind == "totp" else CODES_ID
    body = {"factor_id": name, "kind": kind, "approved_at": at(T0 + began + 0.01), "receipt": receipt or f"r{began}"}
    return asked("factor check", began, 200, guess=guess, body=body)


def wrong(began: float) -> Call:
    """A wrong code that was judged."""
    return asked("factor check", began, 422, code="code_incorrect", guess="000000")


MADE = (
    asked("factor enroll", 0.0, 201, body={"factor_id": FAC, "secret": TOTP.secret}),
    asked("factor confirm", 0.1, 200, guess=shown(-30), factor_id=FAC, body={"factor_id": FAC}),
    asked("factor codes", 0.2, 201, body={"factor_id": CODES_ID, "codes": CODES}),
)
USED = (approved(1.0, shown(1)), approved(2.0, shown(31)), approved(3.0, CODES[0], "recovery_code"))


def record(calls: tuple[Call, ...]) -> tuple[Event, ...]:
    """The events of these calls."""
    kinds = {200: "factor.approved", 422: "factor.check_failed"}
    return tuple(
        replace(
            event(kinds[call.status], call.began + 0.01 - T0, detail={"sub": SUB, "purpose": "login"} | _named(call)),
            verification_id="",
        )
        for call in calls
        if call.kind == "factor check" and call.status in kinds
    )


def _named(call: Call) -> dict[str, str]:
    return {"factor_id": call.body["factor_id"]} if "factor_id" in call.body else {}


def broken_by(*calls: Call, events: tuple[Event, ...] | None = None) -> set[str]:
    """The kinds of breach where the person made these calls."""
    evidence = sample()
    more = record(calls) if events is None else events
    store = replace(evidence.store, audit_events=len(evidence.events) + len(more))
    every = (*evidence.events, *more)
    return {
        breach.kind
        for breach in judge(replace(evidence, calls=(*evidence.calls, *calls), events=every, store=store)).breaches
    }


def test_right_evidence_keeps_every_rule() -> None:
    """Two steps, a recovery code, a reply that was given again, five wrong codes, one more after half a minute."""
    again = replace(USED[1], began=USED[1].began + 0.3, ended=USED[1].ended + 0.3)
    many = tuple(wrong(4.0 + turn / 10) for turn in range(FREE))
    calls = (*MADE, *USED, *many, wrong(36.0))
    assert broken_by(*calls, again, events=record(calls)) == set()


@pytest.mark.parametrize(
    ("calls", "kind"),
    [
        ((approved(1.0, "000000"),), breaches.FALSE),
        ((approved(1.0, shown(61)),), breaches.FALSE),
        ((approved(1.0, "CODE-X", "recovery_code"),), breaches.FALSE),
        (
            (
                asked("factor codes", 0.5, 201, body={"factor_id": CODES_ID, "codes": ["NEW"]}),
                approved(1.0, CODES[1], "recovery_code"),
            ),
            breaches.FALSE,
        ),
        ((approved(1.0, shown(1)), approved(1.2, shown(1))), breaches.DOUBLE),
        ((approved(1.0, shown(31)), approved(1.2, shown(1))), breaches.DOUBLE),
        ((approved(1.0, shown(-30)),), breaches.DOUBLE),
        ((approved(1.0, CODES[1], "recovery_code"), approved(1.5, CODES[1], "recovery_code")), breaches.DOUBLE),
        (tuple(wrong(1.0 + turn / 10) for turn in range(FREE + 1)), breaches.BUDGET),
        ((asked("factor check", 1.0, 422, code="code_incorrect", guess=CODES[1]),), breaches.REFUSED),
    ],
)
def test_each_promise_can_be_broken(calls: tuple[Call, ...], kind: str) -> None:
    """And the judge says which."""
    assert broken_by(*MADE, *calls) == {kind}


def test_the_record_shows_guesses_whose_replies_were_lost() -> None:
    """Six wrong codes on record, none answered."""
    lost = tuple(asked("factor check", 1.0 + turn / 10, 503) for turn in range(FREE + 1))
    named = replace(event("factor.enrolled", 0.0, detail={"sub": SUB, "factor_id": FAC}), verification_id="")
    failed = record(tuple(wrong(1.0 + turn / 10) for turn in range(FREE + 1)))
    assert breaches.BUDGET in broken_by(*MADE, *lost, events=(named, *failed))


def test_an_approval_that_is_not_on_record_is_a_gap() -> None:
    """Or that is there at another time only."""
    assert broken_by(*MADE, *USED, events=record(USED[:2])) == {breaches.GAP}
    late = replace(record(USED[2:])[0], at=T0 + 9)
    assert broken_by(*MADE, *USED, events=(*record(USED[:2]), late)) == {breaches.GAP}
