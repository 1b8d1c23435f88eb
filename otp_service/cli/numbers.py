"""`otp-service numbers`: what our numbers are set to, changing one, and putting many into a profile.

An order for many is carried out by the carrier over time; it is followed to its end, and its end is the exit status.
"""

import argparse
import time
from typing import TYPE_CHECKING, Any

from .arguments import e164
from .output import fail, note, print_facts, print_json, print_table
from .parser import UsageError, add_command, add_group, json_option
from .progress import Progress

if TYPE_CHECKING:
    from ..telnyx.client import TelnyxClient
    from ..telnyx.responses import BulkUpdate, Number

POLL_S = 0.25
LONGEST_POLL_S = 3.0
_PATIENCE = 5
"""How many times in a row the carrier may fail to say how far an order is before we stop asking."""

_PROFILE = "abc85f64-5717-4562-b3fc-2c9600000000"
_DATA = "print the carrier's data as JSON"
_MISSING = "there is no such number; see: otp-service numbers list"
_UPDATE = f"""\
otp-service numbers update 1293384261075731499 --profile {_PROFILE}
otp-service numbers update +18880000001 --tag otp --tag us
otp-service numbers update +18880000001 --profile ''"""
_ASSIGN = f"""\
otp-service numbers assign --profile {_PROFILE} +18880000000 +18880000001
otp-service numbers assign --order 00000000-0000-0000-0000-000000000000"""


def register(subparsers: Any) -> None:
    """Add the commands to the command line."""
    groups = add_group(
        subparsers,
        "numbers",
        line="show our numbers at the carrier, change them, and put many into a profile",
        example=f"otp-service numbers list --profile {_PROFILE}",
    )
    listed = add_command(
        groups,
        "list",
        _list,
        line="list our numbers with their profile and health",
        example=f"otp-service numbers list --profile {_PROFILE}\notp-service numbers list --mobile --json",
    )
    listed.add_argument("--profile", metavar="ID", help="only those of this messaging profile")
    show = add_command(
        groups, "show", _show, line="show one number", example="otp-service numbers show +18445550001 --json"
    )
    for parser in (listed, show):
        parser.add_argument("--mobile", action="store_true", help="mobile numbers, which the carrier keeps apart")
    update = add_command(
        groups,
        "update",
        _update,
        line="change one number's profile or tags; what is not named stays",
        text="--profile '' takes the number out of its profile, --tag '' removes all tags.",
        example=_UPDATE,
    )
    update.add_argument("--profile", metavar="ID", help="the messaging profile it shall belong to")
    update.add_argument("--tag", metavar="TAG", action="append", help="its tags from now on; may be repeated")
    for parser in (show, update):
        parser.add_argument("id", metavar="ID", help="the carrier's id of the number, or the number in E.164")
    _add_assign(groups)
    for parser in (listed, show, update):
        json_option(parser, _DATA)


def _add_assign(groups: Any) -> None:
    assign = add_command(
        groups,
        "assign",
        _assign,
        line="put numbers into a messaging profile and follow the order to its end",
        text="The exit status is 1 if the carrier could not move one of them. It may be run again.",
        example=_ASSIGN,
    )
    assign.add_argument("--profile", metavar="ID", help="the profile they shall belong to; '' takes them out of theirs")
    assign.add_argument("--no-wait", action="store_true", help="make the order and do not follow it")
    assign.add_argument("--order", metavar="ID", help="follow an order made before instead")
    assign.add_argument("numbers", metavar="NUMBER", nargs="*", type=e164, help="in E.164")
    json_option(assign, _DATA)


# ---- looking and changing -------------------------------------------------------------------------------------------


def _list(args: argparse.Namespace) -> None:
    from .carrier import carrier  # noqa: PLC0415

    numbers: list[Number] = []
    with Progress("Reading the list", "numbers") as progress, carrier() as client:
        found = client.list_mobile_numbers() if args.mobile else client.list_numbers(messaging_profile_id=args.profile)
        for number in found:
            # The list of mobile numbers takes no filter at the carrier.
            if not args.mobile or args.profile in (None, number.messaging_profile_id):
                numbers.append(number)
                progress.advance(len(numbers))
    if args.json:
        print_json([dict(number.raw) for number in numbers])
        return
    columns = ("number", "id", "type", "profile", "messages", "delivered", "spam", "tags")
    print_table(columns, (_row(number) for number in numbers))


def _row(number: "Number") -> list[str]:
    health = number.health
    return [
        number.phone_number,
        number.id,
        number.type or "-",
        number.messaging_profile_id or "-",
        "-" if health is None or health.message_count is None else str(health.message_count),
        _percent(health.success_ratio if health else None),
        _percent(health.spam_ratio if health else None),
        ", ".join(number.tags) or "-",
    ]


def _percent(ratio: float | None) -> str:
    return "-" if ratio is None else f"{ratio:.0%}"


def _show(args: argparse.Namespace) -> None:
    from .carrier import carrier  # noqa: PLC0415

    with Progress("Asking the carrier"), carrier({"missing": _MISSING}) as client:
        number = client.show_mobile_number(args.id) if args.mobile else client.show_number(args.id)
    _print(number, as_json=args.json)


def _update(args: argparse.Namespace) -> None:
    from .carrier import carrier  # noqa: PLC0415

    if args.profile is None and args.tag is None:
        raise UsageError("say what to change: --profile or --tag")
    tags = None if args.tag is None else [tag for tag in args.tag if tag]
    hints = {"missing": _MISSING, "10027": "the number does not fit, or there is no such profile"}
    lost = f"it may be changed; see: otp-service numbers show {args.id} (running it again does no harm)"
    with Progress("Changing the number"), carrier(hints, lost=lost) as client:
        number = client.update_number(args.id, messaging_profile_id=args.profile, tags=tags)
    _print(number, as_json=args.json)


def _print(number: "Number", *, as_json: bool) -> None:
    if as_json:
        print_json(dict(number.raw))
        return
    cells = _row(number)
    names = ("number", "id", "type", "profile", "messages", "delivered", "spam", "tags")
    facts = list(zip(names, cells, strict=True))
    facts += [("country", number.country_code or "-"), ("product", number.messaging_product or "-")]
    print_facts([*facts, ("mms", "yes" if number.mms else "no")])


# ---- many at once ---------------------------------------------------------------------------------------------------


def _assign(args: argparse.Namespace) -> int:
    from .carrier import carrier  # noqa: PLC0415

    if args.order is not None:
        if args.numbers or args.profile is not None or args.no_wait:
            raise UsageError("--order follows an order made before; it takes no numbers, no --profile and no --no-wait")
        with carrier({"missing": "there is no such order"}) as client:
            order = _follow(client, client.show_bulk_update(args.order))
        return _conclude(order, as_json=args.json)
    if args.profile is None or not args.numbers:
        raise UsageError("name the profile with --profile and at least one number")
    hints = {
        "10027": "there is no such messaging profile",
        "10033": "too many numbers for one order; split them",
        "missing": "the order is unknown",
    }
    with carrier(hints, lost="numbers may have been moved; running it again does no harm") as client:
        with Progress("Making the order"):
            order = client.create_bulk_update(
                messaging_profile_id=args.profile, numbers=list(dict.fromkeys(args.numbers))
            )
        if not args.no_wait:
            order = _follow(client, order)
    return _conclude(order, as_json=args.json)


def _follow(client: "TelnyxClient", order: "BulkUpdate") -> "BulkUpdate":
    """Ask until nothing is pending. Raises what the last of several failures in a row was."""
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
                    if failures > _PATIENCE:
                        raise
    except BaseException:
        # Whatever ends the following, the carrier goes on with the order: say how to come back to it.
        note(f"the order goes on: otp-service numbers assign --order {order.order_id}")
        raise
    return order


def _conclude(order: "BulkUpdate", *, as_json: bool) -> int:
    if as_json:
        print_json(dict(order.raw))
    else:
        print(f"order {order.order_id}")
        ends = (("moved", order.success), ("pending", order.pending), ("failed", order.failed))
        print_table(("number", "result"), ((number, end) for end, numbers in ends for number in numbers))
    if order.failed:
        whole = len(order.success) + len(order.pending) + len(order.failed)
        return fail(f"{len(order.failed)} of {whole} numbers could not be moved: {', '.join(order.failed)}")
    return 0
