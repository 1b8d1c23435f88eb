"""Which URLs callbacks may be sent to: https on the public internet, unless the operator allows a closed network.

An address is checked twice: as it is written, when the configuration is read, and as the name resolves, at every
connection (`receivers.network`). The first check finds mistakes. Only the second stops a name that points somewhere
else later. Both use `is_public`, so that nothing is public at one time and private at the other.
"""

import ipaddress
import re
from urllib.parse import urlsplit

PORTS = (443, 8443)
"""Where a public receiver may listen: what listens elsewhere may be no web server at all."""

_MAX_URL = 2_048
_LABEL = r"[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?"
_NAME = re.compile(rf"(?=.{{4,253}}$)({_LABEL}\.)+{_LABEL}", re.ASCII | re.IGNORECASE)
_NUMERIC_END = re.compile(r"(^|\.)([0-9]+|0x[0-9a-f]*)\.?$", re.ASCII | re.IGNORECASE)
_PRIVATE_ENDS = (".localhost", ".local", ".internal", ".intranet", ".lan", ".home.arpa")
_UNICAST = ipaddress.ip_network("2000::/3")
_SIX_TO_FOUR = ipaddress.ip_network("2002::/16")


# What Python's tables call global in some of its versions, and what answers inside a cloud without being a neighbour.
_SPECIAL = [
    ipaddress.ip_network(text)
    for text in (
        "192.0.0.0/24",
        "192.31.196.0/24",
        "192.88.99.0/24",
        "168.63.129.16/32",
        "3fff::/20",
        "2620:4f:8000::/48",
    )
]


def is_public(address: str) -> bool:
    """Whether an IP address is one of the public internet.

    Addresses that only carry another one (mapped, translated, 6to4) are not: what they lead to cannot be judged here.
    """
    try:
        ip = ipaddress.ip_address(address)
    except ValueError:
        return False
    if ip.version == 6 and (ip not in _UNICAST or ip in _SIX_TO_FOUR):
        return False
    if any(ip in network for network in _SPECIAL if network.version == ip.version):
        return False
    return ip.is_global and not ip.is_multicast and not ip.is_reserved


def objection(url: str, *, allow_private: bool, setting: str = "callback_allow_private") -> str | None:
    """Why nothing is to be sent to this URL, as the end of a sentence; None if it may be tried.

    `setting`: what allows private addresses.

    With `allow_private` http, every port and every host are allowed; what is no plain URL never is.
    """
    if not re.fullmatch(r"[!-~]+", url) or "\\" in url or len(url) > _MAX_URL:
        return f"must be a URL of at most {_MAX_URL} printable ASCII characters"
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError:
        return "is not a URL"
    if parts.scheme not in ("https", "http") or not host or port == 0:
        return "must be https://host/path"
    if parts.username is not None or parts.password is not None:
        return "must not hold a user or password"
    if "#" in url:
        return "must not have a fragment"
    if allow_private:
        return None
    if parts.scheme == "http":
        return f"must be https (http only with {setting})"
    if port is not None and port not in PORTS:
        return f"must be on port {' or '.join(map(str, PORTS))} (others only with {setting})"
    return _host_objection(host, setting)


def _host_objection(host: str, setting: str) -> str | None:
    private = f"leads into a private network (only with {setting})"
    if ":" in host:
        return None if is_public(host) else private
    if _NUMERIC_END.search(host):
        # 127.1, 0x7f000001 and 017700000001 are addresses to some and names to others: one spelling only.
        return None if is_public(host) else "must name its host, or a public IPv4 address in four decimal numbers"
    if "." not in host or host.lower().endswith(_PRIVATE_ENDS):
        return private
    return None if _NAME.fullmatch(host) else "has a host name that cannot exist"
