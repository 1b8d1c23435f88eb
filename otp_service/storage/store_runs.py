"""Noticing that the store is not what it was: restarted, failed over, put back to an older file, or emptied.

A process beats some times a second. The first beats after a restart decide whether codes of before live on: only if
every process that lived says that the store has all that it knows (`beat.lua`). In the meantime, and for good if not,
the scripts accept nothing that began before (`_life.lua`).
"""

import logging
import os
import secrets
import time
from dataclasses import dataclass
from typing import Any

from .. import telemetry
from ..domain.audit import EventType
from .answering import STORE_ERRORS, answering
from .audit_log import AuditLog
from .schema import Keys
from .schema.encodings import flag
from .schema.fields import LiveProcesses
from .scripts import Call, Scripts
from .store import Store
from .told import Told

KEEP_CODES, END_CODES = "keep_codes", "end_codes"
"""What becomes of codes when the store was restarted."""

JUDGE_MS = 1_000
"""For so long after a restart each process may say that the store lacks something."""

GIVE_UP_MS = 3_000
"""After that a process that says nothing is not waited for, and nothing is kept."""

RECENT_MS = 5_000
"""A process has to vote if its last beat is so near to the last of all. The server writes its file 2 s late at most."""

GREATEST_GAP_MS = 60_000
"""A store that was away for longer keeps nothing."""

WARN_MS = 600_000
"""So long the readiness warns: then whatever began before is over anyway."""

CLUSTER_LOOK_S = 2.0
QUIET_MS = 60_000

ENDED = "The store was restarted, failed over or restored; what began before that is over and has to start again."
KEPT = "The store was restarted. It has all that it was told, so codes of before go on."
EMPTIED = "The store was emptied: opt-outs, budgets and API keys of before are gone. Read the opt-outs again."

_log = logging.getLogger("otp.store")


@dataclass(frozen=True, slots=True)
class Seen:
    """What a beat tells: the run, those before it that live on, the store's name, when the run changed and how."""

    run: str
    kept: str
    name: str
    changed_ms: str
    kept_then: str


class StoreRuns:
    """The runs of one store, as one process sees them. `look` is for one thread."""

    def __init__(self, store: Store, scripts: Scripts, keys: Keys, told: Told, after_restart: str = END_CODES) -> None:
        self._store = store
        self._scripts = scripts
        self._keys = keys
        self._told = told
        # A Cluster has a run for each shard, and no process knows all of them.
        self._after_restart = END_CODES if store.is_cluster else after_restart
        self._audit = AuditLog(store, scripts, keys)
        self._pid = 0
        self._begin()
        self._warning = ("", -WARN_MS / 1000)

    def _begin(self) -> None:
        """Be a new process: a server may fork."""
        self._pid, self._id = os.getpid(), secrets.token_hex(6)
        self._count = 0
        self._vote = self._voted_in = ""
        self._seen: Seen | None = None
        self._noted: Seen | None = None
        self._runs: dict[int, str] = {}
        self._names: dict[int, str] = {}
        self._next_look = 0.0

    @property
    def run(self) -> str:
        """The run in which the last beat was answered; '' before the first."""
        return self._seen.run if self._seen else ""

    @property
    def warning(self) -> str | None:
        """What happened to the store lately, or None."""
        text, at = self._warning
        return text if (time.monotonic() - at) * 1000 < WARN_MS else None

    def look(self) -> None:
        """Beat, and note what is new. Raises StoreUnavailable."""
        if os.getpid() != self._pid:
            self._begin()
        if self._store.is_cluster:
            self._look_at_shards()
        else:
            self._beat()

    # ---- one server, or a primary with replicas --------------------------------------------------------------------

    def _beat(self) -> None:
        taken = self._told.take()
        try:
            reply = self._ask()
        except BaseException:
            self._told.give_back(taken)
            raise
        if reply[0] == "same":
            if self._is_on_replicas():
                self._count += 1
            else:
                self._told.give_back(taken)
            self._compare(Seen(*reply[1:]))
        else:
            self._told.give_back(taken)
            self._vote, self._voted_in = self._judge(reply[1]), reply[2]

    def _is_on_replicas(self) -> bool:
        """Whether the replicas have the beat, where some are expected: only then a new primary must know it."""
        mark = ("HSET", self._keys.live_processes(), LiveProcesses.MARK, "1")
        return self._scripts.are_on_replicas(mark, self._keys.run(0))

    def _ask(self) -> Any:
        return self._scripts.call(
            "store/beat",
            {"live_processes": self._keys.live_processes()},
            process=self._id,
            count=self._count + 1,
            new_name=secrets.token_hex(4),
            after_restart=self._after_restart,
            vote=self._vote,
            voted_in=self._voted_in,
            judge_ms=JUDGE_MS,
            give_up_ms=GIVE_UP_MS,
            recent_ms=RECENT_MS,
            gap_ms=GREATEST_GAP_MS,
        )

    def _judge(self, last_beat: str) -> str:
        """Whether the store has all that this process knows.

        One that no beat was answered yet votes too: it may have told what the store forgets when it is restarted again.
        Raises StoreUnavailable.
        """
        known = int(last_beat or 0) >= self._count and self._told.is_whole
        return "yes" if known and self._has_all_told() else "no"

    def _has_all_told(self) -> bool:
        facts = self._told.facts()
        with answering():
            replies = self._store.gather([("HGET", record, field) for record, field, _ in facts])
            for reply in replies:
                # What was not answered is not missing: a store that hangs for a moment has lost nothing.
                if isinstance(reply, STORE_ERRORS):
                    raise reply
        return replies == [value for _, _, value in facts]

    def _compare(self, seen: Seen) -> None:
        before = self._seen
        self._told.note_living(frozenset((seen.run, *seen.kept.split(","))), int(seen.changed_ms or 0))
        if seen != self._noted:
            self._note_on_shards(seen)
            self._noted = seen
        self._seen = seen
        if before is not None and before.name != seen.name:
            self._emptied()
        elif before is not None and before.run != seen.run:
            self._tell("codes_kept" if seen.kept_then == "1" else "codes_ended")

    def _note_on_shards(self, seen: Seen) -> None:
        for reply in self._call_notes(seen.run, seen.kept, reporting=0):
            if isinstance(reply, Exception):
                raise reply

    # ---- a Cluster -------------------------------------------------------------------------------------------------

    def _look_at_shards(self) -> None:
        if time.monotonic() < self._next_look:
            return
        self._next_look = time.monotonic() + CLUSTER_LOOK_S
        self._told.take()
        changed = emptied = False
        for shard, reply in enumerate(self._call_notes("", "", reporting=None)):
            if not isinstance(reply, Exception):
                run, noted, name = reply
                changed |= self._runs.get(shard, noted or run) != run
                emptied |= self._names.get(shard, name) != name
                self._runs[shard], self._names[shard] = run, name
        if emptied:
            self._emptied()
        elif changed:
            self._tell("codes_ended")

    # ---- both ------------------------------------------------------------------------------------------------------

    def _call_notes(self, kept_in: str, kept: str, *, reporting: int | None) -> list[Any]:
        """`reporting`: the shard that puts the change on record; None for each one of them."""
        calls: list[Call] = [
            (
                {"run": self._keys.run(shard), "audit": self._keys.audit(shard)},
                {
                    "after_restart": self._after_restart,
                    "kept_in": kept_in,
                    "kept": kept,
                    "report": flag(reporting in (None, shard)),
                    "new_name": secrets.token_hex(4),
                },
            )
            for shard in range(self._keys.shards)
        ]
        return self._scripts.call_together("store/note_run", calls)

    def _emptied(self) -> None:
        self._tell("emptied")
        self._audit.record(EventType.STORE_EMPTIED, {}, throttle_ms=QUIET_MS)

    def _tell(self, found: str) -> None:
        telemetry.STORE_RUNS.labels(found).inc()
        text = {"codes_kept": KEPT, "codes_ended": ENDED, "emptied": EMPTIED}[found]
        log = _log.warning if found == "codes_kept" else _log.error
        log("the store is not what it was", extra={"reason": text})
        self._warning = (text, time.monotonic())
