"""Inspecting a range of a log: its records against hashes that the signed root proves, a tile at a time."""

from collections.abc import Callable, Sequence

from .findings import Finding, Tampering, by_its_number, difference
from .signed_tiles import SignedTiles, TileRefused
from .tree import TILE_WIDTH, leaf_hash

ReadRecords = Callable[[int, int], Sequence[bytes]]
"""The records that stand in the tile with this number, which has so many. May raise ValueError."""


def inspect_range(
    read: ReadRecords,
    tiles: SignedTiles,
    first: int,
    last: int,
    progress: Callable[[int, int], object] = lambda _done, _total: None,
) -> Finding | None:
    """The first record from number `first` to `last`, both included, that is not as it was signed; None if none is.

    Nothing outside of the range is judged. Its tiles are read whole, and the one behind it where records have moved.
    """
    for number in range((first - 1) // TILE_WIDTH, (last - 1) // TILE_WIDTH + 1):
        begin = number * TILE_WIDTH + 1
        asked = slice(max(first, begin) - begin, last - begin + 1)
        finding = _inspected(read, tiles, number, asked)
        if finding is not None:
            return finding
        progress(min(last, begin + TILE_WIDTH - 1) - first + 1, last - first + 1)
    return None


def _inspected(read: ReadRecords, tiles: SignedTiles, number: int, asked: slice) -> Finding | None:
    begin = number * TILE_WIDTH + 1
    try:
        signed = tiles.hashes(number)
        leaves = read(number, len(signed))
    except TileRefused as error:
        return Finding(Tampering.EDITED, begin + asked.start, f"at record {begin + asked.start}: {error}")
    except ValueError as error:
        return Finding(Tampering.UNREADABLE, begin + asked.start, f"at record {begin + asked.start}: {error}")
    if [leaf_hash(leaf) for leaf in leaves[asked]] == list(signed[asked]):
        return None
    return _told(read, tiles, number, leaves)


def _told(read: ReadRecords, tiles: SignedTiles, number: int, leaves: Sequence[bytes]) -> Finding | None:
    """What was done, from this tile and the next: behind a removed record stands what belongs one place further."""
    begin = number * TILE_WIDTH + 1
    signed, found = list(tiles.hashes(number)), list(leaves)
    if tiles.size > number * TILE_WIDTH + len(signed):
        try:
            more = tiles.hashes(number + 1)
            signed, found = [*signed, *more], [*found, *read(number + 1, len(more))]
        except ValueError:
            pass  # the next tile cannot be read: this one says enough
    difference_found = difference(signed, [leaf_hash(leaf) for leaf in found], begin)
    return difference_found and by_its_number(difference_found, found, begin)
