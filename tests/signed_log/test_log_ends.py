"""The end of a log and the word of it stand in one transaction: whatever is killed, neither is there alone."""

import signal
import subprocess
import sys
from pathlib import Path
from textwrap import dedent

import pytest

from otp_service.ledger.database import LedgerUnavailable
from otp_service.signed_log.kept_checkpoint import FILE
from otp_service.signed_log.new_log import LogIsGood, begin_new_log
from otp_service.signed_log.signers import signers_of
from otp_service.signed_log.signing import LogDamaged, LogSigner
from otp_service.signed_log.told import ended_logs
from otp_service.transparency.checkpoints import read_checkpoint

from .harness import ORIGIN, SignedHarness

BEGINNING = dedent(
    """
    import os, signal, sys
    from pathlib import Path
    from sqlalchemy import event
    from otp_service import keyring
    from otp_service.ledger.database import open_database
    from otp_service.signed_log.new_log import begin_new_log
    from otp_service.signed_log.signers import signers_of

    file, kept, ring, when, now_ms, origin = sys.argv[1:]

    def end_here(*_):
        os.kill(os.getpid(), signal.SIGKILL)

    class Kept(type(Path())):
        def unlink(self, missing_ok=False):
            end_here()

    database = open_database(f"sqlite:///{file}")
    if when == "before":
        event.listen(database.engine, "commit", lambda _: end_here())
    known = keyring.parse(Path(ring).read_bytes(), int(now_ms))
    begin_new_log(database, signers_of(lambda: known), Kept(kept), origin, int(now_ms))
    """
)
"""A process that begins a new log, and is killed before or after the transaction is kept."""


def rolled_back(signed: SignedHarness, tmp_path: Path) -> Path:
    """A log that was rolled back; the file that keeps its newest checkpoint."""
    kept = tmp_path / FILE
    for _ in range(2):
        signed.append_many(3)
        signed.now_ms += 60_000
        signer(signed, kept).sign_if_due()
    signed.run("DELETE FROM log_checkpoints WHERE size = 6")
    return kept


def signer(log: SignedHarness, kept: Path) -> LogSigner:
    """What a worker has, with its data directory."""
    return LogSigner(log.database, ORIGIN, signers_of(lambda: log.ring), lambda: log.now_ms, kept)


def ends(log: SignedHarness) -> tuple[str | None, set[str], int]:
    """The log's name, the logs that have ended, and how many rows tell of an end."""
    with log.database.reading() as connection:
        ended = ended_logs(connection, signers_of(lambda: log.ring))
    return log.reader.keys()[0], ended, len(log.told_ends())


def kill(log: SignedHarness, kept: Path, when: str) -> None:
    """Begin a new log in a process that is killed."""
    ring = kept.parent / "keyring.json"
    ring.write_bytes(log.raw)
    words = [str(log.path), str(kept), str(ring), when, str(log.now_ms), ORIGIN]
    process = subprocess.run([sys.executable, "-c", BEGINNING, *words], timeout=300, check=False)
    assert process.returncode == -signal.SIGKILL


def test_killed_before_the_transaction_is_kept(signed: SignedHarness, tmp_path: Path) -> None:
    """The log has not ended, and nothing says that it has; the command can be given again."""
    kept = rolled_back(signed, tmp_path)
    before = ends(signed)
    kill(signed, kept, "before")
    assert (ends(signed), before[1:]) == (before, (set(), 0))
    with pytest.raises(LogDamaged, match="rolled back"):
        signer(signed, kept).sign()
    assert begin_new_log(signed.database, signers_of(lambda: signed.ring), kept, ORIGIN, signed.now_ms).ended == ORIGIN


def test_killed_after_the_transaction_was_kept(signed: SignedHarness, tmp_path: Path) -> None:
    """The log has ended and everybody finds it: no second log begins, and the checkpoint is put aside by itself."""
    kept = rolled_back(signed, tmp_path)
    kill(signed, kept, "after")
    _, ended, count = ends(signed)
    assert (ended, count, kept.exists()) == ({ORIGIN}, 1, True)
    with pytest.raises(LogIsGood, match="which has ended"):
        begin_new_log(signed.database, signers_of(lambda: signed.ring), kept, ORIGIN, signed.now_ms + 1_000)
    (note,) = signer(signed, kept).sign_if_due()
    assert read_checkpoint(note)[1].origin.startswith(f"{ORIGIN}/")
    assert kept.read_text() == note
    assert len(list((tmp_path / "ended-logs").glob("checkpoint-6-*"))) == 1


@pytest.mark.parametrize("refused", ["INSERT ON log_ends", "UPDATE ON log"])
def test_one_is_not_there_without_the_other(signed: SignedHarness, tmp_path: Path, refused: str) -> None:
    """Where one of the two cannot be written, the other is not, and what was signed stays."""
    kept = rolled_back(signed, tmp_path)
    signed.run(f"CREATE TRIGGER no BEFORE {refused} BEGIN SELECT RAISE(ABORT, 'not today'); END")
    before = (ends(signed), signed.notes())
    with pytest.raises(LedgerUnavailable, match="not today"):
        begin_new_log(signed.database, signers_of(lambda: signed.ring), kept, ORIGIN, signed.now_ms)
    assert (ends(signed), signed.notes(), len(before[1])) == (*before, 1)
    assert kept.exists()
