"""Authentication: the API key in the Authorization header, and whether it has the scope."""

import ipaddress
from collections.abc import Mapping

from ..domain.errors import Refusal
from ..storage.api_keys import ApiKeys
from ..storage.known_api_keys import Principal

_FORWARDED = ("forwarded", "x-forwarded-for", "x-real-ip")


class Auth:
    """Authenticates callers. Raises StoreUnavailable if the keys cannot be looked up."""

    def __init__(self, keys: ApiKeys) -> None:
        self._keys = keys

    def authenticate(self, headers: Mapping[str, str]) -> Principal | Refusal:
        """The key's holder, or `unauthorized`."""
        token = bearer(headers)
        principal = self._keys.authenticate(token) if token is not None else None
        return principal or Refusal("unauthorized", "Send an API key: Authorization: Bearer <key>.")


def bearer(headers: Mapping[str, str]) -> str | None:
    """The token after `Bearer` in the Authorization header; None for another scheme or none."""
    scheme, _, token = headers.get("authorization", "").partition(" ")
    return token.strip() if scheme.lower() == "bearer" else None


def allow(principal: Principal, scope: str) -> Refusal | None:
    """`forbidden` unless the key has the scope."""
    if scope in principal.scopes:
        return None
    return Refusal("forbidden", f"This API key does not have the scope {scope}.")


def from_loopback(peer: str, headers: Mapping[str, str]) -> bool:
    """Whether the connection comes from this machine. A request that a proxy passed on does not count."""
    if any(name in headers for name in _FORWARDED):
        return False
    try:
        return ipaddress.ip_address(peer).is_loopback
    except ValueError:
        return False
