"""The newest checkpoint in a file beside the database: a database that was rolled back does not take it along."""

from pathlib import Path

from ..files import write_private
from ..transparency.checkpoints import Checkpoint, read_checkpoint
from ..transparency.notes import NoteError

FILE = "checkpoint"


class KeptCheckpoint:
    """The file `path`; None keeps nothing."""

    def __init__(self, path: Path | None) -> None:
        self._path = path

    def read(self) -> Checkpoint | None:
        """What the file says; None if there is none that can be read."""
        try:
            return None if self._path is None else read_checkpoint(self._path.read_bytes())[1]
        except (OSError, NoteError):
            return None

    def write(self, note: str) -> None:
        """Keep this one. Raises OSError."""
        if self._path is not None:
            write_private(self._path, note.encode())
