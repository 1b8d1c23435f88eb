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
from datetime import UTC, datetime
from functools import partial
from random import random

from flask import Flask

from . import config, documents, postman, telemetry
from .config import Settings
from .domain.errors import ConfigError, NotReady, ServiceError, StoreUnavailable
from .domain.policy import App
from .keyring_file import KeyringFile
from .postman import Postman
from .receivers.client import Receivers
from .storage import client as store_client
from .storage.alarms import Alarms
from .storage.api_keys import ApiKeys
from .storage.audit_log import AuditLog
from .storage.callbacks import Callbacks
from .storage.circuits import Circuits
from .storage.client import Store
from .storage.cursors import Cursors
from .storage.feeds import Feed
from .storage.idempotency import Idempotency
from .storage.keyrings import Keyrings
from .storage.keys import Keys
from .storage.limits import Limits, Place, network
from .storage.optouts import OptOuts
from .storage.outbox import Outbox
from .storage.scripts import Scripts
from .storage.tallies import Tallies
from .storage.verifications import Verifications
from .telnyx.client import TelnyxClient
from .telnyx.gateway import Gateway
from .telnyx.signatures import parse_public_key
from .usecases.alert import Alert
from .usecases.browse import Browse
from .usecases.deliver import Deliver
from .usecases.guard import Guard
from .usecases.notify import Notify
from .usecases.receive import Receive
from .usecases.reconcile import Reconcile, Reconciled, Tell
from .usecases.verify import Verify
from .usecases.watch import Watch
from .web.admin import Admin, Check
from .web.api import Api
from .web.app import create_app
from .web.auth import Auth
from .web.gate import WATCHING, WORKING, Threads
from .web.hooks import Hooks
from .web.problems import Problems
from .worker import Chore, Worker

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
class Rooms:
    """The parts that keep things, over one open store."""

    store: Store
    keys: Keys
    scripts: Scripts
    audit: AuditLog
    api_keys: ApiKeys


def open_rooms(settings: Settings, keyring: KeyringFile | None = None) -> Rooms:
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
    return Rooms(store, keys, scripts, audit, api_keys)


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
    return KeyringFile(path, partial(config.load_keyring, settings), monotonic=time.monotonic, now_ms=telemetry.now_ms)


def build_web(settings: Settings, *, working: int = WORKING, pause: Callable[[float], bool] | None = None) -> Flask:
    """The API. `working` requests work at a time, whatever threads there are; `pause` waits for so many seconds or for
    the process's end, and says whether that has come.
    """
    keyring = open_keyring(settings)
    public_key = _public_key(settings)
    _require_apps(settings)
    rooms = open_rooms(settings, keyring)
    problems = Problems(settings.public_url)
    auth = Auth(rooms.api_keys)
    verifications = Verifications(rooms.store, rooms.scripts, rooms.keys, keyring.index_key)
    optouts = OptOuts(rooms.store, rooms.scripts, rooms.keys)
    outbox = Outbox(rooms.store, rooms.scripts, rooms.keys, keyring.index_key, consumer="web")
    guard = _guard(settings, rooms)
    verify = Verify(
        store=verifications,
        limits=Limits(rooms.scripts, rooms.keys, is_cluster=rooms.store.is_cluster),
        place=_places,
        guard=guard,
        vault=keyring,
        key_ids=Keyrings(rooms.store, rooms.keys),
        policy=settings.policy,
        issuer=settings.issuer,
        queue_max=settings.queue_max,
        token_bytes=secrets.token_bytes,
        randbelow=secrets.randbelow,
        fictitious=settings.carrier_on_loopback,
    )
    browse = Browse(store=verifications, optouts=optouts, record=rooms.audit, vault=keyring, policy=settings.policy)
    receive = Receive(
        book=outbox, store=verifications, optouts=optouts, vault=keyring, policy=settings.policy, guard=guard
    )
    threads = Threads(working)
    watch = Watch(
        store=verifications,
        places=WATCHING,
        pause=pause or threading.Event().wait,
        aside=threads.gate.aside,
        count=lambda news: telemetry.WATCHES.labels(news).inc(),
    )
    idempotency = Idempotency(rooms.scripts, rooms.keys)
    if settings.policy.endpoints:
        # Here, too: what happens before the first worker has started is told as well.
        Feed(rooms.store, rooms.keys).open()
    admin = Admin(
        auth=auth,
        problems=problems,
        checks=_checks(rooms, keyring),
        jwks=keyring.jwks,
        public_url=settings.public_url,
        token=lambda: secrets.token_urlsafe(16),
        outbox_depth=_depth(settings, rooms, outbox),
        circuits=guard.circuits,
    )
    keys = {"index_key": keyring.index_key, "watch_key": keyring.watch_key}
    routes = [
        *Api(verify, browse, watch, idempotency, problems, **keys, seal=keyring.seal, unseal=keyring.open).routes(),
        *Hooks(receive, rooms.audit, public_key, problems, time.time).routes(),
        *admin.routes(),
    ]
    admin.describe(routes)
    return create_app(routes, auth, problems, lambda: f"req_{secrets.token_hex(12)}", threads)


def build_worker(settings: Settings, *, concurrency: int) -> Worker:
    """The delivery worker of one process."""
    keyring = open_keyring(settings)
    _require_apps(settings)
    rooms = open_rooms(settings, keyring)
    consumer = f"{socket.gethostname()}-{secrets.token_hex(4)}"
    outbox = Outbox(rooms.store, rooms.scripts, rooms.keys, keyring.index_key, consumer)
    telnyx = _telnyx(settings)
    gateway = Gateway(telnyx)
    alert = _alert(settings, rooms)
    guard = _guard(settings, rooms)
    deliver = Deliver(
        outbox=outbox,
        book=outbox,
        store=Verifications(rooms.store, rooms.scripts, rooms.keys, keyring.index_key),
        carrier=gateway,
        vault=keyring,
        policy=settings.policy,
        public_url=settings.public_url,
        sleep=time.sleep,
        monotonic=time.monotonic,
        random=random,
        count=lambda sender, outcome: telemetry.SENDS.labels(sender, outcome).inc(),
        left=lambda reason: telemetry.HANDED_BACK.labels(reason).inc(),
        guard=guard,
    )

    keyrings = Keyrings(rooms.store, rooms.keys)
    callbacks = _postman(settings, rooms, keyring) if settings.policy.endpoints else None

    def close() -> None:
        if callbacks is not None:
            callbacks.finish(FINISH_S)
        telnyx.close()
        rooms.store.close()

    return Worker(
        outbox,
        deliver,
        rooms.audit,
        concurrency=concurrency,
        audit_retention_ms=settings.audit_retention_ms,
        chores=[
            Chore("keyring", KEYRING_PERIOD_S, lambda _: _join(rooms.store, keyrings, keyring)),
            Chore("API key events", KEY_EVENTS_PERIOD_S, lambda _: rooms.api_keys.record_events()),
            *_chores(settings, _reconcile(settings, rooms, keyring, gateway), alert, guard, gateway),
            *_callback_chores(callbacks),
        ],
        close=close,
    )


def _chores(settings: Settings, reconcile: Reconcile, alert: Alert, guard: Guard, gateway: Gateway) -> list[Chore]:
    starting = iter([True])

    def sync(stop: threading.Event) -> None:
        reconcile.on_timer(starting=next(starting, False), stopped=stop.is_set)

    def tell(stop: threading.Event) -> None:
        while not stop.is_set() and alert.send(gateway):
            pass

    chores = [
        Chore("opt-outs", min(SYNC_PERIOD_S, settings.optout_sync_ms / 1000), sync),
        Chore("sender health", HEALTH_PERIOD_S, lambda _: guard.ask_carrier(gateway)),
    ]
    return chores if settings.on_call is None else [*chores, Chore("alerts", ALERT_PERIOD_S, tell)]


def _guard(settings: Settings, rooms: Rooms) -> Guard:
    return Guard(
        circuits=Circuits(rooms.store, rooms.scripts, rooms.keys),
        tallies=Tallies(rooms.store, rooms.scripts, rooms.keys),
        policy=settings.policy,
        alert=_alert(settings, rooms),
        monotonic=time.monotonic,
        count=lambda scope, to: telemetry.CIRCUIT_CHANGES.labels(scope, to).inc(),
    )


def _postman(settings: Settings, rooms: Rooms, keyring: KeyringFile) -> Postman:
    endpoints = settings.policy.endpoints
    feed = Feed(rooms.store, rooms.keys)
    notify = Notify(
        feed=feed,
        queue=Callbacks(rooms.store, rooms.scripts, rooms.keys),
        store=Verifications(rooms.store, rooms.scripts, rooms.keys, keyring.index_key),
        receivers=Receivers(endpoints, now_ms=telemetry.now_ms),
        vault=keyring,
        apps=list(endpoints),
        write=documents.callback_body,
        random=random,
        count=lambda app, outcome: telemetry.CALLBACKS.labels(app, outcome).inc(),
    )
    for app, endpoint in endpoints.items():
        if endpoint.allow_private:
            _log.warning("callbacks of this app may go into a private network", extra={"app": app})
    return Postman(notify, feed.open)


def _callback_chores(callbacks: Postman | None) -> list[Chore]:
    if callbacks is None:
        return []
    return [
        Chore("callback events", postman.READ_PERIOD_S, callbacks.read),
        Chore("callbacks", postman.LOOK_PERIOD_S, callbacks.look),
    ]


def _depth(settings: Settings, rooms: Rooms, outbox: Outbox) -> Callable[[], int]:
    queues = Callbacks(rooms.store, rooms.scripts, rooms.keys)
    apps = list(settings.policy.endpoints)

    def measure() -> int:
        for app, (waiting, dead) in queues.counts(apps).items():
            telemetry.CALLBACKS_WAITING.labels(app).set(waiting)
            telemetry.CALLBACKS_DEAD.labels(app).set(dead)
        return outbox.depth()

    return measure


def _alert(settings: Settings, rooms: Rooms) -> Alert:
    return Alert(
        alarms=Alarms(rooms.store, rooms.scripts, rooms.keys),
        policy=settings.policy,
        on_call=settings.on_call,
        count=lambda outcome: telemetry.ALERTS.labels(outcome).inc(),
    )


def _reconcile(settings: Settings, rooms: Rooms, keyring: KeyringFile, gateway: Gateway) -> Reconcile:
    def count(outcome: str) -> None:
        telemetry.OPTOUT_SYNCS.labels(outcome).inc()
        if outcome == "done":
            telemetry.OPTOUT_SYNCED.set_to_current_time()

    return Reconcile(
        source=gateway,
        registry=OptOuts(rooms.store, rooms.scripts, rooms.keys),
        cursors=Cursors(rooms.store, rooms.scripts, rooms.keys),
        vault=keyring,
        policy=settings.policy,
        interval_ms=settings.optout_sync_ms,
        now_ms=telemetry.now_ms,
        token=lambda: secrets.token_hex(8),
        count=count,
        sleep=time.sleep,
    )


def sync_optouts(settings: Settings, tell: Tell) -> list[Reconciled]:
    """Read the carrier's whole list of opt-outs into the registry now, for the command."""
    keyring = open_keyring(settings)
    _require_apps(settings)
    rooms = open_rooms(settings, keyring)
    try:
        with _telnyx(settings) as telnyx:
            return _reconcile(settings, rooms, keyring, Gateway(telnyx)).now(tell, time.sleep)
    finally:
        rooms.store.close()


def build_callbacks(settings: Settings) -> Callbacks:
    """The queues of callbacks, for the commands."""
    rooms = open_rooms(settings)
    return Callbacks(rooms.store, rooms.scripts, rooms.keys)


def build_api_keys(settings: Settings) -> ApiKeys:
    """The API keys, for the commands."""
    return open_rooms(settings).api_keys


def build_audit(settings: Settings) -> AuditLog:
    """The audit record, for the commands."""
    return open_rooms(settings).audit


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
        rooms = open_rooms(settings)
    except ServiceError as error:
        yield Finding("store", False, error.detail)
        return
    yield Finding("store", True, f"{store_client.masked(settings.redis_url)} answers and never evicts")
    yield from _keyring_against(settings, rooms)
    yield Finding("clock", *_clock(rooms))
    yield from _circuits(settings, rooms)
    yield from _callbacks(settings, rooms)
    rooms.store.close()


def _keyring_against(settings: Settings, rooms: Rooms) -> Iterator[Finding]:
    """Whether the store belongs to this keyring. One that cannot be read has a line of its own."""
    with contextlib.suppress(ConfigError):
        ring = config.load_keyring(settings)
        try:
            known = Keyrings(rooms.store, rooms.keys).require(ring.fingerprint)
        except ServiceError as error:
            yield Finding("keyring and store", False, error.detail)
            return
        said = f"the store knows the index key {ring.fingerprint}"
        yield Finding("keyring and store", True, said if known else "the store knows no keyring yet")


def _circuits(settings: Settings, rooms: Rooms) -> Iterator[Finding]:
    circuits = _guard(settings, rooms).circuits()
    tripped = [circuit for circuit in circuits if circuit.until_ms is not None]
    for circuit in tripped:
        until = datetime.fromtimestamp((circuit.until_ms or 0) / 1000, UTC).isoformat(timespec="seconds")
        detail = f"{circuit.state.replace('_', ' ')} until {until}: {circuit.title} (code {circuit.code})"
        yield Finding(f"circuit {circuit.scope}", False, detail)
    if circuits and not tripped:
        yield Finding("circuits", True, "none of the senders' breakers is open")


def _callbacks(settings: Settings, rooms: Rooms) -> Iterator[Finding]:
    endpoints = settings.policy.endpoints
    receivers = Receivers(endpoints, now_ms=telemetry.now_ms)
    for app, (waiting, dead) in Callbacks(rooms.store, rooms.scripts, rooms.keys).counts(list(endpoints)).items():
        objection = receivers.reachable(app)
        where = "private addresses allowed" if endpoints[app].allow_private else "public addresses only"
        said = objection or f"{endpoints[app].host}, {where}"
        yield Finding(f"callbacks of {app}", objection is None, f"{said}; {waiting} waiting, {dead} dead")


def _clock(rooms: Rooms) -> tuple[bool, str]:
    skew_ms = abs(store_client.clock_ms(rooms.store) - telemetry.now_ms())
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


def _checks(rooms: Rooms, keyring: KeyringFile) -> Sequence[tuple[str, Check]]:
    return (
        ("store", lambda: store_client.ping(rooms.store)),
        ("writes", lambda: _dead_shards(rooms)),
        ("eviction", lambda: store_client.require_no_eviction(rooms.store)),
        ("shards", _if_answered(rooms.store, lambda: store_client.fix_shards(rooms.store, rooms.keys))),
        ("keyring", _if_answered(rooms.store, lambda: _require_keyring(rooms, keyring))),
    )


def _dead_shards(rooms: Rooms) -> str | None:
    dead = store_client.dead_shards(rooms.store, rooms.keys)
    names = ", ".join(f"s{shard:02x}" for shard in dead)
    return f"{len(dead)} of {rooms.keys.shards} shards take no writes: {names}" if dead else None


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


def _require_keyring(rooms: Rooms, keyring: KeyringFile) -> None:
    """Raise NotReady if the keyring file cannot be used any more, or the store belongs to another by now."""
    _join(rooms.store, Keyrings(rooms.store, rooms.keys), keyring)
    fault = keyring.fault
    if fault is not None:
        raise NotReady(f"{fault} The keys read before are used.")


def _places(app: App, client_ip: str | None) -> list[object]:
    places = [Place("app", app.name, limit) for limit in app.starts_per_app]
    if client_ip is not None:
        subject = f"{app.name}:{network(client_ip)}"
        places += [Place("client_ip", subject, limit) for limit in app.starts_per_client_ip]
    return list(places)
