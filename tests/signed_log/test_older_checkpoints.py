"""A bundle with a timestamp: both verifiers say since when the records were there, and refuse what does not fit."""

import re
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest
from sqlalchemy import insert

from otp_service.cli.main import main
from otp_service.receivers.outgoing import Outgoing
from otp_service.signed_log.archives import write_archives
from otp_service.signed_log.evidence import Gathering, NoEvidence, Question, answering, gather
from otp_service.signed_log.log_store import LogStore, SignedCheckpoint
from otp_service.signed_log.tables import TIMESTAMPS
from otp_service.signed_log.timestamps import ToTimestamping
from otp_service.transparency import bundles
from otp_service.transparency.bundled_older import KEPT, KEPT_PATH, RESPONSE, STAMPED, STAMPED_PATH
from otp_service.transparency.checkpoints import read_checkpoint
from otp_service.transparency.notes import NoteError
from tests.conftest import needs_program

from ..transparency.signing import SmallLog
from .harness import SignedHarness
from .post_receiver import receiving
from .timestamping import TimestampingAuthority
from .verify_script import run

BY_THE_SCRIPT = 4
"""So many of the changes are shown to the script too: it takes longer."""

SIZES = (1, 5, 8, 13)
"""Powers of two and others: proofs of both forms, and of none."""


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> TimestampingAuthority:
    """Whose timestamps count."""
    needs_program("openssl")
    return TimestampingAuthority(tmp_path_factory.mktemp("tsa") / "tsa")


@pytest.fixture
def log(tmp_path: Path) -> Iterator[SignedHarness]:
    """A log of 13 records with a checkpoint of each of the sizes."""
    made = SignedHarness(tmp_path / "ledger.db")
    for size in SIZES:
        made.append_many(size - made.size - 1)
        made.append({"type": "check.failed", "verification": f"v{size}", "n": 1})
        made.signer.sign()
    yield made
    made.database.close()


def stamp(log: SignedHarness, size: int, authority: TimestampingAuthority) -> None:
    """Let the authority stamp the checkpoint of this size."""
    (note,) = [one for one in log.notes() if one.split("\n")[1] == str(size)]
    with log.database.reading() as connection:
        signed = LogStore(connection).of_text(size, note.partition("\n\n")[0] + "\n")
    assert isinstance(signed, SignedCheckpoint)
    with receiving(authority.answer) as server:
        post = Outgoing(server.url, allow_private=True).post
        ToTimestamping(log.database, post, authority.authorities, lambda: 1).bring(signed)


def bundle(log: SignedHarness, size: int, kept: str = "") -> dict[str, bytes]:
    """The files about the record that came with the checkpoint of this size."""
    seqs = answering(log.database, Question(verification=f"v{size}"))
    return gather(log.database, seqs, None, Gathering(log.keys, None, {}, kept=kept))


def resummed(files: Mapping[str, bytes]) -> dict[str, bytes]:
    """With sums that fit."""
    return {**files, bundles.SUMS: bundles.sums_of(files)}


def test_the_log_continues_what_was_stamped(
    log: SignedHarness, authority: TimestampingAuthority, tmp_path: Path
) -> None:
    """From every size to the newest, by both verifiers; the first timestamp that has the record is the one."""
    stamp(log, 5, authority)
    with log.database.reading() as connection:
        (response,) = connection.execute(TIMESTAMPS.select()).scalars(1)
    ids = {one.split("\n")[1]: number for number, one in enumerate(log.notes(), 1)}
    for size in SIZES:
        log.run("DELETE FROM log_timestamps")
        with log.database.writing() as connection:
            values = {"checkpoint": ids[str(size)], "response": response, "at_ms": 1}
            connection.execute(insert(TIMESTAMPS).values(**values))
        files = bundle(log, 1)
        assert bundles.verify_bundle(files, log.first_key, may_be_open=True).stamped == size
        status, printed = run(tmp_path / str(size), files, "--key", str(log.first_key), "--unstated", "--open")
        assert (status, f"a timestamp of the first {size} records" in printed) == (0, True), printed


def test_when_the_records_were_there(
    log: SignedHarness, authority: TimestampingAuthority, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """With the authority's certificate the time is told, by both; another's certificate refuses it."""
    other = TimestampingAuthority(tmp_path / "other", "Another")
    for size in (5, 8):
        stamp(log, size, authority)
    assert bundles.verify_bundle(bundle(log, 8), may_be_open=True).stamped == 8
    files = bundle(log, 5)
    assert b"\n5\n" in files[STAMPED]
    zipped, _ = write_archives(tmp_path / "e.zip", files)
    words = ("audit", "verify", "--bundle", str(zipped), "--unstated", "--open", "--key", str(log.first_key))
    good, bad = str(authority.authorities), str(other.authorities)
    time = r"the first 5 records were there on \w{3} +\d+ [\d:]+ \d{4} GMT"
    assert (main([*words, "--tsa-ca", good]), bool(re.search(time, capsys.readouterr().out))) == (0, True)
    assert (main([*words, "--tsa-ca", bad]), "the timestamp is not good" in capsys.readouterr().out) == (1, True)
    assert (main(words), "verify it with --tsa-ca" in capsys.readouterr().err) == (0, True)
    options = ("--key", str(log.first_key), "--unstated", "--open")
    status, printed = run(tmp_path / "bundle", files, *options, "--tsa-ca", good)
    assert (status, bool(re.search(time, printed))) == (0, True), printed
    status, printed = run(tmp_path / "bundle", files, *options, "--tsa-ca", bad)
    assert (status, "REFUSED: the timestamp is not good" in printed) == (1, True), printed


def test_what_does_not_fit_is_refused(log: SignedHarness, authority: TimestampingAuthority, tmp_path: Path) -> None:
    """A file is missing, another log's checkpoint or another history was stamped, a hash too few or too many."""
    stamp(log, 5, authority)
    files = bundle(log, 1)
    lines = files[STAMPED_PATH].splitlines(keepends=True)
    other = SmallLog(5, origin=log.origin)
    changes: list[dict[str, bytes | None]] = [
        {STAMPED: other.checkpoint().encode()},
        {STAMPED_PATH: b"".join(lines[:-1])},
        {STAMPED_PATH: b"".join([*lines, lines[-1]])},
        {RESPONSE: None},
        {STAMPED: SmallLog(5, origin="other.example").checkpoint().encode()},
        {STAMPED: SmallLog(0, origin=log.origin).checkpoint().encode(), STAMPED_PATH: b""},
        {STAMPED_PATH: b"nothing\n"},
    ]
    for number, change in enumerate(changes):
        changed = {name: raw for name, raw in {**files, **change}.items() if raw is not None}
        with pytest.raises(NoteError):
            bundles.verify_bundle(resummed(changed), may_be_open=True)
        if number >= BY_THE_SCRIPT:
            continue
        status, printed = run(tmp_path / str(number), resummed(changed), "--unstated", "--open")
        assert (status, "REFUSED" in printed) == (1, True), printed


def test_the_log_continues_what_was_kept(
    log: SignedHarness, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """By both verifiers, if it is the checkpoint that somebody kept; without it they say that it is to be compared."""
    notes = {int(one.split("\n")[1]): one for one in log.notes()}
    kept, another, forked = tmp_path / "kept", tmp_path / "another", SmallLog(5, origin=log.origin).checkpoint()
    kept.write_text(notes[5])
    another.write_text(notes[8])
    files = bundle(log, 5, notes[5])
    assert bundles.verify_bundle(files, log.first_key, may_be_open=True).continues == 5
    zipped, _ = write_archives(tmp_path / "e.zip", files)
    words = ("audit", "verify", "--bundle", str(zipped), "--unstated", "--open", "--key", str(log.first_key))
    assert (main([*words, "--checkpoint", str(kept)]), "checkpoint of 5 records" in capsys.readouterr().out) == (
        0,
        True,
    )
    assert (main([*words, "--checkpoint", str(another)]), "you kept" in capsys.readouterr().out) == (1, True)
    assert main([*words, "--checkpoint", str(kept), "--checkpoint", str(another)]) == 1
    options = ("--key", str(log.first_key), "--unstated", "--open")
    for more, expected, sentence in (
        (("--checkpoint", str(kept)), 0, "kept: the log continues the checkpoint of 5 records that you kept"),
        ((), 0, "compare it with yours by --checkpoint FILE"),
        (("--checkpoint", str(another)), 1, "REFUSED: kept.checkpoint is not the checkpoint that you kept"),
    ):
        status, printed = run(tmp_path / "bundle", files, *options, *more)
        assert (status, sentence in printed) == (expected, True), printed
    without = resummed({name: raw for name, raw in files.items() if name not in {KEPT, KEPT_PATH}})
    changed = resummed({**files, KEPT: forked.encode()})
    for number, one in enumerate((without, changed)):
        with pytest.raises(NoteError):
            bundles.verify_bundle(one, may_be_open=True, kept=read_checkpoint(notes[5])[1])
        status, printed = run(tmp_path / str(number), one, *options, "--checkpoint", str(kept))
        assert (status, "REFUSED" in printed) == (1, True), printed
    with pytest.raises(NoEvidence, match="is of 300 records"):
        bundle(log, 5, SmallLog(300, origin=log.origin).checkpoint())
