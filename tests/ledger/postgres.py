"""A real PostgreSQL for the tests: private to this user, on a unix socket, with nothing of it left at the end."""

import os
import pwd
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from ..conftest import NEEDS, wait_until

PLACES = (*sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True), Path("/usr/bin"), Path("/usr/local/bin"))
SETTINGS = {
    "fsync": "off",
    "listen_addresses": "",
    "shared_buffers": "16MB",
    "max_connections": "20",
    # What the planner knows of a table is what a test lets it know, of every row.
    "autovacuum": "off",
    "default_statistics_target": "1000",
}
READY = "ready"
"""The last line of the server's own file, as soon as it takes connections: its socket is there before that."""

WITHIN_S = 120


def _binaries() -> Path:
    for place in PLACES:
        if (place / "initdb").exists() and (place / "postgres").exists():
            return place
    pytest.skip(f"{NEEDS} postgresql (initdb, postgres)")


def _user() -> str | None:
    """Who may run it: it refuses root."""
    if os.geteuid() != 0:
        return None
    try:
        return pwd.getpwnam("postgres").pw_name
    except KeyError:
        pytest.skip(f"{NEEDS} a user postgres, since root may not run it")


def _is_ready(data: Path) -> bool:
    with suppress(FileNotFoundError):
        return READY in (data / "postmaster.pid").read_text().split()
    return False


@contextmanager
def postgres_server() -> Iterator[str]:
    """The URL of a server's database `postgres`; another name of a database may take its place."""
    binaries, user = _binaries(), _user()
    directory = Path(tempfile.mkdtemp(prefix="otp-pg-"))
    if user is not None:
        shutil.chown(directory, user)
    data = directory / "data"
    run: Any = {"user": user, "cwd": directory, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    command = [str(binaries / "initdb"), "-D", str(data), "-U", "otp", "-A", "trust", "--no-sync", "-E", "UTF8"]
    subprocess.run([*command, "--locale=C"], check=True, timeout=WITHIN_S, **run)
    options = [part for name, value in SETTINGS.items() for part in ("-c", f"{name}={value}")]
    server = subprocess.Popen(
        [str(binaries / "postgres"), "-D", str(data), "-k", str(directory), *options],
        **run,
    )
    try:
        wait_until(lambda: _is_ready(data) or server.poll() is not None, WITHIN_S, "PostgreSQL")
        assert server.poll() is None, "PostgreSQL has ended"
        yield f"postgresql://otp@/postgres?host={directory}"
    finally:
        # Fast: it does not wait for whoever is still connected.
        server.send_signal(signal.SIGINT)
        server.wait(WITHIN_S)
        shutil.rmtree(directory, ignore_errors=True)
