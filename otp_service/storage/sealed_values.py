"""The sealed values of the whole store: by which key each was sealed, and sealing those that last with another one.

Everything here goes through all keys of the store while it is in use. What comes meanwhile may be missed; it was sealed
by the key that was active then.
"""

import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ..domain.errors import KeyUnknown, SealBroken
from .answering import answers
from .pieces import joined, pack_sealed, unpack_sealed
from .schema.encodings import RAW
from .schema.keys import word_of
from .schema.sealed import SEALED, SealedField
from .scripts import Scripts
from .store import Store, fields_of
from .whole_store import key_batches, key_count

Progress = Callable[[int, int], None]
"""Called with how many keys were looked at, and about how many there are."""

_WORDS = frozenset(where.word for where in SEALED)
_TEXT = re.compile(rb"([A-Za-z0-9_-]{1,64}):[A-Za-z0-9+/=]+", re.ASCII)
_BYTES = re.compile(re.escape(RAW) + rb"([A-Za-z0-9_-]{1,64}):", re.ASCII)


@dataclass(frozen=True, slots=True)
class SealedValue:
    """One of them: where it is, the key that sealed it, and its bytes as they are stored."""

    where: SealedField
    key: str
    field: str
    kid: str
    stored: bytes


@dataclass(slots=True)
class Resealed:
    """How many values were sealed anew, had changed or gone meanwhile, and could not be opened."""

    done: int = 0
    changed: int = 0
    unreadable: int = 0


class SealedValues:
    """Those of one store. Raises StoreUnavailable."""

    def __init__(self, store: Store, scripts: Scripts) -> None:
        self._store = store
        self._client = store.client
        self._scripts = scripts

    def needs(self, progress: Progress) -> dict[str, Counter[str]]:
        """How many values of each kind each key has sealed, by the key's id."""
        found: dict[str, Counter[str]] = {}
        for value in self.all(progress):
            found.setdefault(value.kid, Counter())[value.where.kind] += 1
        return found

    def reseal(self, active_kid: str, sealed_anew: Callable[[str], str], progress: Progress) -> Resealed:
        """Seal what lasts and was not sealed by the active key anew. Begun again, it goes on where it ended.

        `sealed_anew` opens a sealed text and seals what was in it; it raises KeyUnknown and SealBroken.
        """
        result = Resealed()
        for value in self.all(progress):
            if value.where.lasts and value.kid != active_kid:
                self._reseal(value, sealed_anew, result)
        return result

    def all(self, progress: Progress) -> Iterator[SealedValue]:
        """Every sealed value."""
        done, total = 0, key_count(self._client)
        for keys in key_batches(self._client):
            yield from self._in(keys)
            done += len(keys)
            progress(done, max(done, total))

    def _in(self, keys: Sequence[str]) -> Iterator[SealedValue]:
        wanted = [key for key in keys if word_of(key) in _WORDS]
        if not wanted:
            return
        hashes = answers(self._store.gather([("HGETALL", key) for key in wanted]))
        for key, found in zip(wanted, hashes, strict=True):
            yield from _values(key, fields_of(found or {}))

    def _reseal(self, value: SealedValue, sealed_anew: Callable[[str], str], result: Resealed) -> None:
        try:
            anew = sealed_anew(unpack_sealed(value.stored))
        except (KeyUnknown, SealBroken):
            result.unreadable += 1
            return
        after = pack_sealed(anew) if value.stored.startswith(RAW) else anew.encode()
        keys, before = {"sealed_idempotency": value.key}, value.stored
        if self._scripts.call("sealed/replace", keys, field=value.field, before=before, after=after):
            result.done += 1
        else:
            result.changed += 1


def _values(key: str, found: Mapping[str, Any]) -> Iterator[SealedValue]:
    for where in SEALED:
        for name in where.in_hash(key, found):
            stored = joined(found, name) or b""
            kid = _kid(stored)
            if kid is not None:
                yield SealedValue(where, key, name, kid, stored)


def _kid(stored: bytes) -> str | None:
    match = _BYTES.match(stored) or _TEXT.fullmatch(stored)
    return match[1].decode() if match else None
