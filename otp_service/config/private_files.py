"""Files of secrets: only the user that this process runs as may touch them."""

import os
from pathlib import Path

from ..domain.errors import ConfigError

OTHERS = 0o077
"""The rights of the group and of everybody else."""


def read_private(path: Path, where: str, hint: str = "") -> bytes:
    """The content. Raises ConfigError naming `where`, also when other users of the machine have rights on the file."""
    try:
        with path.open("rb") as file:
            mode = os.fstat(file.fileno()).st_mode
            raw = file.read()
    except OSError as error:
        raise ConfigError(f"{where}: cannot read {path}: {error.strerror}{hint}") from error
    if mode & OTHERS:
        raise ConfigError(f"{where}: {path} can be read by others; run: chmod 600 {path}")
    return raw
