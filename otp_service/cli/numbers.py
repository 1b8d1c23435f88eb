"""`otp-service numbers`: the settings of our numbers, and changing one. Putting many into a profile: `assign`."""

import argparse
from typing import TYPE_CHECKING, Any

from . import assign
from .acts import put_on_record_first
from .output import print_facts, print_json, print_table
from .parser import UsageError, add_command, add_group, json_option
from .progress import Progress

if TYPE_CHECKING:
    from ..telnyx.responses import Number

COLUMNS = ("number", "id", "type", "profile", "messages", "delivered", "spam", "tags")
_PROFILE = "abc85f64-5717-4562-b3fc-2c9600000000"
_DATA = "print the carrier's data as JSON"
_MISSING = "there is no such number; see: otp-service numbers list"
_ID = "the carrier's id of the number, or the number in E.164"
_MOBILE = "mobile numbers, which the carrier lists separately"
_UPDATE = f"""\
otp-service numbers update 1293384261075731499 --profile {_PROFILE}
otp-service numbers update +18880000001 --tag otp --tag us
otp-service numbers update +18880000001 --profile ''"""


def register(subparsers: Any) -> None:
    """Add the commands to the command line."""
    groups = add_group(
        subparsers,
        "numbers",
        line="show our numbers at the carrier, change them, and put many into a profile",
        example=f"otp-service numbers list --profile {_PROFILE}",
    )
    _add_list(groups)
    _add_show(groups)
    _add_update(groups)
    assign.register(groups)


def _add_list(groups: Any) -> None:
    listed = add_command(
        groups,
        "list",
        _list,
        line="list our numbers with their profile and health",
        example=f"otp-service numbers list --profile {_PROFILE}\notp-service numbers list --mobile --json",
    )
    listed.add_argument("--profile", metavar="ID", help="only those of this messaging profile")
    listed.add_argument("--mobile", action="store_true", help=_MOBILE)
    json_option(listed, _DATA)


def _add_show(groups: Any) -> None:
    show = add_command(
        groups, "show", _show, line="show one number", example="otp-service numbers show +18445550001 --json"
    )
    show.add_argument("--mobile", action="store_true", help=_MOBILE)
    show.add_argument("id", metavar="ID", help=_ID)
    json_option(show, _DATA)


def _add_update(groups: Any) -> None:
    update = add_command(
        groups,
        "update",
        _update,
        line="change one number's profile or tags; options that are left out change nothing",
        text="--profile '' takes the number out of its profile, --tag '' removes all tags.",
        example=_UPDATE,
    )
    update.add_argument("--profile", metavar="ID", help="the messaging profile to put it into")
    update.add_argument("--tag", metavar="TAG", action="append", help="its tags from now on; may be repeated")
    update.add_argument("id", metavar="ID", help=_ID)
    json_option(update, _DATA)


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
    print_table(COLUMNS, (_row(number) for number in numbers))


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
        raise UsageError("name what to change: --profile or --tag")
    tags = None if args.tag is None else [tag for tag in args.tag if tag]
    asked = {"profile": args.profile, "tags": None if tags is None else " ".join(tags)}
    told = {name: value for name, value in asked.items() if value is not None}
    put_on_record_first("carrier.changed", {"command": "numbers update", "number": args.id, **told})
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
    facts = list(zip(COLUMNS, cells, strict=True))
    facts += [("country", number.country_code or "-"), ("product", number.messaging_product or "-")]
    print_facts([*facts, ("mms", "yes" if number.mms else "no")])
