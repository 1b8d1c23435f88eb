"""Every table, every column: one row changed, removed or repeated is named, or a list says why it is not proven."""

from pathlib import Path

from otp_service.signed_log.unproven import UNPROVEN

from ..conftest import needs_program
from .harness import LedgerHarness
from .tampering import fill, found_by, tampered


def test_every_change_of_one_row_is_named(ledger: LedgerHarness, tmp_path: Path) -> None:
    """In SQLite; and what the list has is really not noticed."""
    needs_program("openssl")
    own = fill(ledger, tmp_path)
    assert found_by(own) is None
    missed = {change.name for change, found in tampered(own) if found is None}
    assert missed == set(UNPROVEN)
    assert found_by(own) is None
