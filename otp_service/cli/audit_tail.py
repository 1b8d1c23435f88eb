"""`otp-service audit tail`: the latest events, live, of what one wants to see, and from where one was before."""

import argparse
import json
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .arguments import app_name, event_type
from .keys import at_shell
from .output import cell, note, print_line
from .parser import UsageError, add_command, json_option
from .settings import duration_ms, load_settings

if TYPE_CHECKING:
    from ..domain.audit import Event, Position
    from ..domain.ids import Ids
    from ..usecases.audit_filters import AuditFilter
    from ..usecases.ports import AuditReader

PAGE = 500
POLL_S = 0.3
ON_RECORD_S = 60.0
"""Reading is on record once in this time, as long as it goes on."""

_NEED_KEYS = ("verification", "delivery", "number")


def register(audit: Any) -> None:
    """Add the command to those of `audit`."""
    tail = add_command(
        audit,
        "tail",
        _tail,
        line="show the latest events, oldest first",
        text="With --json one object a line. The filters are those of GET /audit/events. That it is read is itself an "
        "event of the record, once a minute.",
        example="otp-service audit tail --follow --type verification.refused --json | jq .detail.code",
    )
    tail.add_argument("--follow", action="store_true", help="go on with new events until Ctrl-C")
    tail.add_argument("--since", metavar="DURATION", default="1h", help="how far back to begin (default 1h)")
    tail.add_argument("--app", metavar="NAME", type=app_name, help="events of this app alone")
    tail.add_argument("--verification", metavar="ID", help="of this verification alone")
    tail.add_argument("--delivery", metavar="ID", help="of this delivery alone")
    tail.add_argument("--number", metavar="NUMBER", help="of this number alone (E.164)")
    tail.add_argument(
        "--type", metavar="TYPE", type=event_type, action="append", default=[], help="of this type; may be repeated"
    )
    tail.add_argument(
        "--position",
        metavar="FILE",
        type=Path,
        help="remember in FILE how far it is, and go on from there the next time, whatever --since says",
    )
    json_option(tail)


@dataclass(frozen=True, slots=True)
class _Wanted:
    """What passes, on which shards, and who is told of the events."""

    fields: Mapping[str, frozenset[str]]
    shards: Sequence[int]
    ids: "Ids | None"
    keep: Callable[[Sequence["Position"]], object]
    on_record: Callable[[], object]


def _tail(args: argparse.Namespace) -> None:
    from ..bootstrap import build_ids, build_noted_record  # noqa: PLC0415
    from ..storage.callers import set_caller  # noqa: PLC0415

    settings = load_settings()
    address = at_shell(settings)
    set_caller("", "", address)
    back_ms, ids = duration_ms(args.since, "--since"), build_ids(settings)
    asked = _asked(args, ids)
    stop = _stop_on_ctrl_c() if args.follow else None
    record, on_record = build_noted_record(settings, asked, f"tail:{address}:{','.join(sorted(asked))}")
    fields, shards = _passing(args, record, ids)
    wanted = _Wanted(fields, shards, ids, _keeper(args.position), on_record)
    for event in _events(record, wanted, _begin(args.position, record.shards, back_ms), stop):
        print_line(json.dumps(event, ensure_ascii=False) if args.json else _line(event), flush=args.follow)


def _asked(args: argparse.Namespace, ids: "Ids | None") -> dict[str, Any]:
    """What goes on record: of a value that is no name of ours, only that there was one."""
    known = {
        "verification": args.verification and (args.verification if ids and ids.read(args.verification) else True),
        "delivery": args.delivery and (args.delivery if ids and ids.read_delivery(args.delivery) else True),
        "number": args.number and True,
        "app": args.app,
        "type": sorted(set(args.type)),
    }
    return {"command": "audit tail", "since": args.since, **{name: value for name, value in known.items() if value}}


def _passing(
    args: argparse.Namespace, record: "AuditReader", ids: "Ids | None"
) -> tuple[Mapping[str, frozenset[str]], Sequence[int]]:
    from ..domain.audit import EventField  # noqa: PLC0415
    from ..usecases.audit_filters import passing  # noqa: PLC0415

    if ids is not None:
        return passing(_filter(args), args.app, record, ids)
    for name in _NEED_KEYS:
        if getattr(args, name):
            raise UsageError(f"--{name} needs the keyring: set OTP_KEYRING")
    given = {EventField.APP: {args.app} - {None}, EventField.TYPE: set(args.type)}
    return {name: frozenset(values) for name, values in given.items() if values}, range(record.shards)


def _filter(args: argparse.Namespace) -> "AuditFilter":
    from ..usecases.audit_filters import AuditFilter  # noqa: PLC0415

    return AuditFilter(
        app=args.app,
        verification_id=args.verification,
        delivery_id=args.delivery,
        to=args.number,
        types=frozenset(args.type),
    )


def _begin(path: Path | None, shards: int, back_ms: int) -> "Sequence[Position]":
    from ..clock import clock_ms  # noqa: PLC0415
    from ..domain.audit import Position  # noqa: PLC0415

    if path is not None and path.exists():
        try:
            kept = [Position.read(text) for text in path.read_text(encoding="utf-8").split()]
        except (OSError, ValueError) as error:
            raise UsageError(f"{path} says nothing of how far a tail was") from error
        if len(kept) != shards:
            raise UsageError(f"{path} is of a store with {len(kept)} shards, and this one has {shards}")
        return kept
    # Positions are exclusive: start at the last one before the first wanted millisecond.
    return [Position(max(0, clock_ms() - back_ms - 1), 2**63 - 1)] * shards


def _keeper(path: Path | None) -> Callable[[Sequence["Position"]], object]:
    from ..files import write_private  # noqa: PLC0415

    def keep(positions: Sequence["Position"]) -> None:
        if path is not None:
            # What is printed first: if nobody reads it any more, this fails, and the events come again.
            sys.stdout.flush()
            write_private(path, "".join(f"{position}\n" for position in positions).encode())

    return keep


def _stop_on_ctrl_c() -> threading.Event:
    from ..runtime.signals import stop_on_signals  # noqa: PLC0415

    # Ctrl-C is the normal end of --follow, so it is a success.
    return stop_on_signals()


def _events(
    audit: "AuditReader", wanted: _Wanted, positions: "Sequence[Position]", stop: threading.Event | None
) -> Iterator[dict[str, Any]]:
    """Events behind these positions, ordered by time; with `stop` also new ones, until it is set.

    Raises StoreUnavailable behind the last one, without `stop`, where shards did not respond.
    """
    from ..domain.errors import StoreUnavailable  # noqa: PLC0415

    told: frozenset[int] = frozenset()
    noted = time.monotonic()
    while True:
        page = audit.read(positions, shards=wanted.shards, until_ms=None, limit=PAGE, wanted=wanted.fields)
        for event in page.events:
            yield _shown(event, wanted.ids)
        # Behind the events: what was not printed comes again.
        if page.positions != positions:
            wanted.keep(page.positions)
        positions = page.positions
        if page.unread and page.unread != told:
            note(f"The shards {_named(page.unread)} of the store do not respond: their latest events are missing.")
        told = page.unread
        if page.at_end and (stop is None or stop.wait(POLL_S)):
            if page.unread and stop is None:
                raise StoreUnavailable("The record could not be read to its end.")
            return
        if time.monotonic() >= noted + ON_RECORD_S:
            noted = time.monotonic()
            wanted.on_record()


def _shown(event: "Event", ids: "Ids | None") -> dict[str, Any]:
    import msgspec  # noqa: PLC0415

    from ..usecases.browse import as_seen  # noqa: PLC0415
    from ..web.schemas.audit import audit_event  # noqa: PLC0415

    shown: dict[str, Any] = msgspec.to_builtins(audit_event(as_seen(event, ids)))
    return shown


def _named(shards: frozenset[int]) -> str:
    """As `seq` begins."""
    return ", ".join(f"{shard:02x}" for shard in sorted(shards))


def _line(shown: Mapping[str, Any]) -> str:
    named = {name: shown[name] for name in ("app", "to", "delivery_id", "verification_id") if shown.get(name)}
    if "delivery_id" in named:
        del named["verification_id"]  # it is part of the delivery's id
    rest = " ".join(f"{name}={cell(value)}" for name, value in {**named, **shown["detail"]}.items())
    return f"{shown['at']}  {shown['type']:<24}  {rest}"
