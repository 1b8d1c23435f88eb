"""What records say of erasures and of ended logs: erasing is on record, and so is the end of a log."""

import contextlib
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import chain
from typing import Any

from sqlalchemy import Connection, select

from ..domain.audit import EventType
from ..ledger.records import detail_of
from ..ledger.tables import LOG_ENDS, RECORDS
from ..transparency.notes import Note, Signer, signed

ENDS = ("end", "end_of_restored")
"""Members of `ledger.accepted`: the note of the log that the data directory knew, and of the one that was restored."""

_ENDED = "this log has ended"


def erased_at_most(connection: Connection) -> int | None:
    """Of how many records people were erased, as the events `person.erased` say; None where an older one has no number.

    An erasure that was begun again may have said it twice.
    """
    told = [detail.get("records") for detail in details_of(connection, EventType.PERSON_ERASED)]
    numbers = [one for one in told if isinstance(one, int) and one >= 0]
    return sum(numbers) if len(numbers) == len(told) else None


def end_of_log(ended: str, following: str, signer: Signer) -> str:
    """The note by which a key of a log says that the log has ended, and which one follows."""
    return str(signed(f"{ended}\n{_ENDED}\n{following}\n", signer))


def ended_logs(connection: Connection, signers: Callable[[str], tuple[Signer, Sequence[Signer]]]) -> set[str]:
    """The names of logs that ended: the table of ends and the events `ledger.accepted` hold notes of it.

    A row alone says nothing: whoever writes the database could end a log by it. `signers`: the keyring's keys.
    """
    details = chain(details_of(connection, EventType.LEDGER_ACCEPTED), _ends(connection))
    named = (_ended(one, signers) for detail in details for one in map(detail.get, ENDS) if isinstance(one, str))
    return {one for one in named if one is not None}


def _ended(raw: str, signers: Callable[[str], tuple[Signer, Sequence[Signer]]]) -> str | None:
    try:
        note = Note.parse(raw)
        origin, word, *_ = note.text.split("\n")
        known = any(note.signed_by(one.key) for one in signers(origin)[1])
    except ValueError:
        return None
    return origin if known and word == _ENDED else None


def _ends(connection: Connection) -> Iterator[Mapping[str, Any]]:
    for text in connection.execute(select(LOG_ENDS.c.detail)).scalars():
        with contextlib.suppress(ValueError):
            detail = json.loads(text)
            yield detail if isinstance(detail, dict) else {}


def details_of(connection: Connection, kind: EventType) -> Iterator[Mapping[str, Any]]:
    """The details of all records of this type, in the order of their numbers."""
    wanted = select(RECORDS.c.leaf).where(RECORDS.c.type == kind.value).order_by(RECORDS.c.seq)
    for leaf in connection.execute(wanted).scalars():
        try:
            detail = detail_of(leaf)
        except (ValueError, KeyError, TypeError):
            detail = {}  # it is no record: `inspection` says so
        yield detail if isinstance(detail, dict) else {}
