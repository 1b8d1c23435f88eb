"""What exports alone also signs, and brings checkpoints to an address, a witness that listens and an authority."""

import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import redis
from sqlalchemy import select

from otp_service import bootstrap
from otp_service.bootstrap.ledger import build_exporter, open_ledger
from otp_service.bootstrap.stores import open_keyring, open_stores
from otp_service.clock import clock_ms
from otp_service.config import Settings, load_keyring
from otp_service.domain.audit import EventType
from otp_service.domain.outlets import Outlets, WitnessAddress
from otp_service.domain.policy import Policy
from otp_service.keyring import create
from otp_service.ledger.database import Database
from otp_service.ledger.tables import RECORDS
from otp_service.signed_log.log_store import LogStore
from otp_service.signed_log.signers import signers_of
from otp_service.signed_log.timestamps import timestamp_for
from tests.conftest import clean_environ, needs_program, wait_until

from ..signed_log.post_receiver import receiving
from ..signed_log.timestamping import TimestampingAuthority
from .alone import exporting_alone

START_S = 120


@contextmanager
def witness(directory: Path, log_key: str) -> Iterator[WitnessAddress]:
    """`witness run --listen` in a process of its own: where it listens, and its key."""
    words = ("witness", "run", "--listen", "127.0.0.1:0", "--key", "w.key", "--name", "w.example", "--log-key", log_key)
    command = [sys.executable, "-m", "otp_service", *words]
    with subprocess.Popen(
        command, cwd=directory, env=clean_environ(), stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as process:
        assert process.stdout is not None
        key, address = (process.stdout.readline().split()[-1] for _ in range(2))
        try:
            yield WitnessAddress(f"http://{address}", key)
        finally:
            process.send_signal(signal.SIGTERM)
            rest = process.stdout.read()
            assert process.wait(START_S) == 0
            assert "cosigned" in rest


def settings_of(redis_url: str, directory: Path, **more: Any) -> Settings:
    """Of an installation with a store of its own."""
    path = directory / "keyring.json"
    if not path.exists():
        path.write_bytes(create(lambda n: bytes(range(n)), "2026-01-01T00:00:00Z"))
        path.chmod(0o600)
    place: Any = {"redis_url": redis_url, "public_url": "http://otp.test", "issuer": "http://otp.test"}
    return Settings(policy=Policy(), keyring_path=path, **place, **more)


def export_something(settings: Settings) -> None:
    """So that the first checkpoint has records."""
    keyring = open_keyring(settings)
    stores = open_stores(settings, keyring)
    stores.audit.record(EventType.KEY_CREATED, {})
    exporter = build_exporter(settings, stores, keyring)
    while not exporter.once():
        pass
    exporter.close()
    stores.store.close()


def brought(database: Database, key: str) -> bool:
    """Whether a checkpoint is cosigned, that the witness is new is on record, and a timestamp is there."""
    with database.reading() as connection:
        added = connection.execute(select(RECORDS.c.seq).where(RECORDS.c.type == EventType.WITNESS_ADDED)).first()
        cosigned = LogStore(connection).cosigned_by(key)[1]
        return bool(added and cosigned and timestamp_for(connection, 1, 2**62))


def test_checkpoints_are_brought_where_they_are_wanted(own_redis_url: str, tmp_path: Path) -> None:
    """By the process that exports; a witness that is new is on record, in the log that it cosigns."""
    needs_program("openssl")
    with redis.Redis.from_url(own_redis_url) as client:
        client.flushall()
    bare = settings_of(own_redis_url, tmp_path)
    bootstrap.accept_keyring(bare)
    ring, database = load_keyring(bare), open_ledger(bare)
    export_something(bare)
    log_key = str(signers_of(lambda: ring.at(clock_ms()))("otp.test/audit")[0].key)
    authority = TimestampingAuthority(tmp_path / "tsa")
    with (
        receiving(lambda _: (204, b"")) as address,
        receiving(authority.answer) as stamping,
        witness(tmp_path, log_key) as listening,
    ):
        outlets = Outlets(
            checkpoint_url=address.url,
            checkpoint_every_ms=1_000,
            timestamp_url=stamping.url,
            timestamp_ca_file=str(authority.authorities),
            witnesses=(listening,),
            allow_private=True,
        )
        with exporting_alone(settings_of(own_redis_url, tmp_path, outlets=outlets)):
            wait_until(lambda: bool(address.seen) and brought(database, listening.key), START_S, "the checkpoint")
    assert address.seen[0][1].decode().startswith("otp.test/audit\n")
    database.close()
