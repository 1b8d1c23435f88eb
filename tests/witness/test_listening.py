"""A log brings its checkpoints to witnesses that listen: what they answer; two histories get no two cosignatures."""

import http.client
import re
import threading
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from otp_service.receivers.outgoing import Outgoing
from otp_service.signed_log.bringing import ToWitness
from otp_service.signed_log.outlets import Failed, Outlets
from otp_service.transparency.checkpoints import read_checkpoint
from otp_service.transparency.cosignatures import cosignatures
from otp_service.transparency.notes import Note, SignatureLine, VerifierKey
from otp_service.transparency.witnessing import Submission
from otp_service.witness.following import begin
from otp_service.witness.identity import load_or_make
from otp_service.witness.listening import Accepting, WitnessServer
from otp_service.witness.memory import MemoryFile

from ..signed_log.harness import SignedHarness
from ..transparency.signing import SmallLog

NOW_S = 1_800_000_000


class Listening:
    """A witness that listens, for the log with this key."""

    def __init__(self, directory: Path, name: str, key: VerifierKey) -> None:
        self.signer = load_or_make(directory / name, f"{name}.example")
        self.file = MemoryFile(directory / f"{name}.log")
        begin(self.file, str(key))
        self.told: list[str] = []
        self.server = WitnessServer(
            ("127.0.0.1", 0), Accepting(self.signer, self.file, lambda: NOW_S), self.told.append
        )
        threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True).start()

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self.server.server_address[1]}/add-checkpoint"

    @property
    def size(self) -> int:
        """Of what it cosigned last."""
        memory = self.file.read()
        assert memory is not None
        return memory.checkpoint.size if memory.checkpoint else 0

    def ask(self, body: bytes, path: str = "/add-checkpoint", method: str = "POST") -> tuple[int, str | None, bytes]:
        """Status, media type and body of the answer to one request."""
        connection = http.client.HTTPConnection("127.0.0.1", self.server.server_address[1], timeout=30)
        # It may answer, and hang up, before it has read what is too long.
        with suppress(ConnectionError):
            connection.request(method, path, body)
        response = connection.getresponse()
        try:
            return response.status, response.headers["Content-Type"], response.read()
        finally:
            connection.close()

    def close(self) -> None:
        """End."""
        self.server.shutdown()
        self.server.server_close()


@pytest.fixture
def two(tmp_path: Path, signed: SignedHarness) -> Iterator[list[Listening]]:
    """Two witnesses of the log."""
    made = [Listening(tmp_path, name, signed.first_key) for name in ("one", "two")]
    yield made
    for one in made:
        one.close()


def bring(log: SignedHarness, *witnesses: Listening) -> list[Failed]:
    """What a worker does for all of them; what failed."""
    added: list[VerifierKey] = []
    outlets = [
        ToWitness(
            log.database,
            one.signer.key,
            Outgoing(one.url, allow_private=True).post,
            lambda: log.now_ms,
            added.append,
        )
        for one in witnesses
    ]
    log.now_ms += 3_600_000
    return list(Outlets(log.database, [*outlets], lambda: log.now_ms).bring_what_is_due())


def cosigned_by(log: SignedHarness, *witnesses: Listening) -> list[str]:
    """Whose good cosignatures the log publishes with its newest checkpoint."""
    note, _ = read_checkpoint(log.reader.checkpoint() or "")
    return [one.key.name for one in cosignatures(note, [witness.signer.key for witness in witnesses])]


def grow(log: SignedHarness, count: int) -> None:
    """Append and sign."""
    log.append_many(count)
    log.signer.sign()


def test_checkpoints_are_brought_and_cosigned(signed: SignedHarness, two: list[Listening]) -> None:
    """Each new one, over two changes of keys, and again after the witness cosigned more than the log knows of."""
    assert bring(signed, *two) == []
    for count, rotates in ((3, False), (300, False), (0, True), (2, True), (500, False)):
        if rotates:
            signed.rotate()
        grow(signed, count)
        assert bring(signed, *two) == []
        assert cosigned_by(signed, *two) == ["one.example", "two.example"]
        assert [one.size for one in two] == [signed.size, signed.size]
    assert "cosigned 805 records" in two[0].told
    signed.run("DELETE FROM log_witnesses")
    signed.run("DELETE FROM log_outlets")
    grow(signed, 1)
    assert bring(signed, *two) == []
    assert cosigned_by(signed, *two) == ["one.example", "two.example"]


def test_a_forked_log_gets_one_history_cosigned(signed: SignedHarness, two: list[Listening], tmp_path: Path) -> None:
    """Each witness was shown another history: no checkpoint of either gets the cosignatures of both, now or later."""
    one, other = two
    fork = SignedHarness(tmp_path / "fork.db", signed.raw)
    signed.append({"type": "key.created"})
    fork.append({"type": "key.revoked"})
    for _ in range(3):
        grow(signed, 2)
        grow(fork, 2)
        assert bring(signed, one) == bring(fork, other) == []
        for log, foreign in ((signed, other), (fork, one)):
            (failed,) = bring(log, foreign)
            assert failed.target == f"witness {foreign.signer.key.name}"
        assert (cosigned_by(signed, *two), cosigned_by(fork, *two)) == (["one.example"], ["two.example"])
    assert any(line.startswith("NOT COSIGNED (409)") for line in one.told)
    fork.database.close()


def test_a_log_that_was_rolled_back_gets_none(signed: SignedHarness, two: list[Listening], tmp_path: Path) -> None:
    """It is told that the witness knows more, and later that this is another history."""
    one, _ = two
    older = SignedHarness(tmp_path / "older.db", signed.raw)
    grow(signed, 10)
    grow(older, 4)
    assert bring(signed, one) == []
    (failed,) = bring(older, one)
    assert "another history, or a longer one: 10 records" in failed.reason
    older.append({"type": "key.revoked"})
    grow(older, 20)
    (failed,) = bring(older, one)
    assert failed.reason == "it does not cosign 25 records: status 422"
    assert one.size == 10
    older.database.close()


def test_answers_are_those_of_the_protocol(signed: SignedHarness, two: list[Listening]) -> None:
    """200 with lines, 409 with the size, 400, 403, 404, 422; nothing else is remembered."""
    one, _ = two
    grow(signed, 5)
    grow(signed, 4)
    first, second = signed.notes()

    def asked(old: int, checkpoint: str, *path: bytes) -> tuple[int, str | None, bytes]:
        return one.ask(str(Submission(old, path, checkpoint)).encode())

    status, media, body = asked(0, first)
    assert (status, media) == (200, "text/plain; charset=utf-8")
    assert re.fullmatch("— one.example [A-Za-z0-9+/]+=*\n", body.decode())
    assert asked(0, second) == (409, "text/x.tlog.size", b"5\n")
    assert asked(5, second, bytes(32))[0] == 422
    assert asked(6, first)[0] == 400
    assert asked(0, SmallLog(9, origin="other.example").checkpoint())[0] == 404
    assert asked(0, SmallLog(9, seed=3).checkpoint())[0] == 403
    for body in (b"", b"old 5\n", b"old 5\n\nnothing", b"\xff" * 70_000):
        assert one.ask(body)[0] == 400
    assert one.ask(b"", "/elsewhere")[0] == 404
    assert one.ask(b"", method="GET")[0] == 501
    assert one.size == 5


def test_signatures_of_others_are_not_remembered(signed: SignedHarness, two: list[Listening]) -> None:
    """With as many as a note may have, the witness still reads what it remembers."""
    one, _ = two
    grow(signed, 5)
    note = Note.parse(signed.notes()[0])
    full = note.with_signature(*(SignatureLine(f"w{number}", bytes(4), b"x") for number in range(63)))
    assert one.ask(str(Submission(0, (), str(full))).encode())[0] == 200
    assert one.size == 5
    one.file.path.unlink()
    assert one.ask(str(Submission(5, (), str(full))).encode())[0] == 500


def test_an_answer_without_a_good_cosignature_is_not_taken(
    signed: SignedHarness, two: list[Listening], tmp_path: Path
) -> None:
    """Of another key than the one that is configured."""
    one, other = two
    grow(signed, 5)
    outlet = ToWitness(
        signed.database, other.signer.key, Outgoing(one.url, allow_private=True).post, lambda: 1, lambda _: None
    )
    (failed,) = Outlets(signed.database, [outlet], lambda: signed.now_ms).bring_what_is_due()
    assert "no cosignature of this key" in failed.reason
    assert cosigned_by(signed, *two) == []
