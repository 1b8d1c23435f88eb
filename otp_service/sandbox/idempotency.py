"""`Idempotency-Key`: the same request is carried out once, and its answer given again, for a day.

A record belongs to key, method and path (there is one organization here). Only 2xx answers are kept, byte for
byte; any other outcome frees the key. The same key with another body or query is refused (422), the same
request while the first is in flight too (409). At most 100,000 records; the oldest fall out.
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
    """The right to carry out a request, and later its stored answer; `sender` is who it was sent from."""

    fingerprint: bytes
    began_at: float
    answer: bytes | None = None
    sender: str | None = None


class Idempotency:
    """The records. `claim` first, then exactly one of `keep` and `free`."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._claims: OrderedDict[tuple[str, str, str], Claim] = OrderedDict()

    def claim(self, method: str, path: str, key: str, query: bytes, body: bytes) -> Claim:
        """A new claim, or (with an `answer`) the record to replay; `CarrierError` if it must not go on."""
        if not _FORMAT.fullmatch(key):
            raise CarrierError(
                400,
                "10015",
                "The Idempotency-Key header must be 1 to 255 characters of A-Z, a-z, 0-9, '_', ':' and '-'.",
                pointer=POINTER,
            )
        fingerprint = hashlib.sha256(len(query).to_bytes(8, "big") + query + body).digest()
        now = self._clock.now()
        with self._lock:
            self._expire(now)
            known = self._claims.get((method, path, key))
            if known is None:
                return self._claims.setdefault((method, path, key), Claim(fingerprint, now))
        if known.fingerprint != fingerprint:
            raise CarrierError(422, "10027", "This Idempotency-Key was used with a different request.", pointer=POINTER)
        if known.answer is None:
            raise CarrierError(
                409, "10036", "A request with this Idempotency-Key is still in progress.", pointer=POINTER
            )
        return known

    def keep(self, claim: Claim, answer: bytes, sender: str | None) -> None:
        """Store the 2xx answer of a claim."""
        claim.sender = sender
        claim.answer = answer

    def free(self, method: str, path: str, key: str, claim: Claim) -> None:
        """Forget a claim that came to nothing."""
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
