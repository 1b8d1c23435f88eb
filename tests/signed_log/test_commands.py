"""The commands over a ledger that is there, without a store: what they print, and their exit status."""

import json
import signal
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from otp_service.cli.main import main
from otp_service.runtime.metrics_server import MetricsServer, listen
from otp_service.signed_log.archives import read_archive, write_archives
from otp_service.signed_log.evidence import Gathering, Question, answering, gather
from otp_service.transparency.checkpoints import read_checkpoint
from otp_service.transparency.cosignatures import cosign
from otp_service.transparency.tiles import parse_tile_path, tile_path, width_in
from otp_service.web.http import Reply
from otp_service.web.routes.audit_log import without_a_key

from ..transparency.signing import witness_signer
from .harness import SignedHarness


def run(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str]:
    """Exit status, and what was printed to whoever reads."""
    status = main(words)
    told = capsys.readouterr()
    return status, told.out + told.err


def test_checkpoint_and_verify(log: SignedHarness, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """Before the first signature, after it, and of a log that was changed."""
    status, printed = run(capsys, "audit", "checkpoint")
    assert (status, "no checkpoint was signed yet" in printed) == (1, True)
    log.signer.sign()
    status, printed = run(capsys, "audit", "checkpoint")
    assert (status, printed) == (0, log.reader.checkpoint())
    (tmp_path / "kept").write_text(printed)
    notes = log.notes()
    log.run("DELETE FROM log_checkpoints")
    status, printed = run(capsys, "audit", "verify")
    assert (status, printed.startswith("unsigned: 10 records are here")) == (1, True), printed
    log.run("INSERT INTO log_checkpoints VALUES (1, 10, :note, 1, 0)", note=notes[0])
    status, printed = run(capsys, "audit", "checkpoint", "--key")
    assert (status, printed) == (0, f"{log.first_key}\n")
    told = json.loads(run(capsys, "audit", "checkpoint", "--json")[1])
    assert (told["size"], told["key_fingerprint"], told["unverified_cosignatures"]) == (
        10,
        log.first_key.fingerprint,
        [],
    )
    status, printed = run(capsys, "audit", "verify", "--checkpoint", "kept", "--key", str(log.first_key))
    assert (status, printed) == (0, "10 records are as they were signed, under 1 checkpoints\n")
    log.append_many(1)
    log.run("DELETE FROM records WHERE seq = 3")
    status, printed = run(capsys, "audit", "verify")
    assert (status, printed) == (1, "removed: record 3 was removed\n")
    told = json.loads(run(capsys, "audit", "verify", "--json")[1])
    assert told["finding"] == {"kind": "removed", "seq": 3, "detail": "record 3 was removed"}


def test_what_the_keyring_cannot_open(log: SignedHarness, capsys: pytest.CaptureFixture[str]) -> None:
    """Nothing was compared with it: that is told by the status, unless it is known."""
    log.append({"type": "check.failed", "values": {"mask": "+1", "number_hash": "aa"}})
    log.signer.sign()
    assert run(capsys, "audit", "verify")[0] == 0
    log.run("UPDATE persons SET sealed = 'other:' || sealed")
    for more, expected in (((), 1), (("--unopened",), 0)):
        status, printed = run(capsys, "audit", "verify", *more)
        assert (status, "the personal part of 1 cannot be opened" in printed) == (expected, True), printed


def test_what_cannot_be_read(log: SignedHarness, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """One sentence each."""
    log.signer.sign()
    (tmp_path / "nothing").write_text("nothing")
    for words, sentence in (
        (("verify", "--checkpoint", "nothing"), "cannot be read as a checkpoint"),
        (("verify", "--checkpoint", "missing"), "cannot be read as a checkpoint"),
        (("verify", "--bundle", "nothing"), "is no archive of evidence"),
        (("verify", "--bundle", "missing"), "is no archive of evidence"),
        (("verify", "--bundle", "nothing", "--from-seq", "2"), "--from-seq says nothing with --bundle"),
        (("verify", "--bundle", "nothing", "--unopened"), "--unopened says nothing with --log, --tiles or --bundle"),
        (("verify", "--tsa-ca", "nothing"), "--tsa-ca says nothing without --bundle"),
        (("verify", "--tiles", "nothing", "--open"), "--open says nothing without --bundle"),
        (("evidence", "--verification", "vrf_1", "--out", "a.zip"), "is no id of a verification"),
        (("evidence", "--number", "+12025550143", "--out", "a.tar"), "ends in .zip"),
        (("evidence", "--from", "2026-01-01T00:00:00Z", "--out", "a.zip"), "belong together"),
    ):
        status, printed = run(capsys, "audit", *words)
        assert (status, sentence in printed) == (1, True), printed
    with pytest.raises(SystemExit):
        main(["audit", "verify", "--key", "nothing"])
    assert "verifier key" in capsys.readouterr().err


def test_a_bundle_of_either_kind(log: SignedHarness, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """Zip, tar and directory hold the same files; a key that is not the log's is refused."""
    log.signer.sign()
    seqs = answering(log.database, Question(verification="v1"))
    files = gather(log.database, seqs, None, Gathering(log.keys, None, {}))
    written = write_archives(tmp_path / "e.zip", files)
    assert [read_archive(path) for path in written] == [files, files]
    key = str(log.first_key)
    for path in written:
        words = ("audit", "verify", "--bundle", str(path), "--key", key)
        for more, expected in (((), 1), (("--unstated",), 0)):
            status, printed = run(capsys, *words, *more)
            assert (status, printed.startswith("1 records are proved")) == (expected, True), printed
    told = json.loads(run(capsys, "audit", "verify", "--bundle", "e.zip", "--key", key, "--json")[1])
    assert (told["records"], told["stated"]) == (1, False)
    foreign = str(witness_signer(1).key)
    status, printed = run(capsys, "audit", "verify", "--bundle", "e.zip", "--key", foreign)
    assert (status, printed.startswith("refused: ")) == (1, True)
    assert "refused" in json.loads(run(capsys, "audit", "verify", "--bundle", "e.zip", "--key", foreign, "--json")[1])
    assert "proves nothing" in run(capsys, "audit", "verify", "--bundle", "e.tar.gz")[1]
    printed = run(capsys, "audit", "evidence", "--verification", "vrf_v1", "--webhooks", "--out", "w.zip")[1]
    assert "--webhooks shows whole numbers: it needs --disclose" in printed


def test_check(log: SignedHarness, capsys: pytest.CaptureFixture[str]) -> None:
    """Kept; and not kept."""
    status, printed = run(capsys, "audit", "check")
    assert (status, printed.count("ok")) == (0, 7)
    log.append({"type": "verification.started", "verification": "v2", "n": 1})
    log.append({"type": "verification.approved", "verification": "v2", "n": 2})
    status, printed = run(capsys, "audit", "check", "--from", "2026-01-01T00:00:00Z")
    assert (status, "FAIL  no approval without a code sent: 1 times not" in printed) == (1, True), printed
    told = json.loads(run(capsys, "audit", "check", "--json")[1])
    assert told["breaches"][0]["seq"] == 12


def shown(log: SignedHarness, path: str) -> Reply | None:
    """What the API shows, with the records of all apps."""
    kind, _, tile = path.rpartition("tile/entries/")
    place = parse_tile_path(tile) if kind else None
    if place is None:
        return without_a_key(lambda: log.reader, path)
    raw = log.reader.entries(*place)
    return Reply(200, {"Content-Type": "application/octet-stream"}, raw) if raw else None


@pytest.fixture
def served(log: SignedHarness) -> Iterator[str]:
    """The log over HTTP."""
    with MetricsServer(listen("127.0.0.1", 0), lambda: b"", partial(shown, log)) as server:
        server.start()
        yield f"http://127.0.0.1:{server.socket.getsockname()[1]}"
        server.shutdown()


@pytest.fixture
def _signals() -> Iterator[None]:
    """What signals do is as it was before, when the command has ended."""
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.usefixtures("_signals")
def test_a_witness_over_http(log: SignedHarness, served: str, capsys: pytest.CaptureFixture[str]) -> None:
    """It cosigns what continues, tells what does not, and says whose key it believes."""
    words = ("witness", "run", "--log", served, "--key", "w.key", "--name", "w.example", "--once")
    log.signer.sign()
    status, printed = run(capsys, *words)
    assert (status, "cosigned 10 records; the log did not take the cosignature" in printed) == (0, True), printed
    assert log.first_key.fingerprint in printed
    log.append_many(300)
    log.signer.sign()
    status, printed = run(capsys, *words, "--log-key", str(log.first_key))
    assert (status, "cosigned 310 records" in printed) == (0, True), printed
    log.run("DELETE FROM log_checkpoints WHERE size = 310")
    status, printed = run(capsys, *words)
    assert (status, "NOT COSIGNED (409)" in printed) == (1, True), printed
    with pytest.raises(SystemExit, match="2"):
        run(capsys, *words[:3], "ftp://nowhere", *words[4:])
    assert "'ftp://nowhere' is not an http or https URL" in capsys.readouterr().err
    status, printed = run(capsys, *words[:3], "http://127.0.0.1:1", *words[4:])
    assert (status, "does not answer" in printed) == (1, True), printed


def mirror(log: SignedHarness, directory: Path) -> None:
    """Copy what is published, as any program that copies files does."""
    names = ["checkpoint", "keys"]
    for level in (0, 1):
        for number in range(log.size // 256 + 1):
            width = width_in(log.size, level, number)
            names += [f"tile/{kind}/{tile_path(number, width)}" for kind in (level, "entries")[: 2 - level] if width]
    for name in names:
        (directory / name).parent.mkdir(parents=True, exist_ok=True)
        page = shown(log, f"/audit/log/{name}")
        assert page is not None, name
        (directory / name).write_bytes(page.body)


def test_a_log_that_is_published(
    log: SignedHarness, served: str, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """Over HTTP and from a copy of its files, whole or a range; what was done to it is named, and no database read."""
    log.append_many(590)
    log.signer.sign()
    kept = tmp_path / "kept"
    kept.write_text(log.reader.checkpoint() or "")
    log.rotate()
    log.append_many(10)
    log.signer.sign()
    witness, (note, checkpoint) = witness_signer(5), read_checkpoint(log.reader.checkpoint() or "")
    line = cosign(checkpoint.text, witness, 1_800_000_000)
    log.reader.take_cosignature(str(witness.key), str(note.with_signature(line)), log.now_ms)
    mirror(log, tmp_path / "copy")
    key = ("--key", str(log.first_key))
    for where in (("--log", served), ("--tiles", "copy")):
        words = ("audit", "verify", *where)
        status, printed = run(capsys, *words, *key, "--checkpoint", "kept")
        expected = "the records 1 to 610 are as they were signed, under a checkpoint of 610 by otp.example/audit\n"
        assert (status, printed) == (0, expected), printed
        told = json.loads(run(capsys, *words, *key, "--from-seq", "300", "--to-seq", "310", "--json")[1])
        assert (told["first"], told["last"], told["signed"], told["finding"]) == (300, 310, 610, None)
        status, printed = run(capsys, *words)
        assert (status, log.first_key.fingerprint in printed, "proves nothing" in printed) == (0, True, True)
        status, printed = run(capsys, *words, *key, "--witness", str(witness.key))
        assert (status, "; cosigned by witness.example\n" in printed) == (0, True), printed
        status, printed = run(capsys, *words, *key, "--witness", str(witness_signer(6).key))
        assert (status, "there is no cosignature of witness.example" in printed) == (1, True), printed
        status, printed = run(capsys, *words, *key, "--to-seq", "611")
        assert (status, "not those from 1 to 611" in printed) == (1, True)
        status, printed = run(capsys, *words, "--key", str(witness_signer(1).key))
        assert (status, printed.startswith("foreign_signature: ")) == (1, True)
    log.run("UPDATE records SET leaf = CAST(replace(leaf, 'scope', 'scopf') AS BLOB) WHERE seq = 400")
    status, printed = run(capsys, "audit", "verify", "--log", served, *key)
    assert (status, printed) == (1, "edited: record 400 was edited\n")
    assert run(capsys, "audit", "verify", "--log", served, *key, "--from-seq", "401")[0] == 0
    (tmp_path / "copy/tile/entries/001").write_bytes(b"")
    status, printed = run(capsys, "audit", "verify", "--tiles", "copy", *key)
    assert (status, printed) == (1, "removed: record 257 was removed, with 255 after it\n")
    for name, raw in (("keys", b"[]"), ("keys", b'{"first_key":1,"rotations":[]}'), ("checkpoint", b"\xff")):
        (tmp_path / "copy" / name).write_bytes(raw)
        status, printed = run(capsys, "audit", "verify", "--tiles", "copy")
        assert (status, "says" in printed or "is no text" in printed) == (1, True), printed
    status, printed = run(capsys, "audit", "verify", "--tiles", "nowhere")
    assert (status, "the log has no checkpoint" in printed) == (1, True)
    status, printed = run(capsys, "audit", "verify", "--log", "http://127.0.0.1:1")
    assert (status, "does not answer" in printed) == (1, True)


def test_a_range_of_the_ledger(log: SignedHarness, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """Only what was asked for is read; what stands beside those records is judged too."""
    log.append_many(600)
    log.signer.sign()
    words = ("audit", "verify", "--from-seq", "300", "--to-seq", "310")
    status, printed = run(capsys, *words)
    expected = "the records 300 to 310 are as they were signed, under a checkpoint of 610\n"
    assert (status, printed) == (0, expected)
    log.run("UPDATE records SET app = 'other' WHERE seq = 311")
    assert run(capsys, *words)[0] == 0
    log.run("UPDATE records SET app = 'other' WHERE seq = 305")
    status, printed = run(capsys, *words)
    assert (status, printed) == (1, "edited: record 305 was edited: the column app is not what was signed\n")
    log.run("DELETE FROM records WHERE seq = 301")
    assert run(capsys, *words)[1] == "removed: record 301 was removed\n"
    log.run("UPDATE log_tiles SET hashes = CAST(zeroblob(8192) AS BLOB) WHERE level = 0 AND number = 1")
    assert run(capsys, *words)[1].startswith("edited: at record 300: the tile 1 of level 0")
    status, printed = run(capsys, *words[:4], "--to-seq", "2")
    assert (status, "not those from 300 to 2" in printed) == (1, True)
    other = SignedHarness(tmp_path / "other.db")
    other.origin = "other.example/audit"
    other.signer.sign()
    (tmp_path / "kept").write_text(other.reader.checkpoint() or "")
    other.database.close()
    status, printed = run(capsys, "audit", "verify", "--checkpoint", "kept")
    assert (status, "is of another log: other.example/audit" in printed) == (1, True)
