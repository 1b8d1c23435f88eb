"""What is signed continues what was signed before; keys follow one another."""

import math
from pathlib import Path

import pytest

from otp_service import telemetry
from otp_service.bootstrap.signed_log import _measure
from otp_service.ledger import digests
from otp_service.ledger.backup import back_up
from otp_service.signed_log.signers import signers_of
from otp_service.signed_log.signing import AT_ONCE, EVERY_MS, LogDamaged, LogSigner
from otp_service.transparency.checkpoints import read_checkpoint
from otp_service.transparency.proofs import Proof
from otp_service.transparency.tiles import TiledHashes, entries_of, width_in
from otp_service.transparency.tree import MemoryHashes, Tree, leaf_hash

from .harness import BEGAN_MS, ORIGIN, SignedHarness


def sizes(notes: list[str]) -> list[int]:
    """The sizes of checkpoints."""
    return [read_checkpoint(note)[1].size for note in notes]


def test_a_checkpoint_when_there_is_something_new(signed: SignedHarness) -> None:
    """At the beginning, after ten seconds, and at once where a thousand records wait."""
    signer = signed.signer
    assert sizes(signer.sign_if_due()) == [0]
    signed.append_many(3)
    assert signer.sign_if_due() == []
    signed.now_ms += EVERY_MS
    assert sizes(signer.sign_if_due()) == [3]
    signed.now_ms += EVERY_MS
    assert signer.sign_if_due() == []
    signed.append_many(AT_ONCE)
    assert sizes(signer.sign_if_due()) == [AT_ONCE + 3]
    assert [signed.keys.verify(note).origin for note in signed.notes()] == [ORIGIN] * 3


def test_roots_tiles_entries_and_proofs_are_those_of_the_records(signed: SignedHarness) -> None:
    """Whatever the sizes were at which checkpoints were made."""
    leaves: list[bytes] = []
    for count in (1, 254, 1, 1, 300, 255):
        signed.append_many(count)
        signed.signer.sign()
        size = signed.size
        leaves = all_entries(signed)
        memory = Tree(MemoryHashes([leaf_hash(leaf) for leaf in leaves]))
        checkpoint = signed.keys.verify(signed.reader.checkpoint() or "")
        assert (checkpoint.size, checkpoint.root) == (size, memory.root(size))
        tiled = Tree(TiledHashes(size, lambda *place: signed.reader.tile(*place) or b""))
        assert tiled.root(size) == checkpoint.root
        assert tiled.consistency(1, size) == memory.consistency(1, size)
    proof = Proof.parse(signed.reader.proof("700", None) or "")
    assert proof.verify(leaves[699], signed.keys).size == signed.size
    assert proof.extra == leaves[699]


def all_entries(signed: SignedHarness) -> list[bytes]:
    """The records, from the entry bundles."""
    widths = [width_in(signed.size, 0, number) for number in range(-(-signed.size // 256))]
    bundles = [signed.reader.entries(number, width) or b"" for number, width in enumerate(widths)]
    return [leaf for bundle in bundles for leaf in entries_of(bundle)]


def test_what_is_not_there_is_not_served(signed: SignedHarness) -> None:
    """Nothing signed, tiles beyond the size, records of another app, names of nothing."""
    reader = signed.reader
    assert reader.checkpoint() is None
    signed.append({"type": "key.created", "app": "default"}, {"type": "key.created", "app": "other"})
    assert reader.tile(0, 0, 1) is None
    assert reader.proof("1", None) is None
    signed.signer.sign()
    assert reader.tile(0, 0, 2)
    for place in ((0, 0, 3), (0, 0, 256), (0, 1, 1), (1, 0, 1), (63, 0, 1)):
        assert reader.tile(*place) is None
    assert reader.entries(0, 3) is None
    assert reader.proof("1", "default")
    assert reader.proof("00-1790000000000-0", "default")
    for name in ("2", "0", "3", "00-1790000000000-8", "x", "1" * 30):
        assert reader.proof(name, "default") is None, name


def test_the_old_key_names_the_new_one(signed: SignedHarness) -> None:
    """At the same size, so that nobody else could have come between; whoever knows the first key follows."""
    signed.append_many(5)
    signed.signer.sign_if_due()
    signed.rotate()
    signed.append_many(1)
    signed.now_ms += EVERY_MS
    assert sizes(signed.signer.sign_if_due()) == [6, 6]
    signed.rotate()
    signed.now_ms += EVERY_MS
    assert sizes(signed.signer.sign_if_due()) == [6, 6], "a key that changed needs no record"
    signed.append_many(1)
    signed.now_ms += EVERY_MS
    assert sizes(signed.signer.sign_if_due()) == [7]
    keys = signed.keys
    assert len(keys.keys) == 3
    assert [keys.verify(note).size for note in signed.notes()] == [5, 6, 6, 6, 6, 7]


def test_without_the_key_before_nothing_is_signed(signed: SignedHarness) -> None:
    """A keyring that forgot it cannot name the next one."""
    signed.append_many(1)
    signed.signer.sign()
    other = SignedHarness(signed.path.with_name("other.db"))
    other.database.close()
    signed.raw = other.raw
    with pytest.raises(LogDamaged, match="keyring"):
        signed.signer.sign()


@pytest.mark.parametrize(
    "damage",
    [
        "UPDATE log_tiles SET hashes = zeroblob(32 * 256) WHERE level = 0 AND number = 1",
        "DELETE FROM log_tiles WHERE level = 1",
        "UPDATE log_checkpoints SET note = replace(note, 'otp', 'opt')",
        "DELETE FROM records WHERE seq > 200; UPDATE ledger SET size = 200",
    ],
)
def test_nothing_is_signed_over_what_was_changed(signed: SignedHarness, damage: str) -> None:
    """A new checkpoint would say that the changed record was always so."""
    signed.append_many(300)
    signed.signer.sign()
    for statement in damage.split(";"):
        signed.run(statement)
    with pytest.raises(LogDamaged):
        signed.signer.sign()


def test_the_origin_stays(signed: SignedHarness) -> None:
    """A log that was begun keeps its name, wherever it is served later."""
    signed.append_many(1)
    signed.signer.sign()
    moved = signed.signer
    moved._origin = "other.example/audit"
    signed.append_many(1)
    assert read_checkpoint(moved.sign()[0])[1].origin == ORIGIN


def test_a_checkpoint_that_cannot_be_kept(
    signed: SignedHarness, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Signing goes on, and it is told once: again when it could be kept in between."""
    kept = tmp_path / "later" / "checkpoint"
    signer = LogSigner(signed.database, ORIGIN, signers_of(lambda: signed.ring), lambda: signed.now_ms, kept)

    def sign() -> int:
        signed.append_many(AT_ONCE)
        assert len(signer.sign_if_due()) == 1
        return len([one for one in caplog.records if "cannot be kept" in one.message])

    assert [sign(), sign()] == [1, 1]
    kept.parent.mkdir()
    assert (sign(), read_checkpoint(kept.read_bytes())[1].size) == (1, 3 * AT_ONCE)
    kept.unlink()
    kept.parent.rmdir()
    assert [sign(), sign()] == [2, 2]


def test_what_another_one_signed_is_kept_too(signed: SignedHarness, tmp_path: Path) -> None:
    """A worker on another machine, or who makes evidence. What nobody of ours signed is not."""
    kept = tmp_path / "checkpoint"

    def worker_of(harness: SignedHarness) -> LogSigner:
        return LogSigner(harness.database, ORIGIN, signers_of(lambda: signed.ring), lambda: harness.now_ms, kept)

    worker = worker_of(signed)
    signed.append_many(3)
    assert sizes(worker.sign_if_due()) == [3]
    back_up(signed.database, tmp_path / "copy.db")
    signed.append_many(2)
    assert sizes(signed.signer.sign()) == [5]
    assert worker.sign_if_due() == []
    assert read_checkpoint(kept.read_bytes())[1].size == 5
    signed.append_many(2)
    signed.signer.sign()
    signed.run("UPDATE log_checkpoints SET note = replace(note, '\n7\n', '\n9\n'), size = 9 WHERE size = 7")
    assert worker.sign_if_due() == []
    assert read_checkpoint(kept.read_bytes())[1].size == 5
    restored = SignedHarness(tmp_path / "copy.db", signed.raw)
    restored.size, restored.entry, restored.now_ms = 3, signed.entry, signed.now_ms + EVERY_MS
    restored.append_many(3)
    with pytest.raises(LogDamaged, match="rolled back"):
        worker_of(restored).sign_if_due()
    restored.database.close()


def test_a_witness_that_was_removed_lags_behind_nothing(signed: SignedHarness) -> None:
    """Its gauge compares with no bound: no alert goes on for ever."""
    signed.append_many(2)
    signed.signer.sign()
    values = "('w.removed+1+key', 1, 'line', 1)"
    signed.run(f"INSERT INTO log_witnesses (witness, checkpoint, line, at_ms) VALUES {values}")
    followed = _measure(signed.database, set())
    assert followed == {"w.removed"}
    name, labels = "otp_log_witness_lag_records", {"witness": "w.removed"}
    assert telemetry.REGISTRY.get_sample_value(name, labels) == 0.0
    signed.run("DELETE FROM log_witnesses")
    assert _measure(signed.database, followed) == set()
    assert math.isnan(telemetry.REGISTRY.get_sample_value(name, labels) or 0.0)


def test_a_day_of_very_many_apps_fits_into_a_tile(signed: SignedHarness) -> None:
    """Those that have no room of their own are counted together; what is too long all the same is no error."""
    apps = [f"{number:04}{'a' * 60}" for number in range(900)]
    signed.append(*({"type": kind, "app": app} for app in apps for kind in ("a.a", "a.b")))
    (digest,) = digests.due(signed.database, BEGAN_MS + 86_400_000)
    assert len(digest["counts"]) + digest["more"]["apps"] == len(apps)
    assert sum(count for counts in digest["counts"].values() for count in counts.values()) > 100
    left = digest["more"]["apps"]
    assert digest["more"]["counts"] == {"a.a": left, "a.b": left}
    signed.append({"type": "ledger.digest", "detail": digest})
    signed.signer.sign()
    assert len(all_entries(signed)) == signed.size == 1_801
    signed.append({"type": "ledger.digest", "detail": {"counts": "a" * 70_000}})
    signed.signer.sign()
    assert signed.reader.entries(7, width_in(signed.size, 0, 7)) is None
