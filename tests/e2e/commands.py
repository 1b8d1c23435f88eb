"""Running a command and reading what it prints.

Most commands run in this process: the greater part of a process of their own would be its start. What goes on until it
is ended runs as a process, and so does what a test wants to see from outside.
"""

import contextlib
import io
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from otp_service.cli import main
from otp_service.config import dev_environment
from tests.conftest import Dev, clean_environ

PROCESSES = ("dev", "serve", "worker", "sandbox")
"""Commands that go on until they are ended. They change their process: signals, umask, threads."""


ROOT = Path("/")


def run(*arguments: str, **environ: str) -> subprocess.CompletedProcess[str]:
    """Run a command to its end, with these variables of the service and no others."""
    return run_in(ROOT, *arguments, **environ)


def run_in(directory: Path, *arguments: str, **environ: str) -> subprocess.CompletedProcess[str]:
    """The same in a directory."""
    if arguments and arguments[0] in PROCESSES:
        return run_process_in(directory, *arguments, **environ)
    out, errors = io.StringIO(), io.StringIO()
    with (
        _place(directory, clean_environ(**environ)),
        contextlib.redirect_stdout(out),
        contextlib.redirect_stderr(errors),
    ):
        try:
            status = main.main(arguments)
        except SystemExit as ended:
            status = int(ended.code or 0)
    return subprocess.CompletedProcess(arguments, status, out.getvalue(), errors.getvalue())


def run_process(*arguments: str, **environ: str) -> subprocess.CompletedProcess[str]:
    """Run a command as a process of its own."""
    return run_process_in(ROOT, *arguments, **environ)


def run_process_in(directory: Path, *arguments: str, **environ: str) -> subprocess.CompletedProcess[str]:
    """The same in a directory."""
    return subprocess.run(
        [sys.executable, "-m", "otp_service", *arguments],
        capture_output=True,
        text=True,
        timeout=120,
        env=clean_environ(**environ),
        cwd=directory,
        check=False,
    )


@contextlib.contextmanager
def _place(directory: Path, environ: dict[str, str]) -> Iterator[None]:
    """This process in another directory and with another environment. What the command changes of it is undone."""
    before, kept = Path.cwd(), dict(os.environ)
    # Each process says once what it has found.
    dev_environment._say.cache_clear()
    os.chdir(directory)
    _replace_environ(environ)
    try:
        yield
    finally:
        os.chdir(before)
        _replace_environ(kept)


def _replace_environ(environ: dict[str, str]) -> None:
    os.environ.clear()
    os.environ.update(environ)


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
