"""The file in which `otp-service dev` says how to reach it, and finding it again from a command in the same directory.

`.otp-dev/env` holds `NAME=value` lines that a shell can source and a program can parse. Sourcing it exports nothing,
so commands look for it themselves. What the environment says wins, and by group: a command that is told another store
does not get this one's keyring, and one that is told another carrier's key does not get this one's address.
"""

import os
import shlex
from collections.abc import Mapping
from pathlib import Path

DIRECTORY = ".otp-dev"
FILE = "env"

GROUPS = (
    ("OTP_REDIS_URL", "OTP_KEYRING"),
    ("TELNYX_BASE_URL", "TELNYX_API_KEY", "TELNYX_PUBLIC_KEY", "TELNYX_WEBHOOK_SIGNING_SEED"),
    ("OTP_CONFIG",),
    ("OTP_PUBLIC_URL",),
)
"""The variables that commands take from the file. Where the environment has one of a group, it has the group."""

SHARED = tuple(name for group in GROUPS for name in group)


def write_lines(values: Mapping[str, str]) -> bytes:
    """The content of the file."""
    return "".join(f"{name}={_plain(value)}\n" for name, value in values.items()).encode()


def read(path: Path) -> dict[str, str]:
    """The variables that stand in the file. Empty if there is none, or one that is not this user's alone.

    Somebody else's file in a shared directory must not say where our commands go.
    """
    try:
        with path.open(encoding="utf-8") as file:
            about = os.fstat(file.fileno())
            if about.st_uid != os.geteuid() or about.st_mode & 0o077:
                return {}
            pairs = [line.rstrip("\n").split("=", 1) for line in file if "=" in line]
        return {name: _bare(value) for name, value in pairs}
    except (OSError, ValueError):
        return {}


def missing(environ: Mapping[str, str], found: Mapping[str, str]) -> dict[str, str]:
    """Those of the found variables of which the environment says nothing."""
    taken = {}
    for group in GROUPS:
        if not any(environ.get(name) or environ.get(f"{name}_FILE") for name in group):
            taken.update({name: found[name] for name in group if found.get(name)})
    return taken


def _plain(value: str) -> str:
    # Nothing of ours needs quotes; a store's URL that somebody gives may, and then it is the shell's way.
    return value if shlex.quote(value.replace("?", "")) == value.replace("?", "") else shlex.quote(value)


def _bare(value: str) -> str:
    return "".join(shlex.split(value)) if value[:1] in "'\"" and value else value
