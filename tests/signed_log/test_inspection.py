"""Rows flipped, deleted, inserted, swapped, cut, rolled back: `verify` names the first one and what was done to it."""

import hashlib
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import insert

from otp_service.bootstrap.erasing import tombstone_of
from otp_service.bootstrap.signed_log import opening_of
from otp_service.ledger.erasing import erase
from otp_service.ledger.tables import CONFIGURATIONS
from otp_service.signed_log.inspection import Report, verify_ledger
from otp_service.signed_log.own_keys import own_keys
from otp_service.signed_log.signers import signers_of
from otp_service.transparency.checkpoints import Checkpoint, read_checkpoint
from otp_service.transparency.findings import Tampering
from otp_service.transparency.notes import signed as sign

from .harness import ORIGIN, SignedHarness

COUNT = 600


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> SignedHarness:
    """A log of 600 records with a checkpoint every 100 and a key that changed at 300; 20 are not signed yet."""
    signed = SignedHarness(tmp_path_factory.mktemp("made") / "ledger.db")
    for number in range(6):
        if number == 3:
            signed.rotate()
        signed.append(
            *({"type": "check.failed", "app": "default", "verification": f"v{number}", "n": at} for at in range(1, 101))
        )
        signed.signer.sign()
    signed.append_many(20)
    signed.database.close()
    return signed


@pytest.fixture
def log(made: SignedHarness, tmp_path: Path) -> Iterator[SignedHarness]:
    """A copy of it for each test."""
    copied = SignedHarness.copy(made, tmp_path / "ledger.db")
    yield copied
    copied.database.close()


def verified(log: SignedHarness, *older: Checkpoint) -> Report:
    """With the keys of the keyring."""
    with log.database.reading() as connection:
        keys = own_keys(connection, signers_of(lambda: log.ring), ORIGIN)
    return verify_ledger(log.database, keys, opening_of(log.ring), older)


def finding(log: SignedHarness) -> tuple[Tampering, int | None] | None:
    """What is found first."""
    found = verified(log).finding
    return None if found is None else (found.kind, found.seq)


def test_a_good_log(log: SignedHarness) -> None:
    """How much was verified."""
    report = verified(log)
    assert (report.records, report.signed, report.checkpoints, report.erased) == (COUNT + 20, COUNT, 7, 0)
    assert report.finding is None


RENUMBER = "UPDATE records SET seq = -seq {where}; UPDATE records SET seq = -seq {shift} WHERE seq < 0"


@pytest.mark.parametrize(
    ("damage", "kind", "seq"),
    [
        ("UPDATE records SET leaf = replace(leaf, 'default', 'defaulT') WHERE seq = 257", Tampering.EDITED, 257),
        ("UPDATE records SET type = 'check.passed' WHERE seq = 300", Tampering.EDITED, 300),
        ("UPDATE records SET app = 'other' WHERE seq = 1", Tampering.EDITED, 1),
        ("UPDATE records SET at_ms = at_ms + 1 WHERE seq = 2", Tampering.EDITED, 2),
        ("UPDATE records SET leaf_hash = zeroblob(32) WHERE seq = 3", Tampering.EDITED, 3),
        ("UPDATE records SET shard = 5 WHERE seq = 4", Tampering.EDITED, 4),
        ("UPDATE records SET verification = NULL WHERE seq = 599", Tampering.EDITED, 599),
        ("DELETE FROM records WHERE seq = 256", Tampering.REMOVED, 256),
        ("DELETE FROM records WHERE seq BETWEEN 10 AND 12", Tampering.REMOVED, 10),
        (
            "DELETE FROM records WHERE seq = 5;" + RENUMBER.format(where="WHERE seq > 5", shift="- 1"),
            Tampering.REMOVED,
            5,
        ),
        (
            RENUMBER.format(where="WHERE seq > 5", shift="+ 1") + "; INSERT INTO records SELECT 6, leaf, leaf_hash, "
            "shard, at_ms, counter, type, app, verification, delivery, message_id, number_hash, person FROM records "
            "WHERE seq = 600",
            Tampering.INSERTED,
            6,
        ),
        (
            "UPDATE records SET seq = -1 WHERE seq = 40; UPDATE records SET seq = 40 WHERE seq = 90; "
            "UPDATE records SET seq = 90 WHERE seq = -1",
            Tampering.SWAPPED,
            40,
        ),
        ("DELETE FROM records WHERE seq > 500", Tampering.CUT, 501),
        ("DELETE FROM records", Tampering.CUT, 1),
        ("UPDATE log_tiles SET hashes = zeroblob(8192) WHERE level = 0 AND number = 1", Tampering.EDITED, 201),
    ],
)
def test_what_was_done_is_named(log: SignedHarness, damage: str, kind: Tampering, seq: int) -> None:
    """The first record, and what was done to it."""
    for statement in damage.split(";"):
        log.run(statement)
    assert finding(log) == (kind, seq)


@pytest.mark.parametrize(
    ("damage", "kind"),
    [
        ("DELETE FROM log_tiles WHERE level = 1", Tampering.UNREADABLE),
        ("UPDATE log_tiles SET hashes = zeroblob(length(hashes)) WHERE level = 1", Tampering.EDITED),
    ],
)
def test_stored_tiles_that_are_not_those_of_the_records(log: SignedHarness, damage: str, kind: Tampering) -> None:
    """The signer refuses to go on over them, and says that this command tells why."""
    log.run(damage)
    assert finding(log) == (kind, None)


def test_a_tile_that_ends_within_a_hash(log: SignedHarness) -> None:
    """A verdict, and no exception."""
    log.run("UPDATE log_tiles SET hashes = substr(hashes, 1, 33) WHERE level = 0 AND number = 0")
    found = verified(log).finding
    assert found is not None


def test_hashes_that_were_computed_anew_do_not_help(log: SignedHarness) -> None:
    """Record, stored hash and tile say the same; the signed roots do not."""
    leaf = b'{"seq":450}'
    new = hashlib.sha256(b"\0" + leaf).digest()
    log.run("UPDATE records SET leaf = :leaf, leaf_hash = :new WHERE seq = 450", leaf=leaf, new=new)
    with log.database.reading() as connection:
        tile = connection.exec_driver_sql("SELECT hashes FROM log_tiles WHERE level = 0 AND number = 1").scalar_one()
    at = (449 - 256) * 32
    log.run(
        "UPDATE log_tiles SET hashes = :hashes WHERE level = 0 AND number = 1", hashes=tile[:at] + new + tile[at + 32 :]
    )
    assert finding(log) == (Tampering.EDITED, 401)


def test_checkpoints_that_somebody_else_signed(log: SignedHarness) -> None:
    """A foreign key; a key of the log before and after its time; a changed note."""
    good = log.notes()
    other = SignedHarness(log.path.with_name("other.db"))
    other.append_many(1)
    other.signer.sign()
    foreign = other.notes()[0]
    other.database.close()
    log.run("UPDATE log_checkpoints SET note = :note WHERE id = 7", note=foreign)
    assert finding(log) == (Tampering.FOREIGN_SIGNATURE, None)
    signers = dict(enumerate(signers_of(lambda: log.ring)(ORIGIN)[1]))
    for signer, size, kind in ((signers[0], 500, Tampering.KEY_TOO_LATE), (signers[1], 100, Tampering.KEY_TOO_EARLY)):
        checkpoint = next(one for note in good if (one := read_checkpoint(note)[1]).size == size)
        text = checkpoint.text
        log.run("UPDATE log_checkpoints SET note = :note WHERE id = 7", note=str(sign(text, signer)))
        assert finding(log) == (kind, None)
    log.run("UPDATE log_checkpoints SET note = 'nothing' WHERE id = 7")
    assert finding(log) == (Tampering.UNREADABLE, None)


def test_a_log_that_was_rolled_back_is_found_by_a_checkpoint_that_was_kept(log: SignedHarness) -> None:
    """Records, tiles and checkpoints of an older day agree with each other."""
    kept = read_checkpoint(log.notes()[-1])[1]
    assert verified(log, kept).finding is None
    for statement in (
        "DELETE FROM records WHERE seq > 300",
        "DELETE FROM log_tiles WHERE level = 0 AND number > 1",
        "UPDATE log_tiles SET hashes = substr(hashes, 1, 44 * 32) WHERE level = 0 AND number = 1",
        "UPDATE log_tiles SET hashes = substr(hashes, 1, 32) WHERE level = 1",
        "DELETE FROM log_checkpoints WHERE size > 300",
        "UPDATE ledger SET size = 300",
        "UPDATE positions SET counted = 300, entry = '1790000000000-299'",
    ):
        log.run(statement)
    assert verified(log).finding is None
    found = verified(log, kept).finding
    assert found is not None
    assert (found.kind, found.seq) == (Tampering.ROLLED_BACK, 301)


def test_what_was_erased_breaks_nothing(signed: SignedHarness) -> None:
    """The commitment stays in the leaf; what it was made of is gone."""
    signed.append({"type": "verification.started", "values": {"mask": "+1******0143", "number_hash": "aa"}})
    signed.append({"type": "verification.started", "values": {"mask": "+1******0144", "number_hash": "bb"}})
    signed.signer.sign()
    signed.run("DELETE FROM persons WHERE number_hash = 'aa'")
    assert finding(signed) == (Tampering.EDITED, 1), "its hash is there still: that is no erasure"
    signed.run("UPDATE records SET number_hash = NULL WHERE number_hash = 'aa'")
    assert finding(signed) == (Tampering.EDITED, 1), "no erasure was done here"
    signed.run("INSERT INTO erasures (tombstone, at_ms) VALUES ('t', 1790000000000)")
    assert finding(signed) == (Tampering.EDITED, None), "that table is not signed"
    signed.append({"type": "person.erased", "detail": {"records": 1}})
    signed.signer.sign()
    report = verified(signed)
    assert (report.erased, report.unopened, report.finding) == (1, 0, None)


def test_no_more_is_missing_than_erasures_took_away(signed: SignedHarness) -> None:
    """A STOP that somebody without a key makes an erased one; older events do not say how many records they erased."""
    for kind in ("optout.recorded", "check.failed"):
        signed.append({"type": kind, "values": {"mask": "+1******0143", "number_hash": "aa"}})
    signed.append(
        {"type": "person.erased", "detail": {"records": 0}}, {"type": "person.erased", "detail": {"records": 1}}
    )
    signed.signer.sign()
    signed.run("INSERT INTO erasures (tombstone, at_ms) VALUES ('t', 1790000000000)")
    for seq, expected in ((2, None), (1, (Tampering.EDITED, None))):
        signed.run("DELETE FROM persons WHERE id = :seq", seq=seq)
        signed.run("UPDATE records SET number_hash = NULL WHERE seq = :seq", seq=seq)
        assert finding(signed) == expected
    found = verified(signed).finding
    assert found is not None
    assert found.sentence.endswith("missing from 2 records, and erasures from 1 are on record")
    signed.append({"type": "person.erased"})
    signed.signer.sign()
    assert finding(signed) is None


def test_an_erasure_is_that_of_the_verification_s_number(signed: SignedHarness) -> None:
    """A tombstone of somebody else, or of another year, explains nothing."""
    ids = signed.ring.ids
    refs = [ids.new(ids.number_hash(number), b"0123456789") for number in ("+12025550143", "+12025550144")]
    for ref in refs:
        values = {"mask": "+1", "number_hash": ref.number_hash}
        signed.append({"type": "verification.started", "verification": ref.token, "values": values})
    signed.append(*({"type": "person.erased", "detail": {"records": 1}} for _ in range(2)))
    signed.signer.sign()
    assert finding(signed) is None
    erase(signed.database, refs[1].number_hash, tombstone_of(ids, 2026, refs[1].number_hash), signed.now_ms)
    assert (verified(signed).erased, finding(signed)) == (1, None)
    erase(signed.database, refs[0].number_hash, tombstone_of(ids, 2025, refs[0].number_hash), signed.now_ms)
    assert finding(signed) == (Tampering.EDITED, 1)


POLICY = "sha256:" + hashlib.sha256(b"{}").hexdigest()


@pytest.mark.parametrize(
    ("damage", "seq", "words"),
    [
        ("UPDATE records SET number_hash = 'bb' WHERE seq = 1", 1, "number_hash"),
        ("UPDATE records SET number_hash = NULL WHERE seq = 1", 1, "number_hash"),
        ("UPDATE records SET number_hash = 'aa' WHERE seq = 3", 3, "number_hash"),
        ("UPDATE records SET person = 2 WHERE seq = 1", 1, "identifies the person"),
        ("UPDATE records SET person = NULL WHERE seq = 2", 2, "is missing"),
        ("UPDATE records SET person = 1 WHERE seq = 3", 3, "person"),
        ("UPDATE records SET message_id = 'other' WHERE seq = 3", 3, "message_id"),
        ("UPDATE records SET message_id = NULL WHERE seq = 3", 3, "message_id"),
        ("UPDATE persons SET number_hash = 'bb' WHERE id = 1", 1, "number_hash"),
        ("UPDATE persons SET sealed = (SELECT sealed FROM persons WHERE id = 1)", 2, "identifies the person"),
        ("UPDATE persons SET sealed = substr(sealed, 1, 30) WHERE id = 2", 2, "cannot be read"),
        ("DELETE FROM persons WHERE id = 2", 2, "is missing"),
        ("UPDATE configurations SET content = '[]'", None, "configuration"),
        ("UPDATE configurations SET content = x'ff'", None, "configuration"),
        ("UPDATE records SET leaf = 7 WHERE seq = 3", 3, "record 3"),
        ("UPDATE records SET leaf = CAST(x'ff41' AS TEXT) WHERE seq = 3", 3, "record 3"),
        ("UPDATE log_tiles SET hashes = CAST(x'ff41' AS TEXT)", 1, "hash"),
        ("UPDATE log_tiles SET hashes = 7", 1, "hash"),
        ("UPDATE persons SET sealed = x'ff41' WHERE id = 1", 1, "cannot be read"),
    ],
)
def test_what_stands_beside_the_records(signed: SignedHarness, damage: str, seq: int | None, words: str) -> None:
    """Columns by which they are found, who they are about, and the configuration that decided."""
    with signed.database.writing() as connection:
        connection.execute(insert(CONFIGURATIONS).values(hash=POLICY, content="{}"))
    for number in ("aa", "bb"):
        signed.append({"type": "check.failed", "values": {"mask": "+1", "number_hash": number}})
    signed.append({"type": "delivery.sent", "detail": {"message_id": "m1"}, "message_id": "m1"})
    signed.append({"type": "configuration.loaded", "detail": {"policy": POLICY}})
    signed.signer.sign()
    assert finding(signed) is None
    signed.run(damage)
    found = verified(signed).finding
    assert found is not None
    assert (found.kind, found.seq, words in found.sentence) == (Tampering.EDITED, seq, True), found


def test_a_configuration_that_a_record_names_is_there(signed: SignedHarness) -> None:
    """Without it `audit check` judges no send by it. One that was not there names only its first digits."""
    signed.append({"type": "check.failed", "policy": POLICY[:23]})
    signed.signer.sign()
    assert finding(signed) is None
    with signed.database.writing() as connection:
        connection.execute(insert(CONFIGURATIONS).values(hash=POLICY, content="{}"))
    signed.append({"type": "check.failed", "policy": POLICY})
    signed.signer.sign()
    assert finding(signed) is None
    signed.run("DELETE FROM configurations")
    found = verified(signed).finding
    assert found is not None
    assert (found.kind, found.sentence) == (
        Tampering.REMOVED,
        f"the configuration {POLICY} was removed: record 2 names it",
    )


def test_a_row_of_an_erasure_that_says_no_time(signed: SignedHarness) -> None:
    """It explains nothing that is missing."""
    ids = signed.ring.ids
    ref = ids.new(ids.number_hash("+12025550143"), b"0123456789")
    values = {"mask": "+1", "number_hash": ref.number_hash}
    signed.append({"type": "check.failed", "verification": ref.token, "values": values})
    signed.append({"type": "person.erased", "detail": {"records": 1}})
    signed.signer.sign()
    erase(signed.database, ref.number_hash, tombstone_of(ids, 2026, ref.number_hash), signed.now_ms)
    assert finding(signed) is None
    for at in ("'x'", "99999999999999999"):
        signed.run(f"UPDATE erasures SET at_ms = {at}")
        assert finding(signed) == (Tampering.EDITED, 1)


def test_a_key_that_the_keyring_has_not(signed: SignedHarness) -> None:
    """It is told how many cannot be opened; the hash in the id is compared all the same."""
    ids = signed.ring.ids
    ref = ids.new(ids.number_hash("+12025550143"), b"0123456789")
    values = {"mask": "+1", "number_hash": ref.number_hash}
    signed.append({"type": "check.failed", "verification": ref.token, "values": values})
    signed.signer.sign()
    signed.run("UPDATE persons SET sealed = 'other:' || sealed")
    report = verified(signed)
    assert (report.unopened, report.finding) == (1, None)
    signed.run("UPDATE records SET number_hash = 'aa'")
    assert finding(signed) == (Tampering.EDITED, 1)
