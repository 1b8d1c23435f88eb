"""The delivery worker of one process, with everything it does from time to time."""

import secrets
import socket
import threading
import time
from collections.abc import Callable
from random import random

from .. import telemetry
from ..config import Settings
from ..domain.fleet import EVERY_S, WORKER
from ..domain.outbox import Job
from ..keyring_reload import ReloadedKeyring
from ..runtime import event_loop
from ..runtime.delivery_worker import DeliveryWorker
from ..runtime.periodic_tasks import PeriodicTask
from ..runtime.sends import LoopedSends
from ..storage.deliveries import Deliveries
from ..storage.delivery_reports import DeliveryReports
from ..storage.due_deliveries import DueDeliveries
from ..storage.keyrings import Keyrings
from ..storage.outbox import Outbox
from ..storage.pipelined.store import pipelined
from ..storage.sender_rate import SenderRate
from ..storage.timers import Timers
from ..storage.verifications import Verifications
from ..telnyx.gateway import Gateway
from ..telnyx.loop_network import LoopNetwork
from ..usecases.alert_on_call import AlertOnCall
from ..usecases.deliver import Deliver
from ..usecases.held_deliveries import HeldDeliveries
from ..usecases.ports import Carrier
from ..usecases.sender_health import SenderHealth
from ..usecases.sync_optouts import SyncOptouts
from . import guard_gauges, senders, spending
from .background import read_in_background
from .callbacks import callback_sender, callback_tasks
from .carrier import telnyx_client
from .fleet import Announcer
from .guard import build_guard, tell_guard
from .ledger import ledger_tasks
from .log_outlets import outlet_tasks
from .optouts import optout_sync
from .outer import outer_of
from .required import require_for_worker
from .sends import Delivers
from .signed_log import signing_tasks
from .stores import Stores, join, open_keyring, open_stores, parts_over
from .texts import tell_text_sizes

ALERT_PERIOD_S = 1.0
HEALTH_PERIOD_S = 60.0
KEYRING_PERIOD_S = 1.0
"""How often a worker checks whether the store still belongs to its keyring."""

KEYRING_FILE_PERIOD_S = 0.5
"""How often the file itself is looked at, in a thread, so that no send in the loop has to read it."""

KEY_EVENTS_PERIOD_S = 60.0
"""How often a worker looks for events of API keys that a command could not copy into the audit log."""

SYNC_PERIOD_S = 30.0
"""How often a worker checks whether the opt-outs are to be read: the worker that read them may have died."""

FINISH_S = 2.0
"""How long an ending worker waits for callbacks that it is sending."""

SPEND_PERIOD_S = 10.0
"""How often a worker looks at what apps have spent today."""

DAY_S = 86_400.0


def build_worker(settings: Settings, *, concurrency: int, exports: bool = True) -> DeliveryWorker:
    """The delivery worker. `concurrency`: sends at once; `exports`: whether it also exports to the ledger."""
    telnyx = require_for_worker(settings)
    tell_text_sizes(settings.policy)
    keyring = open_keyring(settings)
    stores = open_stores(settings, keyring)
    reading = read_in_background(stores, settings.policy, api_keys=False)
    gateway = Gateway(telnyx)
    health = senders.sender_health(settings, stores)
    sends = LoopedSends(concurrency, event_loop.factory()())
    deliver = _deliver(settings, stores, keyring, carrier=gateway, health=health, sleep=time.sleep)
    send, close_looped = _looped_send(settings, stores, keyring, sends, deliver.held)
    outbox = _outbox(stores, keyring)
    callbacks = callback_sender(settings, stores, keyring)
    announcer = Announcer(settings, stores, keyring, WORKER)

    def close() -> None:
        if callbacks is not None:
            callbacks.finish(FINISH_S)
        close_looped()
        telnyx.close()
        reading.stop()
        announcer.forget()
        stores.store.close()

    reading.start()
    return DeliveryWorker(
        outbox,
        Timers(stores.store, stores.scripts, stores.keys, keyring.ids),
        Delivers(send, deliver.timers, deliver.held),
        concurrency=concurrency,
        periodic_tasks=[
            PeriodicTask("fleet", EVERY_S, lambda _: announcer.announce()),
            *_periodic_tasks(settings, stores, keyring, gateway, health),
            *callback_tasks(callbacks),
            *(_record_tasks(settings, stores, keyring) if exports else []),
        ],
        close=close,
        sends=sends,
    )


def _record_tasks(settings: Settings, stores: Stores, keyring: ReloadedKeyring) -> tuple[PeriodicTask, ...]:
    """What one process of a worker does for all of them."""
    watch = spending.spend_watch(settings, stores)
    return (
        *ledger_tasks(settings, stores, keyring),
        *signing_tasks(settings, keyring),
        *outlet_tasks(settings, keyring),
        PeriodicTask("guard", DAY_S, lambda _: tell_guard(settings, stores)),
        PeriodicTask("guard gauges", guard_gauges.EVERY_S, lambda _: guard_gauges.show_guard(settings, stores)),
        PeriodicTask("spending", SPEND_PERIOD_S, lambda _: watch.look()),
    )


def _looped_send(
    settings: Settings, stores: Stores, keyring: ReloadedKeyring, sends: LoopedSends, held: HeldDeliveries
) -> tuple[Callable[[Job], None], Callable[[], None]]:
    """What works on an entry in the loop, and what ends the loop."""
    telnyx = telnyx_client(settings, LoopNetwork(sends.loop))
    looped = parts_over(pipelined(sends.loop, stores.store), stores.keys, known=stores.known)
    health = senders.sender_health(settings, looped)
    carrier = Gateway(telnyx)
    deliver = _deliver(settings, looped, keyring, carrier=carrier, health=health, sleep=sends.sleep, held=held)

    def close() -> None:
        sends.loop.call_soon_threadsafe(looped.store.client.close)
        sends.close()
        telnyx.close()

    return deliver.send, close


def _outbox(stores: Stores, keyring: ReloadedKeyring) -> Outbox:
    consumer = f"{socket.gethostname()}-{secrets.token_hex(4)}"
    return Outbox(stores.store, stores.scripts, stores.keys, keyring.ids, consumer)


def _deliver(
    settings: Settings,
    stores: Stores,
    keyring: ReloadedKeyring,
    *,
    carrier: Carrier,
    health: SenderHealth,
    sleep: Callable[[float], object],
    held: HeldDeliveries | None = None,
) -> Deliver:
    known = settings.policy.senders.values()
    rate = SenderRate(stores.store, stores.scripts, stores.keys)
    return Deliver(
        deliveries=Deliveries(stores.store, stores.scripts, stores.keys, known, rate),
        due=DueDeliveries(stores.scripts, stores.keys, known),
        rate=rate,
        reports=DeliveryReports(
            stores.store,
            stores.scripts,
            stores.keys,
            keyring.ids,
            known,
            last_senders_ms=settings.policy.retention.last_senders_ms,
        ),
        store=Verifications(stores.store, stores.scripts, stores.keys, keyring.ids),
        carrier=carrier,
        vault=keyring,
        policy=settings.policy,
        public_url=settings.public_url,
        sleep=sleep,
        monotonic=time.monotonic,
        random=random,
        count=lambda sender, outcome: telemetry.count(telemetry.SENDS, sender, outcome),
        left=lambda reason: telemetry.HANDED_BACK.labels(reason).inc(),
        sender_health=health,
        outer=outer_of(stores),
        unsent=build_guard(settings, stores, keyring.ids).unsent,
        settle=spending.settle_costs(settings, stores),
        held=held,
    )


def _periodic_tasks(
    settings: Settings, stores: Stores, keyring: ReloadedKeyring, gateway: Gateway, health: SenderHealth
) -> list[PeriodicTask]:
    keyrings = Keyrings(stores.store, stores.keys)
    tasks = [
        PeriodicTask("keyring", KEYRING_PERIOD_S, lambda _: join(stores.store, keyrings, keyring)),
        PeriodicTask("keyring file", KEYRING_FILE_PERIOD_S, lambda _: keyring.check()),
        PeriodicTask("API key events", KEY_EVENTS_PERIOD_S, lambda _: stores.api_keys.record_events()),
        _sync_task(settings, optout_sync(settings, stores, keyring, gateway)),
        PeriodicTask("sender health", HEALTH_PERIOD_S, lambda _: health.ask_carrier(gateway)),
    ]
    return tasks if settings.on_call is None else [*tasks, _alert_task(senders.alert(settings, stores), gateway)]


def _sync_task(settings: Settings, sync: SyncOptouts) -> PeriodicTask:
    starting = iter([True])

    def run(stop: threading.Event) -> None:
        sync.run_if_due(starting=next(starting, False), stopped=stop.is_set)

    return PeriodicTask("opt-outs", min(SYNC_PERIOD_S, settings.optout_sync_ms / 1000), run)


def _alert_task(alert: AlertOnCall, gateway: Gateway) -> PeriodicTask:
    def run(stop: threading.Event) -> None:
        while not stop.is_set() and alert.send(gateway):
            pass

    return PeriodicTask("alerts", ALERT_PERIOD_S, run)
