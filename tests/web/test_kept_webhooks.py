"""What the carrier signed goes with the record that it caused, into the ledger and into evidence."""

import base64
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from nacl.signing import SigningKey
from sqlalchemy import select

from otp_service import bootstrap
from otp_service.bootstrap.ledger import build_exporter
from otp_service.bootstrap.stores import open_keyring, open_stores
from otp_service.domain.signed_webhook import SignedWebhook
from otp_service.ledger.database import Database, open_database
from otp_service.ledger.tables import RECORDS, WEBHOOKS

from .conftest import ApiHarness
from .webhook_events import Flow


@contextmanager
def exported(api: ApiHarness, directory: Path) -> Iterator[Database]:
    """A ledger with all that happened."""
    settings = replace(api.settings, data_dir=directory)
    bootstrap.accept_keyring(settings)
    keyring = open_keyring(settings)
    stores = open_stores(settings, keyring)
    exporter = build_exporter(settings, stores, keyring)
    database = open_database(f"sqlite:///{directory}/ledger.db")
    try:
        while exporter.once():
            pass
        yield database
    finally:
        database.close()
        exporter.close()
        stores.store.close()


def caused(api: ApiHarness, database: Database) -> dict[str, SignedWebhook]:
    """The type of each record that a webhook caused, with the webhook; each is what its record commits to."""
    with database.reading() as connection:
        rows = connection.execute(
            select(RECORDS.c.leaf, WEBHOOKS.c.sealed).join(WEBHOOKS, RECORDS.c.seq == WEBHOOKS.c.seq)
        )
        found = {}
        for leaf, sealed in rows:
            record: dict[str, Any] = json.loads(leaf)
            webhook = SignedWebhook.unpack(api.vault.open(sealed))
            assert record["webhook"] == webhook.commitment
            found[record["type"]] = webhook
        return found


def waiting(api: ApiHarness) -> int:
    """Webhooks that wait in the store."""
    return sum(api.store.hlen(key) for key in api.store.scan_iter("*:webhooks"))


def test_the_signed_bytes_stand_beside_the_record(api: ApiHarness, tmp_path: Path) -> None:
    """Of each webhook that changed something, once; in the store only until they are in the ledger."""
    flow = Flow(api)
    bodies = {status: json.dumps(flow.event(status), indent=1).encode() for status in ("sent", "delivered")}
    for body in (*bodies.values(), *bodies.values()):
        assert flow.post(body).status == 200
    api.opt_out(flow.number)
    assert waiting(api) == 3
    with exported(api, tmp_path) as database:
        found = caused(api, database)
        assert waiting(api) == 0
    assert set(found) == {"delivery.sent", "delivery.delivered", "optout.added"}
    for status, body in bodies.items():
        kept = found[f"delivery.{status}"]
        stamp, bar, signed = kept.signed.partition(b"|")
        assert (bar, signed, len(stamp)) == (b"|", body, 10)
        assert kept.key == bytes(api.seed.verify_key)
        api.seed.verify_key.verify(kept.signed, kept.signature)
        assert flow.number.encode() in kept.signed
        assert flow.number not in repr(kept)


def test_what_names_several_people_is_not_kept(api: ApiHarness, tmp_path: Path) -> None:
    """It could not be erased with one of them. It counts all the same."""
    flow = Flow(api)
    event = flow.event("delivered")
    event["data"]["payload"]["to"].append({"phone_number": "+12025550199", "status": "delivered"})
    assert flow.post(event).status == 200
    assert flow.status == "delivered"
    with exported(api, tmp_path) as database:
        assert caused(api, database) == {}


def test_it_can_be_switched_off(api: ApiHarness, tmp_path: Path) -> None:
    """And while the carrier's key changes, the key that signed is kept."""
    bootstrap.accept_keyring(api.settings)
    settings = replace(api.settings, keep_webhooks=False)
    off = replace(api, app=bootstrap.build_web(settings))
    flow = Flow(off)
    assert flow.post(flow.event("delivered")).status == 200
    assert waiting(api) == 0
    other = SigningKey.generate()
    keys = " ".join(base64.b64encode(bytes(key.verify_key)).decode() for key in (other, api.seed))
    both = replace(api, app=bootstrap.build_web(replace(api.settings, telnyx_public_key=keys)))
    flow = Flow(both)
    assert flow.post(flow.event("delivered")).status == 200
    with exported(api, tmp_path) as database:
        assert caused(api, database)["delivery.delivered"].key == bytes(api.seed.verify_key)


def test_damaged_bytes_are_told() -> None:
    """What was packed is what comes out, or nothing."""
    webhook = SignedWebhook(bytes(32), bytes(32), bytes(64), b"1700000000|{}")
    packed = webhook.packed()
    assert SignedWebhook.unpack(packed) == webhook
    for damaged in (packed[:-1], packed + b"x", packed[:100], b"", packed[:128] + b"not packed"):
        with pytest.raises(ValueError, match="no packed webhook"):
            SignedWebhook.unpack(damaged)
