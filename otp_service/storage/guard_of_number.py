"""What the pumping guard knows of one number, for those who support its owner."""

from ..domain.guard.counters import Bucket, Country, Number, Total
from ..domain.guard.places import Limits, Records, Way, places
from ..domain.guard.policy import GuardPolicy
from ..domain.guarding import GuardPlace, NumberInGuard
from .schema import Keys, fields
from .schema.encodings import GuardBucket, GuardedNumber
from .store import Store

NARROW = 2
"""So many of a start's places are blocks."""


class GuardOfNumber:
    """Reads it from one store. Raises StoreUnavailable."""

    def __init__(self, store: Store, keys: Keys) -> None:
        self._store = store
        self._keys = keys

    def read(self, number_hash: str, app: str, place: GuardPlace, policy: GuardPolicy) -> NumberInGuard:
        """How the guard of an app sees a number now."""
        field = f"{fields.Number.GUARDED}{app}"
        (text,), _ = self._store.read_at([("HGET", self._keys.number(number_hash), field)])
        of_blocks = ("HMGET", self._keys.blocks(app, place.region), place.block_10k, place.block_1k)
        ((of_10k, of_1k),), now_ms = self._store.read_at([of_blocks])
        number = _number(text)
        known = number.is_known(now_ms, policy)
        counted = number.counted_ms > 0 and now_ms < number.counted_ms + policy.counted_for_ms
        records = Records(_bucket(of_10k), _bucket(of_1k), None, Country(), Total())
        limits = Limits.of(records.total, records.country, now_ms, policy)
        found = places(records, Way(warm=False, outage=False, total=True), limits, policy)[:NARROW]
        levels = {one.budget.value: (one.bucket.now(now_ms, one.rate), one.rate.most) for one in found}
        covered = not known and number.is_covered(now_ms, policy)
        return NumberInGuard(number.approved_ms + policy.known_for_ms if known else 0, counted, covered, levels)


def _number(text: str | None) -> Number:
    if not text:
        return Number()
    approved_ms, counted_ms, sends, *_ = GuardedNumber.parse(text)
    return Number(int(approved_ms), int(counted_ms), int(sends))


def _bucket(text: str | None) -> Bucket:
    if not text:
        return Bucket()
    level, at_ms, refused_ms = GuardBucket.parse(text)
    return Bucket(float(level), int(at_ms), int(refused_ms))
