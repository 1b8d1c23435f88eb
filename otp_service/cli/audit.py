"""`otp-service audit`: reading the audit log."""

import argparse
import json
import threading
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from . import audit_check, audit_erase, audit_explain, audit_export, audit_log, audit_verify, evidence
from .keys import at_shell
from .output import cell, note, print_line
from .parser import add_command, add_group, json_option
from .settings import duration_ms, load_settings

if TYPE_CHECKING:
    from ..domain.ids import Ids
    from ..usecases.ports import AuditReader

PAGE = 500
POLL_S = 0.3


def register(groups: Any) -> None:
    """Add the commands to the command line."""
    audit = add_group(groups, "audit", line="read the audit log", example="otp-service audit tail --follow --json")
    tail = add_command(
        audit,
        "tail",
        _tail,
        line="show the latest events, oldest first",
        text="With --json one object a line. That it was read is itself an event of the record.",
        example="otp-service audit tail --follow --json | jq .type",
    )
    tail.add_argument("--follow", action="store_true", help="go on with new events until Ctrl-C")
    tail.add_argument("--since", metavar="DURATION", default="1h", help="how far back to begin (default 1h)")
    json_option(tail)
    audit_export.register(audit)
    audit_log.register(audit)
    audit_verify.register(audit)
    audit_erase.register(audit)
    evidence.register(audit)
    audit_check.register(audit)
    audit_explain.register(audit)


def _tail(args: argparse.Namespace) -> None:
    from ..bootstrap import build_ids, build_record  # noqa: PLC0415
    from ..clock import clock_ms  # noqa: PLC0415
    from ..storage.callers import set_caller  # noqa: PLC0415

    settings = load_settings()
    set_caller("", "", at_shell(settings))
    back_ms = duration_ms(args.since, "--since")
    stop = _stop_on_ctrl_c() if args.follow else None
    record = build_record(settings, {"command": "audit tail", "since": args.since})
    for event in _events(record, build_ids(settings), clock_ms() - back_ms, stop):
        print_line(json.dumps(event, ensure_ascii=False) if args.json else _line(event), flush=args.follow)


def _stop_on_ctrl_c() -> threading.Event:
    from ..runtime.signals import stop_on_signals  # noqa: PLC0415

    # Ctrl-C is the normal end of --follow, so it is a success.
    return stop_on_signals()


def _events(
    audit: "AuditReader", ids: "Ids | None", since_ms: int, stop: threading.Event | None
) -> Iterator[dict[str, Any]]:
    """Events since a time, ordered by time; with `stop` also new ones, until it is set.

    Raises StoreUnavailable behind the last one, without `stop`, where shards did not respond.
    """
    import msgspec  # noqa: PLC0415

    from ..domain.audit import Position  # noqa: PLC0415
    from ..domain.errors import StoreUnavailable  # noqa: PLC0415
    from ..usecases.browse import as_seen  # noqa: PLC0415
    from ..web.schemas.audit import audit_event  # noqa: PLC0415

    # Positions are exclusive: start at the last one before the first wanted millisecond.
    positions = [Position(max(0, since_ms - 1), 2**63 - 1)] * audit.shards
    told: frozenset[int] = frozenset()
    while True:
        page = audit.read(positions, shards=range(audit.shards), until_ms=None, limit=PAGE, wanted={})
        positions = page.positions
        for event in page.events:
            yield msgspec.to_builtins(audit_event(as_seen(event, ids)))
        if page.unread and page.unread != told:
            note(f"The shards {_named(page.unread)} of the store do not respond: their latest events are missing.")
        told = page.unread
        if page.at_end and (stop is None or stop.wait(POLL_S)):
            if page.unread and stop is None:
                raise StoreUnavailable("The record could not be read to its end.")
            return


def _named(shards: frozenset[int]) -> str:
    """As `seq` begins."""
    return ", ".join(f"{shard:02x}" for shard in sorted(shards))


def _line(shown: Mapping[str, Any]) -> str:
    named = {name: shown[name] for name in ("app", "to", "delivery_id", "verification_id") if shown.get(name)}
    if "delivery_id" in named:
        del named["verification_id"]  # it is part of the delivery's id
    rest = " ".join(f"{name}={cell(value)}" for name, value in {**named, **shown["detail"]}.items())
    return f"{shown['at']}  {shown['type']:<24}  {rest}"
