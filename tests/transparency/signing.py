"""Keys and small logs for the tests."""

from nacl.signing import SigningKey

from otp_service.transparency.checkpoints import Checkpoint, sign_checkpoint
from otp_service.transparency.notes import COSIGNATURE, ED25519, Signer, VerifierKey
from otp_service.transparency.tree import MemoryHashes, Tree, leaf_hash

ORIGIN = "otp.example/audit"


def signer(seed: int, name: str = ORIGIN, kind: int = ED25519) -> Signer:
    """A signer whose secret is this number."""
    secret = SigningKey(seed.to_bytes(32))
    return Signer(VerifierKey(name, bytes(secret.verify_key), kind), lambda message: secret.sign(message).signature)


def witness_signer(seed: int, name: str = "witness.example") -> Signer:
    """The signer of a witness."""
    return signer(seed, name, COSIGNATURE)


class SmallLog:
    """A log in memory. `leaves` may be changed: then it is another log."""

    def __init__(self, count: int, seed: int = 1, origin: str = ORIGIN) -> None:
        self.signer = signer(seed, origin)
        self.leaves = [b'{"seq":%d}' % (number + 1) for number in range(count)]

    @property
    def hashes(self) -> list[bytes]:
        """The hash of each leaf."""
        return [leaf_hash(leaf) for leaf in self.leaves]

    @property
    def tree(self) -> Tree:
        """The tree over the leaves."""
        return Tree(MemoryHashes(self.hashes))

    def checkpoint(self, size: int | None = None, *extensions: str, by: Signer | None = None) -> str:
        """A signed checkpoint."""
        size = len(self.leaves) if size is None else size
        signer = by or self.signer
        return str(sign_checkpoint(Checkpoint(signer.key.name, size, self.tree.root(size), extensions), signer))
