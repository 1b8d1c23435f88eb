"""`otp-service audit erase`: takes away from the record who somebody was."""

import argparse
from typing import Any

from .keys import at_shell
from .output import note, print_json, print_line
from .parser import add_command, json_option
from .settings import load_settings


def register(audit: Any) -> None:
    """Add the command to the group."""
    erase = add_command(
        audit,
        "erase",
        _erase,
        line="erase a person: number, mask, hash and addresses, from ledger and store",
        text="The records stay, and every proof of them holds. Only the keyring can still tell whose they are. What is "
        "pending for the number ends. It takes a while: the ledger's file is written anew.",
        example="otp-service audit erase +12025550143",
    )
    erase.add_argument("number", metavar="NUMBER", help="the person's number in E.164")
    erase.add_argument("--optouts", action="store_true", help="erase opt-outs, too: messages could reach it again")
    json_option(erase)


def _erase(args: argparse.Namespace) -> None:
    from ..bootstrap import erase_person  # noqa: PLC0415
    from ..storage.callers import set_caller  # noqa: PLC0415
    from .progress import Progress  # noqa: PLC0415

    settings = load_settings()
    set_caller("", "", at_shell(settings))
    with Progress("erasing", "keys") as progress:
        erased = erase_person(settings, args.number, progress.advance, optouts=args.optouts)
    if not erased.rewritten:
        note("the store refused to write its append-only file anew: run BGREWRITEAOF there, or it stays in that file")
    if args.json:
        print_json({"records": erased.records, "in_store": erased.in_store, "rewritten": erased.rewritten})
        return
    print_line(f"erased from {erased.records} records and {erased.in_store} places of the store")
    note("copies that were exported or backed up before are yours to erase; a restored ledger is erased again")
