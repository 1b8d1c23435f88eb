"""`otp-service keyring`: the file of secrets."""

import argparse
import os
import secrets
from typing import TYPE_CHECKING, Any

from ..clock import clock_ms, rfc3339
from ..domain.errors import ServiceError
from . import keyring_use
from .acts import put_on_record
from .arguments import file_path
from .keyring_file import path_argument, readable, replace
from .output import note, print_json, print_line
from .parser import Parser, UsageError, add_command, add_group, json_option
from .settings import duration_ms, load_settings

if TYPE_CHECKING:
    from ..keyring import Keyring

LONGEST_WAIT_MS = 30 * 86_400_000


def register(groups: Any) -> None:
    """Add the commands to the command line."""
    keyring = add_group(
        groups,
        "keyring",
        line="manage the file of secrets that seal codes and sign receipts (OTP_KEYRING)",
        example="otp-service keyring create /etc/otp/keyring.json",
    )
    create = add_command(
        keyring,
        "create",
        _create,
        line="make a keyring file that only this user can read",
        text="Keep a copy in a safe place: without it no stored code and no number's budget can be read again.",
        example="otp-service keyring create /etc/otp/keyring.json",
    )
    rotate = _add_rotate(keyring)
    create.add_argument("path", metavar="PATH", type=file_path, help="the keyring file")
    path_argument(rotate)
    for parser in (create, rotate, _add_accept(keyring)):
        json_option(parser)
    keyring_use.register(keyring)


def _add_rotate(keyring: Any) -> Parser:
    rotate = add_command(
        keyring,
        "rotate",
        _rotate,
        line="add a new key, which is published now and used for new data later; old keys still open old data",
        text="Running processes notice within two seconds; nothing has to be restarted. The new key is published "
        "before it is used, because whoever verifies receipts may keep fetched keys for five minutes.",
        example="otp-service keyring rotate /etc/otp/keyring.json",
    )
    rotate.add_argument(
        "--after", metavar="DURATION", default="10m", help="when the new key is used; 0s: at once (default 10m)"
    )
    return rotate


def _add_accept(keyring: Any) -> Parser:
    return add_command(
        keyring,
        "accept",
        _accept,
        line="say that the data in a store that knows no keyring is of the keyring in OTP_KEYRING",
        text="A store with data of numbers and without a mark, after a restore or a loss of part of it, is taken by no "
        "process: with another keyring than theirs, opt-outs and budgets would not be found. Be sure that it is the "
        "right one.",
        example="otp-service keyring accept",
    )


def _accept(args: argparse.Namespace) -> None:
    from ..bootstrap import accept_keyring  # noqa: PLC0415

    fingerprint = accept_keyring(load_settings())
    put_on_record("keyring.accepted", {"index_fingerprint": fingerprint})
    if args.json:
        print_json({"index_fingerprint": fingerprint})
    else:
        print_line(f"the store belongs to the index key {fingerprint} now")


def _create(args: argparse.Namespace) -> None:
    from .. import keyring  # noqa: PLC0415

    raw = keyring.create(secrets.token_bytes, rfc3339(clock_ms()))
    try:
        descriptor = os.open(args.path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(raw)
            file.flush()
            os.fsync(file.fileno())
    except FileExistsError:
        raise UsageError(f"{args.path} exists; it is never overwritten (see: otp-service keyring rotate)") from None
    except OSError as error:
        raise UsageError(f"cannot write {args.path}: {error.strerror}") from error
    _show_active("created", args, keyring.parse(raw).active_kid)


def _rotate(args: argparse.Namespace) -> None:
    from .. import keyring  # noqa: PLC0415

    after_ms = duration_ms(args.after, "--after")
    if after_ms > LONGEST_WAIT_MS:
        raise UsageError("--after: at most 30d")
    at_ms = _store_clock_ms()
    active_from = rfc3339(at_ms + after_ms) if after_ms else None
    with readable(args, "rotate"):
        raw = keyring.rotate(args.path.read_bytes(), secrets.token_bytes, rfc3339(at_ms), active_from)
        replace(args.path, raw)
    _record_rotated(keyring.parse(raw, at_ms), active_from)
    _show_rotated(args, keyring.parse(raw, at_ms), active_from)


def _record_rotated(ring: "Keyring", active_from: str | None) -> None:
    new = ring.states()[-1][0]
    told = {"kid": new.kid, "fingerprint": new.fingerprint, **({"active_from": active_from} if active_from else {})}
    put_on_record("keyring.rotated", told)


def _store_clock_ms() -> int:
    """Unix milliseconds by the store's clock, which decides when a key becomes active; else by this machine's."""
    from .. import config  # noqa: PLC0415
    from ..config.variables import secret  # noqa: PLC0415
    from ..storage import connect, readiness  # noqa: PLC0415

    try:
        url = secret(config.environment(), "OTP_REDIS_URL")
        if not url:
            return clock_ms()
        store = connect.connect(url)
        try:
            return readiness.clock_ms(store)
        finally:
            store.close()
    except ServiceError as error:
        note(f"the times of the new key are by this machine's clock, since: {error.detail}")
        return clock_ms()


def _show_rotated(args: argparse.Namespace, ring: "Keyring", active_from: str | None) -> None:
    if active_from is None:
        _show_active("rotated", args, ring.active_kid)
        return
    kid = ring.states()[-1][0].kid
    if args.json:
        print_json({"path": str(args.path), "active_kid": ring.active_kid, "next_kid": kid, "active_from": active_from})
    else:
        print_line(f"rotated {args.path}; the new key {kid} is published now and active from {active_from}")


def _show_active(verb: str, args: argparse.Namespace, kid: str) -> None:
    if args.json:
        print_json({"path": str(args.path), "active_kid": kid})
    else:
        print_line(f"{verb} {args.path}; the active key is {kid}")
