"""How long the work on a whole ledger takes, and how much memory: commands as an operator types them."""

import hashlib
import json
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from otp_service import bootstrap
from otp_service.bootstrap.ledger import open_ledger
from otp_service.bootstrap.signed_log import build_signer
from otp_service.bootstrap.stores import open_keyring
from otp_service.clock import clock_ms, rfc3339
from otp_service.config import DEV_TOML, Settings, load
from otp_service.ledger import digests
from otp_service.runtime.dev import embedded_store

from ..conftest import clean_environ
from .made_up import BUSY

DAY_MS = 86_400_000
ENDS_S = 30.0


@dataclass(frozen=True, slots=True)
class Spent:
    """What a command took: seconds, those of them of the processor, and megabytes at most."""

    seconds: float
    cpu_s: float
    megabytes: float
    status: int


_MEASURED = """
import json, os, sys, time
began = time.perf_counter()
with open(sys.argv[1], "ab") as log:
    out = [(os.POSIX_SPAWN_DUP2, log.fileno(), 1)]
    _, status, used = os.wait4(os.posix_spawn(sys.argv[2], sys.argv[2:], os.environ, file_actions=out), 0)
print(json.dumps({
    "seconds": time.perf_counter() - began,
    "cpu_s": used.ru_utime + used.ru_stime,
    "megabytes": used.ru_maxrss / 1024,
    "status": os.waitstatus_to_exitcode(status),
}))
"""
"""A small program that runs a command: the most memory of a process counts that of whoever started it (Linux)."""


class Installation:
    """The ledger in a directory, with a store and an exporter that run."""

    def __init__(self, directory: Path, redis_url: str) -> None:
        self.directory = directory
        config = directory / "otp.toml"
        config.write_text(DEV_TOML)
        self._environ = {
            "OTP_REDIS_URL": redis_url,
            "OTP_KEYRING": str(directory / "keyring.json"),
            "OTP_DATA_DIR": str(directory),
            "OTP_CONFIG": str(config),
        }
        self.settings: Settings = load(self._environ)
        bootstrap.accept_keyring(self.settings)

    def command(self, *words: str, by: Sequence[str] = ()) -> "subprocess.Popen[bytes]":
        """Start `otp-service` with these words. `by`: the program that starts it, this process if there is none."""
        log = (self.directory / "commands.log").open("ab")
        with log:
            return subprocess.Popen(
                [*by, sys.executable, "-m", "otp_service", *words],
                env=clean_environ(**self._environ),
                cwd=self.directory,
                stdout=subprocess.PIPE if by else log,
                stderr=log,
            )

    def spent(self, *words: str) -> Spent:
        """Run it to its end."""
        log = self.directory / "commands.log"
        with self.command(*words, by=(sys.executable, "-S", "-c", _MEASURED, str(log))) as process:
            told, _ = process.communicate()
        return Spent(**json.loads(told))

    @contextmanager
    def exporter(self) -> Iterator[None]:
        """A process that brings events into the ledger and signs."""
        process = self.command("ledger", "run")
        try:
            yield
        finally:
            process.terminate()
            process.wait(ENDS_S)


def time_the_whole(directory: Path, *, short: bool) -> Iterator[str]:
    """Lines to print. `short`: only what must take no longer where there are very many records."""
    server = embedded_store.start(directory / "store", log=directory / "store.log")
    try:
        server.wait_ready()
        here = Installation(directory, server.url)
        yield from _in_process(here)
        yield from _commands(here, short=short)
    finally:
        server.stop()


def _in_process(here: Installation) -> Iterator[str]:
    database = open_ledger(here.settings)
    began = time.perf_counter()
    signed = build_signer(here.settings, open_keyring(here.settings), database).sign_if_due()
    yield f"{len(signed)} checkpoints signed in {time.perf_counter() - began:.1f} s"
    began = time.perf_counter()
    days = len(digests.due(database, clock_ms()))
    yield f"{days} digests of a day in {time.perf_counter() - began:.2f} s"
    database.close()


def _commands(here: Installation, *, short: bool) -> Iterator[str]:
    usual = _read_and_hashed(here.directory / "ledger.db")
    yield f"\n{'':36} seconds     CPU  of that  MB at most"
    yield f"{'every record read and hashed':36} {usual.seconds:7.1f} {usual.cpu_s:7.1f}"
    for name, words in ({} if short else _long(here.directory)).items():
        yield _told(name, here.spent(*words), usual)
    with here.exporter():
        for name, words in {**_short(here.directory), **({} if short else _WRITTEN_ANEW)}.items():
            yield _told(name, here.spent(*words), usual)
    for copy in ("copy.db", "all.jsonl", "day.jsonl", "all.jsonl.position", "day.jsonl.position"):
        (here.directory / copy).unlink(missing_ok=True)


def _told(name: str, spent: Spent, usual: Spent) -> str:
    failed = f"  status {spent.status}" if spent.status else ""
    ratio = spent.cpu_s / usual.cpu_s
    return f"{name:36} {spent.seconds:7.1f} {spent.cpu_s:7.1f} {ratio:7.2f} x {spent.megabytes:7.0f}{failed}"


def _read_and_hashed(path: Path) -> Spent:
    """The least that whoever verifies has to do."""
    began, used = time.perf_counter(), time.process_time()
    connection = sqlite3.connect(path)
    for (leaf,) in connection.execute("SELECT leaf FROM records ORDER BY seq"):
        hashlib.sha256(b"\0" + leaf).digest()
    connection.close()
    return Spent(time.perf_counter() - began, time.process_time() - used, 0, 0)


def _long(directory: Path) -> dict[str, Sequence[str]]:
    """What is done with every record."""
    return {
        "audit verify": ("audit", "verify"),
        "audit check": ("audit", "check"),
        "audit export": ("audit", "export", "--out", str(directory / "all.jsonl")),
        "ledger backup": ("ledger", "backup", str(directory / "copy.db")),
    }


def _short(directory: Path) -> dict[str, Sequence[str]]:
    """What is done with some of them: it must not take longer where there are many others."""
    connection = sqlite3.connect(directory / "ledger.db")
    token, at_ms = connection.execute(
        "SELECT verification, at_ms FROM records "
        "WHERE seq > (SELECT size FROM ledger) / 2 AND type = 'delivery.sent' LIMIT 1"
    ).fetchone()
    connection.close()
    since, until = rfc3339(at_ms), rfc3339(at_ms + DAY_MS)
    return {
        "doctor": ("doctor",),
        "audit tail": ("audit", "tail"),
        "audit checkpoint": ("audit", "checkpoint"),
        "audit check of one day": ("audit", "check", "--from", since, "--to", until),
        "audit export of one day": (
            "audit",
            "export",
            "--since",
            since,
            "--until",
            until,
            "--out",
            str(directory / "day.jsonl"),
        ),
        "audit evidence of one verification": (
            "audit",
            "evidence",
            "--verification",
            f"vrf_{token}",
            "--out",
            str(directory / f"{token}.zip"),
        ),
    }


_WRITTEN_ANEW: Mapping[str, Sequence[str]] = {
    "audit erase": ("audit", "erase", "+13126000001", "--optouts"),
    "audit erase of a busy number": ("audit", "erase", BUSY, "--optouts"),
}
"""What writes the ledger's file anew: twice its size has to be free."""
