"""`otp-service messages`: send in every way the carrier has, schedule, cancel, look up.

Every send has an Idempotency-Key and is made once. If the carrier's answer is lost, the error names the key: the same
command with `--idempotency-key` sends at most one message. The carrier takes no key for scheduling; the error warns of
that.
"""

import argparse
import uuid
from typing import TYPE_CHECKING, Any

from .acts import put_on_record_first
from .arguments import e164, moment, nonempty
from .parser import Parser, UsageError, add_command, add_group, json_option
from .progress import Progress

if TYPE_CHECKING:
    from ..telnyx.requests import SendRequest

KINDS = ("long_code", "number_pool", "short_code", "alphanumeric", "whatsapp")
_SEND = """\
otp-service messages send --from +18445550001 --to +12025550143 --text Hello
otp-service messages send --kind number_pool --profile abc85f64-5717-4562-b3fc-2c9600000000 --to +12025550143 --text Hi
otp-service messages send --kind whatsapp --from +18445550001 --template otp_code --to +12025550143 --text 123456"""
_GROUP = "otp-service messages send-group --from +18445550001 --to +12025550143 --to +12025550144 --text 'Outage at 9'"
_SCHEDULE = """\
otp-service messages schedule --from +18445550001 --to +12025550143 --text 'Your new factor is active' \\
    --at 2026-12-01T09:30:00Z"""
_MESSAGE = "40385f64-5717-4562-b3fc-2c963f66afa6"
_DATA = "print the carrier's data as JSON, whole: numbers and texts too"


def register(subparsers: Any) -> None:
    """Add the commands to the command line."""
    groups = add_group(
        subparsers,
        "messages",
        line="send, schedule, cancel and look up single messages at the carrier",
        example=f"otp-service messages show {_MESSAGE}",
    )
    _add_send(groups)
    _add_group_send(groups)
    _add_schedule(groups)
    cancel = add_command(
        groups,
        "cancel",
        _cancel,
        line="cancel a scheduled message, until a minute before its time",
        example=f"otp-service messages cancel {_MESSAGE}",
    )
    show = add_command(
        groups,
        "show",
        _show,
        line="show the status of a message",
        text="Messages are kept for ten days. The text is only in the JSON.",
        example=f"otp-service messages show {_MESSAGE} --json",
    )
    for parser in (cancel, show):
        parser.add_argument("id", metavar="ID", help="the carrier's id of the message")
        json_option(parser, _DATA)


def _add_send(groups: Any) -> None:
    send = add_command(
        groups,
        "send",
        _send,
        line="send one message to one person",
        text="Without --kind the carrier detects the kind of --from, or takes a number of --profile's pool.",
        example=_SEND,
    )
    send.add_argument("--kind", choices=KINDS, help="the kind of sender (default: what --from or --profile is)")
    _person_and_text(send)
    _sender(send)
    send.add_argument("--template", metavar="NAME", help="whatsapp: an authentication template, --text is its code")
    send.add_argument("--language", metavar="CODE", default="en_US", help="of the template (default en_US)")
    _key(send)
    json_option(send, _DATA)


def _add_group_send(groups: Any) -> None:
    group = add_command(
        groups,
        "send-group",
        _send_group,
        line="write to up to eight people at once, who see each other's numbers (MMS, US and Canada)",
        example=_GROUP,
    )
    group.add_argument("--from", dest="sender", metavar="NUMBER", required=True, help="our number, in E.164")
    group.add_argument("--to", metavar="NUMBER", required=True, action="append", type=e164, help="once for each person")
    group.add_argument("--text", required=True, type=nonempty, help="the text of the message")
    _key(group)
    json_option(group, _DATA)


def _add_schedule(groups: Any) -> None:
    schedule = add_command(
        groups,
        "schedule",
        _schedule,
        line="have a message sent later: 5 minutes to 5 days ahead",
        text="The carrier takes no Idempotency-Key here: after a lost response, a second try may send a second one.",
        example=_SCHEDULE,
    )
    _person_and_text(schedule)
    _sender(schedule)
    schedule.add_argument(
        "--at", metavar="TIME", required=True, type=moment, help="RFC 3339, e.g. 2026-12-01T09:30:00Z"
    )
    json_option(schedule, _DATA)


def _person_and_text(parser: Parser) -> None:
    parser.add_argument("--to", metavar="NUMBER", required=True, type=e164, help="the person, in E.164")
    parser.add_argument("--text", required=True, type=nonempty, help="the text of the message")


def _sender(parser: Parser) -> None:
    parser.add_argument("--from", dest="sender", metavar="SENDER", help="our number, short code or name")
    parser.add_argument("--profile", metavar="ID", help="the messaging profile")


def _key(parser: Parser) -> None:
    parser.add_argument(
        "--idempotency-key", metavar="KEY", type=nonempty, help="repeat a send safely (default: a random one)"
    )


# ---- running them ---------------------------------------------------------------------------------------------------


def _send(args: argparse.Namespace) -> None:
    _check_sender(args)
    _submit(args, _request(args))


def _check_sender(args: argparse.Namespace) -> None:
    kind = args.kind
    if kind is None and not (args.sender or args.profile):
        raise UsageError("name a sender with --from, or a pool's profile with --profile")
    if kind == "number_pool" and args.sender:
        raise UsageError("--from: a pool chooses its own number; leave it out, or leave out --kind number_pool")
    if kind in ("number_pool", "alphanumeric") and not args.profile:
        raise UsageError(f"--profile: a sender of kind {kind} needs its messaging profile")
    if kind not in (None, "number_pool") and not args.sender:
        raise UsageError(f"--from: a sender of kind {kind} needs a number or name to send from")
    if args.template and kind != "whatsapp":
        raise UsageError("--template: only a message of --kind whatsapp has a template")


def _request(args: argparse.Namespace) -> "SendRequest":
    from ..telnyx.requests import WhatsAppTemplate, WhatsAppText, build_send  # noqa: PLC0415

    content: WhatsAppTemplate | WhatsAppText | None = None
    if args.kind == "whatsapp":
        content = WhatsAppTemplate(args.template, args.language, args.text) if args.template else WhatsAppText()
    try:
        return build_send(
            args.kind or "generic",
            to=args.to,
            text=args.text,
            sender=args.sender,
            messaging_profile_id=args.profile,
            webhook_url=None,
            whatsapp=content,
        )
    except ValueError as error:
        raise UsageError(str(error)) from error


def _send_group(args: argparse.Namespace) -> None:
    from ..telnyx.requests import build_group_mms  # noqa: PLC0415

    try:
        request = build_group_mms(sender=args.sender, to=args.to, text=args.text)
    except ValueError as error:
        raise UsageError(str(error)) from error
    _submit(args, request)


def _submit(args: argparse.Namespace, request: "SendRequest") -> None:
    from .carrier import carrier, show_message  # noqa: PLC0415

    key = args.idempotency_key or uuid.uuid4().hex
    for number in [args.to] if isinstance(args.to, str) else args.to:
        put_on_record_first("carrier.sent", {"command": "messages send", "idempotency_key": key}, number)
    lost = f"it may have been sent; the same command with --idempotency-key {key} makes sure that it is sent once"
    with Progress("Sending"), carrier({"10036": _IN_PROGRESS, "10027": _OTHER_BODY}, lost=lost) as client:
        message = client.submit(request, idempotency_key=key)
    show_message(message, as_json=args.json)


_IN_PROGRESS = "the send with this key is still in progress; run the same command again in a moment"
_OTHER_BODY = "it cannot be processed, or this --idempotency-key was used for another message"


def _schedule(args: argparse.Namespace) -> None:
    from .carrier import carrier, show_message  # noqa: PLC0415

    if not (args.sender or args.profile):
        raise UsageError("name a sender with --from, or a pool's profile with --profile")
    hints = {"10033": "--at must lie 5 minutes to 5 days ahead", "10015": "check --at and the other values"}
    asked = {"command": "messages schedule", "send_at": args.at.isoformat()}
    put_on_record_first("carrier.sent", asked, args.to)
    lost = "it may be scheduled, and the carrier has no list to look that up; a second try may make a second message"
    with Progress("Scheduling"), carrier(hints, lost=lost) as client:
        message = client.schedule(
            to=args.to, text=args.text, send_at=args.at, sender=args.sender, messaging_profile_id=args.profile
        )
    show_message(message, as_json=args.json)


def _cancel(args: argparse.Namespace) -> None:
    from .carrier import carrier, show_message  # noqa: PLC0415

    hints = {
        "10010": "it is not scheduled (any more), or due in less than a minute",
        "missing": "there is no scheduled message of this id",
    }
    put_on_record_first("carrier.changed", {"command": "messages cancel", "message_id": args.id})
    lost = f"see its status: otp-service messages show {args.id}"
    with Progress("Canceling"), carrier(hints, lost=lost) as client:
        message = client.cancel_scheduled(args.id)
    show_message(message, as_json=args.json)


def _show(args: argparse.Namespace) -> None:
    from .carrier import carrier, show_message  # noqa: PLC0415

    put_on_record_first("carrier.read", {"command": "messages show", "message_id": args.id})
    hints = {"missing": "there is no message of this id, or it is more than ten days old"}
    with Progress("Asking the carrier"), carrier(hints) as client:
        message = client.show_message(args.id)
    show_message(message, as_json=args.json)
