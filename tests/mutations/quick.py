"""`python -m tests.mutations.quick`: mutants of scripts, judged in one process and on one server. See `--help`.

A hundred times as fast as a run of pytest for each. Only tests that need nothing but the store's harness are run, so a
mutant that survives here may be noticed by others: judge those with `python -m tests.mutations`.
"""

import argparse
import importlib
import inspect
import itertools
import logging
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from otp_service.runtime.dev import embedded_store
from otp_service.storage import script_files

from ..storage.harness import StoreHarness
from .run import Copy, mutants_of
from .suites import core_files, suite_of

HERE = "--here"
Case = Callable[[StoreHarness], object]


def main() -> int:
    """Go on in a copy of the repository, and print what became of each mutant."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.mutations.quick",
        description="Judge all mutants of scripts by the store's tests, in one process.",
        epilog="example: python -m tests.mutations.quick 'factor/*.lua'",
    )
    parser.add_argument("scripts", metavar="GLOB", nargs="+", help="paths of scripts")
    parser.add_argument(HERE, action="store_true", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.here:
        return _judge_all(args.scripts)
    with tempfile.TemporaryDirectory(prefix="mutants-") as directory:
        Copy(Path(directory))
        command = [sys.executable, "-m", "tests.mutations.quick", HERE, *args.scripts]
        environ = {**os.environ, "PYTHONPATH": directory, "PYTHONDONTWRITEBYTECODE": "1"}
        return subprocess.run(command, cwd=directory, env=environ, check=False).returncode


def _judge_all(globs: list[str]) -> int:
    # What a broken script makes the service say is what is looked for.
    logging.disable(logging.CRITICAL)
    server = embedded_store.start(Path.cwd() / "store", log=Path.cwd() / "store.log")
    try:
        server.wait_ready()
        for path in [path for glob in globs for path in core_files(glob) if path.endswith(".lua")]:
            cases = [case for name in suite_of(path) for case in _cases(name)]
            if (broken := _noticed(server.url, cases)) is not None:
                sys.stderr.write(f"the tests of {path} fail without any change: {broken}\n")
                return 2
            _judge(path, server.url, cases)
    finally:
        server.stop()
    return 0


def _judge(path: str, url: str, cases: list[tuple[str, Case]]) -> None:
    file = Path.cwd() / path
    source = file.read_text(encoding="utf-8")
    mutants = mutants_of(path)
    survivors = []
    for mutant in mutants:
        file.write_text(mutant.text, encoding="utf-8")
        if _noticed(url, cases) is None:
            survivors.append(mutant.name)
    file.write_text(source, encoding="utf-8")
    sys.stdout.write(f"{path}: {len(mutants)} tried, {len(survivors)} not noticed\n")
    sys.stdout.writelines(f"    {name}\n" for name in survivors)
    sys.stdout.flush()


def _noticed(url: str, cases: list[tuple[str, Case]]) -> str | None:
    """Which test fails."""
    script_files.load.cache_clear()
    for name, case in cases:
        harness = StoreHarness.open(url)
        try:
            harness.raw.flushall()
            harness.outbox.open()
            case(harness)
        except (Exception, pytest.fail.Exception) as error:  # noqa: BLE001 - however it fails, it has been noticed
            return f"{name}: {type(error).__name__}"
        finally:
            harness.close()
    return None


def _cases(file: str) -> Iterator[tuple[str, Case]]:
    module = importlib.import_module(file.removesuffix(".py").replace("/", "."))
    for name, test in vars(module).items():
        if not name.startswith("test_") or not inspect.isfunction(test):
            continue
        first, *others = [*inspect.signature(test).parameters, ""]
        for values in _values(test):
            if first in ("harness", "server_harness") and set(others[:-1]) == set(values):
                yield name, partial(_run, test, values)


def _run(test: Callable[..., object], values: dict[str, Any], harness: StoreHarness) -> object:
    return test(harness, **values)


def _values(test: Any) -> Iterator[dict[str, Any]]:
    """What `pytest.mark.parametrize` gives a test."""
    marks = [mark for mark in getattr(test, "pytestmark", ()) if mark.name == "parametrize"]
    for chosen in itertools.product(*(mark.args[1] for mark in marks)):
        given: dict[str, Any] = {}
        for mark, value in zip(marks, chosen, strict=True):
            names = mark.args[0] if isinstance(mark.args[0], tuple) else (mark.args[0],)
            given |= dict(zip(names, value if len(names) > 1 else (value,), strict=True))
        yield given


if __name__ == "__main__":
    sys.exit(main())
