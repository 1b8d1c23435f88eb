"""`otp-service optouts`: the carrier's list of people who opted out, and syncing our registry with it.

There is no command to block or unblock anybody, because the carrier has no such operation: only the person's own
STOP and START count.
"""

import argparse
from typing import TYPE_CHECKING, Any

from .acts import put_on_record_first
from .arguments import moment
from .output import print_json, print_table
from .parser import add_command, add_group, json_option
from .progress import Progress
from .settings import load_settings

if TYPE_CHECKING:
    from ..telnyx.responses import OptOut
    from ..usecases.sync_profile_optouts import SyncResult

_PROFILE = "abc85f64-5717-4562-b3fc-2c9600000000"


def register(subparsers: Any) -> None:
    """Add the commands to the command line."""
    groups = add_group(
        subparsers,
        "optouts",
        line="show who opted out at the carrier, and sync the local registry with it",
        example=f"otp-service optouts list --profile {_PROFILE}",
    )
    _add_list(groups)
    synced = add_command(
        groups,
        "sync",
        _sync,
        line="copy the carrier's whole list into our registry, and remove what it does not contain",
        text="Workers do so at their start and once a day, and read what is new every optout_sync (15 minutes). It "
        "continues where the last pass ended, even if that was killed. It needs OTP_REDIS_URL, OTP_KEYRING and the "
        "configuration.",
        example="otp-service optouts sync",
    )
    json_option(synced)


def _add_list(groups: Any) -> None:
    listed = add_command(
        groups,
        "list",
        _list,
        line="list the people who opted out, by profile",
        text="Numbers are masked in the table and whole in the JSON.",
        example=f"otp-service optouts list --profile {_PROFILE} --since 2026-11-01T00:00:00Z",
    )
    listed.add_argument("--profile", metavar="ID", help="only those of this messaging profile")
    listed.add_argument("--since", metavar="TIME", type=moment, help="only later ones; RFC 3339")
    json_option(listed, "print the carrier's data as JSON, with whole numbers")


def _list(args: argparse.Namespace) -> None:
    from .carrier import carrier, clock, masked  # noqa: PLC0415

    put_on_record_first("carrier.read", {"command": "optouts list", "profile": args.profile or "all"})
    blocks: list[OptOut] = []
    with Progress("Reading the list", "people") as progress, carrier() as client:
        for block in client.list_opt_outs(messaging_profile_id=args.profile, since=args.since):
            blocks.append(block)
            progress.advance(len(blocks))
    if args.json:
        print_json([dict(block.raw) for block in blocks])
        return
    rows = (
        [
            masked(block.to),
            block.messaging_profile_id or "-",
            block.sender or "-",
            block.keyword or "-",
            clock(block.created_ms),
        ]
        for block in blocks
    )
    print_table(("person", "profile", "sent to", "keyword", "since"), rows)


def _sync(args: argparse.Namespace) -> None:
    from ..bootstrap import sync_optouts  # noqa: PLC0415

    with Progress("Reading the carrier's list", "people") as progress:
        results = sync_optouts(load_settings(), progress.advance)
    if args.json:
        print_json([_facts(result) for result in results])
        return
    columns = ("profile", "read", "changed", "skipped", "lifted")
    print_table(columns, ([str(getattr(result, column)) for column in columns] for result in results))


def _facts(result: "SyncResult") -> dict[str, object]:
    return {
        "messaging_profile_id": result.profile,
        "read": result.read,
        "changed": result.changed,
        "skipped": result.skipped,
        "lifted": result.lifted,
    }
