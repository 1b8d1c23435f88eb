"""Idempotency keys: one request runs under a key at a time, and its answer is given again for 24 hours."""

from dataclasses import dataclass

from ..domain.factors import REPEATED_MS
from .schema import Keys
from .scripts import Scripts

LEASE_MS = 5_000
"""Longer than any request can run. A killed one leaves its key behind for so long, and its caller hears 409."""
KEPT_MS = REPEATED_MS


@dataclass(frozen=True, slots=True)
class Replay:
    """The stored answer of an earlier request with the same key and body."""

    status: int
    body: str


class Idempotency:
    """The idempotency keys of one store. `digest` below is a keyed hash of app and key; `owner` the request's id."""

    def __init__(self, scripts: Scripts, keys: Keys) -> None:
        self._scripts = scripts
        self._keys = keys

    def look(self, digest: str, fingerprint: str) -> Replay | str:
        """What is known of the key: a Replay, `running`, `conflict` or `free`. Raises StoreUnavailable."""
        return self._reserve(digest, fingerprint, "")

    def reserve(self, digest: str, fingerprint: str, owner: str) -> Replay | str:
        """Take the key: `reserved`, or as `look`. Raises StoreUnavailable."""
        return self._reserve(digest, fingerprint, owner)

    def _reserve(self, digest: str, fingerprint: str, owner: str) -> Replay | str:
        reply = self._scripts.call(
            "idempotency/reserve",
            {"idempotency": self._keys.idempotency(digest)},
            fingerprint=fingerprint,
            owner=owner,
            lease_ms=LEASE_MS,
        )
        if reply[0] == "replay":
            return Replay(int(reply[1]), reply[2])
        return str(reply[0])

    def complete(self, digest: str, owner: str, status: int, body: str) -> None:
        """Store the answer. Raises StoreUnavailable."""
        self._complete(digest, owner, str(status), body)

    def release(self, digest: str, owner: str) -> None:
        """Free the key: refusals are not stored. Raises StoreUnavailable."""
        self._complete(digest, owner, "", "")

    def _complete(self, digest: str, owner: str, status: str, body: str) -> None:
        keys = {"idempotency": self._keys.idempotency(digest)}
        self._scripts.call("idempotency/complete", keys, owner=owner, status=status, body=body, kept_ms=KEPT_MS)
