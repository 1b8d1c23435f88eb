"""`otp-service optouts`: the carrier's list of people who opted out, and bringing the store's registry up to it.

There is no command to block or unblock anybody, because the carrier has no such operation: only the person's own
STOP and START count.
"""

import argparse
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from .terminal import Progress, add_command, add_group, json_option, moment, print_json, print_table

if TYPE_CHECKING:
    from ..telnyx.responses import OptOut
    from ..usecases.sync_profile import SyncResult

Tell = Callable[[int, int], None]
"""Hears how many entries were read, of how many."""
Sync = Callable[[Tell], "list[SyncResult]"]

_PROFILE = "abc85f64-5717-4562-b3fc-2c9600000000"


def register(subparsers: Any, sync: Sync) -> None:
    """Add the commands to the command line. `sync` makes one pass; it opens store, keyring and carrier itself."""
    groups = add_group(
        subparsers,
        "optouts",
        line="show who opted out at the carrier, and bring the local registry up to it",
        example=f"otp-service optouts list --profile {_PROFILE}",
    )
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
    synced = add_command(
        groups,
        "sync",
        lambda args: _sync(args, sync),
        line="write the carrier's whole list into the store's registry, and lift what it does not hold",
        text="Workers do so at their start and every 15 minutes. It goes on where the last pass ended, also one that "
        "was killed; it needs OTP_REDIS_URL, OTP_KEYRING and the configuration.",
        example="otp-service optouts sync",
    )
    json_option(synced)


def _list(args: argparse.Namespace) -> None:
    from .carrier import carrier, clock, masked  # noqa: PLC0415

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
    print_table(("person", "profile", "said to", "keyword", "since"), rows)


def _sync(args: argparse.Namespace, sync: Sync) -> None:
    with Progress("Reading the carrier's list", "people") as progress:
        done = sync(progress.advance)
    if args.json:
        print_json(
            [
                {
                    "messaging_profile_id": one.profile,
                    "read": one.read,
                    "changed": one.changed,
                    "skipped": one.skipped,
                    "lifted": one.lifted,
                }
                for one in done
            ]
        )
        return
    print_table(
        ("profile", "read", "changed", "skipped", "lifted"),
        ([one.profile, str(one.read), str(one.changed), str(one.skipped), str(one.lifted)] for one in done),
    )
