"""Explaining decisions: the ledger, and what the carrier's codes mean. No key is needed for it."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

from ..config import Settings
from ..domain.delivery import Refused
from ..telnyx import errors
from .ledger import open_ledger

if TYPE_CHECKING:
    from ..ledger.database import Database
    from ..signed_log.explaining import Explained, Recomputed
    from ..transparency.bundles import BundleReport


def explain_decision(settings: Settings, name: str) -> "Explained | None":
    """The explanation of a record; None if there is none of this name. Raises NotExplained and LedgerUnavailable."""
    from ..signed_log.explaining import explain_record  # noqa: PLC0415

    database = open_ledger(settings)
    try:
        return explain_record(database, name, refusal_of)
    finally:
        database.close()


def explain_in_bundle(files: "Mapping[str, bytes]", report: "BundleReport", seq: int) -> "Explained | None":
    """The explanation of a record in a verified bundle; None if it is not there. Raises NotExplained."""
    from ..signed_log.bundled_decision import explain_bundled  # noqa: PLC0415

    return explain_bundled(files, report, seq, refusal_of)


def recompute_decisions(database: "Database", since_ms: int, until_ms: int | None) -> "Recomputed":
    """Recompute every decision of the period. Raises LedgerUnavailable."""
    from ..signed_log.explaining import recompute  # noqa: PLC0415

    return recompute(database, since_ms, until_ms, refusal_of)


def refusal_of(code: str, title: str, in_report: bool) -> Refused | None:
    """The refusal that a code and its title were, in a delivery report or in an answer to a request."""
    error = {"code": code, "title": title}
    if in_report:
        return errors.delivery_error(error)
    found = errors.classify(422, {"errors": [error]}, {})
    return found if isinstance(found, Refused) else None
