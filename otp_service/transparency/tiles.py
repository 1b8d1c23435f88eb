"""Tiles of a log as C2SP tlog-tiles has them: their paths, their bytes, and a tree read through them."""

import re
from collections.abc import Callable, Iterable, Sequence

from .tree import HASH_BYTES, TILE_HEIGHT, TILE_WIDTH

MAX_LEVEL = 63
MAX_ENTRY = 0xFFFF
_PATH = re.compile(r"((?:x[0-9]{3}/)*)([0-9]{3})(?:\.p/([1-9][0-9]{0,2}))?", re.ASCII)
_LONGEST = 64
_KEPT = 64


def tile_path(index: int, width: int = TILE_WIDTH) -> str:
    """`x001/x234/067` or `x001/x234/067.p/8`: where a tile stands within its level."""
    parts = [f"{index % 1000:03}"]
    while index := index // 1000:
        parts.append(f"x{index % 1000:03}")
    return "/".join(reversed(parts)) + ("" if width == TILE_WIDTH else f".p/{width}")


def parse_tile_path(text: str) -> tuple[int, int] | None:
    """Number and width of the tile at this path; None for what is no path, any other spelling of one too."""
    found = _PATH.fullmatch(text) if len(text) <= _LONGEST else None
    if found is None:
        return None
    index = int("".join(re.findall("[0-9]{3}", found[1])) + found[2])
    width = int(found[3] or TILE_WIDTH)
    return (index, width) if tile_path(index, width) == text else None


def parse_level(text: str) -> int | None:
    """The level of a tile, 0 to 63; None for anything else."""
    return int(text) if re.fullmatch("0|[1-9][0-9]?", text, re.ASCII) and int(text) <= MAX_LEVEL else None


def width_in(size: int, level: int, index: int) -> int:
    """How many hashes the tile has in a tree of this size; 0 if it is not there."""
    return max(0, min(TILE_WIDTH, (size >> (TILE_HEIGHT * level)) - index * TILE_WIDTH))


def hashes_of(tile: bytes) -> list[bytes]:
    """The hashes of a tile. Raises ValueError."""
    if len(tile) % HASH_BYTES:
        raise ValueError("a tile holds whole hashes")
    return [tile[at : at + HASH_BYTES] for at in range(0, len(tile), HASH_BYTES)]


def entry_bundle(leaves: Iterable[bytes]) -> bytes:
    """An entry bundle: each leaf after its length in two bytes. Raises ValueError for a leaf that is too long."""
    parts = []
    for leaf in leaves:
        if len(leaf) > MAX_ENTRY:
            raise ValueError("a leaf of a tiled log has at most 65,535 bytes")
        parts += [len(leaf).to_bytes(2), leaf]
    return b"".join(parts)


def entries_of(bundle: bytes) -> list[bytes]:
    """The leaves of an entry bundle. Raises ValueError."""
    leaves, at = [], 0
    while at < len(bundle):
        end = at + 2 + int.from_bytes(bundle[at : at + 2])
        if len(bundle) < at + 2 or len(bundle) < end:
            raise ValueError("an entry bundle was cut")
        leaves.append(bundle[at + 2 : end])
        at = end
    return leaves


Fetch = Callable[[int, int, int], bytes]
"""The bytes of a tile by level, number and width."""


class TiledHashes:
    """The hashes of a tree of `size` leaves, from its tiles. A few tiles are kept."""

    def __init__(self, size: int, fetch: Fetch) -> None:
        self._size = size
        self._fetch = fetch
        self._tiles: dict[tuple[int, int], list[bytes]] = {}

    def read(self, level: int, start: int, end: int) -> Sequence[bytes]:
        """Those of the subtrees of 256**level leaves from number `start` up to before `end`.

        Raises ValueError for a tile that has not the width that the size asks for.
        """
        first, last = start // TILE_WIDTH, (end - 1) // TILE_WIDTH
        row = [one for index in range(first, last + 1) for one in self._tile(level, index)]
        return row[start - first * TILE_WIDTH : end - first * TILE_WIDTH]

    def _tile(self, level: int, index: int) -> list[bytes]:
        if (level, index) not in self._tiles:
            width = width_in(self._size, level, index)
            hashes = hashes_of(self._fetch(level, index, width))
            if len(hashes) != width:
                raise ValueError("a tile has another width than its path says")
            if len(self._tiles) >= _KEPT:
                self._tiles.pop(next(iter(self._tiles)))
            self._tiles[level, index] = hashes
        return self._tiles[level, index]
