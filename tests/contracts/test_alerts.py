"""Alerts that wait to be sent: what every implementation promises."""

import pytest

from otp_service.domain.policy import OnCall, Policy
from otp_service.storage.alerts import Alerts as RealAlerts
from otp_service.usecases.alert_on_call import AlertOnCall
from otp_service.usecases.ports import Alerts

from ..fakes import FakeAlerts
from ..storage.harness import StoreHarness


@pytest.fixture
def alerts(real: StoreHarness | None) -> Alerts:
    """An empty queue."""
    return RealAlerts(real.store, real.scripts, real.keys) if real else FakeAlerts()


def test_an_alert_is_queued_once(alerts: Alerts) -> None:
    """Also after its alert was sent; another trouble is news."""
    assert alerts.raise_alert("one", "text")
    assert not alerts.raise_alert("one", "other text")
    alert = alerts.claim()
    assert alert is not None
    alerts.acknowledge(alert)
    assert not alerts.raise_alert("one", "text")
    assert alerts.raise_alert("two", "text")


def test_an_alert_is_handed_out_to_one(alerts: Alerts) -> None:
    """Who claims next gets the next one, or none; each alert keeps its text and has an id of its own."""
    alerts.raise_alert("one", "first")
    alerts.raise_alert("two", "second")
    claimed = [alerts.claim(), alerts.claim()]
    assert alerts.claim() is None
    assert {alert.text for alert in claimed if alert} == {"first", "second"}
    assert len({alert.id for alert in claimed if alert}) == 2


def test_what_was_sent_is_gone_and_may_be_reported_twice(alerts: Alerts) -> None:
    """A worker that comes late with the same report changes nothing."""
    alerts.raise_alert("one", "text")
    alert = alerts.claim()
    assert alert is not None
    alerts.acknowledge(alert)
    alerts.acknowledge(alert)
    assert alerts.claim() is None


def test_alerts_of_the_guard_leave_places_for_the_carriers(alerts: Alerts) -> None:
    """However many there are; one of the carrier's is queued beside them."""
    on_call = AlertOnCall(alerts=alerts, policy=Policy({}, {}), on_call=OnCall("pool", ()), count=lambda _: None)
    for n in range(60):
        on_call.guard(f"guard:tripped:app-{n}", "text")
    assert not alerts.raise_alert("guard:tripped:other", "text", yields=True)
    assert alerts.raise_alert("all:20012", "text")


def test_the_queue_is_bounded(alerts: Alerts) -> None:
    """A trouble that found no place is queued when there is one."""
    assert [alerts.raise_alert(f"trouble {n}", "text") for n in range(51)] == [True] * 50 + [False]
    alert = alerts.claim()
    assert alert is not None
    alerts.acknowledge(alert)
    assert alerts.raise_alert("trouble 50", "text")
