"""However many checkpoints a log has: few are in memory at a time, and what is found is the same."""

import tracemalloc
from collections.abc import Iterator

from hypothesis import given
from hypothesis import strategies as st

from otp_service.signed_log.judged_checkpoints import PORTION, JudgedCheckpoints, in_order
from otp_service.transparency.checkpoints import Checkpoint, LogKeys, sign_checkpoint
from otp_service.transparency.findings import Tampering

from ..transparency.signing import SmallLog
from .harness import SignedHarness
from .test_inspection import verified

SIGNER = SmallLog(0).signer
FEW = 1_500
MANY = 4 * FEW
OF_ONE = 64
"""Bytes: far less than any checkpoint takes that is kept, and more than the process's other threads make of noise."""


def notes(count: int) -> Iterator[str]:
    """So many good checkpoints, each made when it is asked for: nothing but the judge can keep them."""
    for size in range(1, count + 1):
        yield str(sign_checkpoint(Checkpoint(SIGNER.key.name, size, size.to_bytes(32)), SIGNER))


def peak(count: int) -> int:
    """Bytes at most while so many checkpoints are judged and then read in order."""
    tracemalloc.start()
    try:
        judged = JudgedCheckpoints(lambda: notes(count), LogKeys(SIGNER.key))
        assert sum(1 for _ in judged.by_size()) == count
        assert (judged.count, judged.size, judged.finding) == (count, count, None)
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def test_memory_does_not_grow_with_the_checkpoints() -> None:
    """Four times as many need no more: only the newest is kept."""
    peak(10)
    few, many = peak(FEW), peak(MANY)
    assert many - few < (MANY - FEW) * OF_ONE, (few, many)


def test_the_ledger_gives_them_in_portions(signed: SignedHarness) -> None:
    """All of them, in order, with more than fit into one portion; and `verify` says what it said of a small log."""
    signed.append_many(3)
    signed.signer.sign()
    count = PORTION + PORTION // 2
    signed.run(
        "WITH RECURSIVE n(i) AS (SELECT 2 UNION ALL SELECT i + 1 FROM n WHERE i < :count) "
        "INSERT INTO log_checkpoints (id, size, note, at_ms, rotates) "
        "SELECT i, c.size, c.note, c.at_ms, 0 FROM n, log_checkpoints c WHERE c.id = 1",
        count=count,
    )
    assert len(signed.notes()) == count
    report = verified(signed)
    assert (report.signed, report.checkpoints) == (3, count)
    assert report.finding is not None
    assert (report.finding.kind, "checkpoint 2 " in report.finding.sentence) == (Tampering.INSERTED, True)
    signed.run("UPDATE log_checkpoints SET note = 'nothing' WHERE id = :id", id=count - 1)
    finding = verified(signed).finding
    assert finding is not None
    assert finding.kind is Tampering.UNREADABLE


def test_a_table_that_is_out_of_order(signed: SignedHarness) -> None:
    """Each checkpoint is compared at its size, whatever the order; then the order is named."""
    for _ in range(6):
        signed.append_many(10)
        signed.signer.sign()
    signed.run("UPDATE log_checkpoints SET id = id - 7")
    signed.run("UPDATE log_checkpoints SET id = -id")
    report = verified(signed)
    assert (report.signed, report.checkpoints) == (60, 6)
    assert report.finding is not None
    assert (report.finding.kind, "checkpoint 2 " in report.finding.sentence) == (Tampering.SWAPPED, True)
    signed.run("UPDATE log_tiles SET hashes = zeroblob(length(hashes)) WHERE level = 0")
    finding = verified(signed).finding
    assert finding is not None
    assert (finding.kind, finding.seq) == (Tampering.EDITED, 1)


@given(sizes=st.lists(st.integers(0, 9), max_size=40), most=st.integers(1, 7))
def test_any_order_becomes_that_of_the_sizes(sizes: list[int], most: int) -> None:
    """With any room in memory; what has the same size stays in its order."""
    given_order = [Checkpoint("o", size, bytes([place])) for place, size in enumerate(sizes)]
    assert list(in_order(lambda: given_order, most)) == sorted(given_order, key=lambda one: one.size)
