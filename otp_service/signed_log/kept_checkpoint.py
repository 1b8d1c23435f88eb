"""The newest checkpoint in a file beside the database: a database that was rolled back does not take it along."""

import logging
from pathlib import Path

from ..files import private_directory, write_private
from ..transparency.checkpoints import Checkpoint, read_checkpoint
from ..transparency.notes import NoteError

FILE = "checkpoint"
ASIDE = "ended-logs"

_log = logging.getLogger("otp.signed_log")


class KeptCheckpoint:
    """The file `path`; None keeps nothing."""

    def __init__(self, path: Path | None) -> None:
        self.path = path
        self._told = False

    def read(self) -> Checkpoint | None:
        """What the file says; None if there is none that can be read."""
        try:
            return None if self.path is None else read_checkpoint(self.path.read_bytes())[1]
        except (OSError, NoteError):
            return None

    def write(self, note: str) -> None:
        """Keep this one. Where that cannot be, signing goes on without: it is told once."""
        if self.path is None:
            return
        try:
            write_private(self.path, note.encode())
            self._told = False
        except OSError as error:
            if not self._told:
                reason = f"{self.path}: {error.strerror}; set OTP_DATA_DIR to a directory that can be written"
                _log.warning("the newest checkpoint cannot be kept", extra={"reason": reason})
            self._told = True

    def put_aside(self, kept: Checkpoint) -> None:
        """Move it, which is of a log that ended, to what is kept of such logs. Raises OSError."""
        if self.path is None:
            return
        private_directory(self.path.parent / ASIDE)
        moved = self.path.parent / ASIDE / f"{FILE}-{kept.size}-{kept.root.hex()[:16]}"
        self.path.replace(moved)
        reason = f"the log {kept.origin} has ended; see {moved}"
        _log.warning("the checkpoint of another log is put aside", extra={"reason": reason})


def kept_fault(kept: Checkpoint | None, origin: str | None, signed: int) -> str | None:
    """What the kept checkpoint says against a ledger whose log has this name and so many signed records; None: nothing.

    A log without a name (None) signed nothing yet.
    """
    if kept is None:
        return None
    if origin is not None and kept.origin != origin:
        return (
            f"the data directory keeps a checkpoint of another log, {kept.origin}, and this ledger has the log {origin}"
        )
    if kept.size > signed:
        return f"{kept.size} records were signed, and the ledger knows of {signed}: it was rolled back"
    return None
