"""An exporter that is killed, as a process, while events come."""

import signal
import subprocess
import sys
from functools import partial
from pathlib import Path

from otp_service import bootstrap
from otp_service.config import DEV_TOML, load
from otp_service.keyring import create
from otp_service.ledger import reading, writing
from otp_service.ledger.database import Database, find_database

from ..conftest import clean_environ, wait_until
from ..storage.harness import CODE, StoreHarness, fresh_number
from .harness import read_all

KILLS = 2
START_S = 180.0


def logins(harness: StoreHarness, count: int) -> None:
    """So many logins: three events each."""
    for _ in range(count):
        harness.check(harness.start(fresh_number()).reference, CODE)


def test_nothing_is_lost_or_doubled_by_kills(server_harness: StoreHarness, redis_url: str, tmp_path: Path) -> None:
    """SIGKILL at any moment, again and again: what the streams have is in the ledger once, and no gap is seen."""
    harness = server_harness
    keyring, config = tmp_path / "keyring.json", tmp_path / "otp.toml"
    keyring.write_bytes(create(lambda n: bytes(range(n)), "2026-01-01T00:00:00Z"))
    keyring.chmod(0o600)
    config.write_text(DEV_TOML)
    settings = {"OTP_REDIS_URL": redis_url, "OTP_KEYRING": str(keyring), "OTP_CONFIG": str(config)}
    bootstrap.accept_keyring(load(settings))
    ledger, command = f"sqlite:///{tmp_path}/ledger.db", [sys.executable, "-m", "otp_service", "ledger", "run"]
    for _ in range(KILLS):
        logins(harness, 10)
        before = size(ledger)
        process = subprocess.Popen(command, env=clean_environ(**settings), cwd=tmp_path)
        wait_until(partial(has_more, ledger, before), START_S, "the ledger")
        logins(harness, 10)
        process.send_signal(signal.SIGKILL)
        process.wait(START_S)
    process = subprocess.Popen(command, env=clean_environ(**settings), cwd=tmp_path)
    wait_until(partial(has_more, ledger, 3 * KILLS * 20 - 1), START_S, "the rest")
    process.terminate()
    assert process.wait(START_S) == 0
    found = find_database(ledger)
    assert found is not None
    assert in_ledger(found) == sorted(event.seq for event in read_all(harness.audit, 1_000))
    assert writing.open_gaps(found) == []
    found.close()


def size(url: str) -> int:
    """How many records there are; 0 while there is no ledger."""
    database = find_database(url)
    if database is None:
        return 0
    try:
        return reading.size(database)
    finally:
        database.close()


def has_more(url: str, than: int) -> bool:
    """Whether there are more than so many."""
    return size(url) > than


def in_ledger(database: Database) -> list[str]:
    """The names of all events that are there."""
    with database.reading() as connection:
        rows = connection.exec_driver_sql("SELECT shard, at_ms, counter FROM records").all()
    return sorted(f"{shard:02x}-{at_ms}-{counter}" for shard, at_ms, counter in rows)
