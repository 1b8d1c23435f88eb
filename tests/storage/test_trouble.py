"""Who reads the carrier's list of opt-outs, and what waits for the people on call."""

from functools import partial

from otp_service.domain.alert import Alert
from otp_service.domain.optout_list import Cursor
from otp_service.storage.alerts import MOST_WAITING, QUIET_MS, RETRY_MS, TOO_OLD_MS, Alerts
from otp_service.storage.cursors import LEASE_MS, Cursors
from tests.conftest import wait_until

from .harness import StoreHarness, at_once, word


def cursors(harness: StoreHarness) -> Cursors:
    """The cursors of the store."""
    return Cursors(harness.store, harness.scripts, harness.keys)


def alerts(harness: StoreHarness) -> Alerts:
    """The alerts of the store."""
    return Alerts(harness.store, harness.scripts, harness.keys)


# ---- reading the list -----------------------------------------------------------------------------------------------


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


def test_the_list_rests_between_passes(harness: StoreHarness) -> None:
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


# ---- alerts ---------------------------------------------------------------------------------------------------------


def test_the_same_trouble_is_told_once_an_hour(harness: StoreHarness) -> None:
    """Twenty processes that meet the same trouble at once queue one alert; another trouble queues another."""
    book = alerts(harness)
    told = at_once([partial(book.raise_alert, "sender:pool", "The pool is out of order.") for _ in range(20)])
    assert told.count(True) == 1
    assert book.raise_alert("sender:backup", "The backup is out of order.")
    ttls = [harness.raw.pttl(key) for key in harness.all_keys() if ":quiet:" in key]
    assert len(ttls) == 2
    assert all(0 < ttl <= QUIET_MS for ttl in ttls)


def test_one_worker_sends_an_alert(harness: StoreHarness) -> None:
    """Of ten workers one gets it; when it is done, nobody gets it any more."""
    book = alerts(harness)
    book.raise_alert("trouble", "Text")
    got = [alert for alert in at_once([book.claim for _ in range(10)]) if alert is not None]
    assert [alert.text for alert in got] == ["Text"]
    book.acknowledge(got[0])
    assert harness.raw.zcard(harness.keys.alerts()) == 0


def test_an_alert_outlives_the_worker_that_sends_it(harness: StoreHarness) -> None:
    """One that was claimed and never reported comes again, under the same id, so its phone rings once."""
    book = alerts(harness)
    book.raise_alert("trouble", "Text")
    first = book.claim()
    assert isinstance(first, Alert)
    due = harness.raw.zscore(harness.keys.alerts(), f"{first.id}\x1f{first.text}")
    assert due - harness.now() > RETRY_MS - 5_000
    harness.raw.zadd(harness.keys.alerts(), {f"{first.id}\x1f{first.text}": 1})
    assert book.claim() == first


def test_an_old_alert_is_not_sent_any_more(harness: StoreHarness) -> None:
    """Nobody is woken for what was wrong a long time ago; it makes room for the next."""
    old = harness.now() - TOO_OLD_MS - 1
    harness.raw.zadd(harness.keys.alerts(), {f"{old}-aa\x1fOld": old})
    alerts(harness).raise_alert("trouble", "New")
    claimed = alerts(harness).claim()
    assert claimed is not None
    assert claimed.text == "New"
    assert harness.raw.zcard(harness.keys.alerts()) == 1


def test_alerts_that_nobody_sends_are_bounded(harness: StoreHarness) -> None:
    """However much goes wrong, a queue that no worker reads does not grow."""
    told = [alerts(harness).raise_alert(f"trouble {n}", "Text") for n in range(MOST_WAITING + 10)]
    assert told.count(True) == MOST_WAITING
