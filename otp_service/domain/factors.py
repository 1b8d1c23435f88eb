"""Second factors: what a subject (a person, by the caller's own id) can prove who they are with.

A factor is a kind with enrol, confirm, check and remove. All kinds of a subject share one budget of wrong codes:
whoever changes the factor gets no second set of guesses. `storage/lua/factor` enforces it, in one step each.
"""

import re
import unicodedata
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType

from .ids import Reference

FACTOR_PREFIX = "fac_"
CONFIRM_MS = 15 * 60_000
"""An authenticator app that was not confirmed by then is gone."""

CONFIRM_TRIES = 5
MOST_TOTP = 10
"""Authenticator apps of one subject, those to be confirmed among them."""

MAY_BIND_MS = 3_600_000
"""For so long an operator's lift lets a subject bind another number without proof."""

BINDS_MS = CONFIRM_MS
"""For so long after a code that may bind a number another one may go there without a new proof."""

RECEIPT_KEPT_MS = 180_000
"""How long an approval's receipt can be spent, and a minute more."""

REPEATED_MS = 24 * 3_600_000
"""For so long an approval is given again to a repeat of its request: as long as an Idempotency-Key is remembered."""

_SUBJECT_MAX, _LABEL_MAX = 128, 64
_JOINERS = "\u200c\u200d"
_FACTOR_ID = re.compile(FACTOR_PREFIX + r"([a-z2-7]{32})", re.ASCII)


class FactorKind(StrEnum):
    """The kinds of factors."""

    TOTP = "totp"
    RECOVERY_CODE = "recovery_code"
    SMS = "sms"


class FactorStatus(StrEnum):
    """An authenticator app is pending until its first code is given."""

    PENDING = "pending"
    ACTIVE = "active"


@dataclass(frozen=True, slots=True)
class WrongCodePolicy:
    """The waits of a subject after wrong codes, whatever factor they were for.

    `free` wrong codes in a row cost no wait. Then it is `first_wait_ms`, doubled by each further one up to
    `longest_wait_ms`. After `most` in a row only an operator helps. An approval ends the row. The ceiling is NIST SP
    800-63B-4's, section 3.2.2.
    """

    free: int = 5
    first_wait_ms: int = 30_000
    longest_wait_ms: int = 3_600_000
    most: int = 100


WRONG_CODES = WrongCodePolicy()


@dataclass(frozen=True, slots=True)
class Subject:
    """A person of an app: `hash` is the keyed hash of app and id, `sub` what receipts call them."""

    app: str
    hash: str
    sub: str


@dataclass(frozen=True, slots=True)
class TotpForm:
    """How an authenticator app computes its codes (RFC 6238). `period_s`: seconds of a step."""

    algorithm: str = "SHA1"
    digits: int = 6
    period_s: int = 30


@dataclass(frozen=True, slots=True)
class Factor:
    """A factor as it is shown. `mask` is the number of an `sms` factor, `codes_left` of recovery codes.

    `confirm_by_ms`: until when a pending one can be confirmed. `number_hash`: keyed hash of that number;
    `sealed_number`: the number itself; `bound_by`: the token of the verification that bound it. `approved_by`: the
    operation that used it last.
    """

    reference: Reference
    kind: FactorKind
    label: str
    status: FactorStatus
    created_ms: int
    last_used_ms: int | None = None
    codes_left: int | None = None
    mask: str | None = None
    confirm_by_ms: int | None = None
    number_hash: str | None = None
    sealed_number: str | None = field(default=None, repr=False)
    bound_by: str | None = None
    approved_by: str | None = field(default=None, repr=False)

    @property
    def factor_id(self) -> str:
        """The public id."""
        return factor_id(self.reference)


@dataclass(frozen=True, slots=True)
class Authenticator:
    """What judging a code of an authenticator app needs. `sealed` holds its secret."""

    factor: Factor
    form: TotpForm
    sealed: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Sent:
    """A code that was sent to a subject: the verification's token, the keyed hash of the number, and when.

    `may_bind`: its approval may bind the number, which it has not done yet.
    """

    token: str
    number_hash: str
    may_bind: bool
    at_ms: int


@dataclass(frozen=True, slots=True)
class Factors:
    """All factors of a subject at the store's time `now_ms`, in order of their making.

    `sent`: the code that was sent last, by purpose. `lifted`: an operator lets the subject bind another number.
    `untold`: the token of the verification that bound a number of which the others were not told yet.
    """

    now_ms: int
    all: tuple[Factor, ...] = ()
    authenticators: tuple[Authenticator, ...] = ()
    sent: Mapping[str, Sent] = field(default_factory=lambda: MappingProxyType({}))
    lifted: bool = False
    untold: str | None = None

    def allow(self, number_hash: str, purpose: str) -> bool:
        """Whether a code of this purpose may go to the number: it is bound, or will be by it."""
        bound, going = self.binds(number_hash), self.is_going(number_hash, purpose)
        return bound or going or not any(one.status is FactorStatus.ACTIVE for one in self.all)

    def is_going(self, number_hash: str, purpose: str) -> bool:
        """Whether a code that may bind this number went there lately: another one needs no proof of its own."""
        sent = self.sent.get(purpose)
        if sent is None or not sent.may_bind or sent.number_hash != number_hash:
            return False
        return self.now_ms < sent.at_ms + BINDS_MS

    def open_to(self, sent: Reference) -> bool:
        """Whether the code of this verification may open the subject's account: as `factor/settle` decides it.

        The number is bound, or will be by it, or there is no factor yet.
        """
        going = any(one.token == sent.token and one.may_bind for one in self.sent.values())
        return going or self.binds(sent.number_hash) or not any(one.status is FactorStatus.ACTIVE for one in self.all)

    def binds(self, number_hash: str) -> bool:
        """Whether the number is bound."""
        return any(one.number_hash == number_hash for one in self.all)

    def of_kind(self, kind: FactorKind) -> list[Factor]:
        """The active ones of a kind."""
        return [one for one in self.all if one.kind is kind and one.status is FactorStatus.ACTIVE]


def factor_id(ref: Reference) -> str:
    """The public id of a factor."""
    return FACTOR_PREFIX + ref.token


def read_factor_id(text: str, read_token: Callable[[str], Reference | None]) -> Reference | None:
    """The reference of a factor's id; its `number_hash` is the subject's. None if it cannot be one of ours."""
    found = _FACTOR_ID.fullmatch(text)
    return read_token(found[1]) if found else None


def is_subject(text: str) -> bool:
    """1 to 128 printable characters."""
    return 1 <= len(text) <= _SUBJECT_MAX and text.isprintable()


def is_label(text: str) -> bool:
    """Up to 64 printable characters; words of some languages and many emoji have joiners, or blanks of their own."""
    return len(text) <= _LABEL_MAX and all(
        one.isprintable() or one in _JOINERS or unicodedata.category(one) == "Zs" for one in text
    )


def alternatives(factors: Factors, allowed: Collection[FactorKind]) -> list[dict[str, object]]:
    """How this subject can get in without a message: `{"kind": "totp"}`, recovery codes with their count."""
    found: list[dict[str, object]] = []
    if factors.of_kind(FactorKind.TOTP):
        found.append({"kind": FactorKind.TOTP.value})
    found += [
        {"kind": FactorKind.RECOVERY_CODE.value, "codes_left": one.codes_left}
        for one in factors.of_kind(FactorKind.RECOVERY_CODE)
        if one.codes_left
    ]
    return [one for one in found if one["kind"] in allowed]
