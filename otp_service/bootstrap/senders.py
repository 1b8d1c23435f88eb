"""Sender health and the alerts to the people on call."""

import time

from .. import telemetry
from ..config import Settings
from ..storage.alerts import Alerts
from ..storage.circuits import Circuits
from ..storage.sender_stats import SenderStats
from ..usecases.alert_on_call import AlertOnCall
from ..usecases.sender_health import SenderHealth
from .stores import Stores


def sender_health(settings: Settings, stores: Stores) -> SenderHealth:
    """The circuit breakers and statistics of all senders."""
    return SenderHealth(
        circuits=Circuits(stores.store, stores.scripts, stores.keys, stores.known.circuits),
        sender_stats=SenderStats(stores.store, stores.scripts, stores.keys),
        policy=settings.policy,
        alert=alert(settings, stores),
        monotonic=time.monotonic,
        count=lambda scope, to: telemetry.CIRCUIT_CHANGES.labels(scope, to).inc(),
    )


def alert(settings: Settings, stores: Stores) -> AlertOnCall:
    """Messages to the people on call."""
    return AlertOnCall(
        alerts=Alerts(stores.store, stores.scripts, stores.keys),
        policy=settings.policy,
        on_call=settings.on_call,
        count=lambda outcome: telemetry.ALERTS.labels(outcome).inc(),
    )
