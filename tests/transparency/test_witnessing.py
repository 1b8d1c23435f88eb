"""Two witnesses and a log that lies: each cosigns one history, and only the log's own."""

import pytest

from otp_service.transparency.checkpoints import Checkpoint, LogKeys, read_checkpoint
from otp_service.transparency.cosignatures import cosignatures
from otp_service.transparency.notes import SignatureLine
from otp_service.transparency.witnessing import Submission, Witness, WitnessRefusal

from .signing import SmallLog, signer, witness_signer

LOG = SmallLog(40)
KEYS = LogKeys(LOG.signer.key)


class Remembering:
    """A witness with its memory, as a process has it."""

    def __init__(self, seed: int) -> None:
        self.signer = witness_signer(seed, f"witness{seed}.example")
        self._witness = Witness(self.signer, lambda: 1_800_000_000)
        self.last: Checkpoint | None = None

    def cosign(self, log: SmallLog, size: int, *, old: int | None = None, checkpoint: str = "") -> SignatureLine:
        """Submit the log's checkpoint of this size, with the log's own proof, as it goes over the network."""
        old = (self.last.size if self.last else 0) if old is None else old
        path = tuple(log.tree.consistency(old, size)) if 0 < old < size else ()
        raw = str(Submission(old, path, checkpoint or log.checkpoint(size))).encode()
        checked, line = self._witness.judge(Submission.parse(raw), KEYS, self.last)
        self.last = checked
        return line


def status(witness: Remembering, log: SmallLog, size: int, **given: object) -> tuple[int, int | None]:
    """The status of a refusal, and the size that it tells."""
    with pytest.raises(WitnessRefusal) as refusal:
        witness.cosign(log, size, **given)  # type: ignore[arg-type]
    return refusal.value.status, refusal.value.size


def test_what_continues_is_cosigned() -> None:
    """Again and again; the same size twice too. Others verify the cosignature."""
    witness = Remembering(1)
    for size in (0, 1, 7, 7, 32, 40):
        note, _ = read_checkpoint(LOG.checkpoint(size))
        both = note.with_signature(witness.cosign(LOG, size))
        assert [one.key for one in cosignatures(both, [witness.signer.key])] == [witness.signer.key]


def test_a_forked_log_gets_one_history_cosigned() -> None:
    """The log shows each witness another history: neither cosigns the other's, whatever proof comes with it."""
    forked = SmallLog(40)
    forked.leaves[5] = b"another"
    first, second = Remembering(1), Remembering(2)
    first.cosign(LOG, 10)
    second.cosign(forked, 10)
    for size, refusal in ((10, (409, 10)), (20, (422, None)), (40, (422, None))):
        assert status(first, forked, size) == refusal
        assert status(second, LOG, size) == refusal
    assert first.cosign(LOG, 40).signature
    assert second.cosign(forked, 40).signature


def test_a_log_that_was_rolled_back_gets_none() -> None:
    """It is told which size the witness knows."""
    witness = Remembering(1)
    witness.cosign(LOG, 30)
    assert status(witness, LOG, 20, old=10) == (409, 30)
    assert status(witness, LOG, 20) == (400, None)
    assert status(witness, LOG, 20, old=0) == (409, 30)
    assert status(witness, LOG, 30, old=40) == (400, None)


def test_only_the_logs_own_signature_counts() -> None:
    """No key, another's, another log, an empty tree with a root."""
    witness = Remembering(1)
    assert status(witness, LOG, 5, checkpoint=LOG.checkpoint(5, by=signer(9))) == (403, None)
    assert status(witness, LOG, 5, checkpoint=LOG.checkpoint(5).replace("\n5\n", "\n6\n")) == (403, None)
    assert status(witness, LOG, 5, checkpoint=SmallLog(9, origin="other.example").checkpoint()) == (404, None)
    assert status(witness, LOG, 5, checkpoint="nothing") == (400, None)
    odd = Checkpoint(LOG.signer.key.name, 0, LOG.tree.root(1))
    signed = f"{odd.text}\n{SignatureLine(KEYS.origin, KEYS.newest.key_id, LOG.signer.sign(odd.text.encode()))}"
    assert status(witness, LOG, 0, checkpoint=signed) == (409, 0)
    assert witness.last is None


@pytest.mark.parametrize("body", [b"", b"old 1\n", b"old 01\n\nx", b"old 1\nAA==\n\nx", b"old 1\n!\n\nx", b"\xff"])
def test_what_is_no_submission(body: bytes) -> None:
    """400, as the protocol has it."""
    with pytest.raises(WitnessRefusal) as refusal:
        Submission.parse(body)
    assert refusal.value.status == 400
