"""Addresses: what counts as one end user, and how much of one the audit record keeps, as the operator decides."""

import ipaddress
from collections.abc import Callable
from enum import StrEnum
from functools import lru_cache

_NETWORK_BITS = {4: 24, 6: 48}


class KeptAddress(StrEnum):
    """How much of an address the record keeps. A network is an IPv4 /24 or an IPv6 /48: a site, not a person."""

    FULL = "full"
    NETWORK = "network"
    NONE = "none"


class KeptClientIp(StrEnum):
    """How much of an end user's address the record keeps. A network is an IPv4 /24 or an IPv6 /64.

    `hashed`: a keyed hash of the end user's address, so that what one address did can be found, and the address not.
    """

    FULL = "full"
    NETWORK = "network"
    HASHED = "hashed"
    NONE = "none"


_TRANSLATED = ipaddress.IPv6Network("64:ff9b::/96")
"""IPv4 behind a translator (RFC 6052)."""

_HASH_BYTES = 10
Address = ipaddress.IPv4Address | ipaddress.IPv6Address


def end_user(address: str) -> str:
    """What counts as one end user: an IPv4 address, or an IPv6 /64, since one user has a whole /64.

    An IPv4 address inside an IPv6 one (mapped, translated or 6to4, RFC 3056) is that IPv4 address. Raises ValueError.
    """
    parsed = _unwrapped(ipaddress.ip_address(address))
    return str(parsed) if parsed.version == 4 else str(ipaddress.ip_network((parsed, 64), strict=False))


def _unwrapped(parsed: Address) -> Address:
    if isinstance(parsed, ipaddress.IPv4Address):
        return parsed
    if parsed in _TRANSLATED:
        return ipaddress.IPv4Address(int(parsed) & 0xFFFF_FFFF)
    return parsed.ipv4_mapped or parsed.sixtofour or parsed


def kept_client_ip(address: str, how_much: KeptClientIp, app: str, digest: Callable[[bytes], bytes]) -> str:
    """The end user's address as the record of this app keeps it; empty for none. `digest`: a keyed hash.

    The hash is keyed for the app, so that two apps which compare theirs learn nothing about a person.
    """
    match how_much:
        case KeptClientIp.NONE:
            return ""
        case KeptClientIp.HASHED:
            return digest(f"client_ip\0{app}\0{end_user(address)}".encode())[:_HASH_BYTES].hex()
        case KeptClientIp.NETWORK:
            parsed = _unwrapped(ipaddress.ip_address(address))
            return str(ipaddress.ip_network((parsed, 24 if parsed.version == 4 else 64), strict=False))
    return str(_unwrapped(ipaddress.ip_address(address)))


@lru_cache(maxsize=1024)
def kept(address: str, how_much: KeptAddress) -> str:
    """The address as the record keeps it; empty for none, and for what is no IP address."""
    if how_much is KeptAddress.NONE:
        return ""
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return ""
    if isinstance(parsed, ipaddress.IPv6Address) and parsed.ipv4_mapped is not None:
        parsed = parsed.ipv4_mapped
    if how_much is KeptAddress.FULL:
        return str(parsed)
    return str(ipaddress.ip_network((parsed, _NETWORK_BITS[parsed.version]), strict=False))
