"""Alerts that wait to be sent: what every implementation promises."""

import pytest

from otp_service.storage.alarms import Alarms as RealAlarms
from otp_service.usecases.ports import Alarms

from ..fakes import FakeAlarms
from ..storage.harness import StoreHarness


@pytest.fixture
def alarms(real: StoreHarness | None) -> Alarms:
    """An empty queue."""
    return RealAlarms(real.store, real.scripts, real.keys) if real else FakeAlarms()


def test_a_trouble_is_queued_once(alarms: Alarms) -> None:
    """Also after its alert was sent; another trouble is news."""
    assert alarms.raise_alert("one", "text")
    assert not alarms.raise_alert("one", "other text")
    alarm = alarms.claim()
    assert alarm is not None
    alarms.acknowledge(alarm)
    assert not alarms.raise_alert("one", "text")
    assert alarms.raise_alert("two", "text")


def test_an_alert_is_handed_out_to_one(alarms: Alarms) -> None:
    """Who claims next gets the next one, or none; each alert keeps its text and has an id of its own."""
    alarms.raise_alert("one", "first")
    alarms.raise_alert("two", "second")
    claimed = [alarms.claim(), alarms.claim()]
    assert alarms.claim() is None
    assert {alarm.text for alarm in claimed if alarm} == {"first", "second"}
    assert len({alarm.id for alarm in claimed if alarm}) == 2


def test_what_was_sent_is_gone_and_may_be_reported_twice(alarms: Alarms) -> None:
    """A worker that comes late with the same report changes nothing."""
    alarms.raise_alert("one", "text")
    alarm = alarms.claim()
    assert alarm is not None
    alarms.acknowledge(alarm)
    alarms.acknowledge(alarm)
    assert alarms.claim() is None


def test_the_queue_is_bounded(alarms: Alarms) -> None:
    """A trouble that found no place is queued when there is one."""
    assert [alarms.raise_alert(f"trouble {n}", "text") for n in range(51)] == [True] * 50 + [False]
    alarm = alarms.claim()
    assert alarm is not None
    alarms.acknowledge(alarm)
    assert alarms.raise_alert("trouble 50", "text")
