"""Rows that lie scattered are looked up by several threads: the pages are the same, and nothing else depends on it."""

from itertools import count
from pathlib import Path
from threading import enumerate as all_threads

import pytest
from sqlalchemy import update

from otp_service.domain.audit import ZERO, Event
from otp_service.ledger.database import LedgerUnavailable
from otp_service.ledger.read_ahead import NAME, NEAR, PLACES, THREADS, ReadAhead
from otp_service.ledger.tables import PERSONS, RECORDS

from ..storage.harness import SHARDS, at_once, fresh_number
from .harness import LedgerHarness

LOGINS = 40


def ahead_threads() -> int:
    """How many threads read ahead in this process: others come and go as they like."""
    return sum(thread.name.startswith(NAME) for thread in all_threads())


@pytest.fixture
def scattered(ledger: LedgerHarness) -> LedgerHarness:
    """A ledger whose records lie far apart."""
    for _ in range(LOGINS):
        ledger.store.start(fresh_number())
    ledger.export_all()
    with ledger.database.writing() as connection:
        # From the last on, or a number would be there twice.
        for seq in range(ledger.size(), 0, -1):
            connection.execute(update(RECORDS).where(RECORDS.c.seq == seq).values(seq=seq * 100))
    file = Path(str(ledger.database.engine.url.database))
    # As if each row came from the disk.
    ledger.database.ahead = ReadAhead(file, blocks_read=count().__next__)
    return ledger


def page(ledger: LedgerHarness, *types: str, limit: int = 1_000) -> list[Event]:
    """The first page of these types."""
    wanted = {"type": frozenset(types)}
    return list(
        ledger.pages.read([ZERO] * SHARDS, shards=range(SHARDS), until_ms=None, limit=limit, wanted=wanted).events
    )


def test_a_scattered_page_is_looked_up_and_stays_as_it_was(scattered: LedgerHarness) -> None:
    """By one type or several, in pages of any size, for many at once; with few threads and connections."""
    asked = [
        (types, limit)
        for types in (["verification.started"], ["verification.started", "delivery.queued"])
        for limit in (1, 7, 1_000)
    ]
    ahead, scattered.database.ahead = scattered.database.ahead, None
    expected = [page(scattered, *types, limit=limit) for types, limit in asked]
    looked_up: list[int] = []

    def watched(numbers: list[int]) -> int:
        assert ahead is not None
        looked_up.append(ahead(numbers))
        return looked_up[-1]

    scattered.database.ahead = watched  # type: ignore[assignment]
    assert at_once([lambda: [page(scattered, *types, limit=limit) for types, limit in asked]] * 4) == [expected] * 4
    assert 0 < ahead_threads() <= THREADS
    scattered.database.ahead = ahead
    assert [len(events) for events in expected] == [1, 7, LOGINS, 1, 7, 2 * LOGINS]
    assert all(event.mask for event in expected[2])
    assert sorted(looked_up) == sorted([0, 0, LOGINS, 0, 0, 2 * LOGINS] * 4)


def test_what_lies_side_by_side_is_read_at_once(scattered: LedgerHarness) -> None:
    """Without other threads: a few blocks hold it all."""
    ahead = scattered.database.ahead
    assert ahead is not None
    apart = range(100, 100 * PLACES + 1, 100)
    assert ahead([]) == ahead(apart[1:]) == ahead(range(100, 100 + NEAR * 2 * PLACES, NEAR)) == 0
    assert ahead(apart) == PLACES
    assert ahead([number + (number == apart[-1]) for number in apart]) == PLACES - 1


def test_what_is_in_memory_is_read_without_other_threads(scattered: LedgerHarness) -> None:
    """A few rows are tried first. Those were written just now, and are read once more in case they went to the disk."""
    path = Path(str(scattered.database.engine.url.database))
    ahead = ReadAhead(path)
    for file in path.parent.glob(f"{path.name}*"):
        file.read_bytes()
    assert ahead(range(100, 100 * PLACES + 1, 100)) == 0
    assert ahead_threads() == 0
    ahead.close()


def test_the_first_row_that_comes_from_the_disk_is_answer_enough(scattered: LedgerHarness) -> None:
    """Rows that are tried come one after the other, so no more of them than needed."""
    asked = count()
    ahead = ReadAhead(Path(str(scattered.database.engine.url.database)), blocks_read=asked.__next__)
    assert ahead(range(100, 100 * PLACES + 1, 100)) == PLACES
    assert next(asked) == 2  # before one row and behind it
    ahead.close()


def test_a_file_that_cannot_be_read_is_told_by_the_page(scattered: LedgerHarness, tmp_path: Path) -> None:
    """Reading ahead says nothing and makes no file; a table that is missing is the page's refusal."""
    nowhere = ReadAhead(tmp_path / "a b?.db", blocks_read=count().__next__)
    assert nowhere(range(100, 100 * PLACES + 1, 100)) == 0
    assert list(tmp_path.glob("a b*")) == []
    nowhere.close()
    with scattered.database.writing() as connection:
        PERSONS.drop(connection)
    with pytest.raises(LedgerUnavailable):
        page(scattered, "verification.started")


def test_it_may_be_closed_and_used_again(scattered: LedgerHarness) -> None:
    """As the database may; closed, it has no threads."""
    for _ in range(2):
        assert len(page(scattered, "verification.started")) == LOGINS
        assert ahead_threads() > 0
        scattered.database.close()
        assert ahead_threads() == 0
