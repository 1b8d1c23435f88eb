"""The directory in which the processes of this machine keep their metrics, so that each can report for all."""

import contextlib
import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

from ..config import Settings
from ..domain.errors import ConfigError
from .processes import is_running

METRICS_VARIABLE = "PROMETHEUS_MULTIPROC_DIR"
_PREFIX = "otp-metrics-"


@contextlib.contextmanager
def metrics_directory(settings: Settings) -> Iterator[Path]:
    """The directory for as long as this process runs: OTP_METRICS_DIR, or a private one that is removed at the end.

    Enter it before anything imports `prometheus_client`, which looks at the environment once.
    """
    _remove_leftovers(Path(tempfile.gettempdir()))
    directory = settings.metrics_dir or Path(tempfile.mkdtemp(prefix=f"{_PREFIX}{os.getpid()}-"))
    use_directory(directory)
    try:
        yield directory
    finally:
        if settings.metrics_dir is None:
            shutil.rmtree(directory, ignore_errors=True)


def use_directory(directory: Path) -> None:
    """Keep this process's metrics there, beside those of others. Raises ConfigError. When to call: as above."""
    try:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigError(f"OTP_METRICS_DIR: cannot use {directory}: {error.strerror}") from error
    os.environ[METRICS_VARIABLE] = str(directory)
    forget_ended(directory)


def _remove_leftovers(parent: Path) -> None:
    """Remove what processes that were killed left behind; what another user owns stays."""
    for path in parent.glob(f"{_PREFIX}*-*"):
        pid = path.name.removeprefix(_PREFIX).partition("-")[0]
        if pid.isdigit() and not is_running(int(pid)):
            shutil.rmtree(path, ignore_errors=True)


def forget_ended(directory: Path) -> None:
    """Remove the files of processes that have ended."""
    # The directory may be shared with a worker that is alive: only files of ended processes may go.
    for path in directory.glob("*.db"):
        match = re.search(r"_([0-9]+)\.db$", path.name)
        if match is not None and not is_running(int(match[1])):
            path.unlink(missing_ok=True)


def forget_work_of(pid: int | None, directory: Path) -> None:
    """Remove what a process that has ended said that it is doing. What it has counted stays."""
    for path in directory.glob(f"gauge_live*_{pid}.db"):
        path.unlink(missing_ok=True)
