"""Running a bundle's own script with the programs that the guide names, and no others."""

import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path

from tests.conftest import needs_program

SCRIPT_TIMEOUT_S = 600

COREUTILS = (
    *("base64", "cat", "cut", "dirname", "head", "mkdir", "mktemp", "rm", "sha256sum", "sort", "split", "tail", "tr"),
    "wc",
)
"""What of the coreutils the script uses."""

SHELLS = ("dash", "bash", "busybox sh")
AWKS = ("mawk", "gawk", "original-awk", "busybox awk")


def programs_in(directory: Path, awk: str, *more: str) -> Path:
    """A directory that has what the guide names, and nothing else."""
    directory.mkdir()
    for name in (*COREUTILS, "openssl", "xxd", *more):
        (directory / name).symlink_to(needs_program(name))
    program, *words = awk.split()
    if words:
        (directory / "awk").write_text(f'#!{needs_program("sh")}\nexec {shutil.which(program)} {words[0]} "$@"\n')
        (directory / "awk").chmod(0o755)
    else:
        (directory / "awk").symlink_to(needs_program(program))
    return directory


def unpack(directory: Path, files: Mapping[str, bytes]) -> None:
    """Write the files of a bundle."""
    for name, raw in files.items():
        path = directory / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(raw)


def run(
    directory: Path, files: Mapping[str, bytes], *options: str, shell: str = "sh", awk: str = "awk"
) -> tuple[int, str]:
    """The bundle's own script, in an empty directory: exit status and everything that it printed.

    It finds no other program than those that the guide names.
    """
    unpack(directory, files)
    found = directory.with_name(f"{directory.name}-programs")
    programs = found if found.exists() else programs_in(found, awk)
    first, *words = shell.split()
    command = [needs_program(first), *words, str(directory / "verify.sh"), *options]
    done = subprocess.run(
        command, capture_output=True, text=True, check=False, timeout=SCRIPT_TIMEOUT_S, env={"PATH": str(programs)}
    )
    return done.returncode, done.stdout + done.stderr
