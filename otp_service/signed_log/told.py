"""What records say of erasures and of ended logs: erasing is on record, and so is the end of a log."""

from collections.abc import Iterator, Mapping
from typing import Any

from sqlalchemy import Connection, select

from ..domain.audit import EventType
from ..ledger.records import detail_of
from ..ledger.tables import RECORDS


def erased_at_most(connection: Connection) -> int | None:
    """Of how many records people were erased, as the events `person.erased` say; None where an older one has no number.

    An erasure that was begun again may have said it twice.
    """
    told = [detail.get("records") for detail in _details(connection, EventType.PERSON_ERASED)]
    numbers = [one for one in told if isinstance(one, int) and one >= 0]
    return sum(numbers) if len(numbers) == len(told) else None


def ended_logs(connection: Connection) -> set[str]:
    """The names of logs that ended, as the events `ledger.accepted` say."""
    told = (detail.get("ended_log") for detail in _details(connection, EventType.LEDGER_ACCEPTED))
    return {one for one in told if isinstance(one, str)}


def _details(connection: Connection, kind: EventType) -> Iterator[Mapping[str, Any]]:
    for leaf in connection.execute(select(RECORDS.c.leaf).where(RECORDS.c.type == kind.value)).scalars():
        try:
            detail = detail_of(leaf)
        except (ValueError, KeyError, TypeError):
            detail = {}  # it is no record: `inspection` says so
        yield detail if isinstance(detail, dict) else {}
