"""The Merkle tree of RFC 9162, section 2.1, over SHA-256: hashes, roots, inclusion and consistency proofs.

A tree is read through `Hashes`: the hashes of full subtrees of 256**level leaves, which tiles of height 8 hold.
"""

from collections.abc import Sequence
from hashlib import sha256
from typing import Protocol

TILE_HEIGHT = 8
TILE_WIDTH = 1 << TILE_HEIGHT
HASH_BYTES = 32
EMPTY_ROOT = sha256().digest()


def leaf_hash(leaf: bytes) -> bytes:
    """The hash of a leaf: SHA-256 of 0x00 and its bytes."""
    return sha256(b"\0" + leaf).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """The hash of a node: SHA-256 of 0x01 and the hashes of its two children."""
    return sha256(b"\1" + left + right).digest()


def combine(hashes: Sequence[bytes]) -> bytes:
    """The root over these hashes. Joining pairs, the last one alone, gives the tree that the RFC defines by halves."""
    row = list(hashes)
    if not row:
        return EMPTY_ROOT
    while len(row) > 1:
        joined = [node_hash(row[at], row[at + 1]) for at in range(0, len(row) - 1, 2)]
        row = joined if len(row) % 2 == 0 else [*joined, row[-1]]
    return row[0]


class Hashes(Protocol):
    """Where the hashes of full subtrees come from."""

    def read(self, level: int, start: int, end: int) -> Sequence[bytes]:
        """Those of the subtrees of 256**level leaves from number `start` up to before `end`."""
        ...


class MemoryHashes:
    """The hashes over a list of leaf hashes."""

    def __init__(self, leaf_hashes: Sequence[bytes]) -> None:
        self._levels = [list(leaf_hashes)]
        while len(self._levels[-1]) >= TILE_WIDTH:
            below = self._levels[-1]
            whole = len(below) - len(below) % TILE_WIDTH
            self._levels.append([combine(below[at : at + TILE_WIDTH]) for at in range(0, whole, TILE_WIDTH)])

    def read(self, level: int, start: int, end: int) -> Sequence[bytes]:
        """Those of the subtrees of 256**level leaves from number `start` up to before `end`."""
        return self._levels[level][start:end]


class Tree:
    """Roots and proofs, for every size up to that of the leaves behind `hashes`."""

    def __init__(self, hashes: Hashes) -> None:
        self._hashes = hashes

    def root(self, size: int) -> bytes:
        """The root of the first `size` leaves."""
        return self._range(0, size) if size else EMPTY_ROOT

    def inclusion(self, index: int, size: int) -> list[bytes]:
        """The proof that the leaf `index` (from 0) is in the tree of this size (RFC 9162, 2.1.3.1)."""
        _require(0 <= index < size)
        start, end, path = 0, size, []
        while end - start > 1:
            middle = start + _left(end - start)
            if index < middle:
                path.append(self._range(middle, end))
                end = middle
            else:
                path.append(self._range(start, middle))
                start = middle
        return path[::-1]

    def consistency(self, old: int, size: int) -> list[bytes]:
        """The proof that the tree of `old` leaves is the beginning of that of `size` (RFC 9162, 2.1.4.1)."""
        _require(0 <= old <= size)
        if old in (0, size):
            return []
        start, end, path = 0, size, []
        while old != end:
            middle = start + _left(end - start)
            if old <= middle:
                path.append(self._range(middle, end))
                end = middle
            else:
                path.append(self._range(start, middle))
                start = middle
        # The old tree itself is known to who asks; a part of it is not.
        return [*([self._range(start, end)] if start else []), *path[::-1]]

    def _range(self, start: int, end: int) -> bytes:
        """The root of a range that begins where a full subtree of at least its size begins."""
        count = end - start
        left = _left(count) if count & (count - 1) else count
        whole = self._full(start, left)
        return whole if left == count else node_hash(whole, self._range(start + left, end))

    def _full(self, start: int, count: int) -> bytes:
        level = (count.bit_length() - 1) // TILE_HEIGHT
        first = start >> (TILE_HEIGHT * level)
        wanted = count >> (TILE_HEIGHT * level)
        found = self._hashes.read(level, first, first + wanted)
        if len(found) != wanted:
            raise LookupError(f"hashes are missing at level {level} from {first}")
        return combine(found)


def _left(count: int) -> int:
    """The largest power of two below `count`: so many leaves are on the left."""
    return 1 << ((count - 1).bit_length() - 1)


def _require(holds: bool) -> None:
    if not holds:
        raise ValueError("no such part of a tree")
