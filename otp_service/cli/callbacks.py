"""`otp-service callbacks`: the queues of callbacks, replaying dead ones, and new secrets to sign them."""

import argparse
import secrets
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from ..clock import rfc3339
from .acts import put_on_record
from .output import note, print_json, print_line, print_table
from .parser import UsageError, add_command, add_group, json_option
from .settings import load_settings

if TYPE_CHECKING:
    from ..domain.callback import Waiting
    from ..storage.callbacks import Callbacks


def register(subparsers: Any) -> None:
    """Add the commands to the command line."""
    groups = add_group(
        subparsers,
        "callbacks",
        line="show and replay the events that are sent to the apps' callback_url, and make secrets to sign them",
        example="otp-service callbacks list --dead",
    )
    _add_list(groups)
    _add_replay(groups)
    _add_keygen(groups)


def _add_list(groups: Any) -> None:
    listed = add_command(
        groups,
        "list",
        _list,
        line="list the callbacks that wait, or the dead ones",
        example="otp-service callbacks list --app default --dead",
    )
    listed.add_argument("--app", help="only those of this app")
    listed.add_argument("--dead", action="store_true", help="the dead ones: out of attempts, kept for a week")
    json_option(listed)


def _add_replay(groups: Any) -> None:
    replayed = add_command(
        groups,
        "replay",
        _replay,
        line="send callbacks again now, with all their attempts again",
        text="Id and content stay the same. A receiver that answered 410 is tried again.",
        example="otp-service callbacks replay --dead --app default",
    )
    replayed.add_argument("id", metavar="ID", nargs="?", help="one of them, as in: otp-service callbacks list")
    replayed.add_argument("--dead", action="store_true", help="all dead ones")
    replayed.add_argument("--app", help="with --dead: only those of this app")
    json_option(replayed)


def _add_keygen(groups: Any) -> None:
    made = add_command(
        groups,
        "keygen",
        _keygen,
        line="make a new secret to sign callbacks with, and print it",
        text="It goes into OTP_CALLBACK_SECRET_<APP>, a file named by OTP_CALLBACK_SECRET_<APP>_FILE, or the app's "
        "callback_secret_file. To rotate, write the new one beside the old one, separated by a space: both sign.",
        example="otp-service callbacks keygen --ed25519",
    )
    made.add_argument("--ed25519", action="store_true", help="a key pair: the receiver gets the public key only")
    json_option(made)


def _open() -> "tuple[Callbacks, list[str]]":
    """The queues, and the apps that have a callback_url."""
    from ..bootstrap import build_callbacks  # noqa: PLC0415

    settings = load_settings()
    return build_callbacks(settings), list(settings.policy.endpoints)


def _apps(args: argparse.Namespace, configured: Sequence[str]) -> Sequence[str]:
    if args.app is None:
        return configured
    if args.app not in configured:
        known = ", ".join(configured) or "-"
        raise UsageError(f"there is no app {args.app!r} with a callback_url (there: {known})")
    return [args.app]


def _list(args: argparse.Namespace) -> None:
    queues, configured = _open()
    found = [one for app in _apps(args, configured) for one in queues.list(app, dead=args.dead)]
    if args.json:
        print_json([_facts(one) for one in found])
        return
    columns = ("id", "app", "type", "verification", "attempts", "died" if args.dead else "next attempt", "reason")
    rows = (
        [one.id, one.app, one.type, one.verification, str(one.attempts), rfc3339(one.at_ms), one.reason or "-"]
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
        "attempts": one.attempts,
        "queued_at": rfc3339(one.queued_ms),
        "died_at" if one.dead else "next_attempt_at": rfc3339(one.at_ms),
        "reason": one.reason or None,
    }


def _replay(args: argparse.Namespace) -> None:
    if (args.id is None) is not args.dead:
        raise UsageError("name one callback by its ID, or all dead ones with --dead")
    if args.app is not None and not args.dead:
        raise UsageError("--app goes with --dead")
    queues, configured = _open()
    apps = _apps(args, configured)
    put_on_record("callbacks.replayed", {"apps": ",".join(apps), "id": args.id or "all"})
    count = sum(queues.replay(app, args.id) for app in apps)
    if args.id is not None and not count:
        raise UsageError(f"there is no callback {args.id!r}; see: otp-service callbacks list --dead")
    if args.json:
        print_json({"replayed": count})
    else:
        print_line(f"{count} will be sent again now")


def _keygen(args: argparse.Namespace) -> None:
    from ..receivers.signatures import generate  # noqa: PLC0415

    secret, public = generate(secrets.token_bytes, ed25519=args.ed25519)
    if args.json:
        print_json({"secret": secret, "public_key": public})
        return
    print_line(secret)
    if public is not None:
        note(f"The receiver verifies with the public key {public}")
