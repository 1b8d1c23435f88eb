"""`otp-service keys`: the API keys in the store."""

import argparse
import getpass
import os
import socket
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from .arguments import app_name
from .output import note, print_json, print_line, print_records, time_text
from .parser import UsageError, add_command, add_group, json_option
from .settings import duration_ms, known_app, load_settings

if TYPE_CHECKING:
    from ..config import Settings
    from ..storage.api_keys import ApiKeys


def register(groups: Any) -> None:
    """Add the commands to the command line."""
    keys = add_group(
        groups,
        "keys",
        line="manage the API keys in the store (OTP_REDIS_URL); changes hold everywhere within a second",
        example="otp-service keys create --app default --scope verify --expires 90d",
    )
    _add_create(keys)
    listed = add_command(
        keys,
        "list",
        _list,
        line="show all keys without their secrets",
        example="otp-service keys list --app default --json",
    )
    listed.add_argument("--app", help="only the keys of this app")
    json_option(listed)
    _add_revoke(keys)
    _add_rotate(keys)


def _add_create(keys: Any) -> None:
    create = add_command(
        keys,
        "create",
        _create,
        line="make a key and show its secret once",
        text="Scopes: verify, optouts:read, factors, support, audit:read (the app's events), audit:all (all events), "
        "metrics.",
        example="otp-service keys create --app default --scope verify --scope audit:read --expires 90d",
    )
    create.add_argument("--app", required=True, type=app_name, help="the configured app that uses it")
    create.add_argument("--scope", required=True, action="append", help="what it may do; may be repeated")
    create.add_argument("--expires", metavar="DURATION", help="e.g. 12h or 90d (default: never)")
    json_option(create)


def _add_revoke(keys: Any) -> None:
    revoke = add_command(keys, "revoke", _revoke, line="end a key now", example="otp-service keys revoke 3f9a…")
    revoke.add_argument("id", metavar="ID", help="the key's id, as in: otp-service keys list")
    json_option(revoke)


def _add_rotate(keys: Any) -> None:
    rotate = add_command(
        keys,
        "rotate",
        _rotate,
        line="make a key like an old one, which ends after the overlap",
        example="otp-service keys rotate 3f9a… --overlap 24h",
    )
    rotate.add_argument("--overlap", metavar="DURATION", default="24h", help="how long both are valid (default 24h)")
    rotate.add_argument("id", metavar="ID", help="the key's id, as in: otp-service keys list")
    json_option(rotate)


def _api_keys(settings: "Settings") -> "ApiKeys":
    from ..bootstrap import build_api_keys  # noqa: PLC0415
    from ..storage.callers import set_caller  # noqa: PLC0415

    set_caller("", "", at_shell(settings))
    return build_api_keys(settings)


def at_shell(settings: "Settings") -> str:
    """Who types, for the audit record: in place of the address that a request comes from."""
    from ..domain.addresses import KeptAddress  # noqa: PLC0415

    if settings.policy.audit_addresses is KeptAddress.NONE:
        return ""
    try:
        user = getpass.getuser()
    except (OSError, KeyError):  # a container's user without a name
        user = str(os.getuid())
    return f"shell:{user}@{socket.gethostname()}"


def _create(args: argparse.Namespace) -> None:
    settings = load_settings()
    app, scopes = known_app(settings, args.app), _known_scopes(args.scope)
    lifetime_ms = duration_ms(args.expires, "--expires") if args.expires is not None else None
    if lifetime_ms == 0:
        raise UsageError("--expires: a key must be valid for at least a second")
    _show_new(_api_keys(settings).create(app, scopes, lifetime_ms), as_json=args.json)


def _known_scopes(scopes: Sequence[str]) -> list[str]:
    from ..storage.api_keys import SCOPES  # noqa: PLC0415

    for scope in scopes:
        if scope not in SCOPES:
            raise UsageError(f"there is no scope {scope!r}; the scopes are {', '.join(SCOPES)}")
    return [scope for scope in SCOPES if scope in scopes]


def _show_new(created: Any, *, as_json: bool) -> None:
    facts = {
        "id": created.id,
        "app": created.app,
        "scopes": list(created.scopes),
        "expires_at": time_text(created.expires_at_ms),
        "key": created.key,
    }
    if as_json:
        print_json(facts)
        return
    print_line(f"id       {created.id}\napp      {created.app}\nscopes   {', '.join(created.scopes)}")
    print_line(f"expires  {facts['expires_at'] or 'never'}\n\n{created.key}\n")
    note("This is the only time that the key is shown.")


def _list(args: argparse.Namespace) -> None:
    settings = load_settings()
    found = _api_keys(settings).list(args.app)
    if args.app is not None and not found:
        # Keys of an app that is no longer configured are shown too; a typing error is not an empty list.
        known_app(settings, args.app)
    facts = [_facts(key) for key in found]
    if args.json:
        print_json(facts)
    else:
        print_records(("id", "app", "scopes", "created_at", "expires_at", "revoked_at"), facts)


def _facts(key: Any) -> dict[str, object]:
    return {
        "id": key.id,
        "app": key.app,
        "scopes": list(key.scopes),
        "created_at": time_text(key.created_at_ms),
        "expires_at": time_text(key.expires_at_ms),
        "revoked_at": time_text(key.revoked_at_ms),
    }


def _revoke(args: argparse.Namespace) -> None:
    if not _api_keys(load_settings()).revoke(args.id):
        raise UsageError(f"there is no key {args.id!r}; see: otp-service keys list")
    if args.json:
        print_json({"id": args.id, "revoked": True})
    else:
        print_line(f"revoked {args.id}")


def _rotate(args: argparse.Namespace) -> None:
    overlap_ms = duration_ms(args.overlap, "--overlap")
    created = _api_keys(load_settings()).rotate(args.id, overlap_ms)
    if created is None:
        raise UsageError(f"there is no valid key {args.id!r}; see: otp-service keys list")
    _show_new(created, as_json=args.json)
