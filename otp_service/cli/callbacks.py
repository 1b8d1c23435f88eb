"""`otp-service callbacks`: what is on its way to the apps, replaying what was given up, and fresh secrets."""

import argparse
import secrets
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from ..clock import rfc3339
from .terminal import UsageError, add_command, add_group, json_option, note, print_json, print_table, say

if TYPE_CHECKING:
    from ..domain.callback import Waiting
    from ..storage.callbacks import Callbacks

Open = Callable[[], "tuple[Callbacks, list[str]]"]
"""Opens the queues; with them the apps that have an endpoint."""


def register(subparsers: Any, opener: Open) -> None:
    """Add the commands to the command line."""
    groups = add_group(
        subparsers,
        "callbacks",
        line="show and replay what apps are told at their callback_url, and make secrets to sign it",
        example="otp-service callbacks list --dead",
    )
    listed = add_command(
        groups,
        "list",
        lambda args: _list(args, opener),
        line="list the callbacks that wait, or those that were given up",
        example="otp-service callbacks list --app default --dead",
    )
    listed.add_argument("--app", help="only this app's")
    listed.add_argument("--dead", action="store_true", help="those that were given up, kept for a week")
    replayed = add_command(
        groups,
        "replay",
        lambda args: _replay(args, opener),
        line="send callbacks again, now and with all their tries before them",
        text="Id and content stay what they were. A receiver that was left alone after a 410 is tried again.",
        example="otp-service callbacks replay --dead --app default",
    )
    replayed.add_argument("id", metavar="ID", nargs="?", help="one of them, as in: otp-service callbacks list")
    replayed.add_argument("--dead", action="store_true", help="all that were given up")
    replayed.add_argument("--app", help="with --dead: only this app's")
    made = add_command(
        groups,
        "keygen",
        _keygen,
        line="make a fresh secret to sign callbacks with, and print it",
        text="It goes into OTP_CALLBACK_SECRET_<APP>, a file named by OTP_CALLBACK_SECRET_<APP>_FILE, or the app's "
        "callback_secret_file. To rotate, put the new one beside the old one, separated by a blank: both sign.",
        example="otp-service callbacks keygen --ed25519",
    )
    made.add_argument("--ed25519", action="store_true", help="a key pair: the receiver gets the public key only")
    for parser in (listed, replayed, made):
        json_option(parser)


def _apps(args: argparse.Namespace, told: Sequence[str]) -> Sequence[str]:
    if args.app is None:
        return told
    if args.app not in told:
        raise UsageError(f"there is no app {args.app!r} with a callback_url (there: {', '.join(told) or '-'})")
    return [args.app]


def _list(args: argparse.Namespace, opener: Open) -> None:
    queues, told = opener()
    found = [one for app in _apps(args, told) for one in queues.list(app, dead=args.dead)]
    if args.json:
        print_json([_facts(one) for one in found])
        return
    columns = ("id", "app", "type", "verification", "tries", "died" if args.dead else "next try", "reason")
    rows = (
        [one.id, one.app, one.type, one.verification, str(one.tries), rfc3339(one.at_ms), one.reason or "-"]
        for one in found
    )
    print_table(columns, rows)


def _facts(one: "Waiting") -> dict[str, object]:
    return {
        "id": one.id,
        "app": one.app,
        "type": one.type,
        "verification_id": one.verification,
        "state": "dead" if one.dead else "waiting",
        "tries": one.tries,
        "queued_at": rfc3339(one.queued_ms),
        "died_at" if one.dead else "next_try_at": rfc3339(one.at_ms),
        "reason": one.reason or None,
    }


def _replay(args: argparse.Namespace, opener: Open) -> None:
    if (args.id is None) is not args.dead:
        raise UsageError("say which: the ID of one callback, or --dead for all that were given up")
    if args.app is not None and not args.dead:
        raise UsageError("--app goes with --dead")
    queues, told = opener()
    count = sum(queues.replay(app, args.id) for app in _apps(args, told))
    if args.id is not None and not count:
        raise UsageError(f"no callback {args.id!r} waits or was given up; see: otp-service callbacks list --dead")
    if args.json:
        print_json({"replayed": count})
    else:
        say(f"{count} will be sent again now")


def _keygen(args: argparse.Namespace) -> None:
    from ..receivers.signatures import generate  # noqa: PLC0415

    secret, public = generate(secrets.token_bytes, ed25519=args.ed25519)
    if args.json:
        print_json({"secret": secret, "public_key": public})
        return
    say(secret)
    if public is not None:
        note(f"The receiver verifies with the public key {public}")
