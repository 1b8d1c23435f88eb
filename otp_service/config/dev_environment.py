"""The file with the addresses and keys of a running `otp-service dev`, which commands in its directory use.

`.otp-dev/env` holds `NAME=value` lines that a shell can source and a program can parse. Sourcing it exports nothing,
so commands look for it themselves. The environment wins, group by group: a command that has another store in its
environment does not get this keyring, and one that has another carrier key does not get this carrier's address.
"""

import contextlib
import os
import shlex
import sys
from collections.abc import Iterable, Mapping
from functools import cache
from pathlib import Path

from .faults import Faults
from .file import config_path, read_toml
from .private_files import OTHERS

DIRECTORY = ".otp-dev"
FILE = "env"

GROUPS = (
    ("OTP_REDIS_URL", "OTP_KEYRING", "OTP_DATA_DIR", "OTP_LEDGER_URL"),
    ("TELNYX_BASE_URL", "TELNYX_API_KEY", "TELNYX_PUBLIC_KEY", "TELNYX_WEBHOOK_SIGNING_SEED"),
    ("OTP_CONFIG",),
    ("OTP_PUBLIC_URL",),
)
"""The variables that commands take from the file. If the environment has one of a group, none of it is taken."""

SHARED = tuple(name for group in GROUPS for name in group)


def write_lines(values: Mapping[str, str]) -> bytes:
    """The content of the file."""
    return "".join(f"{name}={_plain(value)}\n" for name, value in values.items()).encode()


def read(path: Path) -> dict[str, str]:
    """The variables in the file. Empty if there is none, or, with a line on stderr, if it is not private to this user.

    In a shared directory, another user's file must not decide which service our commands use.
    """
    try:
        with path.open(encoding="utf-8") as file:
            objection = _objection(os.fstat(file.fileno()))
            if objection is not None:
                _say(f"not using {path}: it {objection}")
                return {}
            pairs = [line.rstrip("\n").split("=", 1) for line in file if "=" in line]
        return {name: _bare(value) for name, value in pairs}
    except (OSError, ValueError):
        return {}


def _objection(about: os.stat_result) -> str | None:
    if about.st_uid != os.geteuid():
        return "belongs to another user"
    return "can be read or written by others (chmod 600 makes it private)" if about.st_mode & OTHERS else None


@cache
def _say(line: str) -> None:
    # Once in each process, whatever else looks for the file.
    with contextlib.suppress(OSError):
        sys.stderr.write(f"otp-service: {line}\n")


def missing(environ: Mapping[str, str], found: Mapping[str, str]) -> dict[str, str]:
    """The found variables that the environment does not have."""
    taken = {}
    for group in GROUPS:
        if not any(environ.get(name) or environ.get(f"{name}_FILE") for name in group):
            taken.update({name: found[name] for name in group if found.get(name)})
    return taken


def _plain(value: str) -> str:
    # Our own values need no quotes; the URL of a given store may, and then it is quoted for the shell.
    return value if shlex.quote(value.replace("?", "")) == value.replace("?", "") else shlex.quote(value)


def _bare(value: str) -> str:
    return "".join(shlex.split(value)) if value[:1] in "'\"" and value else value


def environment(*, find: bool = True) -> Mapping[str, str]:
    """The environment of this process, for `load`.

    `find`: variables that are missing are taken from the file of an `otp-service dev` that runs in this directory; a
    line on stderr lists them. They are put into the process's environment, so that its children have them too.
    """
    if find:
        path = Path(DIRECTORY, FILE).absolute()
        found = missing(os.environ, read(path))
        if "OTP_PUBLIC_URL" in found and _has_public_url({**os.environ, **found}):
            del found["OTP_PUBLIC_URL"]
        if found:
            os.environ.update(found)
            say_used(path, found)
    return os.environ


def say_used(path: Path, names: Iterable[str]) -> None:
    """Say on stderr which variables a command has from the file, once: nobody is to wonder what it talks to."""
    _say(f"using {path} for {', '.join(names)}")


def _has_public_url(environ: Mapping[str, str]) -> bool:
    try:
        path = config_path(environ, Path.cwd())
        return path is not None and "public_url" in read_toml(path, Faults()).get("service", {})
    except TypeError:
        return False  # `load` reports it
