"""The tiles of the tree in the database: read as hashes of a tree, and extended by new records."""

from collections.abc import Iterable, Sequence

from sqlalchemy import Connection, delete, insert, select

from ..transparency.tiles import hashes_of
from ..transparency.tree import TILE_WIDTH, combine
from .tables import TILES


class StoredTiles:
    """The tree's hashes within one transaction (see `transparency.tree.Hashes`)."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def tile(self, level: int, number: int) -> bytes:
        """Its bytes; empty if there is no such tile."""
        wanted = select(TILES.c.hashes).where(TILES.c.level == level, TILES.c.number == number)
        stored = self._connection.execute(wanted).scalar() or b""
        # A column of SQLite takes what it is given, whoever gives it.
        return bytes(stored) if isinstance(stored, (bytes, memoryview)) else str(stored).encode()

    def read(self, level: int, start: int, end: int) -> Sequence[bytes]:
        """The hashes of the subtrees of 256**level leaves from number `start` up to before `end`."""
        first, last = start // TILE_WIDTH, (end - 1) // TILE_WIDTH
        row = [one for number in range(first, last + 1) for one in hashes_of(self.tile(level, number))]
        return row[start - first * TILE_WIDTH : end - first * TILE_WIDTH]

    def extend(self, size: int, leaf_hashes: Iterable[bytes]) -> None:
        """Add the hashes of records behind the first `size`."""
        self._extend(0, size, list(leaf_hashes))

    def _extend(self, level: int, at: int, hashes: Sequence[bytes]) -> None:
        if not hashes:
            return
        number, used = divmod(at, TILE_WIDTH)
        # What stands behind the signed size was never signed: it is left by nobody, and would be replaced.
        row = [*hashes_of(self.tile(level, number))[:used], *hashes]
        tiles = [row[begin : begin + TILE_WIDTH] for begin in range(0, len(row), TILE_WIDTH)]
        numbered = list(enumerate(tiles, number))
        self._connection.execute(delete(TILES).where(TILES.c.level == level, TILES.c.number >= number))
        self._connection.execute(
            insert(TILES), [{"level": level, "number": one, "hashes": b"".join(tile)} for one, tile in numbered]
        )
        self._extend(level + 1, number, [combine(tile) for tile in tiles if len(tile) == TILE_WIDTH])
