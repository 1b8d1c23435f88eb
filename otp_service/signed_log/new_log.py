"""Beginning a new log over a ledger that was rolled back, with a name of its own: the old one has another history.

The records stay, and are signed anew from the first on. What was signed of the old log is put aside, for those who have
evidence of it.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import Connection, delete, update

from ..clock import rfc3339
from ..domain.errors import ServiceError
from ..files import private_directory, write_private
from ..ledger import log_ends
from ..ledger.database import Database
from ..ledger.log_ends import LogEnd
from .kept_checkpoint import ASIDE, KeptCheckpoint, kept_fault
from .log_store import LogStore
from .signing import Signers
from .tables import CHECKPOINTS, LOG, OUTLETS, TILES, TIMESTAMPS, WITNESSES
from .timestamps import all_timestamps
from .told import ENDS, end_of_log, ended_logs

_OF_THE_LOG = (TILES, CHECKPOINTS, WITNESSES, TIMESTAMPS, OUTLETS)


class LogIsGood(ServiceError):
    """Nothing says that the log was rolled back, so it must not end."""


@dataclass(frozen=True, slots=True)
class Begun:
    """`origin` and `key` are those of the new log; `ended` names the old one, of which `size` records were signed.

    `told`: for the record; by the names in `told.ENDS` notes by which the old keys say that their logs have ended.
    """

    origin: str
    key: str
    ended: str
    size: int
    aside: Path
    told: Mapping[str, int | str]


def begin_new_log(database: Database, signers: Signers, kept_path: Path | None, origin: str, now_ms: int) -> Begun:
    """End the log that the kept checkpoint is of. `origin`: what the first log is named by.

    The new name has the time in it: whatever is restored later, no name is used twice. Raises LogIsGood,
    LedgerUnavailable, and OSError where the old checkpoints cannot be put aside.
    """
    kept = KeptCheckpoint(kept_path)
    with database.writing() as connection:
        log = LogStore(connection)
        old, newest = log.origin(locked=True), log.newest()
        known = kept.read()
        if known is None or kept_path is None or kept_fault(known, old, newest.size if newest else 0) is None:
            raise LogIsGood("the log was not rolled back as far as the data directory knows: it goes on as it is")
        if known.origin != old and known.origin in ended_logs(connection, signers):
            raise LogIsGood(
                f"the data directory keeps a checkpoint of {known.origin}, which has ended: the log goes on as it is, "
                "and a worker here puts that checkpoint aside by itself"
            )
        at = rfc3339(now_ms, "seconds").replace(":", "").replace("-", "").lower()
        aside = kept_path.parent / ASIDE / at
        was_signed = {**_what_was_signed(log), **_timestamps(connection)}
        _put_aside(aside, {**was_signed, "checkpoint": kept_path.read_bytes()})
        new = f"{origin}/{at}"
        key = str(signers(new)[0].key)
        _begin(connection, new, key)
        named: Mapping[str, int | str] = {"ended_log": known.origin, "ended_size": known.size}
        told = {"new_log": new, "key": key, **named, **_ends(known.origin, old, new, signers)}
        # In the same transaction: a log that has ended without a word of it would keep other machines from signing.
        log_ends.add(connection, LogEnd(new, now_ms, told))
    # Where this is not done any more, the next one who signs here puts it aside.
    kept_path.unlink()
    return Begun(new, key, known.origin, known.size, aside, told)


def _ends(known: str, old: str | None, new: str, signers: Signers) -> Mapping[str, str]:
    # The restored log may be another one than the kept checkpoint's, where another machine was faster: both have ended.
    ended = dict.fromkeys(one for one in (known, old) if one is not None)
    return {name: end_of_log(one, new, signers(one)[0]) for name, one in zip(ENDS, ended, strict=False)}


def _what_was_signed(log: LogStore) -> Mapping[str, bytes]:
    """What somebody needs to judge old evidence by."""
    newest, cosigned, key = log.newest(), log.newest_cosigned(), log.first_key()
    named = {f"rotation-{number:03}": note for number, note in enumerate(log.rotations(), 1)}
    more = {
        "restored-checkpoint": log.published(newest) if newest else None,
        "cosigned-checkpoint": log.published(cosigned) if cosigned else None,
        "log.vkey": f"{key}\n" if key else None,
    }
    return {name: text.encode() for name, text in {**named, **more}.items() if text is not None}


def _timestamps(connection: Connection) -> Mapping[str, bytes]:
    """What others stamped, and their answers: each is of the bytes of a checkpoint."""
    files: dict[str, bytes] = {}
    for one in all_timestamps(connection):
        name = f"timestamp-{one.size:012}"
        files |= {f"{name}.checkpoint": one.note.encode(), f"{name}.tsr": one.response}
    return files


def _put_aside(directory: Path, files: Mapping[str, bytes]) -> None:
    private_directory(directory)
    for name, raw in files.items():
        write_private(directory / name, raw)


def _begin(connection: Connection, origin: str, key: str) -> None:
    for table in _OF_THE_LOG:
        connection.execute(delete(table))
    # Changed in its place: who waits for this row finds the new name in it.
    if not connection.execute(update(LOG).values(origin=origin, first_key=key)).rowcount:
        LogStore(connection).begin(origin, key)
