"""Addresses in the audit record: how much of one is kept, as the operator decides."""

import ipaddress
from enum import StrEnum
from functools import lru_cache

_NETWORK_BITS = {4: 24, 6: 48}


class KeptAddress(StrEnum):
    """How much of an address the record keeps. A network is an IPv4 /24 or an IPv6 /48: a site, not a person."""

    FULL = "full"
    NETWORK = "network"
    NONE = "none"


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
