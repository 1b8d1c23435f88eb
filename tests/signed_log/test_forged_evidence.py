"""Evidence that says more than it shows: both verifiers name what nobody vouches for, and refuse what does not fit."""

import gzip
import io
import json
import tarfile
import zipfile
from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path

import pytest

from otp_service.bootstrap.evidence import STATED_TIMES, Answer, Evidence
from otp_service.bootstrap.signed_log import own_log
from otp_service.cli.main import main
from otp_service.cli.settings import load_settings
from otp_service.clock import clock_ms, rfc3339
from otp_service.domain.audit import EventType
from otp_service.signed_log.archives import NoArchive, own_script, read_archive, write_archives
from otp_service.signed_log.evidence import Gathering, NoEvidence, Question, answering, gather, stated
from otp_service.signed_log.ledger_rows import leaves_in
from otp_service.signed_log.signers import signers_of
from otp_service.transparency import bundles
from otp_service.transparency.checkpoints import Checkpoint, read_checkpoint, sign_checkpoint
from otp_service.transparency.cosignatures import cosign
from otp_service.transparency.notes import NoteError, SignatureLine
from tests.conftest import needs_program

from ..transparency.signing import witness_signer
from .harness import BEGAN_MS, ORIGIN, SignedHarness
from .test_evidence import with_lines, without
from .test_missing_ends import cut
from .verify_script import programs_in, run, unpack

GUIDE = Path(__file__).parents[2] / "deploy/docs/audit.md"


def answer(log: SignedHarness, question: Question, asked_ms: int = BEGAN_MS + 1) -> dict[str, bytes]:
    """The files, with a statement of this time in the log."""
    seqs, token = answering(log.database, question), f"t{log.size}"
    detail = {"records": bundles.ranges_of(seqs), "token": token, "question": question.sentence}
    log.append({"type": bundles.STATED, "detail": detail, "at_ms": asked_ms})
    log.signer.sign()
    return gather(log.database, seqs, stated(log.database, token), Gathering(log.keys, None, {}))


def test_when_it_was_asked(log: SignedHarness, tmp_path: Path) -> None:
    """Both say when, and as which record. What was asked about a time that had not passed is no answer."""
    period = Question(since_ms=0, until_ms=BEGAN_MS + 1)
    for question in (Question(verification="v1"), period):
        files = answer(log, question)
        report = bundles.verify_bundle(files)
        assert report.asked == (rfc3339(BEGAN_MS + 1), log.size)
        status, printed = run(tmp_path / str(log.size), files)
        assert (status, f"asked: {rfc3339(BEGAN_MS + 1)}, record {log.size}:" in printed) == (0, True), printed
    early = answer(log, period, BEGAN_MS)
    with pytest.raises(bundles.BundleRefused, match="which had not passed"):
        bundles.verify_bundle(early)
    status, printed = run(tmp_path / "early", early)
    assert (status, "which had not passed" in printed) == (1, True), printed


class Late(Evidence):
    """Evidence of a ledger in which, behind the search, records arrive before the statement: `late` times one."""

    log: SignedHarness
    late = 0

    def _record(self, kind: EventType, detail: Mapping[str, str], question: Question) -> None:
        if self.late:
            self.late -= 1
            self.log.append({"type": "check.failed", "verification": question.verification, "n": self.log.size})
        self.log.append({"type": kind.value, "detail": dict(detail)})


def test_what_it_shows_of_persons_is_on_record(log: SignedHarness) -> None:
    """Also where there are too many records for a statement, and so no record says which ones answer."""
    question = Question(verification="v1")
    with own_log(load_settings()) as own:
        evidence = Late(load_settings(), own)
        evidence.log = log
        details = []
        for disclose, webhooks in ((False, False), (True, False), (True, True)):
            files, fault = evidence.make(question, lambda _done, _total: None, disclose=disclose, webhooks=webhooks)
            assert fault is None
            details.append(json.loads(files["statement.leaf"])["detail"])
        assert [detail.get("disclosed") for detail in details] == [None, "persons", "persons webhooks"]
        many = Answer(list(range(1, 30_000, 2)), 30_000, {})
        assert evidence._state(question, many, ["persons"]) == (None, "there are too many records for one statement")
    with log.database.reading() as connection:
        (raw,) = leaves_in(connection, log.size, log.size)
    leaf = json.loads(raw)
    asked = {"command": "audit evidence", "question": "verification vrf_v1", "disclosed": "persons"}
    assert (leaf["type"], leaf["detail"]) == ("audit.read", asked)


def test_what_arrives_late_belongs_to_the_answer(log: SignedHarness) -> None:
    """It is stated again; if more arrives each time, nothing is stated. The end of a time has to have passed."""
    question = Question(verification="v1")
    settings = load_settings()
    with own_log(settings) as own:
        evidence = Late(settings, own)
        evidence.log, evidence.late = log, 1
        files, fault = evidence.make(question, lambda _done, _total: None, disclose=False)
        assert fault is None
        assert {"records/000000001.leaf", "records/000000011.leaf"} <= files.keys()
        assert b'"records":"1,11"' in files["statement.leaf"]
        evidence.late = STATED_TIMES
        _, fault = evidence.make(question, lambda _done, _total: None, disclose=False)
        assert "still arrive" in (fault or "")
        with pytest.raises(NoEvidence, match="has not passed"):
            evidence.make(Question(until_ms=clock_ms() + 3_600_000), lambda _done, _total: None, disclose=False)


def test_only_a_key_shows_who_cosigned(log: SignedHarness, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A line that anybody made up is called unverified; a witness whose key is given has to have cosigned."""
    plain = answer(log, Question(verification="v1"))
    text, witness = read_checkpoint(plain[bundles.CHECKPOINT])[1].text, witness_signer(5)
    line, made_up = cosign(text, witness, 1_800_000_000), SignatureLine("nobody.example", b"1234", bytes(72))
    files = with_lines(plain, line, made_up)
    report = bundles.verify_bundle(files)
    assert (report.cosigned_by, report.unverified) == ((), ("nobody.example", "witness.example"))
    report = bundles.verify_bundle(files, witnesses=[witness.key])
    assert (report.cosigned_by, report.unverified) == (("witness.example",), ("nobody.example",))
    said = "cosigned: by witness.example\ncosignatures: unverified names: nobody.example (verify"
    status, printed = run(tmp_path / "good", files, "--witness", str(witness.key))
    assert (status, said in printed) == (0, True), printed
    zipped, _ = write_archives(tmp_path / "e.zip", files)
    words = ["audit", "verify", "--bundle", str(zipped)]
    assert (main(words), "unverified names: nobody.example, witness" in capsys.readouterr().err) == (0, True)
    assert (main([*words, "--witness", str(witness.key)]), "cosigned by witness" in capsys.readouterr().out) == (
        0,
        True,
    )
    wrong = SignatureLine(line.name, line.key_id, bytes(7) + b"\1" + bytes(64))
    for number, (lines, demanded, sentence) in enumerate(
        (
            ([line], witness_signer(6), "there is no cosignature of witness.example"),
            ([line, wrong], witness, "a cosignature of witness.example is not good"),
        )
    ):
        forged = with_lines(plain, *lines)
        with pytest.raises(NoteError, match=sentence):
            bundles.verify_bundle(forged, witnesses=[demanded.key])
        status, printed = run(tmp_path / str(number), forged, "--witness", str(demanded.key))
        assert (status, sentence in printed) == (1, True), printed


def zipped(path: Path, *names: str) -> bytes:
    """A zip file with these names."""
    with zipfile.ZipFile(path, "w") as archive:
        for name in names:
            archive.writestr(name, name)
    return path.read_bytes()


def tarred(*names: str, kind: bytes = tarfile.REGTYPE) -> bytes:
    """A tar file with these names, packed."""
    raw = io.BytesIO()
    with tarfile.open(fileobj=raw, mode="w:gz") as archive:
        for name in names:
            entry = tarfile.TarInfo(name)
            entry.type, entry.linkname = kind, "elsewhere"
            archive.addfile(entry, io.BytesIO())
    return raw.getvalue()


def test_an_archive_has_one_meaning(tmp_path: Path) -> None:
    """What other programs would unpack to other files than ours is refused."""
    other = zipped(tmp_path / "other.zip", "evidence/records/1.leaf")
    with pytest.warns(UserWarning, match="Duplicate name"):
        twice = zipped(tmp_path / "twice.zip", "evidence/a", "evidence/a")
    good = tarred("evidence/a")
    for raw in (
        zipped(tmp_path / "mixed.zip", "evidence/records/1.leaf", "records/1.leaf"),
        twice,
        zipped(tmp_path / "dots.zip", "evidence/a", "evidence/./a"),
        good + other,
        good + good,
        gzip.compress(gzip.decompress(good) + b"more"),
        tarred("evidence/a", "evidence/a"),
        tarred("evidence/a", "a"),
        tarred("evidence/a", kind=tarfile.SYMTYPE),
        b"#!/bin/sh\n" + other,
        good[:-12],
    ):
        (tmp_path / "archive").write_bytes(raw)
        with pytest.raises(NoArchive):
            read_archive(tmp_path / "archive")
    for raw in (other, tarred("evidence/records/1.leaf"), gzip.decompress(tarred("records/1.leaf"))):
        (tmp_path / "archive").write_bytes(raw)
        assert read_archive(tmp_path / "archive").keys() == {"records/1.leaf"}


def test_our_own_script(log: SignedHarness, tmp_path: Path, capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    """It is printed, the guide has its digest, it verifies a bundle that is elsewhere, and another one is told."""
    assert main(["audit", "verify", "--script"]) == 0
    assert capfdbinary.readouterr().out == own_script()
    assert f"`{sha256(own_script()).hexdigest()}`" in GUIDE.read_text()
    files = answer(log, Question(verification="v1"))
    forged = without({**files, bundles.SCRIPT: b"echo VERIFIED"})
    zipped, _ = write_archives(tmp_path / "e.zip", files)
    assert (main(["audit", "verify", "--bundle", str(zipped)]), b"--script" in capfdbinary.readouterr().err) == (
        0,
        False,
    )
    zipped, _ = write_archives(tmp_path / "f.zip", forged)
    assert (main(["audit", "verify", "--bundle", str(zipped)]), b"--script" in capfdbinary.readouterr().err) == (
        0,
        True,
    )
    unpack(tmp_path / "forged", forged)
    status, printed = run(tmp_path / "own", {"verify.sh": own_script()}, "--bundle", str(tmp_path / "forged"))
    assert (status, printed.startswith("VERIFIED: 1 records")) == (0, True), printed


def test_an_awk_that_fails_is_no_answer(signed: SignedHarness, tmp_path: Path) -> None:
    """For the program that finds what was left out, for the one that finds missing ends, and for all of them."""
    unended = cut(signed, BEGAN_MS + 900_000)
    less = without(unended, *(name for name in unended if name.startswith("records/000000002")))
    for number, (files, program, ends) in enumerate(
        (
            (less, "was left out", "exit 1"),
            (less, "was left out", "exit 0"),
            (unended, "function seconds", "exit 1"),
            (unended, "function seconds", "exit 0"),
            (less, "", "exit 0"),
        )
    ):
        programs = programs_in(tmp_path / f"{number}-programs", "awk")
        (programs / "awk").unlink()
        script = f'case "$*" in *"{program}"*) {ends} ;; esac\nexec {needs_program("awk")} "$@"\n'
        (programs / "awk").write_text(f"#!{needs_program('sh')}\n{script}")
        (programs / "awk").chmod(0o755)
        status, printed = run(tmp_path / str(number), files)
        expected = (1, "REFUSED: ") if program else (2, "does not work here")
        assert (status, expected[1] in printed, "VERIFIED" in printed) == (expected[0], True, False), printed


def test_a_key_before_its_time_is_refused(log: SignedHarness, tmp_path: Path) -> None:
    """A change of keys at a greater size than the checkpoint that the next key signed."""
    ring = log.ring
    old = signers_of(lambda: ring)(ORIGIN)[0]
    log.signer.sign()
    log.rotate()
    files = answer(log, Question(verification="v1"))
    change = Checkpoint(ORIGIN, 1000, bytes(32), (f"next-key {log.keys.newest}",))
    forged = without({**files, "rotations/001": str(sign_checkpoint(change, old)).encode()})
    for key in (log.first_key, log.keys.newest):
        assert bundles.verify_bundle(files, key).records == 1
        with pytest.raises(NoteError, match="by a key before its time"):
            bundles.verify_bundle(forged, key)
        status, printed = run(tmp_path / key.key_id.hex(), forged, "--key", str(key))
        assert (status, "by a key before its time" in printed) == (1, True), printed


def test_strays_among_the_records_are_refused(log: SignedHarness, tmp_path: Path) -> None:
    """What belongs to no record is not evidence."""
    files = answer(log, Question(verification="v1"))
    for number, name in enumerate(("records/000000001.note", "records/000000009.person")):
        with pytest.raises(bundles.BundleRefused, match=f"^{name} belongs to no record"):
            bundles.verify_bundle(without({**files, name: b"x"}))
        status, printed = run(tmp_path / str(number), without({**files, name: b"x"}))
        assert (status, f"{name} belongs to no record" in printed) == (1, True), printed
