"""What the doctor says of the signed log."""

from dataclasses import replace
from pathlib import Path

import pytest

from otp_service.diagnosis.signed_log import (
    LATE_MS,
    WITNESS_LATE,
    WITNESS_LATE_MS,
    check_signed_log,
    judge_signed_log,
    judge_witnesses,
)
from otp_service.domain.errors import StoreUnavailable
from otp_service.ledger.database import Database
from otp_service.signed_log.log_store import Followed
from otp_service.signed_log.state import LogState, log_state
from otp_service.transparency.checkpoints import Checkpoint, read_checkpoint
from otp_service.transparency.cosignatures import cosign

from ..signed_log.conftest import signed
from ..signed_log.harness import SignedHarness
from ..transparency.signing import witness_signer

__all__ = ["signed"]

NOW_MS = 1_800_000_000_000
KEPT = Checkpoint("o", 5, bytes(32))


@pytest.mark.parametrize(
    ("state", "kept", "ok", "words"),
    [
        (LogState(5, 5, NOW_MS - 10 * LATE_MS, "o", []), KEPT, True, "5 of 5"),
        (LogState(6, 5, NOW_MS - LATE_MS + 1, "o", []), None, True, "5 of 6"),
        (LogState(6, 5, NOW_MS - LATE_MS - 1, "o", []), KEPT, False, "does a worker run"),
        (LogState(0, 0, None, None, []), None, True, "nothing is signed"),
        (LogState(6, 0, None, None, [], begun_at_ms=NOW_MS - LATE_MS), None, True, "nothing is signed"),
        (LogState(6, 0, None, None, [], begun_at_ms=NOW_MS - LATE_MS - 1), None, False, "nothing is signed"),
        (LogState(6, 0, None, "o", [], begun_at_ms=NOW_MS), KEPT, False, "rolled back"),
        (LogState(5, 5, NOW_MS, "o", []), replace(KEPT, size=6), False, "rolled back"),
        (LogState(9, 9, NOW_MS, "p", []), KEPT, False, "keeps a checkpoint of another log, o,"),
    ],
)
def test_how_the_log_is_judged(state: LogState, kept: Checkpoint | None, ok: bool, words: str) -> None:
    """Signed in time, and never less than before."""
    result = judge_signed_log(state, NOW_MS, kept)
    assert result.ok is ok
    assert words in result.detail


def test_a_witness_that_stays_behind(signed: SignedHarness) -> None:
    """By name, with how many records it lacks."""
    results = {one.name: one for one in check_signed_log(lambda: signed.database, signed.now_ms)}
    assert list(results) == ["signed log"]
    signed.append_many(2)
    signed.signer.sign()
    note, checkpoint = read_checkpoint(signed.reader.checkpoint() or "")
    witness = witness_signer(3)
    cosigned = note.with_signature(cosign(checkpoint.text, witness, 1))
    signed.reader.take_cosignature(str(witness.key), str(cosigned), signed.now_ms)
    results = {one.name: one for one in check_signed_log(lambda: signed.database, signed.now_ms)}
    assert results["signed log"].ok
    assert results["witness witness.example"].ok
    size = WITNESS_LATE + 2
    (late,) = judge_witnesses(LogState(size, size, NOW_MS, "o", [Followed(str(witness.key), 1, NOW_MS)]), NOW_MS)
    assert (late.name, late.ok) == ("witness witness.example", False)


def test_a_dead_witness_of_a_small_service(signed: SignedHarness) -> None:
    """A few records that it lacks are told, once a checkpoint has waited for it."""
    signed.append_many(2)
    signed.signer.sign()
    note, checkpoint = read_checkpoint(signed.reader.checkpoint() or "")
    witness = witness_signer(3)
    cosigned = note.with_signature(cosign(checkpoint.text, witness, 1))
    signed.reader.take_cosignature(str(witness.key), str(cosigned), signed.now_ms)
    signed.now_ms += 100 * WITNESS_LATE_MS

    def result() -> tuple[bool, str]:
        (found,) = judge_witnesses(log_state(signed.database), signed.now_ms)
        return found.ok, found.detail

    assert result()[0], "nothing is new, however long ago it cosigned"
    signed.append_many(1)
    signed.signer.sign()
    assert result()[0]
    signed.now_ms += WITNESS_LATE_MS + 1
    signed.append_many(1)
    signed.signer.sign()
    ok, detail = result()
    assert (ok, "2 came after, and 10 minutes ago" in detail) == (False, True), detail


def test_no_ledger_and_a_ledger_that_refuses() -> None:
    """The first is said elsewhere."""

    def refuses() -> Database | None:
        raise StoreUnavailable("it refuses")

    assert list(check_signed_log(lambda: None, NOW_MS)) == []
    (result,) = check_signed_log(refuses, NOW_MS)
    assert (result.ok, result.detail) == (False, "it refuses")


def test_a_checkpoint_that_cannot_be_kept(signed: SignedHarness, tmp_path: Path) -> None:
    """Nothing else says that a rolled-back ledger would not be noticed."""

    def names(kept: Path) -> list[str]:
        return [one.name for one in check_signed_log(lambda: signed.database, signed.now_ms, kept) if not one.ok]

    signed.signer.sign()
    assert names(tmp_path / "checkpoint") == []
    assert names(tmp_path / "missing" / "checkpoint") == ["kept checkpoint"]
