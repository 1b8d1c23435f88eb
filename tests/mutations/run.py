"""Runs the tests on mutants, in a copy of the repository, and remembers the results."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from . import lua, python
from .mutant import Mutant
from .suites import ROOT, suite_of

TIMEOUT_S = 600
"""A mutant that makes the tests hang has been noticed."""

KILLED, SURVIVED, NO_TESTS = "killed", "survived", "no tests"


@dataclass(frozen=True, slots=True)
class Result:
    """What became of a mutant. `tests` are the files that were run."""

    name: str
    outcome: str
    tests: int


def mutants_of(path: str) -> list[Mutant]:
    """All mutants of a file of the core that differ from it."""
    source = (ROOT / path).read_text(encoding="utf-8")
    make = lua.mutants if path.endswith(".lua") else python.mutants
    return [mutant for mutant in make(path, source) if mutant.text != source]


class Memory:
    """The results of earlier runs, one a line: a run that is repeated goes on where it ended."""

    def __init__(self, path: Path | None) -> None:
        self._path = path
        lines = path.read_text(encoding="utf-8").splitlines() if path is not None and path.exists() else []
        self.results = {result.name: result for result in (Result(**json.loads(line)) for line in lines)}

    def add(self, result: Result) -> None:
        """Keep a result."""
        self.results[result.name] = result
        if self._path is not None:
            with self._path.open("a", encoding="utf-8") as file:
                file.write(json.dumps(asdict(result)) + "\n")


class Copy:
    """A copy of the repository in which one file at a time is changed."""

    def __init__(self, directory: Path) -> None:
        self._root = directory
        for name in ("otp_service", "tests", "deploy", "setup.cfg", "setup.py", "README.md"):
            source = ROOT / name
            if source.is_dir():
                shutil.copytree(source, directory / name)
            else:
                shutil.copy2(source, directory / name)

    def judge(self, mutant: Mutant) -> Result:
        """Run the tests that are about the file."""
        tests = suite_of(mutant.path)
        if not tests:
            return Result(mutant.name, NO_TESTS, 0)
        with self._changed(mutant):
            return Result(mutant.name, SURVIVED if self._pass(tests) else KILLED, len(tests))

    def passes(self, tests: Sequence[str]) -> bool:
        """Whether these tests pass on the source as it is."""
        return self._pass(tests)

    @contextmanager
    def _changed(self, mutant: Mutant) -> Iterator[None]:
        path = self._root / mutant.path
        before = path.read_text(encoding="utf-8")
        path.write_text(mutant.text, encoding="utf-8")
        try:
            yield
        finally:
            path.write_text(before, encoding="utf-8")

    def _pass(self, tests: Sequence[str]) -> bool:
        options = ("-x", "-q", "-n0", "-m", "not cluster", "-p", "no:cacheprovider")
        command = [sys.executable, "-m", "pytest", *options, *tests]
        environ = {**os.environ, "PYTHONPATH": str(self._root), "PYTHONDONTWRITEBYTECODE": "1"}
        try:
            done = subprocess.run(
                command, cwd=self._root, env=environ, capture_output=True, timeout=TIMEOUT_S, check=False
            )
        except subprocess.TimeoutExpired:
            return False
        return done.returncode == 0
