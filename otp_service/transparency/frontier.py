"""The root of a tree whose leaves come one after the other, in memory that grows with the logarithm of its size."""

from .tree import EMPTY_ROOT, node_hash


class Frontier:
    """The roots of the full subtrees from left to right, which is all that later roots need."""

    def __init__(self) -> None:
        self.size = 0
        self._peaks: list[bytes] = []

    def append(self, leaf_hash: bytes) -> None:
        """Add a leaf by its hash."""
        count = self.size
        while count & 1:
            leaf_hash = node_hash(self._peaks.pop(), leaf_hash)
            count >>= 1
        self._peaks.append(leaf_hash)
        self.size += 1

    def root(self) -> bytes:
        """The root of all leaves so far."""
        if not self._peaks:
            return EMPTY_ROOT
        root = self._peaks[-1]
        for peak in reversed(self._peaks[:-1]):
            root = node_hash(peak, root)
        return root
