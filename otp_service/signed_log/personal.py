"""What stands beside a record about a person: it is what the record commits to, or it was erased."""

import base64
import binascii
import json
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

from sqlalchemy import Connection

from ..clock import utc
from ..domain.errors import KeyUnknown, SealBroken
from ..ledger.erasing import TombstoneOf, tombstones_in
from ..ledger.kept_webhooks import dropped_before
from ..ledger.records import commitment
from .beside_webhooks import webhook_fault

_KEPT = 1_024


@dataclass(frozen=True, slots=True)
class Opening:
    """What the keyring gives.

    `unseal` opens what was sealed. `number_of`: the keyed hash of a number by the token of its verification, None if
    the token is none of ours. `tombstone_of`: see `ledger.erasing`.
    """

    unseal: Callable[[str], bytes]
    number_of: Callable[[str], str | None]
    tombstone_of: TombstoneOf


class Beside(NamedTuple):
    """The columns of a record's row and of its person's row: None for what is not there."""

    verification: str | None
    number_hash: str | None
    person: int | None
    person_number: str | None
    sealed: str | None


class Webhook(NamedTuple):
    """When a record came, the number's hash in its row, and the webhook's row: None for what is not there."""

    at_ms: int
    number_hash: str | None
    kept_at_ms: int | None
    kept_number: str | None
    sealed: str | None

    @property
    def is_found(self) -> bool:
        """Whether an erasure and the end of `webhook_retention` find it: by its columns, which repeat the record's."""
        return (self.kept_at_ms, self.kept_number) == (self.at_ms, self.number_hash)


class PersonalParts:
    """Judges them. `erased`: records whose person was erased; `unopened`: those whose key the keyring has not."""

    def __init__(self, connection: Connection, opening: Opening) -> None:
        self._opening = opening
        self._tombstones = tombstones_in(connection)
        self._years = {year for year in map(_year, self._tombstones.values()) if year is not None}
        self._dropped_before = dropped_before(connection)
        self._opened = lru_cache(maxsize=_KEPT)(self._open)
        self.erased = 0
        self.unopened = 0

    def fault(self, committed: str | None, beside: Beside) -> str | None:
        """What is wrong. `committed`: what stands in the record."""
        if committed is None:
            is_bare = beside.number_hash is None and beside.person is None
            return None if is_bare else "the column number_hash or person is not what was signed"
        if beside.sealed is None:
            return self._missing(beside)
        try:
            found, number = self._opened(beside.sealed)
        except KeyUnknown:
            self.unopened += 1
            return self._unlike_its_token(beside)
        except (SealBroken, ValueError, KeyError, TypeError, AttributeError, binascii.Error):
            return "what identifies the person cannot be read"
        if found != committed:
            return "what identifies the person is not what was signed"
        same = beside.number_hash == number == beside.person_number
        return None if same else "the column number_hash is not what was signed"

    def webhook_fault(self, committed: str | None, beside: Webhook) -> str | None:
        """What is wrong with the carrier's webhook that caused the record. `committed`: what stands in the record."""
        if beside.sealed is not None:
            fault = webhook_fault(committed, beside.sealed, self._opening.unseal)
            return fault or (None if beside.is_found else "the columns of the carrier's webhook are not the record's")
        is_gone = committed is None or beside.number_hash is None or beside.at_ms < self._dropped_before
        return None if is_gone else "the carrier's webhook is missing, and nothing on record says why"

    def _open(self, sealed: str) -> tuple[str, str | None]:
        """The commitment to what is sealed, and the number's keyed hash in it."""
        values = json.loads(self._opening.unseal(sealed))
        salt = base64.b64decode(values.pop("salt"))
        return commitment(salt, values), values.get("number_hash")

    def _unlike_its_token(self, beside: Beside) -> str | None:
        number = self._opening.number_of(beside.verification) if beside.verification else None
        same = number is None or number == beside.number_hash
        return None if same else "the column number_hash is not that of its verification"

    def _missing(self, beside: Beside) -> str | None:
        """An erasure takes the number's hash away too, and leaves a tombstone that only the keyring can make."""
        if beside.number_hash is not None or not self._is_erased(beside.verification):
            return "what identifies the person is missing, and no erasure is on record"
        self.erased += 1
        return None

    def _is_erased(self, verification: str | None) -> bool:
        number = self._opening.number_of(verification) if verification else None
        if number is None:
            return bool(self._tombstones)
        return any(self._opening.tombstone_of(year, number) in self._tombstones for year in self._years)


def _year(at_ms: int) -> int | None:
    """None for what is no time: a column of SQLite takes what it is given, whoever gives it."""
    try:
        return utc(at_ms).year
    except (TypeError, ValueError, OverflowError):
        return None
