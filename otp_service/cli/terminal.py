"""What every command shares: parsers that say what is wrong in one sentence, JSON, tables, the progress bar.

Light on purpose: a command line is parsed before anything heavy is imported.
"""

import argparse
import contextlib
import json
import re
import sys
import textwrap
import threading
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, NoReturn, Self

from ..domain.errors import ServiceError

if TYPE_CHECKING:
    from rich.progress import Progress as Bar
    from rich.progress import TaskID

PROGRAM = "otp-service"
SLOW_S = 2.0
"""Work that takes longer shows how far it is."""

Command = Callable[[argparse.Namespace], int | None]


class UsageError(ServiceError):
    """What was typed cannot be done; the sentence says what to type instead."""

    code = "usage_error"


class Parser(argparse.ArgumentParser):
    """Says what is wrong in one sentence instead of repeating the usage."""

    def error(self, message: str) -> NoReturn:
        """Print the sentence and exit with status 2."""
        self.exit(2, f"{self.prog}: {message} (see {self.prog} --help)\n")


def add_command(groups: Any, name: str, run: Command, *, line: str, text: str = "", example: str) -> Parser:
    """Add a command: `line` is its line in the list, `text` what its own --help adds, `example` lines to paste."""
    parser: Parser = groups.add_parser(
        name,
        help=line,
        description=textwrap.fill(f"{line[0].upper()}{line[1:]}. {text}".strip(), 80),
        epilog=_examples(example),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.set_defaults(run=run)
    return parser


def add_group(groups: Any, name: str, *, line: str, example: str) -> Any:
    """Add a command that has commands of its own; returns what those are added to."""
    parser: Parser = groups.add_parser(
        name,
        help=line,
        description=textwrap.fill(f"{line[0].upper()}{line[1:]}.", 80),
        epilog=_examples(example),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    return parser.add_subparsers(metavar="COMMAND", required=True, title="commands")


def _examples(lines: str) -> str:
    return f"example:\n{textwrap.indent(lines, '  ')}"


def json_option(parser: Parser, what: str = "print JSON for programs") -> None:
    """Add --json."""
    parser.add_argument("--json", action="store_true", help=what)


def moment(text: str) -> datetime:
    """A type of argument: RFC 3339 with a zone."""
    # datetime takes more spellings than RFC 3339 has, e.g. weeks and bare dates, and "T" or a blank between.
    if re.fullmatch(r"\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d:\d\d(\.\d{1,9})?([Zz]|[+-]\d\d:\d\d)", text, re.ASCII):
        with contextlib.suppress(ValueError, OverflowError):
            return datetime.fromisoformat(text.upper()).astimezone(UTC)
    raise argparse.ArgumentTypeError(
        f"{text!r} is not a time such as 2026-12-01T09:30:00Z or 2026-12-01T10:30:00+01:00"
    )


def fail(sentence: str) -> int:
    """Say on stderr why it failed; returns the exit status."""
    note(f"{PROGRAM}: {sentence}")
    return 1


def note(line: str) -> None:
    """A line for the person at the shell, on stderr, where no program takes it for data."""
    with contextlib.suppress(BrokenPipeError):
        print(line, file=sys.stderr)


def say(line: str) -> None:
    """A line of the result, on stdout."""
    print(line)


def print_json(data: Any) -> None:
    """One JSON document, indented for people, stable for programs."""
    print(json.dumps(data, indent=2, ensure_ascii=False))


def print_table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """A table as wide as its content on a pipe, as wide as the terminal on a terminal."""
    from rich.console import Console  # noqa: PLC0415
    from rich.table import Table  # noqa: PLC0415

    table = Table(box=None, header_style="bold", pad_edge=False)
    for column in columns:
        table.add_column(column, overflow="fold")
    for row in rows:
        table.add_row(*row)
    # Not a terminal: no colours, and no folding at the 80 columns that rich would assume.
    Console(markup=False, highlight=False, width=None if sys.stdout.isatty() else 1000).print(table)


def print_facts(facts: Iterable[tuple[str, str]]) -> None:
    """One thing's facts, a line each: name, value."""
    listed = list(facts)
    width = max(len(name) for name, _ in listed)
    for name, value in listed:
        print(f"{name:<{width}}  {value}")


class Progress:
    """A bar on stderr for work that takes longer than two seconds, if a person is looking; nothing on a pipe.

    Used in a `with`. Before `advance` says how much there is, it only shows that something goes on.
    """

    def __init__(self, what: str, unit: str = "") -> None:
        self._what = what
        self._unit = unit
        self._lock = threading.Lock()
        self._bar: Bar | None = None
        self._task: TaskID | None = None
        self._done, self._total = 0, 0
        self._timer: threading.Timer | None = None

    def __enter__(self) -> Self:
        if sys.stderr.isatty():
            self._timer = threading.Timer(SLOW_S, self._show)
            self._timer.daemon = True
            self._timer.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._timer is not None:
            self._timer.cancel()
            # It knows us: left to the garbage collector, its end could come at any time, and swallow a Ctrl-C.
            self._timer = None
        with self._lock:
            # A timer that is going off just now finds that there is nothing to show any more.
            self._what = ""
            bar, self._bar = self._bar, None
        if bar is not None:
            bar.stop()

    def advance(self, done: int, total: int = 0) -> None:
        """So much is done, of `total` (0: nobody knows)."""
        with self._lock:
            self._done, self._total = done, total
            if self._bar is not None and self._task is not None:
                self._bar.update(self._task, completed=done, total=total or None, count=self._count())

    def _count(self) -> str:
        if not self._done and not self._total:
            return ""
        of = f" of {self._total}" if self._total else ""
        return f"{self._done}{of} {self._unit}".strip()

    def _show(self) -> None:
        from rich.console import Console  # noqa: PLC0415
        from rich.progress import BarColumn, SpinnerColumn, TextColumn, TimeElapsedColumn  # noqa: PLC0415
        from rich.progress import Progress as Bar  # noqa: PLC0415

        with self._lock:
            if not self._what:
                return
            columns = (
                SpinnerColumn(),
                TextColumn("{task.description}"),
                BarColumn(),
                TextColumn("{task.fields[count]}"),
            )
            self._bar = Bar(*columns, TimeElapsedColumn(), console=Console(stderr=True), transient=True)
            self._task = self._bar.add_task(self._what, total=self._total or None, count=self._count())
            self._bar.update(self._task, completed=self._done)
            self._bar.start()
