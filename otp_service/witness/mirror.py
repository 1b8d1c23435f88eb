"""A copy of a log's published files in a directory: `checkpoint`, `keys` and `tile/…`, under the names of C2SP."""

import json
from pathlib import Path

from ..domain.errors import ServiceError
from ..transparency.notes import NOTE_MAX
from ..transparency.tiles import MAX_ENTRY, tile_path
from ..transparency.tree import HASH_BYTES, TILE_WIDTH

_MOST_ENTRIES = TILE_WIDTH * (2 + MAX_ENTRY)


class MirrorUnreadable(ServiceError):
    """A file of the copy is there and cannot be read."""


class MirroredLog:
    """Reads the directory; it knows no network."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def checkpoint(self) -> str | None:
        """The checkpoint; None if there is none. Raises MirrorUnreadable."""
        raw = self._read("checkpoint", NOTE_MAX)
        try:
            return None if raw is None else raw.decode()
        except UnicodeDecodeError as error:
            raise MirrorUnreadable("The checkpoint is no text.") from error

    def keys(self) -> tuple[str | None, list[str]]:
        """What `GET /audit/log/keys` said, if it was copied too. Raises MirrorUnreadable."""
        raw = self._read("keys", 64 * NOTE_MAX)
        if raw is None:
            return None, []
        try:
            told = json.loads(raw)
            first, rotations = told["first_key"], told["rotations"]
        except (ValueError, KeyError, TypeError, RecursionError):
            first, rotations = None, [None]
        if not isinstance(rotations, list) or not all(isinstance(one, str) for one in [first or "", *rotations]):
            raise MirrorUnreadable("The file keys is not what GET /audit/log/keys says.")
        return first, rotations

    def tile(self, level: int, number: int, width: int) -> bytes:
        """A tile of hashes, empty if it is not there. Raises MirrorUnreadable."""
        return self._tile(str(level), number, width, TILE_WIDTH * HASH_BYTES)[: width * HASH_BYTES]

    def entries(self, number: int, width: int) -> bytes:
        """A tile of records, empty if it is not there. Raises MirrorUnreadable."""
        return self._tile("entries", number, width, _MOST_ENTRIES)

    def _tile(self, kind: str, number: int, width: int, most: int) -> bytes:
        for path in (tile_path(number, width), tile_path(number)):
            raw = self._read(f"tile/{kind}/{path}", most)
            if raw is not None:
                return raw
        return b""

    def _read(self, name: str, most: int) -> bytes | None:
        """None if there is no such file; of one that is too long, what no reader takes."""
        try:
            with (self._directory / name).open("rb") as file:
                return file.read(most + 1)
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError as error:
            raise MirrorUnreadable(f"{self._directory / name} cannot be read: {error.strerror}.") from error
