"""Rows that no record and no checkpoint needs, and tiles between the leaves and the root, are named."""

import hashlib
import json

import pytest

from otp_service.ledger.digests import LATE_MS
from otp_service.ledger.writing import gap_id
from otp_service.signed_log.beside_checkpoints import tiles_fault
from otp_service.signed_log.stored_tiles import StoredTiles
from otp_service.transparency.findings import Tampering
from otp_service.transparency.tree import Tree

from .harness import BEGAN_MS, SignedHarness
from .test_inspection import finding, verified

SIZE = 2 * 65_536 + 700
"""With two full tiles on level 1, which no root of so many records is computed from."""


@pytest.mark.parametrize(
    ("damage", "place"),
    [
        ("UPDATE log_tiles SET hashes = zeroblob(8192) WHERE level = 1 AND number = 0", "tile 0 of level 1"),
        ("UPDATE log_tiles SET hashes = zeroblob(8192) WHERE level = 1 AND number = 1", "tile 1 of level 1"),
        ("INSERT INTO log_tiles VALUES (3, 0, zeroblob(32))", "level 3"),
        ("INSERT INTO log_tiles VALUES (0, 515, zeroblob(32))", "level 0"),
        ("UPDATE log_tiles SET hashes = hashes || zeroblob(32) WHERE level = 1 AND number = 2", "level 1"),
        ("DELETE FROM log_tiles WHERE level = 2", "level 2"),
    ],
)
def test_tiles_that_no_root_is_computed_from(signed: SignedHarness, damage: str, place: str) -> None:
    """They are published, and a proof needs them: the hash of each full tile stands in the one above it."""
    with signed.database.writing() as connection:
        tiles = StoredTiles(connection)
        tiles.extend(0, (hashlib.sha256(number.to_bytes(4)).digest() for number in range(SIZE)))
        root = Tree(tiles).root(SIZE)
        assert tiles_fault(connection, SIZE) is None
    signed.run(damage)
    with signed.database.reading() as connection:
        found = tiles_fault(connection, SIZE)
        if "zeroblob(8192)" in damage:
            assert Tree(StoredTiles(connection)).root(SIZE) == root
    assert found is not None
    assert (found.kind, place in found.sentence) == (Tampering.EDITED, True), found


def log_of_five(signed: SignedHarness) -> None:
    """Three of its records are signed."""
    signed.append_many(3)
    signed.signer.sign()
    signed.append_many(2)
    assert finding(signed) is None


@pytest.mark.parametrize(
    ("damage", "kind", "seq"),
    [
        ("DELETE FROM records WHERE seq = 4", Tampering.REMOVED, 4),
        ("DELETE FROM records WHERE seq = 5", Tampering.CUT, 5),
        ("UPDATE records SET leaf = 'x' WHERE seq = 5", Tampering.EDITED, 5),
        ("INSERT INTO records SELECT 0, leaf, leaf_hash, shard, at_ms, counter, type, app, verification, delivery, "
         "message_id, number_hash, person FROM records WHERE seq = 5", Tampering.INSERTED, 0),
        ("UPDATE ledger SET size = 4", Tampering.EDITED, None),
        ("UPDATE positions SET entry = 'x'", Tampering.EDITED, None),
        ("UPDATE positions SET counted = -1", Tampering.EDITED, None),
        ("DELETE FROM positions", Tampering.REMOVED, None),
        ("INSERT INTO erasures VALUES ('t', 1790000000000)", Tampering.INSERTED, None),
        ("INSERT INTO configurations VALUES ('sha256:" + hashlib.sha256(b"{}").hexdigest() + "', '{}')",
         Tampering.INSERTED, None),
        ("UPDATE log SET first_key = 'x'", Tampering.EDITED, None),
        ("INSERT INTO persons VALUES (2, NULL, 'x')", Tampering.INSERTED, None),
        ("INSERT INTO webhooks VALUES (77, 1, NULL, 'x')", Tampering.INSERTED, None),
    ],
)  # fmt: skip
def test_what_is_not_signed_follows_from_what_is(
    signed: SignedHarness, damage: str, kind: Tampering, seq: int | None
) -> None:
    """Records of the last seconds, too, have to agree with themselves, the size and the position."""
    log_of_five(signed)
    signed.run(damage)
    assert finding(signed) == (kind, seq)


def test_a_row_of_a_gap_that_no_record_says(signed: SignedHarness) -> None:
    """It would excuse what is missing: for ten minutes its event may be on its way, and then it has to be here."""
    log_of_five(signed)
    detail = {"shard": 0, "reason": "lost", "ledger_last": "1790000000000-4", "store_last": "1790000000000-9"}
    detail |= {"ledger_count": 5, "store_count": 10}
    values = {"id": gap_id(detail), "detail": json.dumps(detail)}
    signed.run("INSERT INTO gaps VALUES (:id, :at_ms, :detail, 1, 1)", at_ms=BEGAN_MS, **values)
    assert finding(signed) is None
    signed.append({"type": "scope.refused", "at_ms": BEGAN_MS + LATE_MS + 1})
    found = verified(signed).finding
    assert found is not None
    assert (found.kind, "no record says it" in found.sentence) == (Tampering.EDITED, True)
    signed.append({"type": "ledger.gap", "detail": detail, "at_ms": BEGAN_MS + LATE_MS + 1})
    assert finding(signed) is None
