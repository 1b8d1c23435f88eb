"""Copying the log files of all processes to stderr, for `--verbose`."""

import sys
from pathlib import Path


class LogFollower:
    """Copies new lines of the log files to stderr."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._positions = {path: path.stat().st_size for path in directory.glob("*.log")}

    def copy(self) -> None:
        """Copy the lines that were written since the last call."""
        for path in sorted(self._directory.glob("*.log")):
            with path.open("rb") as file:
                file.seek(self._positions.get(path, 0))
                for line in file.read().decode(errors="replace").splitlines():
                    sys.stderr.write(f"{path.stem}: {line}\n")
                self._positions[path] = file.tell()
        sys.stderr.flush()
