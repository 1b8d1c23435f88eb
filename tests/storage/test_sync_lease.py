"""One process at a time reads the carrier's list of opt-outs: its lease, its cursor, and the pause between passes."""

from functools import partial

from otp_service.domain.optout_list import Cursor
from otp_service.storage.cursors import LEASE_MS, Cursors
from tests.conftest import wait_until

from .harness import StoreHarness, at_once, word


def cursors(harness: StoreHarness) -> Cursors:
    """The cursors of the store."""
    return Cursors(harness.store, harness.scripts, harness.keys)


def test_one_process_reads_the_list(harness: StoreHarness) -> None:
    """Of twenty that want to read at once one may, and the others learn how long that can last at most."""
    waits = at_once([partial(cursors(harness).acquire_lease, word(), force=True) for _ in range(20)])
    assert waits.count(0) == 1
    assert all(0 < wait <= LEASE_MS for wait in waits if wait)


def test_a_dead_reader_is_followed_by_another(harness: StoreHarness) -> None:
    """The right to read ends by itself, so a process that was killed does not stop the reading for ever."""
    assert cursors(harness).acquire_lease("dead", force=True) == 0
    harness.raw.pexpire(harness.keys.sync_lease(), 30)
    wait_until(lambda: cursors(harness).acquire_lease("next", force=False) == 0, what="the lease")
    assert 0 < harness.raw.pttl(harness.keys.sync_lease()) <= LEASE_MS


def test_only_the_reader_moves_the_cursor(harness: StoreHarness) -> None:
    """A process that was overtaken (it slept, it was stopped) writes nothing and ends nothing."""
    book = cursors(harness)
    assert book.acquire_lease("slow", force=True) == 0
    assert book.advance("slow", "profile-a", Cursor(1, 2, 3))
    harness.raw.delete(harness.keys.sync_lease())
    assert book.acquire_lease("quick", force=True) == 0
    assert not book.advance("slow", "profile-a", Cursor(9, 9, 9))
    book.release_lease("slow", 60_000)
    assert book.load("profile-a") == Cursor(1, 2, 3)
    assert book.advance("quick", "profile-a", Cursor(4, 5, 0))
    assert (book.load("profile-a"), book.load("profile-b")) == (Cursor(4, 5, 0), Cursor())


def test_writing_the_cursor_keeps_the_right_to_read(harness: StoreHarness) -> None:
    """A long list is read to its end by the same process: every page renews its lease."""
    book = cursors(harness)
    book.acquire_lease("reader", force=True)
    harness.raw.pexpire(harness.keys.sync_lease(), 5_000)
    assert book.advance("reader", "profile-a", Cursor(1))
    assert harness.raw.pttl(harness.keys.sync_lease()) > 5_000


def test_the_list_is_not_read_between_passes(harness: StoreHarness) -> None:
    """After a pass the timer of no process begins another one too early; a start or a person may all the same."""
    book = cursors(harness)
    book.acquire_lease("first", force=False)
    book.release_lease("first", 60_000)
    assert 0 < book.acquire_lease("second", force=False) <= 60_000
    assert book.acquire_lease("second", force=True) == 0
    book.release_lease("second", 0)
    assert 0 < book.acquire_lease("third", force=False) <= 60_000
    harness.raw.delete(harness.keys.sync_pause())
    assert book.acquire_lease("third", force=False) == 0
