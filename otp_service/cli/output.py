"""What commands print: results on stdout, notes and errors on stderr, tables, JSON. No other module prints."""

import contextlib
import json
import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from ..clock import rfc3339
from .parser import PROGRAM


def fail(sentence: str) -> int:
    """Print the reason of a failure on stderr; returns the exit status."""
    note(f"{PROGRAM}: {sentence}")
    return 1


def note(line: str) -> None:
    """Print a line for people on stderr, so that no program takes it for data."""
    with contextlib.suppress(BrokenPipeError):
        print(line, file=sys.stderr)


def print_line(line: str, *, flush: bool = False) -> None:
    """Print a line of the result. `flush` where it must not wait for the next ones."""
    print(line, flush=flush)


def print_bytes(raw: bytes) -> None:
    """A file as the result, byte by byte."""
    sys.stdout.buffer.write(raw)


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
    """The facts of one thing: a line each, name and value."""
    listed = list(facts)
    width = max(len(name) for name, _ in listed)
    for name, value in listed:
        print(f"{name:<{width}}  {value}")


def cell(value: Any) -> str:
    """A value in a table: `-` for None, lists separated by commas."""
    if value is None:
        return "-"
    return ", ".join(value) if isinstance(value, list) else str(value)


def print_records(columns: Sequence[str], records: Iterable[Mapping[str, Any]]) -> None:
    """A table of these fields of each record."""
    print_table(columns, ([cell(record[column]) for column in columns] for record in records))


def time_text(ms: int | None) -> str | None:
    """Unix milliseconds in RFC 3339; None stays None."""
    return None if ms is None else rfc3339(ms)
