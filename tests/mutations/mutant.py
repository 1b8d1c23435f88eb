"""One mutant: a file with one small change."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Mutant:
    """`path` in the repository, the changed `line` (from 1), what was done, and the whole changed text."""

    path: str
    line: int
    what: str
    text: str

    @property
    def name(self) -> str:
        """What tells it from every other mutant of the same source."""
        return f"{self.path}:{self.line}: {self.what}"
