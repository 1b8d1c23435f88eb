"""`otp-service audit export`: the record for other programs, with progress, and from where the last export ended."""

import argparse
import json
import os
import socket
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TextIO

from ..clock import rfc3339
from .arguments import moment
from .output import note
from .parser import UsageError, add_command
from .settings import load_settings

FORMATS = ("jsonl", "csv", "syslog")


def register(audit: Any) -> None:
    """Add the command to the group."""
    export = add_command(
        audit,
        "export",
        _export,
        line="write the records of the ledger as JSON lines, CSV or syslog messages",
        text="In the order of the ledger. With --out, FILE.position remembers how far it is, and --resume goes on from "
        "there: also after an export that was cut off. Each export is an event of the record.",
        example="otp-service audit export --format csv --since 2026-01-01T00:00:00Z --out audit.csv",
    )
    export.add_argument("--format", choices=FORMATS, default="jsonl", help="default jsonl")
    export.add_argument("--since", type=moment, metavar="TIME", help="RFC 3339, included")
    export.add_argument("--until", type=moment, metavar="TIME", help="RFC 3339, included")
    export.add_argument("--after", type=int, default=0, metavar="SEQ", help="only records behind this number")
    export.add_argument("--out", type=Path, metavar="FILE", help="write here (default: print)")
    export.add_argument("--resume", action="store_true", help="go on behind FILE.position, and add to FILE")


def _export(args: argparse.Namespace) -> None:
    from ..bootstrap import export_records  # noqa: PLC0415
    from ..storage.callers import set_caller  # noqa: PLC0415
    from .keys import at_shell  # noqa: PLC0415
    from .progress import Progress  # noqa: PLC0415

    settings = load_settings()
    set_caller("", "", at_shell(settings))
    position, after = _position(args)
    written = 0
    with _opened(args) as file, Progress("exporting", "records") as progress:
        if not args.resume:
            # From now on it can be gone on with, also if nothing more is written.
            _keep(file, position, after, args)
        line = _liner(args.format, file, new=args.out is None or file.tell() == 0)
        since, until = _ms(args.since), _ms(args.until)
        for done, size, lines in export_records(settings, args.format, after, since, until):
            for one in lines:
                file.write(f"{line(one)}\n")
            written += len(lines)
            _keep(file, position, done, args)
            progress.advance(done - after, size - after)
    if args.out is not None:
        note(f"{args.out}: {written} records")


def _ms(at: Any) -> int | None:
    return None if at is None else int(at.timestamp() * 1000)


def _position(args: argparse.Namespace) -> tuple[Path | None, int]:
    """The file that remembers how far an export is, and behind which record it begins."""
    if args.out is None:
        if args.resume:
            raise UsageError("--resume needs --out")
        return None, args.after
    path = args.out.with_name(f"{args.out.name}.position")
    if not args.resume:
        return path, args.after
    try:
        found = json.loads(path.read_text())
        seq, size = int(found["seq"]), int(found["bytes"])
        with args.out.open("r+b") as file:
            if args.out.stat().st_size < size:
                raise UsageError(f"{args.out} is shorter than the export that {path} remembers: it is another file")
            for name, value in _asked(args).items():
                if found.get(name) != value:
                    raise UsageError(f"{args.out} is another export: go on {_option(name, found.get(name))}")
            # What was written behind the last position would come twice.
            file.truncate(size)
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise UsageError(f"{path} and {args.out} say nothing of an export that could go on") from error
    return path, seq


def _asked(args: argparse.Namespace) -> dict[str, Any]:
    """What has to be the same when an export goes on. Times are Unix milliseconds."""
    return {"format": args.format, "since": _ms(args.since), "until": _ms(args.until)}


def _option(name: str, value: object) -> str:
    shown = rfc3339(value) if isinstance(value, int) else value
    return f"without --{name}" if value is None else f"with --{name} {shown}"


@contextmanager
def _opened(args: argparse.Namespace) -> Iterator[TextIO]:
    if args.out is None:
        yield sys.stdout
        return
    how = os.O_APPEND if args.resume else os.O_CREAT | os.O_EXCL
    try:
        descriptor = os.open(args.out, os.O_WRONLY | how, 0o600)
    except OSError as error:
        raise UsageError(f"{args.out} cannot be written: {error.strerror}") from error
    with os.fdopen(descriptor, "a" if args.resume else "w", encoding="utf-8", newline="") as file:
        yield file


def _keep(file: TextIO, position: Path | None, seq: int, args: argparse.Namespace) -> None:
    from ..files import write_private  # noqa: PLC0415

    file.flush()
    if position is not None:
        write_private(position, json.dumps({"seq": seq, "bytes": file.tell(), **_asked(args)}).encode())


def _liner(name: str, file: TextIO, *, new: bool) -> Callable[[Mapping[str, Any]], str]:
    from ..domain import export_lines  # noqa: PLC0415

    if name == "csv":
        if new:
            file.write(f"{export_lines.csv_head()}\n")
        return export_lines.csv_line
    host = socket.gethostname()
    return export_lines.json_line if name == "jsonl" else lambda line: export_lines.syslog_line(line, host)
