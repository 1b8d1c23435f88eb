"""Evidence bundles: what was left out or changed is named, by our verifier and by the bundle's own script."""

import json
import random
import shutil
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import pytest

from otp_service.signed_log.evidence import Gathering, NoEvidence, Question, answering, gather, stated
from otp_service.signed_log.timeline import timeline_text
from otp_service.transparency import bundles
from otp_service.transparency.checkpoints import read_checkpoint
from otp_service.transparency.cosignatures import cosign
from otp_service.transparency.notes import NoteError, SignatureLine
from tests.conftest import needs_program

from ..transparency.signing import witness_signer
from .harness import BEGAN_MS, SignedHarness
from .verify_script import AWKS, SHELLS, programs_in, run

PERSON = {"mask": "+1******0143", "number_hash": "aa"}


def events(verification: str) -> list[dict[str, object]]:
    """A login, told by three events."""
    kinds = ("verification.started", "check.failed", "verification.approved")
    detail = {"title": 'a "quoted" \\ title, {odd: [n":1]}', "n": 99, "seq": 7}
    return [
        {"type": kind, "app": "default", "verification": verification, "n": n, "values": PERSON, "detail": detail}
        for n, kind in enumerate(kinds, 1)
    ]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> SignedHarness:
    """Two logins in between 60 other records, before and behind a change of keys."""
    signed = SignedHarness(tmp_path_factory.mktemp("made") / "ledger.db")
    mixed = [one for pair in zip(events("v1"), events("v2"), strict=True) for one in pair]
    signed.append_many(50)
    signed.append(*mixed[:4])
    signed.signer.sign()
    signed.rotate()
    signed.append(*mixed[4:])
    signed.append_many(10)
    signed.signer.sign()
    signed.database.close()
    return signed


@pytest.fixture
def log(made: SignedHarness, tmp_path: Path) -> Iterator[SignedHarness]:
    """A copy of it for each test."""
    copied = SignedHarness.copy(made, tmp_path / "ledger.db")
    yield copied
    copied.database.close()


def bundle(log: SignedHarness, question: Question, *, state: bool = True) -> dict[str, bytes]:
    """The files, with a statement in the log, disclosures and the keys of receipts."""
    seqs = answering(log.database, question)
    statement = None
    if state:
        detail = {"records": bundles.ranges_of(seqs), "token": "t", "question": question.sentence}
        values = {"mask": question.mask, "number_hash": question.number_hash} if question.number_hash else {}
        log.append({"type": bundles.STATED, "detail": detail, "values": values})
        log.signer.sign()
        statement = stated(log.database, "t")
    also = {"jwks.json": json.dumps(log.ring.jwks()).encode()}
    return gather(log.database, seqs, statement, Gathering(log.keys, log.ring.open, also))


@pytest.fixture
def login(log: SignedHarness) -> dict[str, bytes]:
    """The evidence of one login."""
    return bundle(log, Question(verification="v1"))


def without(files: Mapping[str, bytes], *names: str) -> dict[str, bytes]:
    """The same with some files left out, and sums that say so."""
    kept = {name: raw for name, raw in files.items() if name not in (*names, bundles.SUMS)}
    return {**kept, bundles.SUMS: bundles.sums_of(kept)}


def with_lines(files: dict[str, bytes], *lines: SignatureLine) -> dict[str, bytes]:
    """The same under a checkpoint with further lines."""
    old = files[bundles.CHECKPOINT]
    new = str(read_checkpoint(old)[0].with_signature(*lines)).encode()
    return without({name: raw.replace(old, new) for name, raw in files.items()})


def seqs_of(files: Mapping[str, bytes]) -> list[int]:
    """The numbers of its records."""
    names = [name for name in files if name.startswith(bundles.RECORDS) and name.endswith(bundles.LEAF)]
    return [int(name.removeprefix(bundles.RECORDS).removesuffix(bundles.LEAF)) for name in names]


def test_a_login_is_proved(log: SignedHarness, login: dict[str, bytes], tmp_path: Path) -> None:
    """By both verifiers: whose key, how many records, what is disclosed, and that none is missing."""
    report = bundles.verify_bundle(login, log.first_key)
    assert (report.records, report.disclosed, report.stated, report.size) == (3, 3, True, log.size)
    assert bundles.verify_bundle(login, log.keys.newest).records == 3
    status, printed = run(tmp_path / "bundle", login, "--key", str(log.first_key))
    assert status == 0, printed
    assert printed.startswith("VERIFIED: 3 records of otp.example/audit")
    assert "question: verification vrf_v1\n" in printed
    assert report.question == "verification vrf_v1"
    assert "compare it" not in printed
    status, printed = run(tmp_path / "bundle", login, "--key", str(log.keys.newest))
    assert status == 0, printed
    status, printed = run(tmp_path / "bundle", login)
    assert status == 0
    assert log.first_key.fingerprint in printed
    assert "compare it" in printed
    status, printed = run(tmp_path / "bundle", login, "--key", str(witness_signer(3).key))
    assert status == 1, printed


def test_any_shell_and_any_awk_verifies(log: SignedHarness, login: dict[str, bytes], tmp_path: Path) -> None:
    """Those of this machine: a good bundle is good, and its cosignature; one without a record is not."""
    witness = witness_signer(5)
    line = cosign(read_checkpoint(login[bundles.CHECKPOINT])[1].text, witness, 1_800_000_000)
    cosigned, options = with_lines(login, line), ("--key", str(log.first_key), "--witness", str(witness.key))
    record = bundles.record_name(seqs_of(login)[1])
    less = without(login, *(record + kind for kind in (".leaf", ".tlog-proof", ".person", ".salt")))
    for shell, awk in [
        *((shell, "awk") for shell in others("sh", SHELLS)),
        *(("sh", awk) for awk in others("awk", AWKS)),
    ]:
        place = f"{shell} and {awk}"
        status, printed = run(tmp_path / place, cosigned, *options, shell=shell, awk=awk)
        assert (status, printed.startswith("VERIFIED: 3 records")) == (0, True), (place, printed)
        assert "cosigned: by witness.example" in printed
        status, printed = run(tmp_path / f"{place}, less", less, shell=shell, awk=awk)
        assert (status, f"record {int(record[-9:])} was left out" in printed) == (1, True), (place, printed)


def others(usual: str, known: Sequence[str]) -> list[str]:
    """Those of the known programs that this machine has beside its usual one, which the other tests use."""
    found = {one: path for one in known if (path := shutil.which(one.split()[0]))}
    return [one for one, path in found.items() if Path(path).resolve() != Path(needs_program(usual)).resolve()]


def test_an_old_openssl_is_told(login: dict[str, bytes], tmp_path: Path) -> None:
    """Before 3.0 its command could not verify Ed25519: it is not the bundle that is bad."""
    programs = programs_in(tmp_path / "old-programs", "awk")
    (programs / "openssl").unlink()
    (programs / "openssl").write_text(f'#!{needs_program("sh")}\n[ "$1" != version ] || echo "OpenSSL 1.1.1w"\n')
    (programs / "openssl").chmod(0o755)
    status, printed = run(tmp_path / "old", login)
    assert (status, "needs OpenSSL 3.0 or later" in printed, "OpenSSL 1.1.1w" in printed) == (2, True, True), printed


def test_what_people_read(login: dict[str, bytes]) -> None:
    """A line for each record; what records hold is text on the page."""
    text = login["timeline.txt"].decode()
    assert text.count("\n") == 3
    assert "verification.approved" in text
    page = login["timeline.html"].decode()
    assert page.count("<tr>") == 4
    assert "&quot;quoted&quot;" in page
    assert "<script" not in page


def test_a_cosigned_checkpoint_is_preferred(log: SignedHarness) -> None:
    """What a witness has seen convinces more than what is newest."""
    raw = log.reader.checkpoint() or ""
    note, checkpoint = read_checkpoint(raw)
    witness = witness_signer(5)
    line = cosign(checkpoint.text, witness, 1_800_000_000)
    log.reader.take_cosignature(str(witness.key), str(note.with_signature(line)), log.now_ms)
    log.append_many(5)
    log.signer.sign()
    files = bundle(log, Question(verification="v2"), state=False)
    report = bundles.verify_bundle(files, log.first_key, witnesses=[witness.key])
    assert (report.size, report.cosigned_by, report.stated) == (checkpoint.size, ("witness.example",), False)


def test_what_was_asked_is_told(log: SignedHarness, tmp_path: Path) -> None:
    """The answer to one question passes as that to no other; which number it was can be erased."""
    asked = Question(number_hash="aa", mask="+1******0143")
    files = bundle(log, asked)
    person = '{"mask":"+1******0143","number_hash":"aa"}'
    assert bundles.verify_bundle(files).question == f"number {person}"
    status, printed = run(tmp_path / "number", files)
    assert (status, f"question: number {person}\n" in printed) == (0, True), printed
    hidden = without(files, "statement.person", "statement.salt")
    assert bundles.verify_bundle(hidden).question == "number"
    status, printed = run(tmp_path / "hidden", hidden)
    assert (status, "question: number\n" in printed) == (0, True), printed
    forged = without({**files, "statement.person": person.replace("aa", "bb").encode()})
    with pytest.raises(bundles.BundleRefused, match="not what the record commits to"):
        bundles.verify_bundle(forged)
    status, printed = run(tmp_path / "forged", forged)
    assert (status, "not what the record commits to" in printed) == (1, True), printed
    period = Question(since_ms=BEGAN_MS, until_ms=BEGAN_MS + 1)
    assert period.sentence == "from 2026-09-21T14:13:20.000Z to 2026-09-21T14:13:20.001Z"


def test_without_a_statement_it_is_no_answer(log: SignedHarness, tmp_path: Path) -> None:
    """Also where the statement does not say what was asked. Whoever wants the records alone says so."""
    files = bundle(log, Question(verification="v1"), state=False)
    assert bundles.verify_bundle(files).question is None
    status, printed = run(tmp_path / "one", files)
    assert (status, "UNSTATED" in printed) == (1, True), printed
    status, printed = run(tmp_path / "one", files, "--unstated", "--key", str(log.first_key))
    assert (status, "does not say what was asked" in printed) == (0, True), printed
    log.append({"type": bundles.STATED, "detail": {"records": bundles.ranges_of(seqs_of(files)), "token": "u"}})
    log.signer.sign()
    also = Gathering(log.keys, None, {})
    unnamed = gather(log.database, seqs_of(files), stated(log.database, "u"), also)
    with pytest.raises(bundles.BundleRefused, match="does not say what was asked"):
        bundles.verify_bundle(unnamed)
    status, printed = run(tmp_path / "two", unnamed)
    assert (status, "does not say what was asked" in printed) == (1, True), printed


def test_no_line_of_the_timeline_is_forged() -> None:
    """What ends a line, or turns its direction, is told by its number."""
    leaf = {"seq": 1, "at": "t", "type": "x", "app": None, "delivery_id": None, "verification_id": None}
    text = timeline_text([{**leaf, "detail": {"reason": "a\n2  forged\x1b[2K\u2028\u202e\x85"}}])
    assert text == "1  t  x  -  -  -  reason=a\\n2  forged\\x1b[2K\\u2028\\u202e\\x85\n"


def test_a_thousand_omissions_are_named(log: SignedHarness) -> None:
    """One record left out of a bundle, whichever: the log says that it belongs there."""
    files = bundle(log, Question(since_ms=0, until_ms=BEGAN_MS + 1))
    seqs = seqs_of(files)
    assert len(seqs) == 66
    leaves = [{**json.loads(files[bundles.record_name(seq) + bundles.LEAF]), "name": ""} for seq in seqs]
    statement = json.loads(files[bundles.STATEMENT + bundles.LEAF])
    chance = random.Random(7)
    for _ in range(1000):
        left_out = chance.choice(seqs)
        kept = [leaf for leaf in leaves if leaf["seq"] != left_out]
        with pytest.raises(bundles.BundleRefused, match=rf"^record {left_out} was left out"):
            bundles.require_complete(kept, statement)


def test_a_thousand_bundles_with_an_omission_are_refused(log: SignedHarness, login: dict[str, bytes]) -> None:
    """As they are handed over, with sums that say nothing of it: each names what was left out."""
    chance, seqs = random.Random(17), seqs_of(login)
    for _ in range(1000):
        left_out = chance.choice(seqs)
        name = bundles.record_name(left_out)
        less = without(login, *(name + kind for kind in (".leaf", ".tlog-proof", ".person", ".salt")))
        with pytest.raises(bundles.BundleRefused, match=rf"^record {left_out} was left out"):
            bundles.verify_bundle(less, log.first_key)


def test_omissions_by_the_script(login: dict[str, bytes], log: SignedHarness, tmp_path: Path) -> None:
    """Named with the statement, and within a verification without it. What does not belong there is named too."""
    second = bundles.record_name(seqs_of(login)[1])
    files = without(login, *(second + kind for kind in (".leaf", ".tlog-proof", ".person", ".salt")))
    status, printed = run(tmp_path / "one", files)
    assert (status, f"record {int(second[-9:])} was left out" in printed) == (1, True), printed
    unstated = without(files, "statement.leaf", "statement.tlog-proof")
    status, printed = run(tmp_path / "two", unstated)
    assert (status, "event 2 of vrf_v1 was left out" in printed) == (1, True), printed
    with pytest.raises(bundles.BundleRefused, match="event 2 of vrf_v1 was left out"):
        bundles.verify_bundle(unstated)
    other = bundle(log, Question(verification="v2"), state=False)
    extra = {name: raw for name, raw in other.items() if name.startswith(bundles.RECORDS)}
    mixed = without({**login, **{name: raw for name, raw in extra.items() if name.endswith((".leaf", ".tlog-proof"))}})
    with pytest.raises(bundles.BundleRefused, match="not of those"):
        bundles.verify_bundle(mixed)
    status, printed = run(tmp_path / "three", mixed)
    assert (status, "not of those" in printed) == (1, True), printed


PROVEN = (".leaf", ".tlog-proof", ".person", ".salt", "checkpoint", "log.vkey", "rotations/001")


def test_one_changed_byte_is_refused(login: dict[str, bytes], log: SignedHarness) -> None:
    """In every file with the sums as they were; in every proven file with sums that were computed anew."""
    chance = random.Random(11)
    for name, raw in login.items():
        for at in {0, len(raw) - 1, *(chance.randrange(len(raw)) for _ in range(12))}:
            changed = bytearray(raw)
            changed[at] ^= 1 << chance.randrange(8)
            files = {**login, name: bytes(changed)}
            with pytest.raises(NoteError):
                bundles.verify_bundle(files, log.first_key)
            if name.endswith(PROVEN):
                with pytest.raises(NoteError):
                    bundles.verify_bundle(without(files), log.first_key)


def test_one_changed_byte_is_refused_by_the_script(login: dict[str, bytes], tmp_path: Path, log: SignedHarness) -> None:
    """A few of each kind, with sums that were computed anew."""
    chance = random.Random(13)
    record = bundles.record_name(seqs_of(login)[0])
    names = [f"{record}{kind}" for kind in (".leaf", ".tlog-proof", ".salt", ".person")]
    for number, name in enumerate((*names, "checkpoint", "log.vkey")):
        changed = bytearray(login[name])
        changed[chance.randrange(len(changed))] ^= 1
        files = without({**login, name: bytes(changed)})
        status, printed = run(tmp_path / str(number), files, "--key", str(log.first_key))
        assert (status, "REFUSED" in printed) == (1, True), f"{name}: {printed}"
    status, printed = run(tmp_path / "sums", {**login, "timeline.txt": b"nothing happened"})
    assert (status, "SHA256SUMS" in printed) == (1, True), printed


def test_questions(log: SignedHarness) -> None:
    """By number, by time; nothing; what is not signed yet."""
    assert len(answering(log.database, Question(number_hash="aa"))) == 6
    assert len(answering(log.database, Question(since_ms=BEGAN_MS, until_ms=BEGAN_MS + 1))) == log.size
    with pytest.raises(NoEvidence):
        answering(log.database, Question(verification="v9"))
    log.append({"type": "verification.started", "verification": "v9", "n": 1})
    with pytest.raises(NoEvidence, match="no checkpoint"):
        bundle(log, Question(verification="v9"), state=False)


def test_what_was_erased_is_not_disclosed(log: SignedHarness) -> None:
    """The record is proved all the same."""
    log.run("DELETE FROM persons")
    report = bundles.verify_bundle(bundle(log, Question(verification="v1")))
    assert (report.records, report.disclosed) == (3, 0)
