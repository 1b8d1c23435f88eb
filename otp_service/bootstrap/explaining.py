"""Explaining decisions: the ledger, and what the carrier's codes mean. No key is needed for it."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from ..config import Settings
from ..domain.delivery import Refused
from ..telnyx import errors
from .ledger import open_ledger

if TYPE_CHECKING:
    from ..ledger.database import Database
    from ..signed_log.explaining import Explained
    from ..signed_log.promises import Breach


def explain_decision(settings: Settings, name: str) -> "Explained | None":
    """The explanation of a record; None if there is none of this name. Raises NotExplained and LedgerUnavailable."""
    from ..signed_log.explaining import explain_record  # noqa: PLC0415

    database = open_ledger(settings)
    try:
        return explain_record(database, name, refusal_of)
    finally:
        database.close()


def wrong_decisions(database: "Database", since_ms: int, until_ms: int | None) -> "Iterator[Breach]":
    """Every decision of the period that the rules do not come to. Raises LedgerUnavailable."""
    from ..signed_log.explaining import disagreements  # noqa: PLC0415
    from ..signed_log.promises import Breach, Promise  # noqa: PLC0415

    for seq, sentence in disagreements(database, since_ms, until_ms, refusal_of):
        yield Breach(Promise.RULES, seq, sentence)


def refusal_of(code: str, title: str, in_report: bool) -> Refused | None:
    """The refusal that a code and its title were, in a delivery report or in an answer to a request."""
    error = {"code": code, "title": title}
    if in_report:
        return errors.delivery_error(error)
    found = errors.classify(422, {"errors": [error]}, {})
    return found if isinstance(found, Refused) else None
