"""Checking a code: the command for the store, and what the store may answer."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Annotated, Literal

import msgspec
from msgspec import UNSET, Meta

from .admission import OuterAnswer
from .ending import Ended, NotFound
from .guarding import Converted, Report
from .ids import Reference
from .marks import MarkedTest
from .policy import App, Channel, NumberLimits, Slot


@dataclass(slots=True)
class CheckCommand:
    """One guess. `digests` holds it under every pepper in use; `by_purpose` names the purpose when asked by number.
    Then the token of `reference` is empty, and the digests are those by number.

    `asserted_number` and `asserted_subject` (keyed hashes) and `asserted_purpose` must be the verification's where they
    are not empty; otherwise the answer is NotFound. `request_key` (a keyed hash of Idempotency-Key and body, or empty)
    marks the approval, and finds it again while the verification is remembered. `by_subject`: the keyed hash of the
    subject of whose budget a try was taken for this guess, or empty. `challenge` is that of the verifier which the
    caller has. `slots`: what the guess takes in limits apart from the number, if it is wrong; `outer_wait_ms` is not 0
    where one of them, `outer_limit`, refuses; `outer_refusing` as in `StartCommand`.
    """

    operation_id: str
    reference: Reference
    app: App
    receipt_id: str
    digests: Mapping[str, str] = field(repr=False)
    by_purpose: str | None = None
    asserted_number: str = ""
    asserted_purpose: str = ""
    asserted_subject: str = ""
    request_key: str = ""
    per_number: NumberLimits = field(default_factory=NumberLimits)
    challenge: str = ""
    by_subject: str = ""
    slots: Sequence[Slot] = ()
    outer_wait_ms: int = 0
    outer_limit: str = ""
    outer_refusing: Sequence[OuterAnswer] = ()


class Approval(msgspec.Struct):
    """The code was right: who was verified (`to` masked, `sub` as in the receipt) and for what."""

    verification_id: str
    status: Literal["approved"]
    approved_at: Annotated[str, Meta(extra_json_schema={"format": "date-time"})]
    to: str
    purpose: str
    channel: Annotated[str, Meta(extra_json_schema={"enum": list(Channel)})]
    sub: str
    receipt: Annotated[str, Meta(description="A compact JWS (EdDSA) of `ReceiptClaims`, good for 120 seconds.")]
    test: MarkedTest = UNSET

    def __repr__(self) -> str:
        return f"Approval({self.verification_id}, ...)"


@dataclass(frozen=True, slots=True)
class Approved:
    """The guess was right, and the first right one; or a repeat of it: then `receipt_id` is the first command's.

    `approval` is what the caller is told, written as JSON as it is. The store leaves its `receipt` empty, and the use
    case signs it from the other fields, which are told to nobody. `replayed`: the same request was approved before.
    `subject`: the keyed hash of the subject that the start named, or empty; `factor`: its number's, once it is settled;
    `bound`: the number was bound by it.
    `converted`: what the approval means to the pumping guard; None where the guard does not know the number's place.
    `given_back`: what happened to the guard's budgets when they got back what the number took; None where they did not
    yet.
    """

    approval: Approval
    at_ms: int
    context_hash: str
    receipt_id: str
    replayed: bool = False
    subject: str = ""
    factor: Reference | None = None
    bound: bool = False
    converted: Converted | None = None
    given_back: tuple[Report, ...] | None = None


class Wrong(msgspec.Struct, frozen=True):
    """The guess was wrong and counted. `unbound`: it lacked the verifier, and was counted against nobody."""

    checks_left: int
    unbound: bool = False


@dataclass(frozen=True, slots=True)
class Limited:
    """A budget of wrong codes is spent: the number's, or that of `limit`, as the configuration names it."""

    wait_ms: int
    limit: str = field(default="", compare=False)


@dataclass(frozen=True, slots=True)
class OfSubject:
    """The start named this subject (a keyed hash): a try of its budget must be taken first. Nothing was counted."""

    subject: str


CheckAnswer = Approved | Wrong | Ended | Limited | NotFound | OfSubject


def was_wrong(answer: CheckAnswer | None) -> bool:
    """Whether the guess was compared and wrong: the last of a verification, which ends it, too."""
    if isinstance(answer, Wrong):
        return not answer.unbound
    return isinstance(answer, Ended) and answer.counted


@dataclass(frozen=True, slots=True)
class LatestAnswer:
    """What a check by number got, and of which verification: the number's latest for the app and the purpose."""

    reference: Reference
    answer: CheckAnswer
