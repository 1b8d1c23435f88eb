"""Connecting to the store: which kind of store it is, and how long to wait for it.

redis-py repeats commands by default, which runs a script twice when only its reply was lost; all its retries are off
here, and `scripts` makes its own single repeat with the same operation id. A timed-out connection is dropped by
redis-py itself, so no reply can reach another request.
"""

import contextlib
import functools
from collections.abc import Iterator
from typing import Any, cast
from urllib.parse import parse_qs, urlsplit, urlunsplit

import redis
from redis.backoff import NoBackoff
from redis.cluster import ClusterNode
from redis.driver_info import DriverInfo
from redis.retry import Retry

from ..domain.errors import ConfigError
from .answering import answering
from .breaker import Breaker
from .cluster import GuardedCluster
from .packing import Packer
from .primary import PrimaryPool, SentinelPrimaryPool
from .sentinels import AskedSentinel, Sentinels
from .store import Store
from .store_urls import StoreUrl, read_cluster_url, read_sentinel_url

TIMEOUT_S = 0.45
"""For connecting and for each reply. One repeat keeps a dead store's refusal under a second."""

SENTINEL_TIMEOUT_S = 0.15
"""For a sentinel's answer: several are asked in turn, and a request that has waited for the primary may wait for them
as well."""

LONGEST_BLOCK_S = 2.0
"""How long a worker's blocking read may wait in the store (its own connections allow for it)."""


def connect(url: str) -> Store:
    """Open the store named by `redis://`, `rediss://`, `unix://`, `redis+sentinel://h:p,h:p/name[/db]` or
    `redis+cluster://h:p,h:p` (the last two with TLS as `rediss+…`).

    Connects lazily, but for a Cluster, whose slots must be known.

    Raises ConfigError for a URL that cannot be used and StoreUnavailable if a Cluster does not answer.
    """
    with _usable():
        sentinels = _sentinels(read_sentinel_url(url)) if "+sentinel" in urlsplit(url).scheme else None
    return Store(
        client=_client(url, sentinels, TIMEOUT_S, Breaker()),
        blocking=_client(url, sentinels, LONGEST_BLOCK_S + TIMEOUT_S, Retry(NoBackoff(), 0)),
        is_cluster="+cluster" in urlsplit(url).scheme,
        sentinels=sentinels,
    )


def options(timeout_s: float) -> dict[str, Any]:
    """The options of every connection of a pool, and of a Cluster's client."""
    # A Cluster's client drops this option: see there.
    return {**client_options(timeout_s), "command_packer": Packer()}


def client_options(timeout_s: float) -> dict[str, Any]:
    """Those that redis-py's client takes, too."""
    return {
        "decode_responses": True,
        # Bytes that are no text are read, and named again as they were; else one of them would end every worker.
        "encoding_errors": "surrogateescape",
        "socket_timeout": timeout_s,
        "socket_connect_timeout": TIMEOUT_S,
        "retry": Retry(NoBackoff(), 0),
        "driver_info": _driver(),
    }


@functools.cache
def _driver() -> DriverInfo:
    """What redis-py calls itself. For each connection it would read its version anew, from a file of its package."""
    return DriverInfo()


@contextlib.contextmanager
def _usable() -> Iterator[None]:
    """Around what reads the URL. Raises ConfigError where it cannot be meant."""
    try:
        yield
    except (ValueError, TypeError) as error:
        raise ConfigError("OTP_REDIS_URL: not a usable store URL") from error


def _client(url: str, sentinels: Sentinels | None, timeout_s: float, retry: Retry) -> "redis.Redis":
    with _usable(), answering():
        return _client_of_kind(url, sentinels, timeout_s, retry)


def _client_of_kind(url: str, sentinels: Sentinels | None, timeout_s: float, retry: Retry) -> "redis.Redis":
    scheme = urlsplit(url).scheme
    if sentinels is not None:
        return _watched(read_sentinel_url(url), sentinels, timeout_s, retry)
    if "+cluster" in scheme:
        return _cluster(read_cluster_url(url), timeout_s)
    # Every process is bounded by its threads; the pool must never be what refuses a request.
    pool = PrimaryPool.from_url(url, max_connections=1024, **(options(timeout_s) | {"retry": retry}))
    # Not connected yet: an option of the URL that does not exist fails here, and not at the first request.
    pool.make_connection()
    return _following(pool, retry)


def _following(pool: PrimaryPool | SentinelPrimaryPool, retry: Retry) -> "redis.Redis":
    if isinstance(retry, Breaker):
        retry.noticed = pool.noticed
    return redis.Redis.from_pool(pool)


def _sentinels(url: StoreUrl) -> Sentinels:
    if not url.service:
        raise ConfigError(
            "OTP_REDIS_URL: a redis+sentinel:// URL names the service, e.g. redis+sentinel://h:26379/main"
        )
    asking = {
        "socket_timeout": SENTINEL_TIMEOUT_S,
        "socket_connect_timeout": SENTINEL_TIMEOUT_S,
        "retry": Retry(NoBackoff(), 0),
        **url.sentinel_login,
        **url.sentinel_tls,
    }
    return Sentinels(url.service, [AskedSentinel(*host, url.login, **asking) for host in url.hosts])


def _watched(url: StoreUrl, sentinels: Sentinels, timeout_s: float, retry: Retry) -> "redis.Redis":
    settings = {**options(timeout_s), **url.login, **url.tls, "db": url.db, "retry": retry}
    return _following(SentinelPrimaryPool(sentinels, max_connections=1024, **settings), retry)


def _cluster(url: StoreUrl, timeout_s: float) -> "redis.Redis":
    startup = [ClusterNode(*host) for host in url.hosts]  # type: ignore[no-untyped-call]
    settings = {**options(timeout_s), **url.login, **url.tls}
    return cast("redis.Redis", GuardedCluster(startup_nodes=startup, **settings))


def masked(url: str) -> str:
    """The URL for people: without user and password."""
    parts = urlsplit(url)
    query = "&".join(f"{key}=…" for key in parse_qs(parts.query))
    return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, query, ""))
