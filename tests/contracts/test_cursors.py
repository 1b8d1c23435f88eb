"""The cursors of the carrier's list and the lease of its reader: what every implementation promises."""

import pytest

from otp_service.domain.optout_list import Cursor
from otp_service.storage.cursors import Cursors as RealCursors
from otp_service.usecases.ports import Cursors

from ..fakes import FakeCursors
from ..storage.harness import StoreHarness


@pytest.fixture
def cursors(real: StoreHarness | None) -> Cursors:
    """Cursors of lists that nobody has read."""
    return RealCursors(real.store, real.scripts, real.keys) if real else FakeCursors()


def test_one_reader_at_a_time(cursors: Cursors) -> None:
    """Others are told how long to wait, whatever they say; the reader may take its lease again."""
    assert cursors.acquire_lease("one", force=False) == 0
    assert cursors.acquire_lease("two", force=False) > 0
    assert cursors.acquire_lease("two", force=True) > 0
    assert cursors.acquire_lease("one", force=False) == 0
    cursors.release_lease("two", 5_000)
    assert cursors.acquire_lease("two", force=True) > 0


def test_a_list_that_was_read_is_not_read_again_soon_unless_forced(cursors: Cursors) -> None:
    """A rest outlasts a forced reading that asks for none."""
    cursors.acquire_lease("one", force=False)
    cursors.release_lease("one", 60_000)
    assert cursors.acquire_lease("two", force=False) > 0
    assert cursors.acquire_lease("two", force=True) == 0
    cursors.release_lease("two", 0)
    assert cursors.acquire_lease("three", force=False) > 0


def test_without_a_rest_the_next_reader_goes_on_at_once(cursors: Cursors) -> None:
    """A worker that ends asks for no rest."""
    cursors.acquire_lease("one", force=False)
    cursors.release_lease("one", 0)
    assert cursors.acquire_lease("two", force=False) == 0


def test_only_the_reader_moves_a_cursor(cursors: Cursors) -> None:
    """Each profile has its own; one that was never moved is at the beginning."""
    there = Cursor(done_ms=7, edge_ms=9, page=3)
    assert not cursors.advance("one", "a", there)
    cursors.acquire_lease("one", force=False)
    assert cursors.advance("one", "a", there)
    assert not cursors.advance("two", "a", Cursor())
    assert (cursors.load("a"), cursors.load("b")) == (there, Cursor())
    cursors.release_lease("one", 0)
    assert not cursors.advance("one", "a", Cursor())
    assert cursors.load("a") == there
