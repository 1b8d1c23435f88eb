"""The API of one process."""

import secrets
import threading
import time
from collections.abc import Callable

from flask import Flask

from .. import telemetry
from ..config import Settings
from ..domain.policy import App, Slot
from ..keyring_reload import ReloadedKeyring
from ..storage.audit_consumer import AuditConsumer
from ..storage.delivery_reports import DeliveryReports
from ..storage.idempotency import Idempotency
from ..storage.keyrings import Keyrings
from ..storage.limits import Limits, network
from ..storage.optouts import OptOuts
from ..storage.outbox import Outbox
from ..storage.verifications import Verifications
from ..usecases.browse import Browse
from ..usecases.receive import Receive
from ..usecases.sender_health import SenderHealth
from ..usecases.verify import Verify
from ..usecases.watch import Watch
from ..web.app import create_app
from ..web.auth import Auth
from ..web.limits import WATCHING, WORKING, Threads
from ..web.problems import Problems
from ..web.routes.all_routes import Backend, all_routes
from . import readiness, senders
from .callbacks import callback_gauges
from .carrier import webhook_key
from .required import require_for_web
from .stores import Stores, open_keyring, open_stores

Pause = Callable[[float], bool]
"""Waits for so many seconds or for the end of the process; returns whether the process ends."""


def build_web(settings: Settings, *, working: int = WORKING, pause: Pause | None = None) -> Flask:
    """The API. `working` is the number of requests that work at once, however many threads there are."""
    require_for_web(settings)
    keyring = open_keyring(settings)
    parts = _Parts(settings, open_stores(settings, keyring), keyring)
    if settings.policy.endpoints:
        # The group must exist before the first event: events before the first worker's start are sent too.
        AuditConsumer(parts.stores.store, parts.stores.keys).open()
    threads = Threads(working)
    watch = parts.watch(threads, pause or threading.Event().wait)
    backend = parts.backend(watch)
    return create_app(all_routes(backend), backend.auth, backend.problems, _request_id, threads)


class _Parts:
    """The parts of the API, over one store and one keyring."""

    def __init__(self, settings: Settings, stores: Stores, keyring: ReloadedKeyring) -> None:
        self.stores = stores
        self._settings = settings
        self._keyring = keyring
        self._verifications = Verifications(stores.store, stores.scripts, stores.keys, keyring.ids)
        self._optouts = OptOuts(stores.store, stores.scripts, stores.keys)
        self._outbox = Outbox(stores.store, stores.scripts, stores.keys, keyring.ids, consumer="web")
        self._health: SenderHealth = senders.sender_health(settings, stores)

    def watch(self, threads: Threads, pause: Pause) -> Watch:
        """Requests that wait for a change."""
        return Watch(
            store=self._verifications,
            slots=WATCHING,
            pause=pause,
            released=threads.limiter.released,
            count=lambda news: telemetry.WATCHES.labels(news).inc(),
        )

    def backend(self, watch: Watch) -> Backend:
        """What the routes work with."""
        settings, stores, keyring = self._settings, self.stores, self._keyring
        return Backend(
            verify=self._verify(),
            browse=self._browse(),
            watch=watch,
            receive=self._receive(),
            idempotency=Idempotency(stores.scripts, stores.keys),
            audit=stores.audit,
            auth=Auth(stores.api_keys),
            problems=Problems(settings.public_url),
            ids=keyring.ids,
            watch_tokens=keyring.watch_tokens,
            seal=keyring.seal,
            unseal=keyring.open,
            jwks=keyring.jwks,
            webhook_key=webhook_key(settings),
            now_s=time.time,
            checks=readiness.checks(stores, keyring),
            outbox_depth=self._depth(),
            circuits=self._health.circuits,
            public_url=settings.public_url,
            token=lambda: secrets.token_urlsafe(16),
        )

    def _verify(self) -> Verify:
        stores, settings = self.stores, self._settings
        return Verify(
            store=self._verifications,
            limits=Limits(stores.scripts, stores.keys, is_cluster=stores.store.is_cluster),
            limit_slots=_limit_slots,
            sender_health=self._health,
            vault=self._keyring,
            key_ids=Keyrings(stores.store, stores.keys),
            policy=settings.policy,
            issuer=settings.issuer,
            queue_max=settings.queue_max,
            token_bytes=secrets.token_bytes,
            randbelow=secrets.randbelow,
            fictitious=settings.carrier_on_loopback,
        )

    def _browse(self) -> Browse:
        return Browse(
            store=self._verifications,
            optouts=self._optouts,
            record=self.stores.audit,
            vault=self._keyring,
            policy=self._settings.policy,
        )

    def _receive(self) -> Receive:
        return Receive(
            reports=DeliveryReports(self.stores.store, self.stores.scripts, self.stores.keys, self._keyring.ids),
            store=self._verifications,
            optouts=self._optouts,
            vault=self._keyring,
            policy=self._settings.policy,
            sender_health=self._health,
        )

    def _depth(self) -> Callable[[], int]:
        measure_callbacks = callback_gauges(self._settings, self.stores)

        def depth() -> int:
            measure_callbacks()
            return self._outbox.depth()

        return depth


def _request_id() -> str:
    return f"req_{secrets.token_hex(12)}"


def _limit_slots(app: App, client_ip: str | None) -> list[Slot]:
    slots = [Slot("app", app.name, limit) for limit in app.starts_per_app]
    if client_ip is not None:
        subject = f"{app.name}:{network(client_ip)}"
        slots += [Slot("client_ip", subject, limit) for limit in app.starts_per_client_ip]
    return slots
