"""The hashes of a log's records as a signed root proves them, from tiles that somebody serves and nobody has to trust.

A full tile is proved by the one hash that the tile above has of it, the last tile of each level by the root itself. So
of a range of records only its own tiles are read, and a few above them.
"""

from collections.abc import Sequence

from .checkpoints import Checkpoint
from .tiles import MAX_LEVEL, Fetch, hashes_of, width_in
from .tree import TILE_HEIGHT, TILE_WIDTH, Tree, combine


class TileRefused(ValueError):
    """A tile is missing, cannot be read, or is not what was signed; the sentence says which tile."""


class SignedTiles:
    """Tiles under one checkpoint. `fetch` may raise LookupError or ValueError for a tile that is not there."""

    def __init__(self, checkpoint: Checkpoint, fetch: Fetch) -> None:
        """Read the last tile of each level. Raises TileRefused if the root is not reached from them."""
        self.size = checkpoint.size
        self._fetch = fetch
        self._last: dict[int, tuple[int, list[bytes]]] = {}
        self._edges = {level: self._edge(level) for level in range(MAX_LEVEL + 1) if self._width_at_the_edge(level)}
        if Tree(self).root(self.size) != checkpoint.root:
            raise TileRefused("the last tiles are not those that were signed")

    def hashes(self, number: int) -> Sequence[bytes]:
        """The leaf hashes of the tile with this number. Raises TileRefused."""
        return self._proved(0, number)

    def read(self, level: int, start: int, end: int) -> Sequence[bytes]:
        """Those of the last tile of a level, which is all that the root needs (see `tree.Hashes`)."""
        first, row = self._edges[level]
        return row[start - first * TILE_WIDTH : end - first * TILE_WIDTH]

    def _width_at_the_edge(self, level: int) -> int:
        return width_in(self.size, level, self._edge_number(level))

    def _edge_number(self, level: int) -> int:
        return (self.size >> (TILE_HEIGHT * level)) // TILE_WIDTH

    def _edge(self, level: int) -> tuple[int, list[bytes]]:
        number = self._edge_number(level)
        return number, self._fetched(level, number, self._width_at_the_edge(level))

    def _proved(self, level: int, number: int) -> Sequence[bytes]:
        """From the root down. The tile of each level that was read last is kept: records come in their order."""
        for known in (self._edges.get(level), self._last.get(level)):
            if known is not None and known[0] == number:
                return known[1]
        row = self._fetched(level, number, TILE_WIDTH)
        above = self._proved(level + 1, number // TILE_WIDTH)
        if combine(row) != above[number % TILE_WIDTH]:
            raise TileRefused(f"the tile {number} of level {level} is not the one that was signed")
        self._last[level] = (number, row)
        return row

    def _fetched(self, level: int, number: int, width: int) -> list[bytes]:
        try:
            row = hashes_of(self._fetch(level, number, width))
        except (LookupError, ValueError) as error:
            raise TileRefused(f"the tile {number} of level {level} cannot be read: {error}") from error
        if len(row) != width:
            raise TileRefused(f"the tile {number} of level {level} has {len(row)} hashes, and {width} were signed")
        return row
