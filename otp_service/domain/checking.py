"""Checking a code: the command for the store, and what the store may answer."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from .ending import Ended, NotFound
from .ids import Reference
from .policy import App, NumberLimits


@dataclass(frozen=True, slots=True)
class CheckCommand:
    """One guess. `digests` holds it under every pepper in use; `by_purpose` names the purpose when asked by number.

    `asserted_number` (keyed hash) and `asserted_purpose` must be the verification's where they are not empty; otherwise
    the answer is NotFound. `request_key` (a keyed hash of Idempotency-Key and body, or empty) marks the approval, and
    finds it again while the verification is remembered.
    """

    operation_id: str
    reference: Reference
    app: App
    receipt_id: str
    digests: Mapping[str, str] = field(repr=False)
    by_purpose: str | None = None
    asserted_number: str = ""
    asserted_purpose: str = ""
    request_key: str = ""
    per_number: NumberLimits = field(default_factory=NumberLimits)


@dataclass(frozen=True, slots=True)
class Approved:
    """The guess was right, and the first right one; or a repeat of it: then `receipt_id` is the first command's.

    The fields up to `mask` are the store's. The use case adds the others: `subject` is the `sub` of the receipt,
    `receipt` the signed receipt, `replayed` is true if the same request was approved before.
    """

    at_ms: int
    number_hash: str
    purpose: str
    channel: str
    context_hash: str
    receipt_id: str
    mask: str
    verification_id: str = ""
    subject: str = ""
    receipt: str = field(default="", repr=False)
    replayed: bool = False


@dataclass(frozen=True, slots=True)
class Wrong:
    """The guess was wrong and counted."""

    checks_left: int


@dataclass(frozen=True, slots=True)
class Limited:
    """The number's budget of wrong codes is spent."""

    wait_ms: int


@dataclass(frozen=True, slots=True)
class Superseded:
    """Another verification of the number has become the latest meanwhile."""


CheckAnswer = Approved | Wrong | Ended | Limited | NotFound | Superseded
