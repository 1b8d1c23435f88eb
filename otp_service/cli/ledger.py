"""`otp-service ledger`: the exporter alone, a backup while everything runs, and the end of a warning."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .keys import at_shell
from .output import note, print_json, print_line
from .parser import add_command, add_group, json_option
from .settings import load_settings

if TYPE_CHECKING:
    from ..config import Settings


def register(groups: Any) -> None:
    """Add the commands to the command line."""
    ledger = add_group(
        groups, "ledger", line="the audit record in its database", example="otp-service ledger backup ledger-copy.db"
    )
    add_command(
        ledger,
        "run",
        _run,
        line="bring events from the store into the ledger until Ctrl-C",
        text="A worker does it too. Any number of them may run: each event is there once.",
        example="OTP_LEDGER_URL=postgresql://otp@db.internal/otp otp-service ledger run",
    )
    _add_backup(ledger)
    _add_accept(ledger)


def _add_backup(ledger: Any) -> None:
    backup = add_command(
        ledger,
        "backup",
        _backup,
        line="write a copy of the ledger while everything runs",
        text="The copy is the ledger of one moment. Erased people are not in it. For SQLite; PostgreSQL has pg_dump.",
        example="otp-service ledger backup /backup/ledger-$(date +%F).db",
    )
    backup.add_argument("file", metavar="FILE", type=Path, help="where to write it; nothing may be there yet")
    json_option(backup)


def _add_accept(ledger: Any) -> None:
    accept = add_command(
        ledger,
        "accept-restore",
        _accept,
        line="end the warning that the store lost or repeated events",
        text="After somebody has looked into it. The gaps stay on record. --new-log is for a ledger that was rolled "
        "back and lost signed records for good: its log ends, and a worker begins one with another name.",
        example="otp-service ledger accept-restore",
    )
    accept.add_argument(
        "--new-log", action="store_true", help="end the signed log that was rolled back, and begin a new one"
    )
    json_option(accept)


def _run(_: argparse.Namespace) -> None:
    from ..bootstrap import run_exporter  # noqa: PLC0415
    from ..runtime.signals import stop_on_signals  # noqa: PLC0415

    stop = stop_on_signals(reload=lambda: None)
    run_exporter(load_settings(), stop)


def _known(settings: "Settings") -> "Settings":
    """Name in the record who types."""
    from ..storage.callers import set_caller  # noqa: PLC0415

    set_caller("", "", at_shell(settings))
    return settings


def _backup(args: argparse.Namespace) -> None:
    from ..bootstrap import back_up_ledger  # noqa: PLC0415
    from .progress import Progress  # noqa: PLC0415

    with Progress("copying the ledger"):
        size = back_up_ledger(_known(load_settings()), args.file)
    if args.json:
        print_json({"file": str(args.file), "records": size})
    else:
        print_line(f"{args.file}: {size} records")


def _accept(args: argparse.Namespace) -> None:
    from ..bootstrap import accept_gaps  # noqa: PLC0415

    settings = _known(load_settings())
    begun = _begin_new_log(settings) if args.new_log else None
    accepted = accept_gaps(settings)
    if args.json:
        print_json({"accepted": accepted} | ({"log": begun} if begun else {}))
    elif accepted:
        print_line(f"{accepted} gaps accepted; they stay on record")
    elif begun is None:
        note("there was no gap to accept")


def _begin_new_log(settings: "Settings") -> dict[str, str | int]:
    from ..bootstrap.new_log import begin_new_log  # noqa: PLC0415

    begun = begin_new_log(settings)
    note(f"the log {begun.ended} has ended; {begun.size} records of it were signed; {begun.aside} has its checkpoints")
    note(f"the new log is {begun.origin}: give its key to everybody who has the old one, and say why: {begun.key}")
    return {
        "origin": begun.origin,
        "key": begun.key,
        "ended": begun.ended,
        "size": begun.size,
        "aside": str(begun.aside),
    }
