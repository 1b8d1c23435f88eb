"""Erasing a person from ledger and store, step by step; begun again, it does what is left."""

import contextlib
import time
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from ..clock import clock_ms, utc
from ..config import Settings
from ..domain import phone
from ..domain.audit import EventType
from ..domain.continuity import place
from ..domain.errors import NotReady
from ..domain.ids import Ids
from ..storage.erasure import Erasure, Progress, erased_in, keep_erased
from ..storage.optouts import OptOuts
from ..storage.schema.fields import ConsumerGroup
from .ledger import build_exporter, open_ledger
from .stores import Stores, open_keyring, open_stores

if TYPE_CHECKING:
    from ..ledger.exporter import Exporter

WAIT_S = 120.0
"""For the exporter and the readers of the streams."""

BLOCK = 8_192
"""More bytes than a block of a stream holds (`stream-node-max-bytes`)."""


@dataclass(frozen=True, slots=True)
class Erased:
    """Of how many records a person was erased, and how many entries and keys of the store are gone.

    `rewritten`: the store has agreed to write its append-only file anew.
    """

    records: int
    in_store: int
    rewritten: bool


def tombstone_of(ids: Ids, year: int, number_hash: str) -> str:
    """What is left of an erasure: 128 bits in hex. Without the keyring it names nobody."""
    return ids.digest(f"erased\0{year}\0{number_hash}".encode())[:16].hex()


def erase_person(settings: Settings, number: str, progress: Progress, *, optouts: bool = False) -> Erased:
    """Erase the number's owner. Raises InvalidNumber, ConfigError, NotReady and StoreUnavailable.

    NotReady: the number is opted out (and `optouts` is not set), or is a factor of somebody.
    """
    from ..ledger import erasing  # noqa: PLC0415 - the database's library, only where it is needed

    keyring = open_keyring(settings)
    stores, database = open_stores(settings, keyring), open_ledger(settings)
    number_hash, now_ms = keyring.ids.number_hash(phone.parse(number).e164), clock_ms()
    tombstone = tombstone_of(keyring.ids, utc(now_ms).year, number_hash)

    def person() -> Erasure:
        return Erasure(stores.store, stores.keys, number_hash, erasing.tokens_of(database, number_hash))

    def erased() -> int:
        told = 0
        while True:
            found = erasing.count_of(database, number_hash)
            _announce(settings, stores, number_hash, found - told)
            told = max(told, found)
            # Another exporter may have brought something in between: it is announced before it is erased, too.
            with contextlib.suppress(erasing.MoreToErase):
                return erasing.erase(database, number_hash, tombstone, now_ms, told)

    try:
        _require_free(stores, number_hash, optouts=optouts)
        known = person()
        _leave_streams(settings, stores, known, known.shards())
        known = person()
        known.note(tombstone, now_ms)
        records = erased()
        gone = known.forget(progress) + (known.forget_optouts() if optouts else 0)
        if shards := known.named():  # something happened meanwhile
            _leave_streams(settings, stores, known, shards)
            records += erased()
            gone += known.forget(progress)
        rewritten = known.rewrite()
    finally:
        database.close()
        stores.store.close()
    return Erased(records, gone, rewritten)


def _require_free(stores: Stores, number_hash: str, *, optouts: bool) -> None:
    standing = OptOuts(stores.store, stores.scripts, stores.keys).of_number(number_hash)
    if not optouts and any(one.opted_out for one in standing):
        raise NotReady(
            "The number is opted out: without that, messages would reach it again. Add --optouts to erase that, too."
        )
    if Erasure(stores.store, stores.keys, number_hash, ()).subjects():
        raise NotReady("The number is somebody's factor: remove that first (otp-service factors remove).")


def _leave_streams(settings: Settings, stores: Stores, person: Erasure, shards: Iterable[int]) -> None:
    """Bring all that names the person on these shards into the ledger, and drop it from the streams.

    The erasure is on record behind it, in an entry that is so long that it shares no block with what is dropped.
    """
    ends: dict[int, str] = {}
    for shard in shards:
        # Of how many records it is, nobody knows yet: `_announce` says that.
        stores.audit.record(EventType.PERSON_ERASED, {"records": 0}, shard=shard, room=BLOCK)
        ends[shard] = stores.audit.last_entry(shard)
    _bring(settings, stores, ends)
    # Without a callback_url nobody reads for that group, which stays when callbacks are switched off.
    off = bool(settings.policy.apps) and not settings.policy.endpoints
    unread = (ConsumerGroup.CALLBACKS,) if off else ()
    for shard, entry in ends.items():
        _wait(partial(_is_read, person, shard, entry, unread), "a callback worker is behind")
        person.trim(shard, entry)


def _announce(settings: Settings, stores: Stores, number_hash: str, records: int) -> None:
    """Have it in the ledger of how many records somebody is erased: `audit verify` finds no more than that missing."""
    if records > 0:
        shard = stores.keys.shard(number_hash)
        stores.audit.record(EventType.PERSON_ERASED, {"records": records}, shard=shard)
        _bring(settings, stores, {shard: stores.audit.last_entry(shard)})


def _bring(settings: Settings, stores: Stores, ends: Mapping[int, str]) -> None:
    """Bring all up to these entries into the ledger."""
    exporter = build_exporter(settings, stores, open_keyring(settings))
    try:
        _wait(lambda: exporter.once() is not None and _are_in(exporter, ends), "the ledger does not catch up")
    finally:
        exporter.close()


def _is_read(person: Erasure, shard: int, entry: str, unread: Collection[str]) -> bool:
    return not person.is_behind(shard, entry, unread)


def _are_in(exporter: "Exporter", ends: Mapping[int, str]) -> bool:
    return all(place(exporter.reached(shard)) >= place(entry) for shard, entry in ends.items())


def _wait(reached: Callable[[], bool], otherwise: str) -> None:
    deadline = time.monotonic() + WAIT_S
    while not reached():
        if time.monotonic() >= deadline:
            raise NotReady(f"The erasure has not ended: {otherwise}. Begin it again later; it does what is left.")
        time.sleep(0.05)


def replay_erasures(settings: Settings, stores: Stores, ids: Ids) -> int:
    """Do again what a restored ledger has forgotten; of how many people. Raises StoreUnavailable.

    What the store has forgotten, it is told: ledger and store remember the same erasures then.
    """
    from ..ledger import erasing  # noqa: PLC0415

    database = open_ledger(settings)
    try:
        erased = erased_in(stores.store, stores.keys)

        def announce(records: int) -> None:
            stores.audit.record(EventType.PERSON_ERASED, {"records": records})

        count = erasing.replay(database, erased, lambda year, number: tombstone_of(ids, year, number), announce)
        known = erasing.tombstones(database)
        keep_erased(stores.store, stores.keys, {name: at_ms for name, at_ms in known.items() if name not in erased})
        return count
    finally:
        database.close()
