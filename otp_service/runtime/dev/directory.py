"""The directory of one `otp-service dev`: a lock keeps two of them from sharing one."""

import contextlib
import fcntl
import os
import shutil
import time
from collections.abc import Iterator
from pathlib import Path

from ...config import dev_environment
from ...domain.errors import ServiceError
from ..processes import ChildFailed, is_running

LOCK_TIMEOUT_S = 3.0
POLL_S = 0.05


class DirectoryTaken(ServiceError):
    """The directory belongs to another `otp-service dev`, or holds other files."""

    code = "directory_taken"


@contextlib.contextmanager
def own_directory(given: Path | None) -> Iterator[tuple[Path, int]]:
    """Yield the directory and the descriptor of its lock.

    A directory that was not named is removed at the end, unless a child failed: then its logs are still needed.
    """
    directory = (given or Path(dev_environment.DIRECTORY)).absolute()
    try:
        if given is None:
            _refuse_foreign(directory)
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        lock = os.open(directory / "lock", os.O_RDWR | os.O_CREAT, 0o600)
    except OSError as error:
        raise DirectoryTaken(f"cannot use {directory}: {error.strerror}") from error
    keep = given is not None
    try:
        _acquire(lock, directory)
        if not keep:
            _empty(directory)
        yield directory, lock
    except (ChildFailed, DirectoryTaken):
        keep = True
        raise
    finally:
        if not keep:
            shutil.rmtree(directory, ignore_errors=True)
        os.close(lock)


def _refuse_foreign(directory: Path) -> None:
    # It will be emptied, so it must be new, empty or ours.
    if directory.exists() and any(directory.iterdir()) and not (directory / "lock").exists():
        raise DirectoryTaken(f"{directory} holds other files; move them away or name a directory with --dir")


def _acquire(lock: int, directory: Path) -> None:
    deadline = time.monotonic() + LOCK_TIMEOUT_S
    while True:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            break
        except BlockingIOError:
            owner = os.pread(lock, 32, 0).decode(errors="replace").strip()
            # Children hold the lock too. Those of a killed supervisor get time to end.
            if (not owner.isdigit() or is_running(int(owner))) or time.monotonic() >= deadline:
                detail = f"another otp-service dev (process {owner}) runs in {directory}; choose another with --dir"
                raise DirectoryTaken(detail) from None
            time.sleep(POLL_S)
    os.ftruncate(lock, 0)
    os.pwrite(lock, f"{os.getpid()}\n".encode(), 0)


def _empty(directory: Path) -> None:
    # A killed run may have left files.
    for path in directory.iterdir():
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path, ignore_errors=True)
        elif path.name != "lock":
            path.unlink(missing_ok=True)
