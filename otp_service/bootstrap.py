"""The only place where parts meet. Everything takes what it needs through its constructor; nothing is built at import.

Raises ConfigError, NotReady or StoreUnavailable, whose `detail` is one sentence for the operator.
"""

import contextlib
import logging
import secrets
import socket
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from random import random

from flask import Flask

from . import config, telemetry
from .clock import clock_ms, rfc3339
from .config import Settings
from .domain.errors import ConfigError, NotReady, ServiceError, StoreUnavailable
from .domain.policy import App
from .keyring_file import KeyringFile
from .receivers.client import Receivers
from .runtime import callback_worker
from .runtime.callback_worker import CallbackWorker
from .runtime.delivery_worker import PeriodicTask, Worker
from .storage import client as store_client
from .storage.alarms import Alarms
from .storage.api_keys import ApiKeys
from .storage.audit_consumer import AuditConsumer
from .storage.audit_log import AuditLog
from .storage.callbacks import Callbacks
from .storage.circuits import Circuits
from .storage.client import Store
from .storage.cursors import Cursors
from .storage.idempotency import Idempotency
from .storage.keyrings import Keyrings
from .storage.limits import Limits, Place, network
from .storage.optouts import OptOuts
from .storage.outbox import Outbox
from .storage.schema import Keys
from .storage.scripts import Scripts
from .storage.sender_stats import SenderStats
from .storage.verifications import Verifications
from .telnyx.client import TelnyxClient
from .telnyx.gateway import Gateway
from .telnyx.signatures import parse_public_key
from .usecases.alert import Alert
from .usecases.browse import Browse
from .usecases.deliver import Deliver
from .usecases.receive import Receive
from .usecases.send_callbacks import Notify
from .usecases.sender_health import SenderHealth
from .usecases.sync_optouts import SyncOptouts, SyncResult, Tell
from .usecases.verify import Verify
from .usecases.watch import Watch
from .web.app import create_app
from .web.auth import Auth
from .web.limits import WATCHING, WORKING, Threads
from .web.problems import Problems
from .web.routes.all_routes import Backend, all_routes
from .web.routes.health import Check
from .web.schemas.callbacks import callback_body

ALERT_PERIOD_S = 1.0
HEALTH_PERIOD_S = 60.0
KEYRING_PERIOD_S = 1.0
"""How often a worker looks at the keyring file, and whether the store still belongs to it."""

KEY_EVENTS_PERIOD_S = 60.0
"""How often a worker looks for events of API keys that a command could not copy into the record."""

SYNC_PERIOD_S = 30.0
"""How often a worker looks whether the list of opt-outs is to be read: another one may have died over it."""

FINISH_S = 2.0
"""How long an ending worker waits for callbacks that it is sending."""

_log = logging.getLogger("otp.bootstrap")


@dataclass(frozen=True, slots=True)
class Stores:
    """The parts that keep things, over one open store."""

    store: Store
    keys: Keys
    scripts: Scripts
    audit: AuditLog
    api_keys: ApiKeys


def open_stores(settings: Settings, keyring: KeyringFile | None = None) -> Stores:
    """Open the store and make sure that it can be trusted, and that it belongs to this keyring if there is one."""
    store = store_client.connect(settings.redis_url)
    keys = Keys(settings.shards)
    try:
        store_client.ping(store)
    except StoreUnavailable as error:
        where = store_client.masked(settings.redis_url)
        raise StoreUnavailable(f"The store at {where} does not answer; OTP_REDIS_URL names it.") from error
    store_client.require_no_eviction(store)
    store_client.fix_shards(store, keys)
    if keyring is not None:
        _join(store, Keyrings(store, keys), keyring)
    scripts = Scripts(store)
    audit = AuditLog(store, scripts, keys)
    api_keys = ApiKeys(
        store,
        scripts,
        keys,
        audit,
        token_hex=secrets.token_hex,
        token_urlsafe=secrets.token_urlsafe,
    )
    return Stores(store, keys, scripts, audit, api_keys)


def _join(store: Store, keyrings: Keyrings, keyring: KeyringFile) -> None:
    """Raise NotReady if the store belongs to another keyring; make its marks anew if it was emptied."""
    keyring.set_clock(store_client.clock_ms(store))
    keyrings.claim(keyring.current().fingerprint)
    keyring.register(keyrings.register)


def open_keyring(settings: Settings) -> KeyringFile:
    """The keyring of this process. Raises ConfigError."""
    config.load_keyring(settings)  # says what is missing
    path = settings.keyring_path
    assert path is not None
    return KeyringFile(path, partial(config.load_keyring, settings), monotonic=time.monotonic, now_ms=clock_ms)


def build_web(settings: Settings, *, working: int = WORKING, pause: Callable[[float], bool] | None = None) -> Flask:
    """The API. `working` requests work at a time, whatever threads there are; `pause` waits for so many seconds or for
    the process's end, and says whether that has come.
    """
    keyring = open_keyring(settings)
    public_key = _public_key(settings)
    _require_apps(settings)
    stores = open_stores(settings, keyring)
    problems = Problems(settings.public_url)
    auth = Auth(stores.api_keys)
    verifications = Verifications(stores.store, stores.scripts, stores.keys, keyring.ids)
    optouts = OptOuts(stores.store, stores.scripts, stores.keys)
    outbox = Outbox(stores.store, stores.scripts, stores.keys, keyring.ids, consumer="web")
    sender_health = _sender_health(settings, stores)
    verify = Verify(
        store=verifications,
        limits=Limits(stores.scripts, stores.keys, is_cluster=stores.store.is_cluster),
        place=_places,
        sender_health=sender_health,
        vault=keyring,
        key_ids=Keyrings(stores.store, stores.keys),
        policy=settings.policy,
        issuer=settings.issuer,
        queue_max=settings.queue_max,
        token_bytes=secrets.token_bytes,
        randbelow=secrets.randbelow,
        fictitious=settings.carrier_on_loopback,
    )
    browse = Browse(store=verifications, optouts=optouts, record=stores.audit, vault=keyring, policy=settings.policy)
    receive = Receive(
        book=outbox,
        store=verifications,
        optouts=optouts,
        vault=keyring,
        policy=settings.policy,
        sender_health=sender_health,
    )
    threads = Threads(working)
    watch = Watch(
        store=verifications,
        places=WATCHING,
        pause=pause or threading.Event().wait,
        released=threads.limiter.released,
        count=lambda news: telemetry.WATCHES.labels(news).inc(),
    )
    if settings.policy.endpoints:
        # Here, too: what happens before the first worker has started is told as well.
        AuditConsumer(stores.store, stores.keys).open()
    backend = Backend(
        verify=verify,
        browse=browse,
        watch=watch,
        receive=receive,
        idempotency=Idempotency(stores.scripts, stores.keys),
        audit=stores.audit,
        auth=auth,
        problems=problems,
        ids=keyring.ids,
        watch_tokens=keyring.watch_tokens,
        seal=keyring.seal,
        unseal=keyring.open,
        jwks=keyring.jwks,
        webhook_key=public_key,
        now_s=time.time,
        checks=_checks(stores, keyring),
        outbox_depth=_depth(settings, stores, outbox),
        circuits=sender_health.circuits,
        public_url=settings.public_url,
        token=lambda: secrets.token_urlsafe(16),
    )
    return create_app(all_routes(backend), auth, problems, lambda: f"req_{secrets.token_hex(12)}", threads)


def build_worker(settings: Settings, *, concurrency: int) -> Worker:
    """The delivery worker of one process."""
    keyring = open_keyring(settings)
    _require_apps(settings)
    stores = open_stores(settings, keyring)
    consumer = f"{socket.gethostname()}-{secrets.token_hex(4)}"
    outbox = Outbox(stores.store, stores.scripts, stores.keys, keyring.ids, consumer)
    telnyx = _telnyx(settings)
    gateway = Gateway(telnyx)
    alert = _alert(settings, stores)
    sender_health = _sender_health(settings, stores)
    deliver = Deliver(
        outbox=outbox,
        book=outbox,
        store=Verifications(stores.store, stores.scripts, stores.keys, keyring.ids),
        carrier=gateway,
        vault=keyring,
        policy=settings.policy,
        public_url=settings.public_url,
        sleep=time.sleep,
        monotonic=time.monotonic,
        random=random,
        count=lambda sender, outcome: telemetry.SENDS.labels(sender, outcome).inc(),
        left=lambda reason: telemetry.HANDED_BACK.labels(reason).inc(),
        sender_health=sender_health,
    )

    keyrings = Keyrings(stores.store, stores.keys)
    callbacks = _callback_worker(settings, stores, keyring) if settings.policy.endpoints else None

    def close() -> None:
        if callbacks is not None:
            callbacks.finish(FINISH_S)
        telnyx.close()
        stores.store.close()

    return Worker(
        outbox,
        deliver,
        stores.audit,
        concurrency=concurrency,
        audit_retention_ms=settings.audit_retention_ms,
        periodic_tasks=[
            PeriodicTask("keyring", KEYRING_PERIOD_S, lambda _: _join(stores.store, keyrings, keyring)),
            PeriodicTask("API key events", KEY_EVENTS_PERIOD_S, lambda _: stores.api_keys.record_events()),
            *_periodic_tasks(
                settings, _sync_optouts(settings, stores, keyring, gateway), alert, sender_health, gateway
            ),
            *_callback_tasks(callbacks),
        ],
        close=close,
    )


def _periodic_tasks(
    settings: Settings, reconcile: SyncOptouts, alert: Alert, sender_health: SenderHealth, gateway: Gateway
) -> list[PeriodicTask]:
    starting = iter([True])

    def sync(stop: threading.Event) -> None:
        reconcile.on_timer(starting=next(starting, False), stopped=stop.is_set)

    def tell(stop: threading.Event) -> None:
        while not stop.is_set() and alert.send(gateway):
            pass

    periodic_tasks = [
        PeriodicTask("opt-outs", min(SYNC_PERIOD_S, settings.optout_sync_ms / 1000), sync),
        PeriodicTask("sender health", HEALTH_PERIOD_S, lambda _: sender_health.ask_carrier(gateway)),
    ]
    return (
        periodic_tasks if settings.on_call is None else [*periodic_tasks, PeriodicTask("alerts", ALERT_PERIOD_S, tell)]
    )


def _sender_health(settings: Settings, stores: Stores) -> SenderHealth:
    return SenderHealth(
        circuits=Circuits(stores.store, stores.scripts, stores.keys),
        sender_stats=SenderStats(stores.store, stores.scripts, stores.keys),
        policy=settings.policy,
        alert=_alert(settings, stores),
        monotonic=time.monotonic,
        count=lambda scope, to: telemetry.CIRCUIT_CHANGES.labels(scope, to).inc(),
    )


def _callback_worker(settings: Settings, stores: Stores, keyring: KeyringFile) -> CallbackWorker:
    endpoints = settings.policy.endpoints
    audit_consumer = AuditConsumer(stores.store, stores.keys)
    notify = Notify(
        audit_consumer=audit_consumer,
        queue=Callbacks(stores.store, stores.scripts, stores.keys),
        store=Verifications(stores.store, stores.scripts, stores.keys, keyring.ids),
        receivers=Receivers(endpoints, now_ms=clock_ms),
        vault=keyring,
        apps=list(endpoints),
        write=callback_body,
        random=random,
        count=lambda app, outcome: telemetry.CALLBACKS.labels(app, outcome).inc(),
    )
    for app, endpoint in endpoints.items():
        if endpoint.allow_private:
            _log.warning("callbacks of this app may go into a private network", extra={"app": app})
    return CallbackWorker(notify, audit_consumer.open)


def _callback_tasks(callbacks: CallbackWorker | None) -> list[PeriodicTask]:
    if callbacks is None:
        return []
    return [
        PeriodicTask("callback events", callback_worker.READ_PERIOD_S, callbacks.read),
        PeriodicTask("callbacks", callback_worker.LOOK_PERIOD_S, callbacks.look),
    ]


def _depth(settings: Settings, stores: Stores, outbox: Outbox) -> Callable[[], int]:
    queues = Callbacks(stores.store, stores.scripts, stores.keys)
    apps = list(settings.policy.endpoints)

    def measure() -> int:
        for app, (waiting, dead) in queues.counts(apps).items():
            telemetry.CALLBACKS_WAITING.labels(app).set(waiting)
            telemetry.CALLBACKS_DEAD.labels(app).set(dead)
        return outbox.depth()

    return measure


def _alert(settings: Settings, stores: Stores) -> Alert:
    return Alert(
        alarms=Alarms(stores.store, stores.scripts, stores.keys),
        policy=settings.policy,
        on_call=settings.on_call,
        count=lambda outcome: telemetry.ALERTS.labels(outcome).inc(),
    )


def _sync_optouts(settings: Settings, stores: Stores, keyring: KeyringFile, gateway: Gateway) -> SyncOptouts:
    def count(outcome: str) -> None:
        telemetry.OPTOUT_SYNCS.labels(outcome).inc()
        if outcome == "done":
            telemetry.OPTOUT_SYNCED.set_to_current_time()

    return SyncOptouts(
        source=gateway,
        registry=OptOuts(stores.store, stores.scripts, stores.keys),
        cursors=Cursors(stores.store, stores.scripts, stores.keys),
        vault=keyring,
        policy=settings.policy,
        interval_ms=settings.optout_sync_ms,
        now_ms=clock_ms,
        token=lambda: secrets.token_hex(8),
        count=count,
        sleep=time.sleep,
    )


def sync_optouts(settings: Settings, tell: Tell) -> list[SyncResult]:
    """Read the carrier's whole list of opt-outs into the registry now, for the command."""
    keyring = open_keyring(settings)
    _require_apps(settings)
    stores = open_stores(settings, keyring)
    try:
        with _telnyx(settings) as telnyx:
            return _sync_optouts(settings, stores, keyring, Gateway(telnyx)).now(tell, time.sleep)
    finally:
        stores.store.close()


def build_callbacks(settings: Settings) -> Callbacks:
    """The queues of callbacks, for the commands."""
    stores = open_stores(settings)
    return Callbacks(stores.store, stores.scripts, stores.keys)


def build_api_keys(settings: Settings) -> ApiKeys:
    """The API keys, for the commands."""
    return open_stores(settings).api_keys


def build_audit(settings: Settings) -> AuditLog:
    """The audit record, for the commands."""
    return open_stores(settings).audit


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of the doctor: what was looked at, whether it is well, and what to do if not."""

    name: str
    ok: bool
    detail: str


def diagnose(settings: Settings) -> Iterator[Finding]:
    """Look at everything that has to be right, one finding at a time."""
    yield from _configuration(settings)
    yield from _store(settings)
    yield from _carrier(settings)


def _configuration(settings: Settings) -> Iterator[Finding]:
    where = str(settings.config_path or "no file, defaults")
    yield _finding("configuration", lambda: _require_apps(settings), where)
    yield _finding("keyring", lambda: config.load_keyring(settings), "loaded")
    yield _finding("webhook key", lambda: _public_key(settings), "TELNYX_PUBLIC_KEY is an Ed25519 key")


def _store(settings: Settings) -> Iterator[Finding]:
    try:
        stores = open_stores(settings)
    except ServiceError as error:
        yield Finding("store", False, error.detail)
        return
    yield Finding("store", True, f"{store_client.masked(settings.redis_url)} answers and never evicts")
    yield from _keyring_against(settings, stores)
    yield Finding("clock", *_clock(stores))
    yield from _circuits(settings, stores)
    yield from _callbacks(settings, stores)
    stores.store.close()


def _keyring_against(settings: Settings, stores: Stores) -> Iterator[Finding]:
    """Whether the store belongs to this keyring. One that cannot be read has a line of its own."""
    with contextlib.suppress(ConfigError):
        ring = config.load_keyring(settings)
        try:
            known = Keyrings(stores.store, stores.keys).require(ring.fingerprint)
        except ServiceError as error:
            yield Finding("keyring and store", False, error.detail)
            return
        said = f"the store knows the index key {ring.fingerprint}"
        yield Finding("keyring and store", True, said if known else "the store knows no keyring yet")


def _circuits(settings: Settings, stores: Stores) -> Iterator[Finding]:
    circuits = _sender_health(settings, stores).circuits()
    tripped = [circuit for circuit in circuits if circuit.until_ms is not None]
    for circuit in tripped:
        until = rfc3339(circuit.until_ms or 0, "seconds")
        detail = f"{circuit.state.replace('_', ' ')} until {until}: {circuit.title} (code {circuit.code})"
        yield Finding(f"circuit {circuit.scope}", False, detail)
    if circuits and not tripped:
        yield Finding("circuits", True, "none of the senders' breakers is open")


def _callbacks(settings: Settings, stores: Stores) -> Iterator[Finding]:
    endpoints = settings.policy.endpoints
    receivers = Receivers(endpoints, now_ms=clock_ms)
    for app, (waiting, dead) in Callbacks(stores.store, stores.scripts, stores.keys).counts(list(endpoints)).items():
        objection = receivers.reachable(app)
        where = "private addresses allowed" if endpoints[app].allow_private else "public addresses only"
        said = objection or f"{endpoints[app].host}, {where}"
        yield Finding(f"callbacks of {app}", objection is None, f"{said}; {waiting} waiting, {dead} dead")


def _clock(stores: Stores) -> tuple[bool, str]:
    skew_ms = abs(store_client.clock_ms(stores.store) - clock_ms())
    if skew_ms > 5_000:
        return False, f"this machine and the store differ by {skew_ms} ms; set both by NTP"
    return True, f"this machine and the store differ by {skew_ms} ms"


def _carrier(settings: Settings) -> Iterator[Finding]:
    try:
        telnyx = _telnyx(settings)
    except ServiceError as error:
        yield Finding("carrier", False, error.detail)
        return
    from .telnyx.doctor import examine  # noqa: PLC0415 - only the doctor needs it

    alerts_from = settings.on_call.sender if settings.on_call else None
    for name, ok, detail in examine(telnyx, settings.policy.senders.values(), alerts_from):
        yield Finding(name, ok, detail)
    telnyx.close()


def _finding(name: str, check: Callable[[], object], detail: str) -> Finding:
    try:
        check()
    except ServiceError as error:
        return Finding(name, False, error.detail)
    return Finding(name, True, detail)


def _public_key(settings: Settings) -> bytes:
    if not settings.telnyx_public_key:
        raise ConfigError("TELNYX_PUBLIC_KEY is not set: without it no webhook can be believed (Portal > Public Key)")
    try:
        return parse_public_key(settings.telnyx_public_key)
    except ValueError as error:
        raise ConfigError(f"TELNYX_PUBLIC_KEY: {error}") from error


def _telnyx(settings: Settings) -> TelnyxClient:
    if not settings.telnyx_api_key:
        raise ConfigError("TELNYX_API_KEY is not set: the worker cannot send without it")
    try:
        return TelnyxClient(settings.telnyx_api_key, settings.telnyx_base_url)
    except ValueError as error:
        raise ConfigError(f"TELNYX_API_KEY or TELNYX_BASE_URL: {error}") from error


def _require_apps(settings: Settings) -> None:
    if not settings.policy.apps:
        raise ConfigError("no app is configured: name a file by OTP_CONFIG with at least [senders.X] and [apps.X]")


def _checks(stores: Stores, keyring: KeyringFile) -> Sequence[tuple[str, Check]]:
    return (
        ("store", lambda: store_client.ping(stores.store)),
        ("writes", lambda: _dead_shards(stores)),
        ("eviction", lambda: store_client.require_no_eviction(stores.store)),
        ("shards", _if_answered(stores.store, lambda: store_client.fix_shards(stores.store, stores.keys))),
        ("keyring", _if_answered(stores.store, lambda: _require_keyring(stores, keyring))),
    )


def _dead_shards(stores: Stores) -> str | None:
    dead = store_client.dead_shards(stores.store, stores.keys)
    names = ", ".join(f"s{shard:02x}" for shard in dead)
    return f"{len(dead)} of {stores.keys.shards} shards take no writes: {names}" if dead else None


def _if_answered(store: Store, check: Callable[[], None]) -> Check:
    """What was true at the start need not be seen again while its shard of a Cluster is dead: other shards work."""

    def looked() -> str | None:
        try:
            check()
        except StoreUnavailable as error:
            if not store.is_cluster:
                raise
            return error.detail
        return None

    return looked


def _require_keyring(stores: Stores, keyring: KeyringFile) -> None:
    """Raise NotReady if the keyring file cannot be used any more, or the store belongs to another by now."""
    _join(stores.store, Keyrings(stores.store, stores.keys), keyring)
    fault = keyring.fault
    if fault is not None:
        raise NotReady(f"{fault} The keys read before are used.")


def _places(app: App, client_ip: str | None) -> list[object]:
    places = [Place("app", app.name, limit) for limit in app.starts_per_app]
    if client_ip is not None:
        subject = f"{app.name}:{network(client_ip)}"
        places += [Place("client_ip", subject, limit) for limit in app.starts_per_client_ip]
    return list(places)
