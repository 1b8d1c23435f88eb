"""Running a command as a process of its own, and reading what it prints."""

import json
import subprocess
import sys
from typing import Any

from tests.conftest import Dev, clean_environ


def run(*arguments: str, **environ: str) -> subprocess.CompletedProcess[str]:
    """Run a command to its end."""
    return subprocess.run(
        [sys.executable, "-m", "otp_service", *arguments],
        capture_output=True,
        text=True,
        timeout=30,
        env=clean_environ(**environ),
        cwd="/",
        check=False,
    )


def beside(dev: Dev, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run a command with the variables of DIR/env, as in a second terminal."""
    return run(*arguments, **dev.env)


def data(done: subprocess.CompletedProcess[str]) -> Any:
    """The JSON that a successful command printed."""
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def sentence(done: subprocess.CompletedProcess[str], status: int = 1) -> str:
    """The one sentence of a command that failed."""
    assert done.returncode == status
    assert done.stdout == ""
    assert done.stderr.count("\n") == 1, done.stderr
    assert "Traceback" not in done.stderr
    return done.stderr
