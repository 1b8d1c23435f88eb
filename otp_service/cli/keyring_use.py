"""`otp-service keyring status`, `reseal` and `retire`: what still needs a key, and ending that."""

import argparse
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from ..clock import clock_ms
from ..domain.errors import ServiceError
from .acts import names_store, put_on_record
from .keyring_file import path_argument, readable, replace
from .output import note, print_json, print_line, print_records, time_text
from .parser import UsageError, add_command, json_option
from .progress import Progress
from .settings import load_settings

if TYPE_CHECKING:
    from ..domain.key_use import KeyUse
    from ..keyring import Keyring


def register(keyring: Any) -> None:
    """Add the commands to those of the keyring."""
    status = add_command(
        keyring,
        "status",
        _status,
        line="show the keys, what each does now, and what in the store still needs it; no secrets",
        text="next: published, not used for new data yet. active: used for new data. verify: published, opens old "
        "data. retired: opens old data. The store is asked where OTP_REDIS_URL names it.",
        example="otp-service keyring status /etc/otp/keyring.json --json",
    )
    reseal = add_command(
        keyring,
        "reseal",
        _reseal,
        line="seal with the active key what lasts and was sealed by an older one",
        text="Safe while everything runs. If it is ended, run it again: it goes on where it was.",
        example="otp-service keyring reseal",
    )
    retire = add_command(
        keyring,
        "retire",
        _retire,
        line="publish an old key no more, once nothing needs it",
        text="Refused while the store holds what it sealed, while a receipt of it may be good, and while a process "
        "lacks the active key.",
        example="otp-service keyring retire k1a2b3c4d /etc/otp/keyring.json",
    )
    retire.add_argument("id", metavar="ID", help="the key's kid, as in: otp-service keyring status")
    for parser in (status, reseal, retire):
        path_argument(parser)
        json_option(parser)


def _read(args: argparse.Namespace) -> "Keyring":
    from .. import keyring  # noqa: PLC0415
    from ..config.private_files import OTHERS  # noqa: PLC0415

    with readable(args, "read"):
        if args.path.stat().st_mode & OTHERS:
            note(f"{args.path} can be read by others, so no process starts with it; run: chmod 600 {args.path}")
        return keyring.parse(args.path.read_bytes(), clock_ms())


def _require_store() -> None:
    if not names_store():
        raise UsageError("OTP_REDIS_URL is not set: it names the store that may still need the key")


def _look(ring: "Keyring") -> "KeyUse":
    from ..bootstrap import key_use  # noqa: PLC0415

    with Progress("looking through the store", "keys") as progress:
        return key_use.key_use(load_settings(), ring, progress.advance)


# ---- status ---------------------------------------------------------------------------------------------------------


def _status(args: argparse.Namespace) -> None:
    ring = _read(args)
    use = _look_if_possible(ring)
    if use is not None:
        ring = ring.at(use.now_ms)
    facts = [_facts(key, state, use) for key, state in ring.states()]
    unknown = {} if use is None else {kid: dict(needs) for kid, needs in use.needs.items() if not ring.knows(kid)}
    if args.json:
        opted_out = None if use is None else use.opted_out
        index = {"index_fingerprint": ring.fingerprint, "opted_out_numbers": opted_out}
        print_json({"path": str(args.path), **index, "keys": facts, "unknown_keys": unknown})
        return
    _show(ring, use, facts, unknown)


def _look_if_possible(ring: "Keyring") -> "KeyUse | None":
    if not names_store():
        note("OTP_REDIS_URL is not set, so the store was not asked what still needs a key")
        return None
    try:
        return _look(ring)
    except ServiceError as error:
        note(f"the store could not be asked what still needs a key: {error.detail}")
        return None


def _facts(key: Any, state: str, use: "KeyUse | None") -> dict[str, object]:
    return {
        "kid": key.kid,
        "state": state,
        "created_at": key.created_at or None,
        "active_from": time_text(key.from_ms or None) or key.created_at or None,
        "fingerprint": key.fingerprint,
        "needed_for": None if use is None else dict(use.needs.get(key.kid, {})),
        "missing_in": None if use is None else use.without(key.kid),
    }


def _show(
    ring: "Keyring", use: "KeyUse | None", facts: list[dict[str, Any]], unknown: Mapping[str, Mapping[str, int]]
) -> None:
    from ..domain.key_use import counted  # noqa: PLC0415

    named = "" if use is None else f"; {use.opted_out} numbers that opted out are found by it"
    print_line(f"index key  {ring.fingerprint} (never changes{named})\n")
    columns = ("kid", "state", "created_at", "active_from", "fingerprint")
    if use is None:
        print_records(columns, facts)
        return
    rows = [fact | {"needed_for": counted(fact["needed_for"]) or "nothing in the store"} for fact in facts]
    print_records((*columns, "needed_for"), rows)
    for fact in facts:
        if fact["missing_in"]:
            print_line(f"\n{fact['kid']} is missing in: {', '.join(fact['missing_in'])}")
    for kid, needs in unknown.items():
        print_line(f"\n{kid} is not in this file, and the store holds {counted(needs)} that it sealed")


# ---- reseal and retire ----------------------------------------------------------------------------------------------


def _reseal(args: argparse.Namespace) -> int:
    from ..bootstrap import key_use  # noqa: PLC0415

    ring = _read(args)
    _require_store()
    with Progress("sealing anew", "keys") as progress:
        result = key_use.reseal(load_settings(), ring, progress.advance)
    told: dict[str, int | str] = {"resealed": result.done, "unreadable": result.unreadable}
    put_on_record("keyring.resealed", told)
    if args.json:
        print_json({"resealed": result.done, "changed_meanwhile": result.changed, "unreadable": result.unreadable})
    else:
        print_line(f"{result.done} values were sealed anew, {result.changed} had changed or gone meanwhile")
    if result.unreadable:
        note(f"{result.unreadable} values cannot be opened: {args.path} lacks their key, or they were changed")
    return 1 if result.unreadable else 0


def _retire(args: argparse.Namespace) -> None:
    from .. import keyring  # noqa: PLC0415
    from ..domain.key_use import objections  # noqa: PLC0415

    ring = _read(args)
    if not ring.knows(args.id):
        raise UsageError(f"there is no key {args.id!r} in {args.path}; see: otp-service keyring status")
    _require_store()
    use = _look(ring)
    ring = ring.at(use.now_ms)
    with readable(args, "retire a key in"):
        raw = keyring.retire(args.path.read_bytes(), args.id, use.now_ms)
    found = list(objections(use, args.id, ring.active_kid, ring.superseded_ms(args.id) or 0))
    if found:
        hint = "; otp-service keyring reseal carries over what lasts" if use.needs.get(args.id) else ""
        raise UsageError(f"the key {args.id} cannot be retired yet: {'; '.join(found)}{hint}")
    with readable(args, "retire a key in"):
        replace(args.path, raw)
    put_on_record("keyring.retired", {"kid": args.id})
    if args.json:
        print_json({"path": str(args.path), "retired": args.id, "active_kid": ring.active_kid})
    else:
        print_line(f"retired {args.id} in {args.path}; it is published no more, and still opens what it sealed")
