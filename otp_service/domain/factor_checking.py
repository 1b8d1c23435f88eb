"""Enrolling and judging factors: the commands for the store, and what the store may answer."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Annotated, ClassVar, Literal

import msgspec
from msgspec import UNSET, Meta, UnsetType

from .factors import FactorKind, Subject, TotpForm
from .ids import Reference
from .marks import MarkedTest


@dataclass(frozen=True, slots=True)
class Enrollment:
    """An authenticator app that is to be confirmed. `sealed` holds its secret."""

    operation_id: str
    reference: Reference
    subject: Subject
    form: TotpForm
    label: str
    sealed: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Enrolled:
    """It was written down at `at_ms`."""

    at_ms: int


@dataclass(frozen=True, slots=True)
class TooManyFactors:
    """The subject has as many factors of this kind as it may have."""


@dataclass(frozen=True, slots=True)
class NewCodes:
    """New recovery codes in place of all that the subject had. `digests` are their keyed hashes."""

    operation_id: str
    reference: Reference
    subject: Subject
    digests: tuple[str, ...] = field(repr=False)


@dataclass(frozen=True, slots=True)
class Confirmed:
    """The authenticator app is active."""


@dataclass(frozen=True, slots=True)
class WrongConfirmation:
    """The code was wrong; so many tries are left, none if they are used up."""

    checks_left: int


@dataclass(frozen=True, slots=True)
class EnrollmentExpired:
    """It was not confirmed in time."""


@dataclass(frozen=True, slots=True)
class FactorGuess:
    """One guess at a subject's factors.

    `steps`: the authenticator apps (by token) that show this code, with the time step at which they do. `recovery`:
    the token of the subject's recovery codes and the keyed hash of the one that was typed. `more`: something on another
    shard is asked where nothing here is approved.
    """

    operation_id: str
    subject: Subject
    purpose: str
    receipt_id: str
    steps: Sequence[tuple[str, int]] = field(default=(), repr=False)
    recovery: tuple[str, str] | None = field(default=None, repr=False)
    more: bool = False


@dataclass(frozen=True, slots=True)
class FactorApproved:
    """The code was right. `codes_left` of recovery codes. `replayed`: this operation was approved before."""

    reference: Reference
    kind: FactorKind
    at_ms: int
    codes_left: int | None = None
    replayed: bool = False


@dataclass(frozen=True, slots=True)
class CodeUsed:
    """The time step or the recovery code was used before; no try was spent."""


@dataclass(frozen=True, slots=True)
class WrongFactorCode:
    """The guess was wrong and counted; so many more cost no wait."""

    checks_left: int


@dataclass(frozen=True, slots=True)
class TriesSpent:
    """The subject's next try is in so many milliseconds. `for_ever`: not before an operator lifts the wrong codes."""

    wait_ms: int
    for_ever: bool = False


@dataclass(frozen=True, slots=True)
class TryTaken:
    """A try was taken in this row of wrong codes. `checks_left`: so many more cost no wait, if this one is wrong."""

    row: int
    checks_left: int


@dataclass(frozen=True, slots=True)
class SentCode:
    """A code that is sent to a subject. `may_bind`: its approval may bind the number to the subject.

    `sealed` holds the number, if that is not bound yet.
    """

    subject: Subject
    purpose: str
    reference: Reference
    may_bind: bool = False
    sealed: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True)
class ApprovedCode:
    """A code that was sent was right. `new`: the reference of the number's factor, if it is bound now.

    `at_ms`: when, by the clock of the number's shard. `replayed`: it is told again. `test`: of a test number.
    """

    subject: Subject
    purpose: str
    reference: Reference
    mask: str
    new: Reference
    at_ms: int = 0
    replayed: bool = False
    test: bool = False


@dataclass(frozen=True, slots=True)
class Settled:
    """The approval counts: the number's factor.

    `bound`: the number was bound by this approval; `others`: the subject's other numbers then.
    """

    factor: Reference
    bound: bool = False
    others: tuple[Reference, ...] = ()


@dataclass(frozen=True, slots=True)
class NoFactor:
    """This app has no such factor."""


class FactorApproval(msgspec.Struct):
    """A factor of the subject was right. `sub` names the subject, as in the receipt.

    `codes_left` comes with a recovery code, `verification_id` with a code that was sent.
    """

    status: Literal["approved"]
    approved_at: Annotated[str, Meta(extra_json_schema={"format": "date-time"})]
    kind: Annotated[str, Meta(extra_json_schema={"enum": list(FactorKind)})]
    purpose: str
    sub: str
    receipt: Annotated[str, Meta(description="A compact JWS (EdDSA) of `ReceiptClaims`, good for 120 seconds.")]
    factor_id: str
    codes_left: (
        Annotated[int, Meta(description="Recovery codes that are left.", extra_json_schema={"minimum": 0})] | UnsetType
    ) = UNSET
    verification_id: str | UnsetType = UNSET
    test: MarkedTest = UNSET

    replayed: ClassVar[bool] = False
    """Whether it is told again. That stands in a header and not in the body."""

    def __repr__(self) -> str:
        return f"FactorApproval({self.factor_id}, ...)"


class ReplayedFactorApproval(FactorApproval):
    """The same, told again to a repeat of the request."""

    replayed: ClassVar[bool] = True


FactorAnswer = FactorApproved | CodeUsed | WrongFactorCode | TriesSpent | TryTaken
ConfirmAnswer = Confirmed | WrongConfirmation | EnrollmentExpired | CodeUsed | NoFactor
