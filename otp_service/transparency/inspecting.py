"""Inspecting a whole log: its records against the tiles that were stored and the checkpoints that were signed.

A record that was changed alone differs from its tile. Where the tiles were changed too, the first checkpoint whose root
is not reached says between which two sizes it was done, and the records' own numbers say what was done.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice

from .checkpoints import Checkpoint
from .findings import Finding, Tampering, by_its_number, difference, forked, seq_of
from .frontier import Frontier
from .tree import TILE_WIDTH, Tree, leaf_hash
from .verifying import verify_consistency

ReadTile = Callable[[int], Sequence[bytes]]
"""The stored leaf hashes of the tile with this number; fewer than 256 if it is the last one."""


class _Reached:
    """Builds a tree and compares its root with each checkpoint's. `size`: that of the last of them."""

    def __init__(self, checkpoints: Iterable[Checkpoint], size: int) -> None:
        self.size = size
        self._waiting = iter(checkpoints)
        self._frontier = Frontier()
        self.good_size = 0
        self.refuted: Checkpoint | None = None
        self._next = next(self._waiting, None)
        self._compare()

    @property
    def is_done(self) -> bool:
        return self._next is None or self.refuted is not None

    def append(self, hashes: Iterable[bytes]) -> None:
        for one in hashes:
            self._frontier.append(one)
            if self._next is not None and self._next.size == self._frontier.size:
                self._compare()

    def _compare(self) -> None:
        while self._next is not None and self._next.size == self._frontier.size and self.refuted is None:
            if self._next.root != self._frontier.root():
                self.refuted = self._next
                return
            self.good_size = self._next.size
            self._next = next(self._waiting, None)


def inspect(
    leaves: Iterable[bytes],
    read_tile: ReadTile,
    checkpoints: Iterable[Checkpoint],
    size: int,
) -> Finding | None:
    """The first record that is not as it was signed, and what was done to it; None if there is none.

    `leaves` are all records in order, `checkpoints` those whose signatures count, in order of their sizes: each is read
    when the tree has reached the one before it. `size`: that of the last, 0 without any. Records behind it were not
    signed yet, and are not judged.
    """
    reached, blocks = _Reached(checkpoints, size), _blocks(leaves)
    unproved: list[bytes] = []
    for number in range(-(-size // TILE_WIDTH)):
        block = next(blocks, [])
        unproved = [*unproved[max(0, reached.good_size - (number * TILE_WIDTH - len(unproved))) :], *block]
        found = [leaf_hash(leaf) for leaf in block]
        stored = read_tile(number)[: size - number * TILE_WIDTH]
        if found[: len(stored)] != list(stored) or len(stored) < min(TILE_WIDTH, size - number * TILE_WIDTH):
            return _differs(number, unproved, [*block, *next(blocks, [])], read_tile, reached)
        reached.append(found)
        if reached.refuted is not None:
            return _between(unproved, number * TILE_WIDTH + len(block), reached)
    return None


def _blocks(leaves: Iterable[bytes]) -> Iterator[list[bytes]]:
    iterator = iter(leaves)
    while block := list(islice(iterator, TILE_WIDTH)):
        yield block


def _differs(
    number: int, unproved: Sequence[bytes], window: Sequence[bytes], read_tile: ReadTile, reached: _Reached
) -> Finding:
    """What stands in the tiles was signed if it reaches the checkpoints; else the tiles were changed too."""
    tiles = [list(read_tile(one)) for one in (number, number + 1)]
    signed = [one for tile in tiles for one in tile][: reached.size - number * TILE_WIDTH]
    found = difference(signed, [leaf_hash(leaf) for leaf in window], number * TILE_WIDTH + 1)
    at = number
    while not reached.is_done and (tile := read_tile(at)):
        reached.append(tile)
        at += 1
    if found is not None and reached.refuted is None and reached.is_done:
        return by_its_number(found, window, number * TILE_WIDTH + 1)
    return _between(unproved, number * TILE_WIDTH + min(len(window), TILE_WIDTH), reached)


def _between(unproved: Sequence[bytes], end: int, reached: _Reached) -> Finding:
    """`unproved` are records up to number `end`, those behind the last good checkpoint among them."""
    first, last = reached.good_size + 1, reached.refuted.size if reached.refuted else reached.good_size + 1
    where = f"between record {first} and record {last}" if first < last else f"at record {first}"
    for seq, leaf in enumerate(unproved, end - len(unproved) + 1):
        says = seq_of(leaf) if first <= seq else None
        if says is not None and says != seq:
            kind = Tampering.REMOVED if says > seq else Tampering.INSERTED
            return Finding(kind, seq, f"{where}: record {seq} says that it is record {says}")
    if end < last and end % TILE_WIDTH:
        return Finding(Tampering.CUT, end + 1, f"the records from {end + 1} on are missing")
    return Finding(Tampering.EDITED, first, f"{where} a record and its stored hash were edited")


def judge_older(older: Checkpoint, newest: Checkpoint | None, size: int, tree: Tree) -> Finding | None:
    """Whether the log, whose newest checkpoint this is, continues one that somebody kept elsewhere.

    `size`: how many records there are. By a proof: the root of so many records, as stored tiles have it, need not be
    that of the log that was signed.
    """
    signed = newest.size if newest else 0
    if newest is None or older.size > min(size, signed):
        kept = f"a checkpoint of {older.size} records is known, and here are {min(size, signed)}"
        kind = Tampering.ROLLED_BACK if signed <= size else Tampering.CUT
        return Finding(kind, min(size, signed) + 1, f"{kept}: the log was rolled back")
    try:
        path = tree.consistency(older.size, newest.size)
    except (LookupError, ValueError):
        return Finding(Tampering.UNREADABLE, None, "stored tiles are missing or cannot be read")
    if verify_consistency(older.size, newest.size, older.root, newest.root, path):
        return None
    return forked(older.size)
