"""A store on the single server with a ledger over it."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from ..storage.conftest import server_harness
from ..storage.harness import StoreHarness
from .harness import LedgerHarness, ledger_over

__all__ = ["server_harness"]


@pytest.fixture
def ledger(server_harness: StoreHarness, tmp_path: Path) -> Iterator[LedgerHarness]:
    """An empty ledger in SQLite."""
    with ledger_over(server_harness, tmp_path / "ledger.db") as made:
        yield made
