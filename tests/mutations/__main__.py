"""`python -m tests.mutations`: see `--help`.

Exit status: 0 if the run came to its end, with survivors or without; 2 for wrong arguments or tests that fail on the
source as it is.
"""

import argparse
import random
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from .mutant import Mutant
from .run import KILLED, Copy, Memory, Result, mutants_of
from .suites import core_files, suite_of


def main(arguments: Sequence[str] | None = None) -> int:
    """Run it and print the survivors as a table."""
    args = build_parser().parse_args(arguments)
    files = core_files(args.only)
    if not files:
        build_parser().error(f"no file of the core is like {args.only!r}")
    mutants = [mutant for path in files for mutant in mutants_of(path)]
    random.Random(args.seed).shuffle(mutants)
    memory = Memory(args.state)
    with tempfile.TemporaryDirectory(prefix="mutants-") as directory:
        if not _try(Copy(Path(directory)), mutants, memory, args.minutes * 60):
            return 2
    known = [memory.results[mutant.name] for mutant in mutants if mutant.name in memory.results]
    sys.stdout.write(table(known, len(mutants)) + "\n")
    return 0


def build_parser() -> argparse.ArgumentParser:
    """The options of the command."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.mutations",
        description="Change scripts and domain in one small place after the other, and run the tests that are about "
        "the file. A mutant that no test notices survives, and is listed. The order is random but repeatable, so "
        "that a run of some minutes is a sample of all.",
        epilog="example: python -m tests.mutations --only 'verification/*.lua' --minutes 30 --state mutants.jsonl",
    )
    parser.add_argument("--only", default="*", metavar="GLOB", help="paths of scripts or modules (default: the core)")
    parser.add_argument("--minutes", type=float, default=10.0, help="how long to go on (default 10)")
    parser.add_argument("--seed", type=int, default=1, help="repeats the order (default 1)")
    parser.add_argument("--state", type=Path, metavar="FILE", help="keep results here, and go on from what it has")
    return parser


def _try(copy: Copy, mutants: Sequence[Mutant], memory: Memory, within_s: float) -> bool:
    """Judge as many as there is time for. Whether the tests pass on the source as it is."""
    deadline, sound = time.monotonic() + within_s, dict[tuple[str, ...], bool]()
    waiting = [mutant for mutant in mutants if mutant.name not in memory.results]
    for number, mutant in enumerate(waiting, start=1):
        if time.monotonic() > deadline:
            break
        tests = tuple(suite_of(mutant.path))
        if tests and not sound.setdefault(tests, copy.passes(tests) if tests not in sound else True):
            sys.stderr.write(f"the tests of {mutant.path} fail without any change\n")
            return False
        result = copy.judge(mutant)
        memory.add(result)
        _show(f"{number}/{len(waiting)}", result)
    return True


def _show(progress: str, result: Result) -> None:
    if sys.stderr.isatty():
        sys.stderr.write(f"\r\x1b[K{progress} {result.outcome}: {result.name[:90]}")
    elif result.outcome != KILLED:
        sys.stderr.write(f"{progress} {result.outcome}: {result.name}\n")
    sys.stderr.flush()


def table(results: Sequence[Result], of: int) -> str:
    """What became of the mutants, and which were not noticed."""
    counts = Counter(result.outcome for result in results)
    words = ", ".join(f"{count} {outcome}" for outcome, count in sorted(counts.items())) or "none tried"
    rows = [f"| `{path}` | {line} | {what} |" for path, line, what in map(_cells, results) if what]
    head = ["", "| file | line | change |", "|---|---|---|"] if rows else []
    return "\n".join([f"{len(results)} of {of} mutants tried: {words}", *head, *sorted(rows)])


def _cells(result: Result) -> tuple[str, str, str]:
    path, line, what = result.name.split(":", 2)
    return path, line, "" if result.outcome == KILLED else what.strip()


if __name__ == "__main__":
    sys.exit(main())
