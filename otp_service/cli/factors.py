"""`otp-service factors`: authenticator apps and recovery codes of a person over the API; QR codes are drawn here."""

import argparse
import sys
from typing import Any
from urllib.parse import quote

from .arguments import app_name, nonempty
from .keys import at_shell
from .output import cell, note, print_json, print_line, print_records
from .parser import Parser, add_command, add_group, json_option
from .settings import known_app, load_settings

_COLUMNS = ("factor_id", "kind", "label", "status", "created_at", "last_used_at")
_NEEDS = "It needs OTP_URL and OTP_API_KEY (scope factors), or an otp-service dev in this directory."
_ID = "fac_mfrggzdfmztwq2lknnwg23tpobyxe43u"


def register(subparsers: Any) -> None:
    """Add the commands to the command line."""
    groups = add_group(
        subparsers,
        "factors",
        line="manage authenticator apps and recovery codes of a person",
        example="otp-service factors enroll user-17 --label Phone",
    )
    enroll = _command(groups, "enroll", _enroll, "draw the QR code of a new authenticator app, and confirm it")
    enroll.add_argument("subject", metavar="SUBJECT", type=nonempty, help="the person, by your own id")
    enroll.add_argument("--label", default="", help="for the person: up to 64 characters")
    codes = _command(groups, "codes", _codes, "make ten new recovery codes in place of the old ones")
    codes.add_argument("subject", metavar="SUBJECT", type=nonempty, help="the person, by your own id")
    listed = _command(groups, "list", _list, "list a person's factors")
    listed.add_argument("subject", metavar="SUBJECT", type=nonempty, help="the person, by your own id")
    confirm = _command(groups, "confirm", _confirm, "confirm an authenticator app by its first code", f"{_ID} 123456")
    confirm.add_argument("id", metavar="ID", help="the factor's id")
    confirm.add_argument("code", metavar="CODE", help="what the app shows")
    remove = _command(groups, "remove", _remove, "remove a factor", _ID)
    remove.add_argument("id", metavar="ID", help="the factor's id")
    _add_lift(groups)


def _command(groups: Any, name: str, run: Any, line: str, words: str = "user-17") -> Parser:
    parser = add_command(groups, name, run, line=line, text=_NEEDS, example=f"otp-service factors {name} {words}")
    json_option(parser)
    return parser


def _add_lift(groups: Any) -> None:
    lift = add_command(
        groups,
        "lift",
        _lift,
        line="take away a person's wrong codes in a row, also a hundred of them, or let them bind another number",
        text="It acts on OTP_REDIS_URL with OTP_KEYRING. The reason goes into the audit record.",
        example="otp-service factors lift user-17 --app default --reason 'called, identity checked'",
    )
    lift.add_argument("subject", metavar="SUBJECT", type=nonempty, help="the person, by the app's own id")
    lift.add_argument("--app", metavar="APP", type=app_name, default="default", help="the app (default: default)")
    lift.add_argument("--reason", metavar="TEXT", type=nonempty, required=True, help="why; for the audit record")
    lift.add_argument(
        "--number",
        action="store_true",
        help="leave the wrong codes, and let the person bind another number without proof, once within an hour",
    )
    json_option(lift)


def _enroll(args: argparse.Namespace) -> None:
    from .api import call  # noqa: PLC0415

    made = call("POST", "/factors/totp", {"subject": args.subject, "label": args.label})
    if args.json:
        print_json(made)
        return
    _draw(made["uri"])
    print_line(f"secret     {made['secret']}")
    print_line(f"factor_id  {made['factor_id']}")
    if sys.stdin.isatty():
        _confirm_from_terminal(made["factor_id"])
    else:
        note(f"confirm it until {made['confirm_by']}: otp-service factors confirm {made['factor_id']} CODE")


def _draw(uri: str) -> None:
    import segno  # noqa: PLC0415

    segno.make_qr(uri, error="m").terminal(out=sys.stdout, compact=True)


def _confirm_from_terminal(factor_id: str) -> None:
    from .api import ApiFailed, call  # noqa: PLC0415

    while True:
        try:
            code = input("Code that the app shows: ").strip()
        except EOFError:
            note(f"not confirmed; do it with: otp-service factors confirm {factor_id} CODE")
            return
        try:
            call("POST", f"/factors/totp/{factor_id}/confirm", {"code": code})
        except ApiFailed as error:
            if "(code_incorrect)" not in error.detail and "(invalid_request)" not in error.detail:
                raise
            note(error.detail)
            continue
        print_line("active")
        return


def _confirm(args: argparse.Namespace) -> None:
    from .api import call  # noqa: PLC0415

    factor = call("POST", f"/factors/totp/{quote(args.id, safe='')}/confirm", {"code": args.code})
    _print(args, [factor])


def _codes(args: argparse.Namespace) -> None:
    from .api import call  # noqa: PLC0415

    made = call("POST", "/factors/recovery-codes", {"subject": args.subject})
    if args.json:
        print_json(made)
        return
    for code in made["codes"]:
        print_line(code)


def _list(args: argparse.Namespace) -> None:
    from .api import call  # noqa: PLC0415

    _print(args, call("GET", f"/factors?subject={quote(args.subject, safe='')}")["factors"])


def _print(args: argparse.Namespace, factors: list[dict[str, Any]]) -> None:
    if args.json:
        print_json(factors)
        return
    rows = ({**one, "more": cell(one.get("codes_left", one.get("to")))} for one in factors)
    print_records((*_COLUMNS, "more"), rows)


def _remove(args: argparse.Namespace) -> None:
    from .api import call  # noqa: PLC0415

    call("DELETE", f"/factors/{quote(args.id, safe='')}")
    if args.json:
        print_json({"removed": args.id})
    else:
        print_line(f"removed {args.id}")


def _lift(args: argparse.Namespace) -> None:
    from ..bootstrap import lift_subject  # noqa: PLC0415
    from ..storage.callers import set_caller  # noqa: PLC0415

    settings = load_settings()
    set_caller("", "", at_shell(settings))
    lifted = lift_subject(settings, known_app(settings, args.app), args.subject, args.reason, number=args.number)
    if args.json:
        print_json({"lifted": lifted})
    elif args.number:
        print_line("lifted: the next start with the purpose bind needs no proof, within an hour")
    else:
        print_line(f"lifted: {lifted} wrong codes in a row")
