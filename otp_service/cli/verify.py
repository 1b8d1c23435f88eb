"""`otp-service verify`: sending and checking a code over the API, from a shell."""

import argparse
from typing import Any

from .arguments import e164, nonempty
from .output import print_facts, print_json
from .parser import Parser, UsageError, add_command, add_group, json_option

_NEEDS = "It needs OTP_URL and OTP_API_KEY, or an otp-service dev in this directory."


def register(subparsers: Any) -> None:
    """Add the commands to the command line."""
    groups = add_group(
        subparsers,
        "verify",
        line="send and check codes over the API",
        example="otp-service verify start --to +12025550143",
    )
    start = add_command(
        groups,
        "start",
        _start,
        line="send a code, or the pending one again",
        text=_NEEDS,
        example="otp-service verify start --to +12025550143 --subject user-17",
    )
    start.add_argument("--to", metavar="NUMBER", required=True, type=e164, help="the phone, in E.164")
    start.add_argument("--channel", choices=("sms", "whatsapp"), default="sms", help="how it is sent (default sms)")
    start.add_argument("--proof", metavar="RECEIPT", help="with --purpose bind: a receipt of the subject")
    check = add_command(
        groups,
        "check",
        _check,
        line="check a code: of a verification, a number's latest one, or any factor of a subject",
        text=_NEEDS,
        example="otp-service verify check 123456 --subject user-17",
    )
    check.add_argument("code", metavar="CODE", help="as the person read it")
    check.add_argument("--id", metavar="ID", help="the verification's id")
    check.add_argument("--to", metavar="NUMBER", type=e164, help="the phone, in E.164")
    for parser in (start, check):
        _person(parser)
        json_option(parser, "print the answer as JSON, with the receipt")


def _person(parser: Parser) -> None:
    parser.add_argument("--subject", metavar="SUBJECT", type=nonempty, help="the person, by your own id")
    parser.add_argument("--purpose", metavar="WORD", type=nonempty, help="what the code is for (default login)")


def _start(args: argparse.Namespace) -> None:
    from .api import call  # noqa: PLC0415

    names = ("to", "channel", "subject", "purpose", "proof")
    _show(args, call("POST", "/verify/start", _given(args, *names)), ("verification_id", "status", "to", "expires_at"))


def _check(args: argparse.Namespace) -> None:
    from .api import call  # noqa: PLC0415

    if not (args.id or args.to or args.subject):
        raise UsageError("name the verification by --id or --to, or the person by --subject")
    body = _given(args, "code", "to", "subject", "purpose")
    if args.id:
        body["verification_id"] = args.id
    shown = ("status", "kind", "factor_id", "verification_id", "to", "purpose", "approved_at", "codes_left")
    _show(args, call("POST", "/verify/check", body), shown)


def _given(args: argparse.Namespace, *names: str) -> dict[str, object]:
    return {name: value for name in names if (value := getattr(args, name)) is not None}


def _show(args: argparse.Namespace, answer: dict[str, Any], names: tuple[str, ...]) -> None:
    if args.json:
        print_json(answer)
    else:
        print_facts((name, str(answer[name])) for name in names if name in answer)
