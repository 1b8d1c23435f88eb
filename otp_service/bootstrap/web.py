"""The API of one process."""

import asyncio
import threading
import time
from collections.abc import Callable
from functools import partial

from flask import Flask

from .. import greenlets, telemetry
from ..config import Settings
from ..domain.fleet import API
from ..front.connections import connections_allowed
from ..front.flask_app import NEWS_THREADS
from ..keyring_reload import ReloadedKeyring
from ..receivers.risk import RiskReceivers
from ..storage.audit_consumer import AuditConsumer
from ..storage.delivery_reports import DeliveryReports
from ..storage.factors import FactorTable
from ..storage.guarded_numbers import GuardedNumbers
from ..storage.idempotency import Idempotency
from ..storage.keyrings import Keyrings
from ..storage.optouts import OptOuts
from ..storage.outbox import Outbox
from ..storage.verifications import Verifications
from ..usecases.browse import Browse
from ..usecases.factors import FactorUseCases
from ..usecases.guard.completed import CompleteLogin
from ..usecases.guess_watch import GuessWatch
from ..usecases.receive import Receive
from ..usecases.sender_health import SenderHealth
from ..usecases.verify import Exceeded, SlotsOfStarts, Spending, StartLimits, Verify
from ..usecases.watch import News, Watch
from ..web.app import create_app
from ..web.auth import Auth
from ..web.kept_webhooks import KeepWebhooks
from ..web.problems import Problems
from ..web.readiness import Judgement, Readiness
from ..web.refused_keys import RefusedKeys
from ..web.routes.all_routes import Backend, all_routes
from ..web.routes.metrics import measured_text
from ..web.webhook_verdicts import WebhookVerdicts
from . import readiness, senders
from .background import read_in_background
from .callbacks import callback_gauges
from .carrier import webhook_keys
from .chance import SYSTEM, Chance
from .fleet import Announcer, Facts, named_webhook_keys
from .guard import build_guard
from .guesses import guess_watch
from .ledger import whole_record
from .memory import measure_memory
from .outer import outer_of
from .required import require_for_web
from .risk import ask_risk, risk_receivers
from .signed_log import LogLook
from .spending import settle_costs
from .stores import Stores, open_keyring, open_stores
from .support import support_of

Pause = Callable[[float], bool]
"""Waits for so many seconds or for the end of the process; returns whether the process ends."""


LOOP_WAITING = 20_000
"""Requests that may wait for news in an event loop."""


def build_web(
    settings: Settings, waiting: int = NEWS_THREADS // 2, has_read: Callable[[], object] = lambda: None
) -> Flask:
    """The API as a WSGI application. `waiting`: requests that may wait for news, in a thread each.

    `has_read` is called each time when all that is read in the background was read.
    """
    require_for_web(settings)
    keyring = open_keyring(settings)
    stores = open_stores(settings, keyring)
    open_consumer(settings, stores)
    guesses = guess_watch(settings, stores)
    parts = WebParts(settings, stores, keyring, guesses=guesses)
    announcer = Announcer(settings, stores, keyring, API, parts.webhook_facts)
    # Started by the first request of each process: a server may fork after this.
    also = (guesses.count, announcer.announce_if_due, parts.guard.in_background, has_read)
    read_in_background(stores, settings.policy, *also, api_keys=True)
    return flask_app(parts, parts.watch(threading.Event().wait, waiting))


def open_consumer(settings: Settings, stores: Stores) -> None:
    """Make the group of the callbacks before the first event: what comes before a worker's start is sent too."""
    if settings.policy.endpoints:
        AuditConsumer(stores.store, stores.scripts, stores.keys).open()


def flask_app(parts: "WebParts", watch: Watch) -> Flask:
    """The Flask app with all routes."""
    backend = parts.backend(watch)
    return create_app(all_routes(backend), backend.auth, backend.problems, parts.request_id)


def open_readiness(stores: Stores, keyring: ReloadedKeyring, ending: Callable[[], bool] = lambda: False) -> Readiness:
    """The checks of this process; nothing is looked at yet. `ending`: whether it was told to end."""
    return Readiness(readiness.checks(stores, keyring), ending)


class WebParts:
    """The parts of the API, over one store and one keyring."""

    def __init__(
        self,
        settings: Settings,
        stores: Stores,
        keyring: ReloadedKeyring,
        chance: Chance = SYSTEM,
        readiness: Callable[[], Judgement] | None = None,
        *,
        risk: RiskReceivers | None = None,
        guesses: GuessWatch | None = None,
    ) -> None:
        """`readiness` judges if this process looks in the background; otherwise each question may look.

        `risk` and `guesses`: the risk hooks' receivers and the watch of this process, if others share them.
        """
        self.stores = stores
        self._readiness = readiness or open_readiness(stores, keyring).now
        self._chance = chance
        self._risk = risk or risk_receivers(settings)
        self._guesses = guesses or guess_watch(settings, stores)
        self._settings = settings
        self._keyring = keyring
        self._verifications = Verifications(stores.store, stores.scripts, stores.keys, keyring.ids, stores.known.told)
        self._optouts = OptOuts(stores.store, stores.scripts, stores.keys)
        self._outbox = Outbox(stores.store, stores.scripts, stores.keys, keyring.ids, consumer="web")
        self._health: SenderHealth = senders.sender_health(settings, stores)
        self._measure_callbacks = callback_gauges(settings, stores)
        self._verdicts = WebhookVerdicts(time.monotonic)
        self.guard = build_guard(settings, stores, keyring.ids)
        self._exceeded = Exceeded(stores.audit, _count_limit, time.monotonic)

    def request_id(self) -> str:
        """A new id for a request."""
        return f"req_{self._chance.token_hex(12)}"

    def watch(self, pause: Pause, slots: int = NEWS_THREADS // 2) -> Watch:
        """Requests that wait for a change, in a thread each. The other threads let new ones in, and old ones lose."""
        return Watch(
            store=self._verifications,
            slots=slots,
            pause=pause,
            count=_count_watch,
            monotonic=time.monotonic,
        )

    def loop_watch(self, loop: asyncio.AbstractEventLoop, pause: Pause) -> Watch:
        """The same in an event loop."""

        def begin(work: Callable[[], None]) -> None:
            loop.call_soon(greenlets.start, work)

        return Watch(
            store=self._verifications,
            slots=min(LOOP_WAITING, connections_allowed() * 3 // 4),
            pause=pause,
            count=_count_watch,
            monotonic=time.monotonic,
            new_woken=partial(greenlets.Event, loop),
            begin=begin,
        )

    def backend(self, watch: Watch) -> Backend:
        """What the routes work with."""
        settings, stores, keyring = self._settings, self.stores, self._keyring
        verify = self._verify()
        return Backend(
            verify=verify,
            complete=self._complete(),
            policy=settings.policy,
            factors=self._factors(verify),
            browse=self._browse(),
            judged=self._guesses.judged,
            support=support_of(settings, stores, keyring.ids),
            watch=watch,
            receive=self._receive(),
            idempotency=Idempotency(stores.scripts, stores.keys),
            audit=stores.audit,
            signed_log=LogLook(settings).log,
            auth=Auth(stores.api_keys, RefusedKeys(stores.api_keys, stores.audit), settings.policy.audit_addresses),
            problems=Problems(settings.public_url),
            ids=keyring.ids,
            watch_tokens=keyring.watch_tokens,
            seal=keyring.seal,
            unseal=keyring.open,
            jwks=keyring.jwks,
            webhook_keys=webhook_keys(settings),
            keep_webhooks=self._keep_webhooks(),
            verdicts=self._verdicts,
            now_s=lambda: keyring.clock_ms() / 1000,
            readiness=self._readiness,
            metrics=self.metrics_text,
            public_url=settings.public_url,
            token=lambda: self._chance.token_urlsafe(16),
        )

    def _factors(self, verify: Verify) -> FactorUseCases:
        settings = self._settings
        return FactorUseCases(
            store=self._factor_table(),
            vault=self._keyring,
            policy=settings.policy,
            issuer=settings.issuer,
            token_bytes=self._chance.token_bytes,
            randbelow=self._chance.randbelow,
            sent=verify.check,
            tell=verify.tell,
        )

    def _factor_table(self) -> FactorTable:
        stores = self.stores
        return FactorTable(stores.store, stores.scripts, stores.keys, self._keyring.ids, stores.known.told)

    def _verify(self) -> Verify:
        stores, settings = self.stores, self._settings
        return Verify(
            store=self._verifications,
            outer=outer_of(stores),
            parts=[
                StartLimits(SlotsOfStarts(settings.policy, self._keyring.ids.digest), self._exceeded),
                Spending(settings.prices),
            ],
            exceeded=self._exceeded,
            sender_health=self._health,
            vault=self._keyring,
            key_ids=Keyrings(stores.store, stores.keys),
            policy=settings.policy,
            issuer=settings.issuer,
            queue_max=settings.queue_max,
            token_bytes=self._chance.token_bytes,
            randbelow=self._chance.randbelow,
            factor_store=self._factor_table(),
            ask_risk=ask_risk(
                settings,
                stores,
                keyring=self._keyring,
                receivers=self._risk,
                token_bytes=self._chance.token_bytes,
            ),
            harden=self._guesses.app,
            fictitious=settings.carrier_on_loopback,
            guard=self.guard,
            audit_is_full=lambda: stores.known.backlog.is_full,
        )

    def _complete(self) -> CompleteLogin:
        numbers = GuardedNumbers(self.stores.scripts, self.stores.keys)
        return CompleteLogin(
            numbers=numbers,
            store=self._verifications,
            guard=self.guard,
            ids=self._keyring.ids,
            policy=self._settings.policy,
        )

    def _browse(self) -> Browse:
        return Browse(
            store=self._verifications,
            optouts=self._optouts,
            record=whole_record(self._settings, self.stores, self._keyring.open),
            vault=self._keyring,
            key_ids=Keyrings(self.stores.store, self.stores.keys),
            policy=self._settings.policy,
        )

    def _reports(self) -> DeliveryReports:
        stores, policy = self.stores, self._settings.policy
        return DeliveryReports(
            stores.store,
            stores.scripts,
            stores.keys,
            self._keyring.ids,
            policy.senders.values(),
            last_senders_ms=policy.retention.last_senders_ms,
        )

    def _receive(self) -> Receive:
        return Receive(
            reports=self._reports(),
            store=self._verifications,
            optouts=self._optouts,
            vault=self._keyring,
            policy=self._settings.policy,
            sender_health=self._health,
            settle=settle_costs(self._settings, self.stores),
        )

    def _keep_webhooks(self) -> KeepWebhooks | None:
        keys = webhook_keys(self._settings)
        kept = self._settings.keep_webhooks
        return KeepWebhooks(keys, self._keyring.seal, self._chance.token_bytes) if kept else None

    def webhook_facts(self) -> Facts:
        """What this process knows of webhooks, for the others (see `fleet`)."""
        good, stale, refused = self._verdicts.lately()
        named = named_webhook_keys(self._settings)
        return {
            "webhook_keys": named,
            "webhooks_good": good,
            "webhooks_stale": stale,
            "webhooks_refused": refused,
        }

    def metrics_text(self) -> bytes:
        """All metrics of this machine's processes, and those that the store knows."""
        return measured_text(self._depth, self._health.circuits)

    def _depth(self) -> int:
        self._measure_callbacks()
        measure_memory(self._settings, self.stores)
        return self._outbox.depth()


def _count_limit(app: str, limit: str, mode: str) -> None:
    telemetry.count(telemetry.LIMITS, app, limit, mode)


def _count_watch(news: News) -> None:
    telemetry.count(telemetry.WATCHES, news)
