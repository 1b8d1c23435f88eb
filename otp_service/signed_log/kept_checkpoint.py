"""The newest checkpoint in a file beside the database: a database that was rolled back does not take it along."""

import logging
from pathlib import Path

from ..files import write_private
from ..transparency.checkpoints import Checkpoint, read_checkpoint
from ..transparency.notes import NoteError

FILE = "checkpoint"

_log = logging.getLogger("otp.signed_log")


class KeptCheckpoint:
    """The file `path`; None keeps nothing."""

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._told = False

    def read(self) -> Checkpoint | None:
        """What the file says; None if there is none that can be read."""
        try:
            return None if self._path is None else read_checkpoint(self._path.read_bytes())[1]
        except (OSError, NoteError):
            return None

    def write(self, note: str) -> None:
        """Keep this one. Where that cannot be, signing goes on without: it is told once."""
        if self._path is None:
            return
        try:
            write_private(self._path, note.encode())
            self._told = False
        except OSError as error:
            if not self._told:
                reason = f"{self._path}: {error.strerror}; set OTP_DATA_DIR to a directory that can be written"
                _log.warning("the newest checkpoint cannot be kept", extra={"reason": reason})
            self._told = True
