"""Whether evidence left anything out: each record `evidence.made` against the part of the ledger that it searched."""

import json
import re
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, select

from ..domain.audit import EventType
from ..domain.ids import VERIFICATION_PREFIX
from ..ledger.tables import RECORDS
from ..transparency.bundled_range import searched
from ..transparency.bundles import OF_A_NUMBER, STATED, numbers_of
from .promises import Breach, Promise
from .reading import UNREADABLE
from .told import ENDS

PORTION = 2_000
_PERIOD = re.compile("from ([^ ]+) to ([^ ]+)", re.ASCII)


def left_out(connection: Connection, since_ms: int, until_ms: int | None) -> Iterator[Breach]:
    """The statements of the period whose answer lacks a record that was searched.

    Those of before a new log began are not judged: records of a ledger that was restored may have other numbers. Nor is
    what does not say what was searched, or was about a number that was erased.
    """
    within = (RECORDS.c.type == STATED) & (RECORDS.c.at_ms >= max(since_ms, _begun_ms(connection) + 1))
    if until_ms is not None:
        within &= RECORDS.c.at_ms < until_ms
    wanted = select(RECORDS.c.seq, RECORDS.c.leaf, RECORDS.c.number_hash).where(within).order_by(RECORDS.c.seq)
    for row in connection.execute(wanted.execution_options(yield_per=PORTION)):
        try:
            missing = _missing(connection, json.loads(row.leaf), row.number_hash)
        except (KeyError, *UNREADABLE):
            yield Breach(Promise.EVIDENCE, row.seq, "it does not say which records were searched, or which answer")
            continue
        if missing is not None:
            yield Breach(Promise.EVIDENCE, row.seq, f"its answer leaves out record {missing}, which was searched")


def _begun_ms(connection: Connection) -> int:
    """When the newest log began that follows another one; -1 if none did."""
    accepted = select(RECORDS.c.leaf, RECORDS.c.at_ms).where(RECORDS.c.type == EventType.LEDGER_ACCEPTED.value)
    return max((row.at_ms for row in connection.execute(accepted) if _names_an_end(row.leaf)), default=-1)


def _names_an_end(leaf: bytes) -> bool:
    try:
        detail = json.loads(leaf)["detail"]
        return any(name in detail for name in ENDS)
    except (KeyError, *UNREADABLE):
        return False


def _missing(connection: Connection, leaf: Mapping[str, Any], number_hash: str | None) -> int | None:
    """The first record that was searched, answers and is not named."""
    stated = numbers_of(leaf["detail"]["records"])
    size, condition = searched(leaf, stated), _condition(str(leaf["detail"]["question"]), number_hash)
    if size is None or condition is None:
        return None
    answering = select(RECORDS.c.seq).where(condition, RECORDS.c.seq <= size).order_by(RECORDS.c.seq)
    known = set(stated)
    return next((int(seq) for seq in connection.execute(answering).scalars() if seq not in known), None)


def _condition(question: str, number_hash: str | None) -> ColumnElement[bool] | None:
    """Which rows answer; None where nobody can tell any more."""
    if question == OF_A_NUMBER:
        return None if number_hash is None else RECORDS.c.number_hash == number_hash
    period = _PERIOD.fullmatch(question)
    if period is None:
        return RECORDS.c.verification == question.removeprefix(f"verification {VERIFICATION_PREFIX}")
    return (RECORDS.c.at_ms >= _ms(period[1])) & (RECORDS.c.at_ms < _ms(period[2]))


def _ms(moment: str) -> int:
    return round(datetime.fromisoformat(moment).timestamp() * 1000)
