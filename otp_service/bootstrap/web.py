"""The API of one process."""

import secrets
import threading
import time
from collections.abc import Callable

from flask import Flask

from .. import telemetry
from ..config import Settings
from ..domain.policy import App
from ..keyring_file import KeyringFile
from ..storage.audit_consumer import AuditConsumer
from ..storage.delivery_reports import DeliveryReports
from ..storage.idempotency import Idempotency
from ..storage.keyrings import Keyrings
from ..storage.limits import Limits, Place, network
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
from ..web.http import Route
from ..web.limits import WATCHING, WORKING, Threads
from ..web.problems import Problems
from ..web.routes.operations import Admin
from ..web.routes.verifications import Api
from ..web.routes.webhooks import Hooks
from . import readiness, senders
from .callbacks import callback_gauges
from .carrier import webhook_key
from .stores import Stores, open_keyring, open_stores

Pause = Callable[[float], bool]
"""Waits for so many seconds or for the end of the process; returns whether the process ends."""


def build_web(settings: Settings, *, working: int = WORKING, pause: Pause | None = None) -> Flask:
    """The API. `working` is the number of requests that work at once, however many threads there are."""
    keyring = open_keyring(settings)
    webhook_key(settings)  # a missing key is reported before the store is opened
    settings.require_apps()
    parts = _Parts(settings, open_stores(settings, keyring), keyring)
    if settings.policy.endpoints:
        # The group must exist before the first event: events before the first worker's start are sent too.
        AuditConsumer(parts.stores.store, parts.stores.keys).open()
    threads = Threads(working)
    watch = parts.watch(threads, pause or threading.Event().wait)
    auth, problems = Auth(parts.stores.api_keys), Problems(settings.public_url)
    admin = parts.admin(auth, problems)
    routes = [*parts.verification_routes(watch, problems), *parts.webhook_routes(problems), *admin.routes()]
    admin.describe(routes)
    return create_app(routes, auth, problems, lambda: f"req_{secrets.token_hex(12)}", threads)


class _Parts:
    """The parts of the API, over one store and one keyring."""

    def __init__(self, settings: Settings, stores: Stores, keyring: KeyringFile) -> None:
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
            places=WATCHING,
            pause=pause,
            released=threads.limiter.released,
            count=lambda news: telemetry.WATCHES.labels(news).inc(),
        )

    def verification_routes(self, watch: Watch, problems: Problems) -> list[Route]:
        """What apps call."""
        idempotency = Idempotency(self.stores.scripts, self.stores.keys)
        keyring = self._keyring
        api = Api(
            self._verify(),
            self._browse(),
            watch,
            idempotency,
            problems,
            ids=keyring.ids,
            watch_tokens=keyring.watch_tokens,
            seal=keyring.seal,
            unseal=keyring.open,
        )
        return list(api.routes())

    def _verify(self) -> Verify:
        stores, settings = self.stores, self._settings
        return Verify(
            store=self._verifications,
            limits=Limits(stores.scripts, stores.keys, is_cluster=stores.store.is_cluster),
            place=_places,
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

    def webhook_routes(self, problems: Problems) -> list[Route]:
        """What the carrier calls."""
        receive = Receive(
            reports=DeliveryReports(self.stores.store, self.stores.scripts, self.stores.keys, self._keyring.ids),
            store=self._verifications,
            optouts=self._optouts,
            vault=self._keyring,
            policy=self._settings.policy,
            sender_health=self._health,
        )
        return list(Hooks(receive, self.stores.audit, webhook_key(self._settings), problems, time.time).routes())

    def admin(self, auth: Auth, problems: Problems) -> Admin:
        """Health, metrics, keys and documents."""
        return Admin(
            auth=auth,
            problems=problems,
            checks=readiness.checks(self.stores, self._keyring),
            jwks=self._keyring.jwks,
            public_url=self._settings.public_url,
            token=lambda: secrets.token_urlsafe(16),
            outbox_depth=self._depth(),
            circuits=self._health.circuits,
        )

    def _depth(self) -> Callable[[], int]:
        measure_callbacks = callback_gauges(self._settings, self.stores)

        def depth() -> int:
            measure_callbacks()
            return self._outbox.depth()

        return depth


def _places(app: App, client_ip: str | None) -> list[object]:
    places = [Place("app", app.name, limit) for limit in app.starts_per_app]
    if client_ip is not None:
        subject = f"{app.name}:{network(client_ip)}"
        places += [Place("client_ip", subject, limit) for limit in app.starts_per_client_ip]
    return list(places)
