"""A ledger in a file, without a store: the log signs whatever records there are."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from ..signed_log.harness import SignedHarness


@pytest.fixture
def signed(tmp_path: Path) -> Iterator[SignedHarness]:
    """An empty ledger and its log."""
    made = SignedHarness(tmp_path / "ledger.db")
    try:
        yield made
    finally:
        made.database.close()
