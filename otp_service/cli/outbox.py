"""`otp-service outbox`: what no worker could read, and giving it to the workers again."""

import argparse
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from ..clock import rfc3339
from .acts import put_on_record
from .output import print_json, print_line, print_table
from .parser import UsageError, add_command, add_group, json_option
from .settings import load_settings

if TYPE_CHECKING:
    from ..storage.dead_letters import DeadLetter


def register(subparsers: Any) -> None:
    """Add the commands to the command line."""
    groups = add_group(
        subparsers,
        "outbox",
        line="show and replay the outbox entries and timers that no worker could read",
        example="otp-service outbox dead",
    )
    dead = add_command(
        groups,
        "dead",
        _dead,
        line="list the dead letters of the outbox, or give them to the workers again",
        text="A worker sets aside what it cannot read, such as an entry of a later version. Replay it when the workers "
        "can read it; what they still cannot read comes back to this list.",
        example="otp-service outbox dead\notp-service outbox dead --replay",
    )
    dead.add_argument("id", metavar="ID", nargs="?", help="only this one, as in the list")
    dead.add_argument("--replay", action="store_true", help="give them to the workers again")
    json_option(dead)


def _dead(args: argparse.Namespace) -> None:
    from ..bootstrap import build_dead_letters  # noqa: PLC0415

    letters = build_dead_letters(load_settings())
    found = [one for one in letters.list() if args.id in (None, one.id)]
    if args.id is not None and not found:
        raise UsageError(f"there is no dead letter {args.id!r}; see: otp-service outbox dead")
    if not args.replay:
        _show(found, as_json=args.json)
        return
    put_on_record("outbox.replayed", {"letters": len(found), "id": args.id or "all"})
    count = letters.replay(found)
    if args.json:
        print_json({"replayed": count})
    else:
        print_line(f"{count} of {len(found)} were given to the workers")


def _show(found: "Sequence[DeadLetter]", *, as_json: bool) -> None:
    if as_json:
        print_json(
            [{"id": one.id, "kind": one.kind, "set_aside_at": rfc3339(one.at_ms), "text": one.text} for one in found]
        )
        return
    rows = ([one.id, one.kind, rfc3339(one.at_ms, "seconds"), one.text] for one in found)
    print_table(("id", "kind", "set aside", "text"), rows)
