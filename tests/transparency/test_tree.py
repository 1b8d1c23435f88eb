"""The tree against its definition in RFC 9162, written down as plainly as it stands there, and known vectors."""

from hashlib import sha256

from hypothesis import given, settings
from hypothesis import strategies as st

from otp_service.transparency.tiles import TiledHashes
from otp_service.transparency.tree import EMPTY_ROOT, MemoryHashes, Tree, combine, leaf_hash
from otp_service.transparency.verifying import verify_consistency, verify_inclusion

LEAVES = [b"%d" % number for number in range(600)]
HASHES = [leaf_hash(leaf) for leaf in LEAVES]
TREE = Tree(MemoryHashes(HASHES))
SIZES = st.integers(0, len(LEAVES))

# The tree that the implementations of RFC 6962 test with: leaves and the roots of 1 to 8 of them.
KNOWN_LEAVES = ["", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f"]
KNOWN_ROOTS = [
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
]


def split(count: int) -> int:
    """The largest power of two smaller than `count`."""
    power = 1
    while power * 2 < count:
        power *= 2
    return power


def mth(leaves: list[bytes]) -> bytes:
    """The Merkle tree hash, section 2.1.1."""
    if not leaves:
        return sha256().digest()
    if len(leaves) == 1:
        return sha256(b"\x00" + leaves[0]).digest()
    k = split(len(leaves))
    return sha256(b"\x01" + mth(leaves[:k]) + mth(leaves[k:])).digest()


def path_of(m: int, leaves: list[bytes]) -> list[bytes]:
    """PATH, section 2.1.3.1."""
    if len(leaves) == 1:
        return []
    k = split(len(leaves))
    if m < k:
        return [*path_of(m, leaves[:k]), mth(leaves[k:])]
    return [*path_of(m - k, leaves[k:]), mth(leaves[:k])]


def subproof(m: int, leaves: list[bytes], known: bool) -> list[bytes]:
    """SUBPROOF, section 2.1.4.1."""
    if m == len(leaves):
        return [] if known else [mth(leaves)]
    k = split(len(leaves))
    if m <= k:
        return [*subproof(m, leaves[:k], known), mth(leaves[k:])]
    return [*subproof(m - k, leaves[k:], False), mth(leaves[:k])]


def test_known_roots() -> None:
    """The roots that others publish."""
    leaves = [bytes.fromhex(text) for text in KNOWN_LEAVES]
    tree = Tree(MemoryHashes([leaf_hash(leaf) for leaf in leaves]))
    assert [tree.root(size).hex() for size in range(1, 9)] == KNOWN_ROOTS
    assert tree.root(0) == EMPTY_ROOT == combine([])


@settings(max_examples=40)
@given(size=SIZES, data=st.data())
def test_roots_and_proofs_are_those_of_the_definition(size: int, data: st.DataObject) -> None:
    """For any size, index and older size, and each proof verifies."""
    leaves = LEAVES[:size]
    root = TREE.root(size)
    assert root == mth(leaves) == combine(HASHES[:size])
    if not size:
        return
    index = data.draw(st.integers(0, size - 1))
    path = TREE.inclusion(index, size)
    assert path == path_of(index, leaves)
    assert verify_inclusion(HASHES[index], index, size, path, root)
    old = data.draw(st.integers(1, size))
    proof = TREE.consistency(old, size)
    assert proof == subproof(old, leaves, True)
    assert verify_consistency(old, size, TREE.root(old), root, proof)


@settings(max_examples=40)
@given(data=st.data(), size=st.integers(2, len(LEAVES)), at=st.integers(0, 31))
def test_a_proof_proves_nothing_else(data: st.DataObject, size: int, at: int) -> None:
    """Another leaf, index, size, root, older root, a changed, missing or added hash: refused."""
    index, old = data.draw(st.integers(0, size - 1)), data.draw(st.integers(1, size - 1))
    path, proof = TREE.inclusion(index, size), TREE.consistency(old, size)
    root, old_root, leaf = TREE.root(size), TREE.root(old), HASHES[index]
    other = bytearray(root)
    other[at] ^= 1
    assert not verify_inclusion(bytes(other), index, size, path, root)
    assert not verify_inclusion(leaf, index, size, path, bytes(other))
    assert not verify_inclusion(leaf, size, size, path, root)
    assert not verify_inclusion(leaf, index ^ 1, size, path, root)
    assert not verify_consistency(old, size, bytes(other), root, proof)
    assert not verify_consistency(old, size, old_root, bytes(other), proof)
    assert not verify_consistency(size, old, root, old_root, proof)
    for wrong in _wrong(path, bytes(other)):
        assert not verify_inclusion(leaf, index, size, wrong, root)
    for wrong in _wrong(proof, bytes(other)):
        assert not verify_consistency(old, size, old_root, root, wrong)


def _wrong(path: list[bytes], other: bytes) -> list[list[bytes]]:
    changed = [[*path[:number], other, *path[number + 1 :]] for number in range(len(path))]
    return [*changed, path[:-1], path[1:], [*path, other], [other, *path]]


def test_trees_of_equal_size_are_equal_or_not_consistent() -> None:
    """Size alone proves nothing; the empty tree begins every tree."""
    assert verify_consistency(3, 3, TREE.root(3), TREE.root(3), [])
    assert not verify_consistency(3, 3, TREE.root(3), TREE.root(4), [])
    assert not verify_consistency(3, 3, TREE.root(3), TREE.root(3), [TREE.root(3)])
    assert verify_consistency(0, 3, EMPTY_ROOT, TREE.root(3), [])
    assert not verify_consistency(2, 4, TREE.root(2), TREE.root(4), [])


@settings(max_examples=20)
@given(size=st.integers(1, len(LEAVES)), data=st.data())
def test_a_tree_can_be_read_through_its_tiles(size: int, data: st.DataObject) -> None:
    """The same roots and proofs, from tiles as they are served for a tree of that size."""
    memory = MemoryHashes(HASHES)

    def fetch(level: int, index: int, width: int) -> bytes:
        assert 1 <= width <= 256
        return b"".join(memory.read(level, index * 256, index * 256 + width))

    tiled = Tree(TiledHashes(size, fetch))
    old, index = data.draw(st.integers(1, size)), data.draw(st.integers(0, size - 1))
    assert tiled.root(old) == TREE.root(old)
    assert tiled.inclusion(index, size) == TREE.inclusion(index, size)
    assert tiled.consistency(old, size) == TREE.consistency(old, size)
