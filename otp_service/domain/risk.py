"""The risk hook: what the operator's own system is asked before a code is sent, and what its answer means.

`allow`: the code is sent. `deny`: none is, and no other way in is offered. `step_up`: a code to this number would prove
too little (a new SIM card, a call that is forwarded), so none is sent, and the person's other factors are named.
"""

import re
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

import msgspec

from .addresses import KeptClientIp
from .callback import Endpoint
from .errors import Refusal

MAX_ANSWER = 16_384
"""Bytes of an answer that are read."""

QUESTION = "verification.start"
_REASON = re.compile(r"[a-z0-9_]{1,40}", re.ASCII)


class Decision(StrEnum):
    """What an answer may say."""

    ALLOW = "allow"
    DENY = "deny"
    STEP_UP = "step_up"


class SentNumber(StrEnum):
    """How much of the number a question holds. Data about SIM cards is found by the full number alone."""

    FULL = "full"
    MASKED = "masked"


@dataclass(frozen=True, slots=True)
class RiskHook:
    """The operator's system, as an app asks it.

    `timeout_ms` covers the whole question. `on_failure`: what holds where there is no answer that can be used.
    """

    endpoint: Endpoint
    timeout_ms: int = 300
    on_failure: Decision = Decision.ALLOW
    number: SentNumber = SentNumber.FULL
    client_ip: KeptClientIp = KeptClientIp.HASHED


class RiskQuestion(msgspec.Struct):
    """The body of a question. Null stands where nothing is known, or where the operator lets nothing be told.

    `person` is the `sub` of the app's receipts: the same for each start to one number, and another one in each app.
    `test`: `doctor` asks, and nothing depends on the answer.
    """

    request_id: str | None
    app: str
    purpose: str
    channel: str
    to: str
    person: str
    country: str | None
    number_type: str
    client_ip: str | None
    test: bool = False
    type: str = QUESTION


class _Body(msgspec.Struct):
    decision: Decision
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class RiskAnswer:
    """What came back: the decision with the operator's word for it, or why there is none (`failure`).

    `is_news`: with this failure the questions of the app are paused.
    """

    decision: Decision | None
    reason: str = ""
    failure: str = ""
    is_news: bool = False

    @property
    def word(self) -> str:
        """The decision, or why there is none."""
        return self.decision or self.failure


@dataclass(frozen=True, slots=True)
class RawAnswer:
    """What a receiver sent: its status and the beginning of the body; or `failure`, if nothing came in time."""

    status: int = 0
    body: bytes = field(default=b"", repr=False)
    failure: str = ""


def read_answer(raw: RawAnswer) -> RiskAnswer:
    """Read an answer. Only status 200 with a body in this form is one; other members of it are ignored."""
    if raw.failure:
        return RiskAnswer(None, failure=raw.failure)
    if len(raw.body) > MAX_ANSWER:
        return RiskAnswer(None, failure="body")
    if raw.status != 200:
        return RiskAnswer(None, failure="status")
    try:
        body = msgspec.json.decode(raw.body, type=_Body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return RiskAnswer(None, failure="body")
    reason = body.reason or ""
    return RiskAnswer(body.decision, reason if _REASON.fullmatch(reason) else "")


def detail_of(detail: str, answer: RiskAnswer) -> str:
    """The detail of a start's event (a JSON object), with the answer that let it through."""
    return f'{detail[:-1]}, "risk": "{answer.word}"}}'


def refusal_of(decision: Decision, *, answered: bool, reason: str = "") -> Refusal | None:
    """What a caller gets for a start of this decision; None if the code is sent.

    The fields of a denial say that there is no other way; for a step up they are added where the person is known.
    """
    told: dict[str, Any] = {"risk_reason": reason} if reason else {}
    match decision:
        case Decision.ALLOW:
            return None
        case Decision.DENY:
            word, detail = "risk_denied", "The operator's risk check refuses this login. Do not offer another way in."
            told["alternatives"] = []
        case Decision.STEP_UP:
            word, detail = "risk_step_up", "A code to this number would prove too little. Ask for another factor."
    return Refusal("guard_refused", detail, fields={"reason": word if answered else "risk_unanswered", **told})
