"""What each running process says of itself: one record a process, which is forgotten by itself."""

from typing import Any

import msgspec

from ..domain.fleet import KEPT_MS, ProcessRecord
from .answering import answering
from .schema import Keys
from .schema.encodings import ProcessEntry
from .scripts import Scripts
from .store import Store, fields_of


class Fleet:
    """The records of all processes. Raises StoreUnavailable."""

    def __init__(self, store: Store, scripts: Scripts, keys: Keys) -> None:
        self._store = store
        self._scripts = scripts
        self._keys = keys

    def write(self, process_id: str, record: ProcessRecord) -> None:
        """Say it, for as long as `KEPT_MS`."""
        said = msgspec.json.encode(record)
        keys = {"processes": self._keys.processes()}
        self._scripts.call("process/announce", keys, process=process_id, record=said, kept_ms=KEPT_MS)

    def forget(self, process_id: str) -> None:
        """At the end of the process."""
        with answering():
            self._store.client.hdel(self._keys.processes(), process_id)

    def live(self) -> list[ProcessRecord]:
        """Every process that has said something lately. What another version wrote and cannot be read is left out."""
        (reply,), now_ms = self._store.read_at([("HGETALL", self._keys.processes())])
        found = (_parsed(entry, now_ms) for entry in fields_of(reply).values())
        return sorted((one for one in found if one is not None), key=lambda one: one.name)


def _parsed(entry: Any, now_ms: int) -> ProcessRecord | None:
    try:
        at, record = ProcessEntry.parse(entry)
        return msgspec.json.decode(record, type=ProcessRecord) if abs(now_ms - int(at)) <= KEPT_MS else None
    except (ValueError, UnicodeEncodeError):
        return None
