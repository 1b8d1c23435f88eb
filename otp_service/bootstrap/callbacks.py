"""Callbacks to the apps: the worker that sends them, its periodic tasks, and their numbers for the metrics."""

import logging
from collections.abc import Callable
from random import random

from .. import telemetry
from ..clock import clock_ms
from ..config import Settings
from ..keyring_reload import ReloadedKeyring
from ..receivers.client import Receivers
from ..runtime import callback_worker
from ..runtime.callback_worker import CallbackWorker
from ..runtime.periodic_tasks import PeriodicTask
from ..storage.audit_consumer import AuditConsumer
from ..storage.callbacks import Callbacks
from ..storage.verifications import Verifications
from ..usecases.send_callbacks import SendCallbacks
from ..web.schemas.callbacks import callback_body, factor_callback_body
from .stores import Stores

_log = logging.getLogger("otp.bootstrap")


def callback_sender(settings: Settings, stores: Stores, keyring: ReloadedKeyring) -> CallbackWorker | None:
    """The callback worker; None if no app has a callback_url."""
    endpoints = settings.policy.endpoints
    if not endpoints:
        return None
    _warn_of_private(settings)
    audit_consumer = AuditConsumer(stores.store, stores.scripts, stores.keys)
    notify = SendCallbacks(
        audit_consumer=audit_consumer,
        queue=Callbacks(
            stores.store,
            stores.scripts,
            stores.keys,
            dead_kept_ms=settings.policy.retention.dead_letters_ms,
        ),
        store=Verifications(stores.store, stores.scripts, stores.keys, keyring.ids),
        receivers=Receivers(endpoints, now_ms=clock_ms),
        vault=keyring,
        apps=list(endpoints),
        write=callback_body,
        write_factor=factor_callback_body,
        random=random,
        count=lambda app, outcome: telemetry.CALLBACKS.labels(app, outcome).inc(),
    )
    return CallbackWorker(notify, audit_consumer.open)


def _warn_of_private(settings: Settings) -> None:
    for app, endpoint in settings.policy.endpoints.items():
        if endpoint.allow_private:
            _log.warning("callbacks of this app may go into a private network", extra={"app": app})


def callback_tasks(callbacks: CallbackWorker | None) -> list[PeriodicTask]:
    """What the worker has to do for callbacks, again and again."""
    if callbacks is None:
        return []
    return [
        PeriodicTask("callback events", callback_worker.READ_PERIOD_S, callbacks.read),
        PeriodicTask("callbacks", callback_worker.LOOK_PERIOD_S, callbacks.look),
    ]


def callback_gauges(settings: Settings, stores: Stores) -> Callable[[], None]:
    """A function that sets the gauges of waiting and dead callbacks."""
    queues = Callbacks(stores.store, stores.scripts, stores.keys)
    apps = list(settings.policy.endpoints)

    def measure() -> None:
        for app, (waiting, dead) in queues.counts(apps).items():
            telemetry.CALLBACKS_WAITING.labels(app).set(waiting)
            telemetry.CALLBACKS_DEAD.labels(app).set(dead)

    return measure
