"""A ledger that was rolled back gets a new log with another name; the old one's checkpoints are put aside."""

import json
import re
from pathlib import Path

import pytest

from otp_service.domain.errors import ConfigError
from otp_service.ledger import log_ends
from otp_service.signed_log.kept_checkpoint import FILE
from otp_service.signed_log.new_log import LogIsGood, begin_new_log
from otp_service.signed_log.signers import signers_of
from otp_service.signed_log.signing import LogDamaged, LogSigner
from otp_service.signed_log.told import end_of_log
from otp_service.transparency.checkpoints import LogKeys, read_checkpoint
from otp_service.transparency.notes import VerifierKey
from otp_service.transparency.witnessing import WitnessRefusal
from otp_service.witness.following import Follower
from otp_service.witness.identity import load_or_make
from otp_service.witness.memory import MemoryFile

from ..transparency.signing import SmallLog
from ..witness.test_following import LocalLog
from .harness import ORIGIN, SignedHarness
from .test_commands import run as run_command


def signer(log: SignedHarness, kept: Path, origin: str = ORIGIN) -> LogSigner:
    """What a worker has, with its data directory."""
    return LogSigner(log.database, origin, signers_of(lambda: log.ring), lambda: log.now_ms, kept)


def begin(log: SignedHarness, kept: Path, at_ms: int = 0) -> tuple[str, str, Path]:
    """Begin a new log; its name and key, and where the old checkpoints are."""
    begun = begin_new_log(log.database, signers_of(lambda: log.ring), kept, ORIGIN, log.now_ms + at_ms)
    return begun.origin, begun.key, begun.aside


def ended(log: SignedHarness, origin: str, following: str) -> str:
    """What the log's key says of its end."""
    return end_of_log(origin, following, signers_of(lambda: log.ring)(origin)[0])


def test_after_a_restore_a_new_log_begins(signed: SignedHarness, tmp_path: Path) -> None:
    """The records stay and are signed anew; nobody who follows the old log takes the new one for it."""
    kept = tmp_path / FILE
    signed.append_many(10)
    signer(signed, kept).sign_if_due()
    with pytest.raises(LogIsGood, match="goes on as it is"):
        begin(signed, kept)
    signed.database.close()  # so that the file has everything
    copy = SignedHarness.copy(signed, tmp_path / "copy.db")
    signed.rotate()
    signed.append_many(1_000)
    signer(signed, kept).sign_if_due()
    newest = kept.read_bytes()
    copy.raw = signed.raw
    with pytest.raises(LogDamaged, match="rolled back"):
        signer(copy, kept).sign()
    origin, key, aside = begin(copy, kept)
    assert origin == "otp.example/audit/20260921t141320z"
    assert {path.name for path in aside.iterdir()} == {"checkpoint", "restored-checkpoint", "log.vkey"}
    assert ((aside / "checkpoint").read_bytes(), kept.exists()) == (newest, False)
    (note,) = signer(copy, kept).sign_if_due()
    checkpoint = LogKeys(VerifierKey.parse(key)).verify(note)
    assert (checkpoint.origin, checkpoint.size) == (origin, 10)
    witness = load_or_make(tmp_path / "w.key", "w.example")
    memory = MemoryFile(tmp_path / "w.log")
    assert Follower(LocalLog(signed), witness, memory, lambda: 1).round() is not None
    with pytest.raises(WitnessRefusal):
        Follower(LocalLog(copy), witness, memory, lambda: 1).round()
    copy.database.close()


def test_a_checkpoint_of_another_log_is_told_as_what_it_is(signed: SignedHarness, tmp_path: Path) -> None:
    """A copy of before a new log began would go on with the old log: nothing is signed, and no name is used twice."""
    kept = tmp_path / FILE
    signed.append_many(2)
    signer(signed, kept).sign_if_due()
    signed.database.close()  # so that the file has everything
    copy = SignedHarness.copy(signed, tmp_path / "copy.db")
    signed.append_many(1_000)
    signer(signed, kept).sign_if_due()
    signed.run("UPDATE log_checkpoints SET size = 1")
    first, _, _ = begin(signed, kept)
    signer(signed, kept).sign_if_due()
    with pytest.raises(LogDamaged, match="keeps a checkpoint of another log"):
        signer(copy, kept).sign()
    second, _, aside = begin(copy, kept, 1_000)
    assert first != second
    assert read_checkpoint((aside / "checkpoint").read_bytes())[1].origin == first
    assert len(signer(copy, kept).sign_if_due()) == 1
    copy.database.close()


@pytest.mark.parametrize("told", ["table", "record"])
def test_other_machines_put_their_checkpoint_aside(signed: SignedHarness, tmp_path: Path, told: str) -> None:
    """Where several machines sign, one begins the new log: on the others nothing is done, and no good log ends.

    Older versions told of the end in the record alone.
    """
    here, there = tmp_path / "here" / FILE, tmp_path / "there" / FILE
    signed.append_many(2)
    for kept in (here, there):
        kept.parent.mkdir()
    signer(signed, here).sign_if_due()
    there.write_bytes(here.read_bytes())
    signed.run("INSERT INTO log_timestamps (checkpoint, response, at_ms) VALUES (1, :raw, 1)", raw=b"tsr")
    line = "\u2014 w.example AAAA\n"
    signed.run("INSERT INTO log_witnesses (witness, checkpoint, line, at_ms) VALUES ('w', 1, :line, 1)", line=line)
    signed.run("UPDATE log_checkpoints SET size = 1")
    origin, _, aside = begin(signed, here)
    stamped = {"timestamp-000000000001.checkpoint", "timestamp-000000000001.tsr"}
    names = {"checkpoint", "restored-checkpoint", "cosigned-checkpoint", "log.vkey", *stamped}
    assert {path.name for path in aside.iterdir()} == names
    assert (aside / "timestamp-000000000001.tsr").read_bytes() == b"tsr"
    assert (aside / "restored-checkpoint").read_text().endswith(line)
    signer(signed, here).sign_if_due()
    # A row alone ends no log, nor does one that another key signed: whoever writes the database has no key.
    other = SignedHarness(tmp_path / "other.db")
    forged = end_of_log(ORIGIN, origin, signers_of(lambda: other.ring)(ORIGIN)[0])
    signed.append(
        {"type": "ledger.accepted", "detail": {"ended_log": ORIGIN, "end": "nonsense"}},
        {"type": "ledger.accepted", "detail": {"ended_log": ORIGIN, "end": forged}},
    )
    (detail,) = signed.told_ends()
    for of_the_table in ("nonsense", "[]", json.dumps({"end": forged})):
        signed.run("UPDATE log_ends SET detail = :detail", detail=of_the_table)
        with pytest.raises(LogDamaged, match="keeps a checkpoint of another log"):
            signer(signed, there).sign()
    if told == "record":
        signed.append({"type": "ledger.accepted", "detail": {"end": ended(signed, ORIGIN, origin)}})
    else:
        signed.run("UPDATE log_ends SET detail = :detail", detail=detail)
    old = there.read_bytes()
    with pytest.raises(LogIsGood, match="which has ended"):
        begin(signed, there, 1_000)
    signed.now_ms += 60_000
    (note,) = signer(signed, there).sign_if_due()
    assert (there.read_text(), read_checkpoint(note)[1].origin) == (note, origin)
    (moved,) = (there.parent / "ended-logs").iterdir()
    assert moved.read_bytes() == old


def test_old_checkpoints_that_cannot_be_put_aside(signed: SignedHarness, tmp_path: Path) -> None:
    """Then the old log has not ended."""
    kept = tmp_path / FILE
    signed.append_many(2)
    signer(signed, kept).sign_if_due()
    signed.run("DELETE FROM log_checkpoints")
    (tmp_path / "ended-logs").touch()
    with pytest.raises((OSError, ConfigError)):
        begin(signed, kept)
    assert kept.exists()
    with pytest.raises(LogDamaged, match="rolled back"):
        signer(signed, kept).sign()


def test_the_command(log: SignedHarness, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """It refuses while the log is good, and prints the key that everybody has to be told."""
    kept = tmp_path / FILE
    signer(log, kept).sign_if_due()
    words = ("ledger", "accept-restore", "--new-log")
    status, printed = run_command(capsys, *words)
    assert (status, "it goes on as it is" in printed) == (1, True), printed
    log.run("DELETE FROM log_checkpoints")
    status, printed = run_command(capsys, "audit", "verify")
    assert (status, printed.startswith("rolled_back: ")) == (1, True), printed
    status, printed = run_command(capsys, *words, "--json")
    assert status == 0, printed
    assert re.search(r'"origin": "otp.example/audit/\d{8}t\d{6}z"', printed)
    # The store takes no event here: an exporter puts it on record later.
    assert [end.following in printed for end in log_ends.unrecorded(log.database)] == [True]
    log.signer.sign()
    kept.write_text(str(SmallLog(3).checkpoint()))
    log.run("DELETE FROM log_ends")
    status, printed = run_command(capsys, "audit", "verify")
    words_of_it = "other_log: a checkpoint of otp.example/audit is kept here"
    assert (status, printed.startswith(words_of_it)) == (1, True), printed
    log.append({"type": "ledger.accepted", "detail": {"end": ended(log, "otp.example/audit", "next")}})
    log.signer.sign()
    status, printed = run_command(capsys, "audit", "verify")
    assert (status, "otp.example/audit, which has ended" in printed) == (0, True), printed
