"""Timestamps (RFC 3161) by the program `openssl ts`: it asks for them, and says whether one is good."""

import subprocess
import tempfile
from pathlib import Path

from ..domain.errors import ServiceError

OPENSSL_S = 20.0
_TIME = "Time stamp: "


class NoOpenssl(ServiceError):
    """The program is not there, or does not end."""


def verify_timestamp(note: bytes, response: bytes, authorities: Path) -> tuple[str | None, str]:
    """Why the timestamp does not count, None if it does; and the time that it says, as `openssl` prints it.

    `authorities`: certificates (PEM). Raises NoOpenssl.
    """
    with tempfile.TemporaryDirectory() as name:
        data, answer, text = Path(name) / "note", Path(name) / "response", Path(name) / "text"
        data.write_bytes(note)
        answer.write_bytes(response)
        fault = openssl_ts("-verify", "-data", str(data), "-in", str(answer), "-CAfile", str(authorities))
        if fault is not None or openssl_ts("-reply", "-in", str(answer), "-text", "-out", str(text)) is not None:
            return fault or "it cannot be read", ""
        lines = text.read_text(errors="replace").splitlines()
        return None, next((line.removeprefix(_TIME) for line in lines if line.startswith(_TIME)), "")


def openssl_ts(*words: str) -> str | None:
    """Run it; what it says where it fails. Raises NoOpenssl."""
    try:
        done = subprocess.run(
            ["openssl", "ts", *words], capture_output=True, check=False, timeout=OPENSSL_S, stdin=subprocess.DEVNULL
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise NoOpenssl(f"the program openssl is needed for timestamps: {error}") from error
    if done.returncode == 0:
        return None
    said = done.stderr.decode(errors="replace").strip().splitlines()
    return said[-1][-200:] if said else f"openssl ended with status {done.returncode}"
