"""Reading the URLs of Sentinel and of a Cluster, which redis-py does not read: hosts, service, login, TLS.

    redis+sentinel://user:password@host:port,[::1]:port/service/db?…      rediss+sentinel:// for TLS
    redis+cluster://user:password@host:port,host:port?…                   rediss+cluster:// for TLS

The options of TLS are those of `rediss://`: `ssl_ca_certs`, `ssl_certfile`, `ssl_keyfile`, `ssl_cert_reqs`,
`ssl_check_hostname`. What concerns the sentinels alone begins with `sentinel_`: `sentinel_username`,
`sentinel_password`, `sentinel_tls` and the same options of TLS. Without them TLS is as to the servers.

Every function raises ValueError for what cannot be meant.
"""

import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

_TLS_OPTIONS = ("ssl_ca_certs", "ssl_certfile", "ssl_keyfile", "ssl_cert_reqs", "ssl_check_hostname")
_OWN = "sentinel_"
_OF_SENTINELS = (f"{_OWN}username", f"{_OWN}password", f"{_OWN}tls", *(f"{_OWN}{name}" for name in _TLS_OPTIONS))
_YES = ("yes", "true", "1", "on")
_NO = ("no", "false", "0", "off")


@dataclass(frozen=True, slots=True)
class StoreUrl:
    """What such a URL says. The options are those of redis-py's connections."""

    hosts: list[tuple[str, int]]
    service: str
    db: int
    login: dict[str, Any] = field(repr=False)
    tls: dict[str, Any]
    sentinel_login: dict[str, Any] = field(repr=False)
    sentinel_tls: dict[str, Any]


def read_sentinel_url(url: str) -> StoreUrl:
    """Of `redis+sentinel://` and `rediss+sentinel://`. An empty `service` is left to the caller."""
    parts = urlsplit(url)
    given = _query(parts.query, (*_TLS_OPTIONS, *_OF_SENTINELS))
    service, _, db = parts.path.strip("/").partition("/")
    is_tls = parts.scheme.startswith("rediss")
    own = {name.removeprefix(_OWN): value for name, value in given.items() if name.startswith(_OWN)}
    return StoreUrl(
        hosts=_hosts(parts.netloc, 26379),
        service=service,
        db=int(db or 0),
        login=_login(parts.netloc),
        tls=_tls(given) if is_tls else {},
        sentinel_login={name: own[name] for name in ("username", "password") if name in own},
        sentinel_tls=_tls(given | own) if _flag(own.get("tls", "yes" if is_tls else "no")) else {},
    )


def read_cluster_url(url: str) -> StoreUrl:
    """Of `redis+cluster://` and `rediss+cluster://`."""
    parts = urlsplit(url)
    given = _query(parts.query, _TLS_OPTIONS)
    tls = _tls(given) if parts.scheme.startswith("rediss") else {}
    if parts.path.strip("/"):
        raise ValueError("a Cluster has no service and no database")
    return StoreUrl(_hosts(parts.netloc, 6379), "", 0, _login(parts.netloc), tls, {}, {})


def _query(query: str, known: tuple[str, ...]) -> dict[str, str]:
    given = dict(parse_qsl(query, strict_parsing=True)) if query else {}
    if set(given) - set(known):
        raise ValueError("an option that such a URL does not have")
    return given


def _hosts(netloc: str, default_port: int) -> list[tuple[str, int]]:
    """`host:port,[::1]:port,host` as pairs."""
    hosts = []
    for part in netloc.rpartition("@")[2].split(","):
        one = urlsplit(f"//{part}")
        if not one.hostname:
            raise ValueError("a host is missing")
        hosts.append((one.hostname, one.port or default_port))
    return hosts


def _login(netloc: str) -> dict[str, Any]:
    userinfo = netloc.rpartition("@")[0]
    if not userinfo:
        return {}
    user, _, password = userinfo.partition(":")
    return {"username": unquote(user) or None, "password": unquote(password) or None}


def _tls(given: Mapping[str, str]) -> dict[str, Any]:
    told: dict[str, Any] = {name: given[name] for name in _TLS_OPTIONS if name in given}
    if "ssl_check_hostname" in told:
        told["ssl_check_hostname"] = _flag(told["ssl_check_hostname"])
    return {"ssl": True, "ssl_min_version": ssl.TLSVersion.TLSv1_2, **told}


def _flag(word: str) -> bool:
    if word.lower() not in (*_YES, *_NO):
        raise ValueError("neither yes nor no")
    return word.lower() in _YES
