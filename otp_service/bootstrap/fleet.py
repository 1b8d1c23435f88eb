"""What this process says of itself to the others and to `doctor`, every few seconds."""

import contextlib
import hashlib
import os
import secrets
import socket
import time
from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from .. import __version__
from ..config import Settings
from ..domain.addresses import KeptAddress
from ..domain.audit import EventType
from ..domain.errors import ConfigError, ServiceError, StoreUnavailable
from ..domain.fleet import EVERY_S, ProcessRecord
from ..domain.ids import Ids
from ..keyring import Keyring
from ..keyring_reload import ReloadedKeyring
from ..storage import readiness
from ..storage.callers import process
from ..storage.fleet import Fleet
from .carrier import webhook_keys
from .configuration import configuration_hash, configuration_of
from .stores import Stores

PUBLIC_URL = "public URL"
"""The part of the configuration that holds it."""

LOADED_ONCE_MS = 86_400_000
"""One configuration is on record once in this time, with its content, however many processes load it."""

Facts = Mapping[str, object]
"""Fields of a `ProcessRecord` that change while the process runs."""


def configuration_parts(settings: Settings, ids: Ids) -> dict[str, str]:
    """Names each setting that must be the same in every process, by a keyed hash: no secret can be guessed from it."""
    policy, prices = settings.policy, settings.prices
    parts: dict[str, object] = {
        **_columns("apps", policy.apps),
        **_columns("senders", policy.senders),
        "limits": (policy.per_number, policy.limits),
        "retention": policy.retention,
        "service.shards": settings.shards,
        "service.queue_max": settings.queue_max,
        "service.optout_sync": settings.optout_sync_ms,
        "store.replicas": settings.expected_replicas,
        "store.after_restart": settings.after_restart,
        "prices.currency": prices.currency,
        "prices.segments": dict(prices.segments),
        "prices.whatsapp": dict(prices.whatsapp),
        "prices.default": prices.default,
        "audit.addresses": str(policy.audit_addresses),
        "audit.client_ips": str(policy.audit_client_ips),
        "audit.retention": settings.audit_retention_ms,
        "audit.backlog_max": settings.audit_backlog_max,
        "audit.keep_webhooks": settings.keep_webhooks,
        "audit.webhook_retention": settings.webhook_retention_ms,
        "alerts": settings.on_call,
        PUBLIC_URL: (settings.public_url, settings.issuer),
        "carrier's address": settings.telnyx_base_url,
    }
    if settings.telnyx_api_key:
        parts["carrier's key"] = settings.telnyx_api_key
    return {part: _named(ids, value) for part, value in parts.items()}


def _columns(table: str, entries: Mapping[str, Any]) -> dict[str, object]:
    """Which entries a table has, and each setting of all of them."""
    names = sorted({name for one in entries.values() for name in one.__dataclass_fields__})
    columns = {name: {entry: getattr(one, name) for entry, one in entries.items()} for name in names}
    return {table: sorted(entries)} | {f"{table}.{name.removesuffix('_ms')}": columns[name] for name in names}


def _named(ids: Ids, value: object) -> str:
    return ids.digest(b"configuration\0" + msgspec.json.encode(value, order="deterministic"))[:4].hex()


def named_webhook_keys(settings: Settings) -> str:
    """Names the keys that the carrier may sign with; empty if there are none. They are no secret."""
    try:
        keys = sorted(webhook_keys(settings))
    except ConfigError:
        return ""
    return " ".join(hashlib.sha256(key).hexdigest()[:8] for key in keys)


def describe(settings: Settings, stores: Stores, ring: Keyring, role: str, **facts: object) -> ProcessRecord:
    """What a process is. `facts`: further fields of the record. Raises StoreUnavailable."""
    same = {
        "role": role,
        "host": socket.gethostname(),
        "pid": os.getpid(),
        "version": __version__,
        "configuration": configuration_parts(settings, ring.ids),
        "keyring": ring.fingerprint,
        "key_ids": sorted(ring.kids),
        "ahead_ms": readiness.clock_ahead_ms(stores.store),
    }
    return msgspec.convert(same | facts, ProcessRecord)


class Announcer:
    """Says again and again what this process is. `facts` gives what changes while it runs."""

    def __init__(
        self,
        settings: Settings,
        stores: Stores,
        keyring: ReloadedKeyring,
        role: str,
        facts: Callable[[], Facts] = dict,
    ) -> None:
        self._settings = settings
        self._stores = stores
        self._fleet = Fleet(stores.store, stores.scripts, stores.keys)
        self._keyring = keyring
        self._role = role
        self._facts = facts
        self._token = secrets.token_hex(6)
        self._due = 0.0
        self._recorded_for = 0

    def announce(self) -> None:
        """Say it now. Raises StoreUnavailable, and NotReady if the store belongs to another keyring."""
        ring = self._keyring.current()
        self._record_start()
        self._fleet.write(self._id(), describe(self._settings, self._stores, ring, self._role, **self._facts()))

    def _record_start(self) -> None:
        """Once in each process, also after a fork: that it has started, and by which configuration it decides."""
        if self._recorded_for == os.getpid():
            return
        audit, policy = self._stores.audit, f"sha256:{configuration_hash(self._settings)}"
        content = {"policy": policy, "configuration": configuration_of(self._settings)}
        audit.record(EventType.CONFIGURATION_LOADED, content, LOADED_ONCE_MS, mark=f"configuration:{policy}")
        started = {"role": self._role, "version": __version__, "process": process(), "pid": str(os.getpid())}
        started["policy"] = policy
        if self._settings.policy.audit_addresses is not KeptAddress.NONE:
            started["host"] = socket.gethostname()
        audit.record(EventType.SERVICE_STARTED, started)
        self._recorded_for = os.getpid()

    def announce_if_due(self) -> None:
        """Say it if that was not done within the last `EVERY_S` seconds. Raises StoreUnavailable."""
        now = time.monotonic()
        if now >= self._due:
            self._due = now + EVERY_S
            with contextlib.suppress(ServiceError):
                self.announce()

    def forget(self) -> None:
        """At the end: the others need not wait until the record is too old."""
        self._due = float("inf")
        with contextlib.suppress(StoreUnavailable):
            self._fleet.forget(self._id())

    def _id(self) -> str:
        # After a fork each process has a record of its own.
        return f"{self._token}-{os.getpid()}"
