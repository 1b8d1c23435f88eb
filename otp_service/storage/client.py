"""Connections to the store: which kind of store, how long to wait, and what it must be to be trusted.

redis-py repeats commands by default, which runs a script twice when only its reply was lost; all its retries are off
here, and `scripts` makes its own single repeat with the same operation id. A timed-out connection is dropped by
redis-py itself, so no reply can reach another request.
"""

import re
import ssl
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, TypeVar, cast
from urllib.parse import parse_qs, parse_qsl, unquote, urlsplit, urlunsplit

import redis
from redis.backoff import NoBackoff
from redis.cluster import ClusterNode
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import RedisClusterException
from redis.exceptions import TimeoutError as RedisTimeoutError
from redis.retry import Retry
from redis.sentinel import Sentinel

from ..domain.errors import ConfigError, NotReady, StoreUnavailable
from .answering import STORE_ERRORS, answering, answers
from .breaker import Breaker
from .cluster import GuardedCluster
from .primary import AskedSentinel, PrimaryPool, SentinelPrimaryPool
from .schema import Keys
from .schema.encodings import StoreSetup

LAYOUT = "2"
"""How this version writes the store. Another layout is refused at the start, because its fields would be misread."""

TIMEOUT_S = 0.45
"""For connecting and for each reply. One repeat keeps a dead store's refusal under a second."""

SENTINEL_TIMEOUT_S = 0.15
"""For a sentinel's answer: several are asked in turn, and a request that has waited for the primary may wait for them
as well."""

LONGEST_BLOCK_S = 2.0
"""How long a worker's blocking read may wait in the store (its own connections allow for it)."""


RESTS_S = 1.0
"""A node of a Cluster that did not answer `gather` is not asked by it again for so long."""

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Store:
    """An open store. `client` answers quickly or fails; `blocking` is for reads that wait."""

    client: "redis.Redis"
    blocking: "redis.Redis"
    is_cluster: bool
    _resting: dict[str, float] = field(default_factory=dict, repr=False, compare=False)
    """Until when (monotonic seconds) a node, by its name, is not asked again."""

    def close(self) -> None:
        """Close all connections."""
        self.client.close()
        self.blocking.close()

    def gather(self, commands: Sequence[Sequence[str | int]]) -> list[Any]:
        """Run independent commands, each with one key; the reply or the error of each.

        On one server in one round trip. In a Cluster one by one, so that a dead shard fails its own commands only, and
        all of them for one timeout: its node is not asked again for `RESTS_S`.
        """
        if self.is_cluster:
            return [self._on_node(_key(command), command) for command in commands]
        try:
            with self.client.pipeline(transaction=False) as pipe:
                for command in commands:
                    cast("Any", pipe).execute_command(*command, **_reading(command))
                return list(pipe.execute(raise_on_error=False))
        except STORE_ERRORS as error:
            return [error] * len(commands)

    def _on_node(self, key: str, command: Sequence[str | int]) -> Any:
        try:
            return self._asked(self._node(key), partial(self._run, command))
        except STORE_ERRORS as error:
            return error

    def _run(self, command: Sequence[str | int], node: Any) -> Any:
        # The node is named, because to find the keys of some commands (XREADGROUP) redis-py would ask a node, any node.
        return cast("Any", self.client).execute_command(*command, target_nodes=node, **_reading(command))

    def read_group(self, command: Sequence[str | int]) -> Any:
        """Run an XREADGROUP that may wait, of streams on one node. Raises what redis-py raises."""
        client = cast("Any", self.blocking)
        where = {"target_nodes": client.get_node_from_key(_key(command))} if self.is_cluster else {}
        return client.execute_command(*command, **where)

    def _node(self, key: str) -> Any:
        node = cast("Any", self.client).get_node_from_key(key)
        if node is None:
            raise RedisClusterException("No node has the slot of this key.")
        return node

    def _asked(self, node: Any, ask: Callable[[Any], T]) -> T:
        if self._node_rests(node):
            raise RedisConnectionError("The node did not answer a moment ago.")
        try:
            return ask(node)
        except (RedisConnectionError, RedisTimeoutError):
            self._resting[node.name] = time.monotonic() + RESTS_S
            raise

    def time_ms(self, near: str) -> int:
        """The clock of the server that holds the key `near`, in Unix milliseconds. Raises StoreUnavailable."""
        with answering():
            if not self.is_cluster:
                return _milliseconds(self.client.time())
            return self._asked(self._node(near), self._node_time_ms)

    def _node_time_ms(self, node: Any) -> int:
        return _milliseconds(cast("Any", self.client).time(target_nodes=node))

    def rests(self, key: str) -> bool:
        """Whether the node of a Cluster that holds the key did not answer a moment ago."""
        try:
            return self.is_cluster and self._node_rests(self._node(key))
        except STORE_ERRORS:
            return True

    def _node_rests(self, node: Any) -> bool:
        return time.monotonic() < self._resting.get(node.name, 0.0)

    def times_ms(self, near: Sequence[str]) -> list[int | None]:
        """The clock near each of these keys, each server asked once; None where it does not answer."""
        known: dict[str, int | None] = {}
        return [self._time_of(key, known) for key in near]

    def _time_of(self, key: str, known: dict[str, int | None]) -> int | None:
        try:
            name = self._node(key).name if self.is_cluster else ""
            if name not in known:
                known[name] = None
                known[name] = self.time_ms(key)
            return known[name]
        except (StoreUnavailable, *STORE_ERRORS):
            return None

    def any_time_ms(self) -> int:
        """The clock of the server, or of the first primary of a Cluster that answers. Raises StoreUnavailable."""
        with answering():
            if not self.is_cluster:
                return _milliseconds(self.client.time())
            return self._first(self._node_time_ms)

    def _first(self, ask: Callable[[Any], T]) -> T:
        failure: Exception = RedisClusterException("The Cluster has no primaries.")
        for node in cast("Any", self.client).get_primaries():
            try:
                return self._asked(node, ask)
            except STORE_ERRORS as error:
                failure = error
        raise failure


def _key(command: Sequence[str | int]) -> str:
    return str(command[command.index("STREAMS") + 1] if "STREAMS" in command else command[1])


def _reading(command: Sequence[str | int]) -> dict[str, Any]:
    """How redis-py is to read the reply, where the command alone does not say it."""
    return {"parse_justid": True} if command[-1] == "JUSTID" else {}


def _milliseconds(answer: Any) -> int:
    seconds, micros = answer
    return int(seconds) * 1000 + int(micros) // 1000


def connect(url: str) -> Store:
    """Open the store named by `redis://`, `rediss://`, `unix://`, `redis+sentinel://h:p,h:p/name[/db]` or
    `redis+cluster://h:p,h:p` (the last two with TLS as `rediss+…`).

    Connects lazily, but for a Cluster, whose slots must be known.

    Raises ConfigError for a URL that cannot be used and StoreUnavailable if a Cluster does not answer.
    """
    return Store(
        client=_client(url, TIMEOUT_S, Breaker()),
        blocking=_client(url, LONGEST_BLOCK_S + TIMEOUT_S, Retry(NoBackoff(), 0)),
        is_cluster="+cluster" in urlsplit(url).scheme,
    )


def _options(timeout_s: float) -> dict[str, Any]:
    return {
        "decode_responses": True,
        # Bytes that are no text are read, and named again as they were; else one of them would end every worker.
        "encoding_errors": "surrogateescape",
        "socket_timeout": timeout_s,
        "socket_connect_timeout": TIMEOUT_S,
        "retry": Retry(NoBackoff(), 0),
    }


def _client(url: str, timeout_s: float, retry: Retry) -> "redis.Redis":
    try:
        with answering():
            return _client_of_kind(url, timeout_s, retry)
    except (ValueError, TypeError) as error:
        raise ConfigError("OTP_REDIS_URL: not a usable store URL") from error


def _client_of_kind(url: str, timeout_s: float, retry: Retry) -> "redis.Redis":
    scheme = urlsplit(url).scheme
    if "+sentinel" in scheme:
        return _sentinel(url, timeout_s, retry)
    if "+cluster" in scheme:
        return _cluster(url, timeout_s)
    # Every process is bounded by its threads; the pool must never be what refuses a request.
    pool = PrimaryPool.from_url(url, max_connections=1024, **(_options(timeout_s) | {"retry": retry}))
    # Not connected yet: an option of the URL that does not exist fails here, and not at the first request.
    pool.make_connection()
    return _following(pool, retry)


def _following(pool: PrimaryPool | SentinelPrimaryPool, retry: Retry) -> "redis.Redis":
    if isinstance(retry, Breaker):
        retry.read_only = pool.drop
    return redis.Redis.from_pool(pool)


def _hosts(netloc: str, default_port: int) -> list[tuple[str, int]]:
    """`host:port,[::1]:port,host` as pairs. Raises ValueError for what is none."""
    hosts = []
    for part in netloc.rpartition("@")[2].split(","):
        one = urlsplit(f"//{part}")
        if not one.hostname:
            raise ValueError("a host is missing")
        hosts.append((one.hostname, one.port or default_port))
    return hosts


def _credentials(netloc: str) -> dict[str, Any]:
    userinfo = netloc.rpartition("@")[0]
    if not userinfo:
        return {}
    user, _, password = userinfo.partition(":")
    return {"username": unquote(user) or None, "password": unquote(password) or None}


def _tls(scheme: str) -> dict[str, Any]:
    return {"ssl": True, "ssl_min_version": ssl.TLSVersion.TLSv1_2} if scheme.startswith("rediss") else {}


def _sentinel(url: str, timeout_s: float, retry: Retry) -> "redis.Redis":
    parts = urlsplit(url)
    service, _, db = parts.path.strip("/").partition("/")
    if not service:
        raise ConfigError(
            "OTP_REDIS_URL: a redis+sentinel:// URL names the service, e.g. redis+sentinel://h:26379/main"
        )
    tls = _tls(parts.scheme)
    options = {**_options(timeout_s), **_credentials(parts.netloc), **tls, "retry": retry, "db": int(db or 0)}
    sentinel = Sentinel([])  # type: ignore[no-untyped-call]
    asking, otherwise = _sentinel_options(parts.query) | tls, _credentials(parts.netloc)
    sentinel.sentinels = [AskedSentinel(*host, otherwise, **asking) for host in _hosts(parts.netloc, 26379)]
    pool = SentinelPrimaryPool(service, sentinel, max_connections=1024, **options)  # type: ignore[no-untyped-call]
    return _following(pool, retry)


def _sentinel_options(query: str) -> dict[str, Any]:
    """How the sentinels are asked. With a password of their own: `?sentinel_username=…&sentinel_password=…`."""
    given = dict(parse_qsl(query, strict_parsing=True)) if query else {}
    unknown = set(given) - {"sentinel_username", "sentinel_password"}
    if unknown:
        raise ValueError("an option that a Sentinel URL does not have")
    return {
        "socket_timeout": SENTINEL_TIMEOUT_S,
        "socket_connect_timeout": SENTINEL_TIMEOUT_S,
        "retry": Retry(NoBackoff(), 0),
        "username": given.get("sentinel_username"),
        "password": given.get("sentinel_password"),
    }


def _cluster(url: str, timeout_s: float) -> "redis.Redis":
    parts = urlsplit(url)
    startup = [ClusterNode(host, port) for host, port in _hosts(parts.netloc, 6379)]  # type: ignore[no-untyped-call]
    options = {**_options(timeout_s), **_credentials(parts.netloc), **_tls(parts.scheme)}
    return cast("redis.Redis", GuardedCluster(startup_nodes=startup, **options))


def masked(url: str) -> str:
    """The URL for people: without user and password."""
    parts = urlsplit(url)
    query = "&".join(f"{key}=…" for key in parse_qs(parts.query))
    return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, query, ""))


def ping(store: Store) -> None:
    """Raise StoreUnavailable unless the store answers; of a Cluster one primary is enough."""
    store.any_time_ms()


def require_no_eviction(store: Store) -> None:
    """Raise NotReady unless every server of the store that can be asked refuses writes when full, replicas too.

    Any other policy forgets guess budgets and pending codes under pressure, without a word; a replica may become the
    primary. Servers that do not answer are left out, but one must. Raises StoreUnavailable.
    """
    policies = [policy for ask in _servers(store) if (policy := _eviction_policy(ask)) is not None]
    if not policies:
        raise StoreUnavailable("The store does not answer.")
    for policy in policies:
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
    return [_beside(pool, str(each["ip"]), int(each["port"])) for each in replicas]


def _beside(pool: SentinelPrimaryPool, host: str, port: int) -> "redis.Redis":
    same = ("username", "password", "db", "ssl_min_version")
    options = {name: pool.connection_kwargs[name] for name in same if name in pool.connection_kwargs}
    options["ssl"] = issubclass(pool.connection_class, redis.SSLConnection)
    return redis.Redis(host=host, port=port, **(_options(TIMEOUT_S) | options))


def _eviction_policy(ask: Callable[[str], Any]) -> str | None:
    try:
        return str(ask("memory").get("maxmemory_policy", "noeviction"))
    except STORE_ERRORS:
        return None


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
