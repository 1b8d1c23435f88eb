"""What each running process says of itself: one record a process, which ends by itself."""

from collections.abc import Sequence
from typing import Any

import msgspec

from ..domain.fleet import TTL_MS, LiveProcess, ProcessRecord
from .answering import answering, answers
from .schema import Keys
from .store import Store


class Fleet:
    """The records of all processes. Raises StoreUnavailable."""

    def __init__(self, store: Store, keys: Keys) -> None:
        self._store = store
        self._keys = keys

    def write(self, process_id: str, record: ProcessRecord) -> None:
        """Say it, for as long as `TTL_MS`."""
        said = msgspec.json.encode(record).decode()
        answers(
            self._store.gather(
                [
                    ("SET", self._keys.process(process_id), said, "PX", TTL_MS),
                    ("SADD", self._keys.processes(), process_id),
                ]
            )
        )

    def forget(self, process_id: str) -> None:
        """At the end of the process."""
        self._forget([process_id])

    def forget_gone(self) -> None:
        """Remove the names of processes that were killed: their records have ended."""
        ids, records = self._read()
        gone = [process_id for process_id, record in zip(ids, records, strict=True) if record is None]
        if gone:
            self._forget(gone)

    def live(self) -> list[LiveProcess]:
        """Every process whose record has not ended. What another version wrote and cannot be read is left out."""
        ids, records = self._read()
        found = []
        for process_id, raw in zip(ids, records, strict=True):
            record = _parsed(raw)
            if record is not None:
                found.append(LiveProcess(record, record.clock_ms - self._written_ms(process_id)))
        return sorted(found, key=lambda one: one.record.name)

    def _written_ms(self, process_id: str) -> int:
        """By the store's clock: what is left of the record says how old it is."""
        (left,), now_ms = self._store.read_at([("PTTL", self._keys.process(process_id))])
        return now_ms - (TTL_MS - int(left))

    def _read(self) -> tuple[list[str], Sequence[Any]]:
        with answering():
            ids = sorted(str(one) for one in self._store.client.smembers(self._keys.processes()))
            keys = [self._keys.process(process_id) for process_id in ids]
            records: Any = self._store.client.mget(keys) if keys else []
        return ids, records

    def _forget(self, ids: Sequence[str]) -> None:
        with answering():
            self._store.client.srem(self._keys.processes(), *ids)
            for process_id in ids:
                self._store.client.delete(self._keys.process(process_id))


def _parsed(raw: str | None) -> ProcessRecord | None:
    try:
        return msgspec.json.decode(raw, type=ProcessRecord) if raw is not None else None
    except msgspec.DecodeError:
        return None
