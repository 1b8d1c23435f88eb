"""`otp-service doctor`: checks everything that a deployment can have wrong, one result at a time.

A check never raises: what is wrong becomes a result, with what to do about it.
"""

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial

from . import config
from .bootstrap.carrier import telnyx_client, webhook_keys
from .bootstrap.fleet import PUBLIC_URL, describe, named_webhook_keys
from .bootstrap.key_use import use_in
from .bootstrap.ledger import find_ledger
from .bootstrap.memory import judge_memory
from .bootstrap.senders import sender_health
from .bootstrap.signed_log import kept_checkpoint
from .bootstrap.stores import Stores, open_stores
from .clock import clock_ms, rfc3339
from .config import Settings
from .diagnosis.addresses import check_addresses
from .diagnosis.api_keys import check_api_keys
from .diagnosis.durability import check_durability, check_replicas, check_restarts
from .diagnosis.fixed_codes import check_test_numbers
from .diagnosis.fleet import check_fleet
from .diagnosis.guard import check_guard
from .diagnosis.guessing import check_guessing
from .diagnosis.ledger import check_ledger
from .diagnosis.old_keys import check_old_keys
from .diagnosis.result import CheckResult
from .diagnosis.risk import check_risk_hooks
from .diagnosis.servers import check_servers
from .diagnosis.signed_log import check_signed_log
from .diagnosis.spending import check_spending
from .diagnosis.texts import check_texts
from .domain.errors import ConfigError, ServiceError
from .domain.fleet import MAX_SKEW_MS, ProcessRecord
from .receivers.client import Receivers
from .storage import connect, readiness
from .storage.callbacks import Callbacks
from .storage.fleet import Fleet
from .storage.guard_states import GuardStates
from .storage.guesses import Guesses
from .storage.keyrings import Keyrings
from .storage.spend import SpendTable
from .telnyx.check_senders import check_senders


def diagnose(settings: Settings) -> Iterator[CheckResult]:
    """Check configuration, texts, risk hooks, store and carrier, in this order."""
    yield from _configuration(settings)
    yield from check_addresses(settings)
    yield from check_texts(settings.policy, settings.prices)
    yield from check_risk_hooks(settings)
    yield from _store(settings)
    yield from _carrier(settings)


def _configuration(settings: Settings) -> Iterator[CheckResult]:
    where = str(settings.config_path or "no file, defaults")
    yield _result("configuration", settings.require_apps, where)
    yield from check_test_numbers(settings)
    yield _result("keyring", lambda: config.load_keyring(settings), "loaded")
    yield _result("webhook key", lambda: webhook_keys(settings), "TELNYX_PUBLIC_KEY holds Ed25519 keys")


def _result(name: str, check: Callable[[], object], detail: str) -> CheckResult:
    try:
        check()
    except ServiceError as error:
        return CheckResult(name, False, error.detail)
    return CheckResult(name, True, detail)


def _store(settings: Settings) -> Iterator[CheckResult]:
    try:
        stores = open_stores(settings)
    except ServiceError as error:
        yield CheckResult("store", False, error.detail)
        return
    yield CheckResult("store", True, f"{connect.masked(settings.redis_url)} answers and never evicts")
    yield from check_servers(stores.store)
    yield check_durability(stores.store)
    yield check_restarts(stores.store, settings.after_restart)
    yield from _replicas(settings, stores)
    yield from _keyring_and_store(settings, stores)
    yield from _old_keys(settings, stores)
    yield from check_api_keys(settings.policy, stores.api_keys.list, clock_ms())
    yield _clock(stores)
    yield from check_fleet(Fleet(stores.store, stores.scripts, stores.keys), _own(settings, stores))
    yield from _memory(settings, stores)
    yield from check_ledger(partial(find_ledger, settings), stores.backlog.waiting, settings.audit_backlog_max)
    yield from check_signed_log(
        partial(find_ledger, settings), clock_ms(), kept_checkpoint(settings), settings.outlets.targets
    )
    yield from _circuits(settings, stores)
    yield from check_guard(settings.policy, GuardStates(stores.store, stores.keys))
    yield from check_spending(
        settings.policy, settings.prices.currency, SpendTable(stores.store, stores.scripts, stores.keys)
    )
    yield from check_guessing(settings.policy, Guesses(stores.scripts, stores.keys))
    yield from _callbacks(settings, stores)
    stores.store.close()


def _replicas(settings: Settings, stores: Stores) -> Iterator[CheckResult]:
    guard, shards = stores.known.guard, [*map(stores.keys.run, range(stores.keys.shards))]
    counts = guard.missing_of(shards), guard.alone_of(shards), guard.uncounted_of(shards)
    yield from check_replicas(settings.expected_replicas, *counts)


def _keyring_and_store(settings: Settings, stores: Stores) -> Iterator[CheckResult]:
    """Whether the store belongs to this keyring. A keyring that cannot be read has a result of its own."""
    with contextlib.suppress(ConfigError):
        ring = config.load_keyring(settings)
        try:
            known = Keyrings(stores.store, stores.keys).judge(ring.fingerprint)
        except ServiceError as error:
            yield CheckResult("keyring and store", False, error.detail)
            return
        detail = f"the store knows the index key {ring.fingerprint}" if known else "the store knows no keyring yet"
        yield CheckResult("keyring and store", True, detail)


def _old_keys(settings: Settings, stores: Stores) -> Iterator[CheckResult]:
    """What still needs a key that is not active. With one key alone nothing does, and the store is not searched."""
    with contextlib.suppress(ConfigError):
        ring = config.load_keyring(settings)
        if len(ring.kids) > 1:
            yield from check_old_keys(ring, lambda: use_in(stores, lambda *_: None))


def _clock(stores: Stores) -> CheckResult:
    skew_ms = abs(readiness.clock_ahead_ms(stores.store))
    detail = f"this machine and the store differ by {skew_ms} ms"
    if skew_ms > MAX_SKEW_MS:
        return CheckResult("clock", False, f"{detail}; set both by NTP")
    return CheckResult("clock", True, detail)


def _own(settings: Settings, stores: Stores) -> ProcessRecord | None:
    """What this command would be as a process, for the comparison with those that run."""
    try:
        ring, keys = config.load_keyring(settings), named_webhook_keys(settings)
        own = describe(settings, stores, ring, "this command", webhook_keys=keys)
    except ServiceError:
        return None  # there is a result of its own for it
    parts = dict(own.configuration)
    if settings.carrier_on_loopback:
        del parts[PUBLIC_URL]  # `dev` gives its processes its own address, whatever the configuration says
    return replace(own, pid=0, configuration=parts)


def _memory(settings: Settings, stores: Stores) -> Iterator[CheckResult]:
    try:
        yield CheckResult("memory", *judge_memory(settings, stores))
    except ServiceError as error:
        yield CheckResult("memory", False, error.detail)


def _circuits(settings: Settings, stores: Stores) -> Iterator[CheckResult]:
    circuits = sender_health(settings, stores).circuits()
    tripped = [circuit for circuit in circuits if circuit.until_ms is not None]
    for circuit in tripped:
        until = rfc3339(circuit.until_ms or 0, "seconds")
        detail = f"{circuit.state.replace('_', ' ')} until {until}: {circuit.title} (code {circuit.code})"
        yield CheckResult(f"circuit {circuit.scope}", False, detail)
    if circuits and not tripped:
        yield CheckResult("circuits", True, "none of the senders' breakers is open")


def _callbacks(settings: Settings, stores: Stores) -> Iterator[CheckResult]:
    endpoints = settings.policy.endpoints
    receivers = Receivers(endpoints, now_ms=clock_ms)
    for app, (waiting, dead) in Callbacks(stores.store, stores.scripts, stores.keys).counts(list(endpoints)).items():
        objection = receivers.reachable(app)
        scope = "private addresses allowed" if endpoints[app].allow_private else "public addresses only"
        detail = objection or f"{endpoints[app].host}, {scope}"
        yield CheckResult(f"callbacks of {app}", objection is None, f"{detail}; {waiting} waiting, {dead} dead")


def _carrier(settings: Settings) -> Iterator[CheckResult]:
    try:
        telnyx = telnyx_client(settings)
    except ServiceError as error:
        yield CheckResult("carrier", False, error.detail)
        return
    alerts_from = settings.on_call.sender if settings.on_call else None
    for name, ok, detail in check_senders(telnyx, settings.policy.senders.values(), alerts_from):
        yield CheckResult(name, ok, detail)
    telnyx.close()
