"""`Idempotency-Key`: a request is carried out once, and a repeat gets the same response, for a day.

A record belongs to key, method and path (the sandbox has one organization). Only 2xx responses are stored, byte for
byte; after any other the key can be used again. The same key with another body or query is refused (422), and so is
the same request while the first is in flight (409). Bounded: the latest 100,000 records.
"""

from __future__ import annotations

import hashlib
import re
import threading
from collections import OrderedDict
from dataclasses import dataclass

from otp_service.sandbox.clock import Clock
from otp_service.sandbox.errors import CarrierError

KEEP_S = 24 * 3600
MAX_RECORDS = 100_000
POINTER = "/header/Idempotency-Key"
_FORMAT = re.compile(r"[A-Za-z0-9_:-]{1,255}", re.ASCII)


@dataclass(slots=True)
class Claim:
    """The record of a key: its request, and later the response. `sender` is the sender that the request used."""

    fingerprint: bytes
    began_at: float
    response: bytes | None = None
    sender: str | None = None


class Idempotency:
    """The records. Each `claim` must be followed by either `store` or `release`."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._claims: OrderedDict[tuple[str, str, str], Claim] = OrderedDict()

    def claim(self, method: str, path: str, key: str, query: bytes, body: bytes) -> Claim:
        """A new record, or (with a `response`) the one to replay; `CarrierError` if the request is refused."""
        _check_format(key)
        fingerprint = hashlib.sha256(len(query).to_bytes(8, "big") + query + body).digest()
        now = self._clock.now()
        with self._lock:
            self._expire(now)
            known = self._claims.get((method, path, key))
            if known is None:
                return self._claims.setdefault((method, path, key), Claim(fingerprint, now))
        if known.fingerprint != fingerprint:
            raise CarrierError(422, "10027", "This Idempotency-Key was used with a different request.", pointer=POINTER)
        if known.response is None:
            raise CarrierError(
                409, "10036", "A request with this Idempotency-Key is still in progress.", pointer=POINTER
            )
        return known

    def store(self, claim: Claim, response: bytes, sender: str | None) -> None:
        """Store the 2xx response of a claim."""
        # The sender first: another thread may read the claim as soon as it has a response.
        claim.sender = sender
        claim.response = response

    def release(self, method: str, path: str, key: str, claim: Claim) -> None:
        """Forget a claim without a 2xx response, so that the key can be used again."""
        with self._lock:
            if self._claims.get((method, path, key)) is claim:
                del self._claims[method, path, key]

    def reset(self) -> None:
        """Forget all records."""
        with self._lock:
            self._claims.clear()

    def _expire(self, now: float) -> None:
        while self._claims:
            oldest = next(iter(self._claims))
            if self._claims[oldest].began_at > now - KEEP_S and len(self._claims) < MAX_RECORDS:
                return
            del self._claims[oldest]


def _check_format(key: str) -> None:
    if not _FORMAT.fullmatch(key):
        raise CarrierError(
            400,
            "10015",
            "The Idempotency-Key header must be 1 to 255 characters of A-Z, a-z, 0-9, '_', ':' and '-'.",
            pointer=POINTER,
        )
