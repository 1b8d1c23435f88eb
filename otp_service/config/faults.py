"""Everything that is wrong with a configuration, reported at once: one line a fault."""

from collections.abc import Callable
from typing import TypeVar

from ..domain.errors import ConfigError

T = TypeVar("T")


class Faults:
    """Collects faults while a configuration is read. Each names the key or variable and says what to write instead."""

    def __init__(self) -> None:
        self._lines: list[str] = []

    def add(self, where: str, problem: str) -> None:
        """One more fault."""
        self._lines.append(f"{where}: {problem}")

    def attempt(self, read: Callable[[], T], otherwise: T) -> T:
        """What `read` returns; if it raises ConfigError, that is a fault and `otherwise` is returned."""
        try:
            return read()
        except ConfigError as error:
            self._lines.append(error.detail)
            return otherwise

    def check(self, *checks: Callable[[], object]) -> None:
        """Run these checks; those that raise ConfigError are faults."""
        for check in checks:
            self.attempt(check, None)

    def raise_any(self) -> None:
        """Raise ConfigError with all faults, if there is one."""
        if len(self._lines) == 1:
            raise ConfigError(self._lines[0])
        if self._lines:
            listed = "\n".join(f"  {line}" for line in self._lines)
            raise ConfigError(f"the configuration has {len(self._lines)} faults:\n{listed}")
