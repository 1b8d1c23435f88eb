"""Two witnesses follow a log that is good, rolled back, forked or split, and cosign one history at most."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from otp_service.domain.errors import ConfigError
from otp_service.transparency.checkpoints import read_checkpoint
from otp_service.transparency.cosignatures import cosignatures
from otp_service.transparency.witnessing import WitnessRefusal
from otp_service.witness.following import Follower
from otp_service.witness.identity import load_or_make
from otp_service.witness.memory import MemoryFile

from ..signed_log.harness import SignedHarness

NOW_S = 1_800_000_000


@dataclass
class LocalLog:
    """The log as its API publishes it, without the network."""

    log: SignedHarness

    def checkpoint(self) -> str | None:
        """The newest checkpoint."""
        return self.log.reader.checkpoint()

    def keys(self) -> tuple[str | None, list[str]]:
        """The log's keys."""
        return self.log.reader.keys()

    def tile(self, level: int, number: int, width: int) -> bytes:
        """A tile."""
        return self.log.reader.tile(level, number, width) or b""

    def hand_in(self, key: str, note: str) -> bool:
        """Give the log a cosignature."""
        return self.log.reader.take_cosignature(key, note, self.log.now_ms) is not None


class Auditor:
    """A witness on a machine of its own, that may be shown any log."""

    def __init__(self, directory: Path, name: str) -> None:
        self.signer = load_or_make(directory / name, f"{name}.example")
        self.file = MemoryFile(directory / f"{name}.log")

    def look(self, log: SignedHarness) -> int | None:
        """One round; the size that was cosigned and published."""
        done = Follower(LocalLog(log), self.signer, self.file, lambda: NOW_S).round()
        if done is None:
            return None
        assert done.handed_in
        note, _ = read_checkpoint(log.reader.checkpoint() or "")
        assert any(one.key == self.signer.key for one in cosignatures(note, [self.signer.key]))
        return done.size

    def refuses(self, log: SignedHarness) -> int:
        """The status of the refusal; nothing is remembered of it."""
        before = self.file.read()
        with pytest.raises(WitnessRefusal) as refusal:
            self.look(log)
        assert self.file.read() == before
        return refusal.value.status


@pytest.fixture
def two(tmp_path: Path) -> tuple[Auditor, Auditor]:
    """Two witnesses, whose keys were just made."""
    return Auditor(tmp_path, "one"), Auditor(tmp_path, "two")


def another(log: SignedHarness, name: str, change: Callable[[SignedHarness], object]) -> SignedHarness:
    """A copy of the log with the same keys that goes on differently."""
    other = SignedHarness(log.path.with_name(name))
    other.raw = log.raw
    change(other)
    other.signer.sign()
    return other


def grow(log: SignedHarness, count: int) -> SignedHarness:
    """Append and sign."""
    log.append_many(count)
    log.signer.sign()
    return log


def test_a_log_that_grows_is_cosigned_again_and_again(signed: SignedHarness, two: tuple[Auditor, Auditor]) -> None:
    """By both, and each cosignature is published with the checkpoint; nothing new, nothing is done."""
    one, other = two
    assert one.look(signed) is None
    for count in (0, 3, 300, 1):
        grow(signed, count)
        assert one.look(signed) == signed.size
        assert one.look(signed) is None
    assert other.look(signed) == signed.size
    note, _ = read_checkpoint(signed.reader.checkpoint() or "")
    assert [line.name for line in note.signatures][1:] == ["one.example", "two.example"]


def test_a_change_of_keys_is_followed(signed: SignedHarness, two: tuple[Auditor, Auditor]) -> None:
    """The old key named the new one; who was away for two changes follows both."""
    one, other = two
    grow(signed, 2)
    assert one.look(signed) == 2
    assert other.look(signed) == 2
    signed.rotate()
    grow(signed, 1)
    assert one.look(signed) == 3
    signed.rotate()
    grow(signed, 1)
    assert one.look(signed) == other.look(signed) == 4


def test_a_forked_log(signed: SignedHarness, two: tuple[Auditor, Auditor]) -> None:
    """Each witness was shown another history, and cosigns no checkpoint of the other one, now or later."""
    one, other = two
    fork = another(signed, "fork.db", lambda log: log.append({"type": "key.created"}, {"type": "key.revoked"}))
    grow(signed, 2)
    assert one.look(signed) == other.look(fork) == 2
    assert (one.refuses(fork), other.refuses(signed)) == (409, 409)
    grow(signed, 300)
    grow(fork, 300)
    assert (one.refuses(fork), other.refuses(signed)) == (422, 422)
    assert (one.look(signed), other.look(fork)) == (302, 302)
    fork.database.close()


def test_a_log_that_was_rolled_back(signed: SignedHarness, two: tuple[Auditor, Auditor]) -> None:
    """It gets no cosignature, not even when it has grown beyond its old size."""
    one, _ = two
    grow(signed, 10)
    assert one.look(signed) == 10
    older = another(signed, "older.db", lambda log: log.append_many(4))
    assert one.refuses(older) == 409
    older.append({"type": "key.revoked"})
    grow(older, 20)
    assert one.refuses(older) == 422
    older.database.close()


def test_a_log_of_another_key(signed: SignedHarness, two: tuple[Auditor, Auditor], tmp_path: Path) -> None:
    """The first key that was learnt counts, however the log explains itself."""
    one, _ = two
    assert grow(signed, 2).size == one.look(signed)
    foreign = grow(SignedHarness(tmp_path / "foreign.db"), 3)
    assert one.refuses(foreign) == 403
    follower = Follower(LocalLog(signed), one.signer, one.file, lambda: NOW_S)
    assert follower.begin(str(signed.first_key)).first_key == str(signed.first_key)
    with pytest.raises(ConfigError, match="another key"):
        follower.begin(str(foreign.first_key))
    foreign.database.close()


def test_files_of_a_witness(tmp_path: Path) -> None:
    """Only its user reads the key; a memory that cannot be read is no empty one; one process at a time."""
    path = tmp_path / "key"
    signer = load_or_make(path, "one.example")
    assert load_or_make(path, "ignored").key == signer.key
    path.chmod(0o644)
    with pytest.raises(ConfigError, match="other users"):
        load_or_make(path, "one.example")
    path.write_bytes(b"{}")
    path.chmod(0o600)
    with pytest.raises(ConfigError, match="no key"):
        load_or_make(path, "one.example")
    with pytest.raises(ConfigError, match="--name"):
        load_or_make(tmp_path / "other", "a b")
    file = MemoryFile(tmp_path / "memory")
    assert file.read() is None
    file.path.write_bytes(b"{")
    with pytest.raises(ConfigError, match="nothing is cosigned"):
        file.read()
    with file.locked(), pytest.raises(ConfigError, match="another witness"), MemoryFile(file.path).locked():
        pass
