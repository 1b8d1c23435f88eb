"""What the doctor says of the signed log."""

import pytest

from otp_service.diagnosis.signed_log import LATE_MS, WITNESS_LATE, check_signed_log, judge_signed_log, judge_witnesses
from otp_service.domain.errors import StoreUnavailable
from otp_service.ledger.database import Database
from otp_service.signed_log.state import LogState
from otp_service.transparency.checkpoints import read_checkpoint
from otp_service.transparency.cosignatures import cosign

from ..signed_log.conftest import signed
from ..signed_log.harness import SignedHarness
from ..transparency.signing import witness_signer

__all__ = ["signed"]

NOW_MS = 1_800_000_000_000


@pytest.mark.parametrize(
    ("state", "kept", "ok", "words"),
    [
        (LogState(5, 5, NOW_MS - 10 * LATE_MS, "o", {}), 5, True, "5 of 5"),
        (LogState(6, 5, NOW_MS - LATE_MS + 1, "o", {}), 0, True, "5 of 6"),
        (LogState(6, 5, NOW_MS - LATE_MS - 1, "o", {}), 5, False, "does a worker run"),
        (LogState(6, 0, None, None, {}), 0, False, "nothing is signed"),
        (LogState(5, 5, NOW_MS, "o", {}), 6, False, "rolled back"),
    ],
)
def test_how_the_log_is_judged(state: LogState, kept: int, ok: bool, words: str) -> None:
    """Signed in time, and never less than before."""
    result = judge_signed_log(state, NOW_MS, kept)
    assert result.ok is ok
    assert words in result.detail


def test_a_witness_that_stays_behind(signed: SignedHarness) -> None:
    """By name, with how many records it lacks."""
    results = {one.name: one for one in check_signed_log(lambda: signed.database, signed.now_ms, 0)}
    assert list(results) == ["signed log"]
    signed.append_many(2)
    signed.signer.sign()
    note, checkpoint = read_checkpoint(signed.reader.checkpoint() or "")
    witness = witness_signer(3)
    cosigned = note.with_signature(cosign(checkpoint.text, witness, 1))
    signed.reader.take_cosignature(str(witness.key), str(cosigned), signed.now_ms)
    results = {one.name: one for one in check_signed_log(lambda: signed.database, signed.now_ms, 0)}
    assert results["signed log"].ok
    assert results["witness witness.example"].ok
    (late,) = judge_witnesses(LogState(WITNESS_LATE + 2, WITNESS_LATE + 2, NOW_MS, "o", {str(witness.key): 1}))
    assert (late.name, late.ok) == ("witness witness.example", False)


def test_no_ledger_and_a_ledger_that_refuses() -> None:
    """The first is said elsewhere."""

    def refuses() -> Database | None:
        raise StoreUnavailable("it refuses")

    assert list(check_signed_log(lambda: None, NOW_MS, 0)) == []
    (result,) = check_signed_log(refuses, NOW_MS, 0)
    assert (result.ok, result.detail) == (False, "it refuses")
