"""What the store must be to be trusted: it answers, never evicts, takes writes, and has the shards of the start."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, cast

import redis

from .. import clock
from ..domain.errors import NotReady, StoreUnavailable
from .answering import STORE_ERRORS, answering, answers
from .connect import TIMEOUT_S, client_options
from .primary import SentinelPrimaryPool
from .schema import Keys
from .schema.encodings import StoreSetup
from .servers_state import faults
from .store import Store

LAYOUT = "6"
"""How this version writes the store. Another layout is refused at the start, because its fields would be misread."""


def ping(store: Store) -> None:
    """Raise StoreUnavailable, with what is wrong, unless the store answers; of a Cluster one primary is enough."""
    try:
        store.any_time_ms()
    except StoreUnavailable as error:
        raise StoreUnavailable(" ".join([error.detail, *faults(store)])) from error


def require_no_eviction(store: Store) -> None:
    """Raise NotReady unless every server of the store that can be asked refuses writes when full, replicas too.

    Any other policy forgets guess budgets and pending codes under pressure, without a word; a replica may become the
    primary. Servers that do not answer are left out, but one must. Raises StoreUnavailable.
    """
    for policy in [memory.get("maxmemory_policy", "noeviction") for memory in server_info(store, "memory")]:
        if policy != "noeviction":
            raise NotReady(f"The store's maxmemory-policy is {policy}; only noeviction never forgets a guess budget.")


def _servers(store: Store) -> list[Callable[[str], Any]]:
    """What asks each server of the store for a section of its INFO."""
    client = cast("Any", store.client)
    if store.is_cluster:
        client.look_up_again()
        return [partial(client.info, target_nodes=node) for node in client.get_nodes()]
    return [client.info, *(replica.info for replica in _replicas(store))]


def _replicas(store: Store) -> "list[redis.Redis]":
    """The replicas that the primary of a Sentinel names; none of a single server, whose replicas never take over."""
    pool = store.client.connection_pool
    if not isinstance(pool, SentinelPrimaryPool):
        return []
    try:
        found: Any = store.client.info("replication")
    except STORE_ERRORS:
        return []
    replicas = [value for name, value in found.items() if re.fullmatch("slave[0-9]+", name) and "ip" in value]
    return [beside(pool, str(each["ip"]), int(each["port"])) for each in replicas]


def beside(pool: SentinelPrimaryPool, host: str, port: int) -> "redis.Redis":
    """A client of another server with the same login."""
    same = ("username", "password", "db", "ssl_min_version")
    settings = {name: pool.connection_kwargs[name] for name in same if name in pool.connection_kwargs}
    settings["ssl"] = issubclass(pool.connection_class, redis.SSLConnection)
    return redis.Redis(host=host, port=port, **(client_options(TIMEOUT_S) | settings))


def server_info(store: Store, section: str) -> list[Any]:
    """This section of the INFO of each server that answers; one must. Raises StoreUnavailable."""
    return [told for told in answers([_asked(ask, section) for ask in _servers(store)]) if told is not None]


def _asked(ask: Callable[[str], Any], section: str) -> Any:
    """The section, or the error that came instead."""
    try:
        return ask(section)
    except STORE_ERRORS as error:
        return error


@dataclass(frozen=True, slots=True)
class Persistence:
    """Whether a server appends its writes to a file, and whether the last ones went well."""

    appends: bool
    writes_well: bool


def persistence(store: Store) -> list[Persistence]:
    """Of each server that answers. Raises StoreUnavailable."""
    return [
        Persistence(str(told.get("aof_enabled")) == "1", told.get("aof_last_write_status", "ok") == "ok")
        for told in server_info(store, "persistence")
    ]


def fix_shards(store: Store, keys: Keys) -> None:
    """Remember the number of shards and the layout at first start; raise NotReady if either is another one later.

    With another number of shards the same telephone number would get a second budget. In another layout an API key
    would lose its end, and an opt-out could be missed.
    """
    with answering():
        store.client.set(keys.shard_count(), StoreSetup.pack(keys.shards, LAYOUT), nx=True)
        fixed = cast("str | None", store.client.get(keys.shard_count()))
    shards, _, layout = (fixed or "").partition(StoreSetup.separator)
    if shards and layout != LAYOUT:
        raise NotReady("The store holds data of another version of otp-service. Empty it, or use another store.")
    if shards != str(keys.shards):
        raise NotReady(f"The store was set up with {shards} shards, the configuration says {keys.shards} (shards).")


def dead_shards(store: Store, keys: Keys) -> list[int]:
    """The shards of a Cluster that take no writes: reads may still work where writes are refused.

    Raises StoreUnavailable if none does.
    """
    shards = range(keys.shards) if store.is_cluster else range(1)
    taken = answers(store.gather([("SET", keys.probe(shard), "1", "PX", 1000) for shard in shards]))
    return [shard for shard, reply in zip(shards, taken, strict=True) if reply is None]


def clock_ms(store: Store) -> int:
    """The store's clock in Unix milliseconds. Raises StoreUnavailable."""
    return store.any_time_ms()


def clock_ahead_ms(store: Store, machine_ms: Callable[[], int] = clock.clock_ms) -> int:
    """How far this machine's clock is ahead of the store's; negative if it is behind. Raises StoreUnavailable.

    0 if it may be the same: what the question took is no difference.
    """
    before = machine_ms()
    told = store.any_time_ms()
    after = machine_ms()
    return before - told if told < before else min(0, after - told)
