"""Authentication: the API key in the Authorization header, and whether it has the scope."""

from collections.abc import Mapping

from ..domain.addresses import KeptAddress, kept
from ..domain.errors import Refusal
from ..storage.api_keys import ApiKeys
from ..storage.callers import set_caller
from ..storage.known_api_keys import Principal
from .http import Call
from .refused_keys import RefusedKeys

EVERY_APP = "audit:all"
_OPENING = {"audit:read": ("audit:read", EVERY_APP)}
"""Scopes of which each opens what needs this one; for the others it is the scope alone."""


class Auth:
    """Authenticates callers. Raises StoreUnavailable if the keys cannot be looked up."""

    def __init__(self, keys: ApiKeys, refused: RefusedKeys, addresses: KeptAddress = KeptAddress.FULL) -> None:
        self._keys = keys
        self._refused = refused
        self._addresses = addresses

    def authenticate(self, call: Call) -> Principal | Refusal:
        """The key's holder, who from then on causes what this request does; or `unauthorized`."""
        token = bearer(call.headers)
        principal = self._keys.authenticate(token) if token is not None else None
        self.name_caller(call.peer, call.request_id, principal)
        if principal is None and token:
            self._refused.record_key(token)
        return principal or Refusal("unauthorized", "Send an API key: Authorization: Bearer <key>.")

    def allow(self, principal: Principal, scope: str) -> Refusal | None:
        """`forbidden` unless the key has the scope, or one that holds it."""
        if not principal.scopes.isdisjoint(opening(scope)):
            return None
        self._refused.record_scope(principal, scope)
        return Refusal("forbidden", f"This API key does not have the scope {scope}. Use one that has it.")

    def name_caller(self, peer: str, request_id: str, principal: Principal | None = None) -> None:
        """Say who causes what this request does: for the audit record."""
        set_caller(principal.key_id if principal else "", request_id, kept(peer, self._addresses))


def opening(scope: str) -> tuple[str, ...]:
    """The scopes of which a key needs one, where a route asks for this scope."""
    return _OPENING.get(scope, (scope,))


def bearer(headers: Mapping[str, str]) -> str | None:
    """The token after `Bearer` in the Authorization header; None for another scheme or none."""
    scheme, _, token = headers.get("authorization", "").partition(" ")
    return token.strip() if scheme.lower() == "bearer" else None
