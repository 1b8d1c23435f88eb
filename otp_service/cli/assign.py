"""`otp-service numbers assign`: putting many numbers into a profile.

The carrier carries out an order for many over time. The command polls it to its end, which sets the exit status.
"""

import argparse
import time
from typing import TYPE_CHECKING, Any

from .acts import put_on_record_first
from .arguments import e164
from .output import fail, note, print_json, print_line, print_table
from .parser import UsageError, add_command, json_option
from .progress import Progress

if TYPE_CHECKING:
    from ..telnyx.client import TelnyxClient
    from ..telnyx.responses import BulkUpdate

POLL_S = 0.25
LONGEST_POLL_S = 3.0
_MAX_FAILURES = 5
"""So many polls of an order may fail in a row; the next failure ends the command."""

_EXAMPLE = """\
otp-service numbers assign --profile abc85f64-5717-4562-b3fc-2c9600000000 +18880000000 +18880000001
otp-service numbers assign --order 00000000-0000-0000-0000-000000000000"""
_HINTS = {
    "10027": "there is no such messaging profile",
    "10033": "too many numbers for one order; split them",
    "missing": "the order is unknown",
}


def register(groups: Any) -> None:
    """Add the command to `numbers`."""
    assign = add_command(
        groups,
        "assign",
        _assign,
        line="put numbers into a messaging profile and follow the order to its end",
        text="The exit status is 1 if the carrier could not move one of them. It may be run again.",
        example=_EXAMPLE,
    )
    assign.add_argument("--profile", metavar="ID", help="the profile to put them into; '' takes them out of theirs")
    assign.add_argument("--no-wait", action="store_true", help="make the order and do not follow it")
    assign.add_argument("--order", metavar="ID", help="follow an order made before instead")
    assign.add_argument("numbers", metavar="NUMBER", nargs="*", type=e164, help="in E.164")
    json_option(assign, "print the carrier's data as JSON")


def _assign(args: argparse.Namespace) -> int:
    order = _order(args) if args.order is None else _earlier_order(args)
    return _conclude(order, as_json=args.json)


def _earlier_order(args: argparse.Namespace) -> "BulkUpdate":
    from .carrier import carrier  # noqa: PLC0415

    if args.numbers or args.profile is not None or args.no_wait:
        raise UsageError("--order follows an order made before; it takes no numbers, no --profile and no --no-wait")
    with carrier({"missing": "there is no such order"}) as client:
        return _follow(client, client.show_bulk_update(args.order))


def _order(args: argparse.Namespace) -> "BulkUpdate":
    from .carrier import carrier  # noqa: PLC0415

    if args.profile is None or not args.numbers:
        raise UsageError("name the profile with --profile and at least one number")
    numbers = list(dict.fromkeys(args.numbers))
    told = {"command": "numbers assign", "profile": args.profile, "numbers": len(numbers)}
    put_on_record_first("carrier.changed", told)
    with carrier(_HINTS, lost="numbers may have been moved; running it again does no harm") as client:
        with Progress("Making the order"):
            order = client.create_bulk_update(messaging_profile_id=args.profile, numbers=numbers)
        return order if args.no_wait else _follow(client, order)


def _follow(client: "TelnyxClient", order: "BulkUpdate") -> "BulkUpdate":
    """Poll until nothing is pending. Raises the last of several failures in a row."""
    from ..telnyx.exceptions import NotSentError, UnknownOutcomeError  # noqa: PLC0415

    wait_s, failures = POLL_S, 0
    try:
        with Progress("Moving the numbers", "numbers") as progress:
            while order.pending:
                done = len(order.success) + len(order.failed)
                progress.advance(done, done + len(order.pending))
                time.sleep(wait_s)
                wait_s = min(wait_s * 1.3, LONGEST_POLL_S)
                try:
                    order, failures = client.show_bulk_update(order.order_id), 0
                except (NotSentError, UnknownOutcomeError):
                    failures += 1
                    if failures > _MAX_FAILURES:
                        raise
    except BaseException:
        # The carrier goes on with the order, whatever ended the polling: print how to follow it again.
        note(f"the order continues; follow it with: otp-service numbers assign --order {order.order_id}")
        raise
    return order


def _conclude(order: "BulkUpdate", *, as_json: bool) -> int:
    if as_json:
        print_json(dict(order.raw))
    else:
        print_line(f"order {order.order_id}")
        ends = (("moved", order.success), ("pending", order.pending), ("failed", order.failed))
        print_table(("number", "result"), ((number, end) for end, numbers in ends for number in numbers))
    if order.failed:
        whole = len(order.success) + len(order.pending) + len(order.failed)
        return fail(f"{len(order.failed)} of {whole} numbers could not be moved: {', '.join(order.failed)}")
    return 0
