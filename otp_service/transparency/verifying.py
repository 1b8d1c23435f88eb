"""Verifying inclusion and consistency proofs, as RFC 9162 has it (2.1.3.2, 2.1.4.2). Needs no tree."""

from collections.abc import Sequence

from .tree import node_hash


def verify_inclusion(leaf: bytes, index: int, size: int, path: Sequence[bytes], root: bytes) -> bool:
    """Whether the leaf with the hash `leaf` is number `index` (from 0) of the tree of this size and root."""
    if not 0 <= index < size:
        return False
    at, last, reached = index, size - 1, leaf
    for sibling in path:
        if last == 0:
            return False
        if at & 1 or at == last:
            reached = node_hash(sibling, reached)
            at, last = _to_a_right_child(at, last)
        else:
            reached = node_hash(reached, sibling)
        at, last = at >> 1, last >> 1
    return last == 0 and reached == root


def verify_consistency(old: int, size: int, old_root: bytes, root: bytes, path: Sequence[bytes]) -> bool:
    """Whether the tree of `old` leaves is the beginning of that of `size`. Every tree begins with the empty one."""
    if old == size:
        return not path and old_root == root
    if old == 0:
        return not path
    if not 0 < old < size:
        return False
    hashes = list(path) if old & (old - 1) else [old_root, *path]
    return bool(hashes) and _joins(old - 1, size - 1, old_root, root, hashes)


def _joins(at: int, last: int, old_root: bytes, root: bytes, hashes: Sequence[bytes]) -> bool:
    while at & 1:
        at, last = at >> 1, last >> 1
    old_reached = reached = hashes[0]
    for sibling in hashes[1:]:
        if last == 0:
            return False
        if at & 1 or at == last:
            old_reached, reached = node_hash(sibling, old_reached), node_hash(sibling, reached)
            at, last = _to_a_right_child(at, last)
        else:
            reached = node_hash(reached, sibling)
        at, last = at >> 1, last >> 1
    return last == 0 and old_reached == old_root and reached == root


def _to_a_right_child(at: int, last: int) -> tuple[int, int]:
    """Up to the level where the node is a right child: above a last one that stands alone nothing is joined."""
    while at and not at & 1:
        at, last = at >> 1, last >> 1
    return at, last
