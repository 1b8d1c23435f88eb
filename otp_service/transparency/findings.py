"""What was done to a record, told from the hashes that were signed and those of what is there."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum


class Tampering(StrEnum):
    """What was done to the records or their checkpoints."""

    EDITED = "edited"
    REMOVED = "removed"
    INSERTED = "inserted"
    SWAPPED = "swapped"
    CUT = "cut"
    ROLLED_BACK = "rolled_back"
    FORKED = "forked"
    FOREIGN_SIGNATURE = "foreign_signature"
    KEY_TOO_EARLY = "key_too_early"
    KEY_TOO_LATE = "key_too_late"
    UNREADABLE = "unreadable"
    UNSIGNED = "unsigned"
    OTHER_LOG = "other_log"


@dataclass(frozen=True, slots=True)
class Finding:
    """The first thing that is wrong. `seq`: the record's number, from 1; None where it is no single record."""

    kind: Tampering
    seq: int | None
    sentence: str


def difference(signed: Sequence[bytes], found: Sequence[bytes], first_seq: int) -> Finding | None:
    """What was done to the first record that differs, from the hashes of both from record `first_seq` on.

    None if what is there begins with what was signed. Both have to go on far enough behind the difference to tell.
    """
    pairs = zip(signed, found, strict=False)
    at = next((number for number, (one, other) in enumerate(pairs) if one != other), min(len(signed), len(found)))
    if at == len(signed):
        return None
    seq = first_seq + at
    if at == len(found):
        return Finding(Tampering.CUT, seq, f"the records from {seq} on are missing")
    return _told(signed[at:], found[at:], seq)


def _told(signed: Sequence[bytes], found: Sequence[bytes], seq: int) -> Finding:
    came_from = _place(signed, found[0])
    went_to = _place(found, signed[0])
    if came_from is not None and went_to is not None:
        return Finding(Tampering.SWAPPED, seq, f"record {seq} stands where record {seq + came_from} belongs")
    if came_from is not None:
        return Finding(Tampering.REMOVED, seq, f"record {seq} was removed{_others(came_from)}")
    if went_to is not None:
        return Finding(Tampering.INSERTED, seq, f"at record {seq} something was inserted{_others(went_to)}")
    return Finding(Tampering.EDITED, seq, f"record {seq} was edited")


def _place(hashes: Sequence[bytes], wanted: bytes) -> int | None:
    return next((number for number, one in enumerate(hashes) if one == wanted), None)


def _others(count: int) -> str:
    return f", with {count - 1} after it" if count > 1 else ""


def by_its_number(found: Finding, window: Sequence[bytes], first: int) -> Finding:
    """A record that was never signed stands there: its own number says whether others went or it came.

    `window` are the records from number `first` on, as they are found.
    """
    seq = found.seq or first
    says = seq_of(window[seq - first]) if found.kind is Tampering.EDITED else None
    if says is None or says == seq:
        return found
    kind, verb = (Tampering.REMOVED, "was removed") if says > seq else (Tampering.INSERTED, "was inserted")
    return Finding(kind, seq, f"record {seq} {verb}: what stands there says that it is record {says}")


def seq_of(leaf: bytes) -> int | None:
    """The number that a record says it has; None if it says none."""
    try:
        told = json.loads(leaf)
    except (ValueError, RecursionError):
        return None
    seq = told.get("seq") if isinstance(told, dict) else None
    return seq if isinstance(seq, int) else None


def rolled_back(kept: int, now: int) -> Finding:
    """A checkpoint of `kept` records is known elsewhere, and the log has `now`."""
    sentence = f"a checkpoint of {kept} records is known, and here are {now}: the log was rolled back"
    return Finding(Tampering.ROLLED_BACK, now + 1, sentence)


def forked(size: int) -> Finding:
    """The log does not continue a checkpoint of this size that is known elsewhere."""
    return Finding(Tampering.FORKED, None, f"the first {size} records are others than those signed before")


def other_log(kept: str, own: str) -> Finding:
    """A checkpoint of the log `kept` is known here, and nothing on record says that this log has ended."""
    sentence = (
        f"a checkpoint of {kept} is kept here, this ledger has the log {own}, and no end of the other is on record"
    )
    return Finding(Tampering.OTHER_LOG, None, sentence)
