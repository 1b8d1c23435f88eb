"""Files and directories that only this user can read."""

import os
from pathlib import Path


def write_private(path: Path, content: bytes) -> None:
    """Write the file whole or not at all, readable by this user only."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)


def private_directory(path: Path) -> None:
    """Make `path` (and its parents) a directory that only this user can enter."""
    path.mkdir(mode=0o700, parents=True, exist_ok=True)
    path.chmod(0o700)
