"""Alerts that wait for a worker: queued once an hour, sent by one worker, and bounded."""

from functools import partial

from otp_service.domain.alert import Alert
from otp_service.storage.alerts import MOST_WAITING, QUIET_MS, RETRY_MS, TOO_OLD_MS, Alerts

from .harness import StoreHarness, at_once


def alerts(harness: StoreHarness) -> Alerts:
    """The alerts of the store."""
    return Alerts(harness.store, harness.scripts, harness.keys)


def test_the_same_alert_is_queued_once_an_hour(harness: StoreHarness) -> None:
    """Twenty processes that meet the same trouble at once queue one alert; another trouble queues another."""
    book = alerts(harness)
    queued = at_once([partial(book.raise_alert, "sender:pool", "The pool is out of order.") for _ in range(20)])
    assert queued.count(True) == 1
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
    queued = [alerts(harness).raise_alert(f"trouble {n}", "Text") for n in range(MOST_WAITING + 10)]
    assert queued.count(True) == MOST_WAITING
