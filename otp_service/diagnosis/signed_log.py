"""Whether the audit log is signed, how old its newest checkpoint is, and how far its witnesses have come."""

import os
from collections.abc import Callable, Collection, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from ..clock import rfc3339
from ..domain.errors import ServiceError
from .result import CheckResult

if TYPE_CHECKING:
    from ..ledger.database import Database
    from ..signed_log.state import LogState
    from ..transparency.checkpoints import Checkpoint

LATE_MS = 60_000
"""A worker signs every ten seconds while there is something new."""

WITNESS_LATE = 10_000
"""Signed records that a witness may lack: more means that it does not run, or refuses."""

WITNESS_LATE_MS = 600_000
"""So long may a checkpoint wait for a witness, which looks every ten seconds: a small service signs few records."""

TRIES = 3
"""So many tries may fail in a row: another worker or the next minute may have more luck."""

NAME = "signed log"


def check_signed_log(
    find: Callable[[], "Database | None"], now_ms: int, kept: Path | None = None, targets: Collection[str] = ()
) -> Iterator[CheckResult]:
    """`find` opens the ledger if it is there.

    `kept`: the file of the checkpoint in the data directory, None if there is no such directory. `targets`: who gets
    checkpoints, as it is configured.
    """
    from ..signed_log.kept_checkpoint import KeptCheckpoint  # noqa: PLC0415 - as `_state`

    try:
        database = find()
        if database is None:
            return  # that there is no ledger is a result of its own
        try:
            state = _state(database)
        finally:
            database.close()
    except ServiceError as error:
        yield CheckResult(NAME, False, error.detail)
        return
    yield judge_signed_log(state, now_ms, KeptCheckpoint(kept).read())
    yield from judge_witnesses(state, now_ms)
    yield from judge_outlets(state, targets)
    if kept is not None and not os.access(kept.parent, os.W_OK | os.X_OK):
        detail = f"{kept} cannot be written here, so a ledger that was rolled back is not noticed"
        yield CheckResult("kept checkpoint", False, f"{detail}; set OTP_DATA_DIR to a directory that can be written")


def _state(database: "Database") -> "LogState":
    from ..signed_log.state import log_state  # noqa: PLC0415 - the database's library, only if there is one

    return log_state(database)


def judge_signed_log(state: "LogState", now_ms: int, kept: "Checkpoint | None") -> CheckResult:
    """Whether what there is was signed in time, and is no less than what was signed before (`kept`)."""
    from ..signed_log.kept_checkpoint import kept_fault  # noqa: PLC0415 - as `_state`

    waiting = state.records - state.signed
    fault = kept_fault(kept, state.origin, state.signed)
    if fault is not None:
        return CheckResult(NAME, False, f"{fault}; see the guide on keeping the audit record")
    if state.signed_at_ms is None:
        # A worker signs within a second of its start, so a log that has just begun is no fault.
        is_new = state.begun_at_ms is None or now_ms - state.begun_at_ms <= LATE_MS
        return CheckResult(NAME, is_new, "nothing is signed yet: a worker signs the log (otp-service worker)")
    detail = f"{state.signed} of {state.records} records are signed, last {rfc3339(state.signed_at_ms, 'seconds')}"
    if waiting and now_ms - state.signed_at_ms > LATE_MS:
        return CheckResult(NAME, False, f"{detail}; does a worker run? Its log says why it cannot sign")
    return CheckResult(NAME, True, f"{detail}; {len(state.witnesses)} witnesses")


def judge_witnesses(state: "LogState", now_ms: int) -> Iterator[CheckResult]:
    """Whether each witness follows: one line for each."""
    for witness in state.witnesses:
        lag = state.signed - witness.size
        detail = f"it has cosigned {witness.size} records; {lag} came after"
        waited_ms = 0 if witness.behind_since_ms is None else now_ms - witness.behind_since_ms
        if waited_ms > WITNESS_LATE_MS:
            detail += f", and {waited_ms // 60_000} minutes ago it should have cosigned again"
        late = lag > WITNESS_LATE or waited_ms > WITNESS_LATE_MS
        more = "; does it run? Its messages say whether it refuses (no longer there: otp-service witness remove)"
        yield CheckResult(f"witness {witness.name}", not late, detail + (more if late else ""))


def judge_outlets(state: "LogState", targets: Collection[str]) -> Iterator[CheckResult]:
    """Whether checkpoints arrive where they are sent to: a line for each of `targets` where the last tries failed."""
    for target, failures in state.failing.items():
        if target not in targets:
            continue  # it is not configured any more
        detail = f"the last {failures} tries failed; a worker's log says why, and it tries again"
        yield CheckResult(f"checkpoints to {target}", failures < TRIES, detail)
