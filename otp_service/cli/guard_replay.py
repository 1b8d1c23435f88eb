"""`otp-service guard replay`: what another policy of the guard would have done with the starts on record."""

import argparse
import tomllib
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from .arguments import app_name, file_path
from .output import print_json, print_line, print_table
from .parser import UsageError, add_command, json_option
from .progress import Progress
from .settings import duration_ms, known_app, load_settings

if TYPE_CHECKING:
    from ..domain.audit import Event
    from ..domain.guard.policy import GuardPolicy
    from ..guard_simulation.replay import Comparison
    from ..usecases.ports import AuditReader

PAGE = 1_000
DURATIONS = frozenset({"known_for", "monitor"})
"""Settings that the configuration writes as durations, such as "90d"."""

COLUMNS = ("app", "starts", "judged", "refused then", "refused now", "newly refused", "of those approved", "newly sent")


NOT_WHOLE = (
    "A part of the store does not respond, so the record is not whole and nothing is compared. "
    "Run `otp-service doctor` to see which server is down, and this command again when all respond."
)
"""The budgets depend on all that was before: a comparison over a part would be of something else."""

WHY_UNREAD = {
    "unknown_event": "the events have an unknown form; whether they are starts, nobody can say",
    "unreadable_detail": "the details of the events cannot be read",
    "unknown_form": "what the guard noted of them has a form that this version does not know",
    "lost": "what the guard noted of them is not on record",
    "erased": "the persons are erased from the record",
}
"""Words for each `Unread`."""


def register(guard: Any) -> None:
    """Add the command to its group."""
    command = add_command(
        guard,
        "replay",
        _replay,
        line="show what another policy would have done with the recorded starts",
        text="FILE is TOML with the settings of the guard, as they stand in [apps.NAME.guard]; it may set the other "
        "numbers of the rules too. The whole record is read, since budgets depend on what was before; starts since the "
        "time are compared.",
        example="otp-service guard replay --policy wider.toml --since 30d",
    )
    command.add_argument("--policy", metavar="FILE", type=file_path, required=True, help="the policy to try")
    command.add_argument("--since", metavar="DURATION", default="30d", help="how far back to compare (default 30d)")
    command.add_argument("--app", metavar="NAME", type=app_name, action="append", help="only this app")
    json_option(command)


def _replay(args: argparse.Namespace) -> None:
    from ..bootstrap import build_record, first_starts  # noqa: PLC0415
    from ..clock import clock_ms  # noqa: PLC0415
    from ..guard_simulation.replay import replay  # noqa: PLC0415
    from ..storage.callers import set_caller  # noqa: PLC0415
    from .keys import at_shell  # noqa: PLC0415

    settings = load_settings()
    set_caller("", "", at_shell(settings))
    apps = [known_app(settings, name) for name in args.app] if args.app else sorted(settings.policy.apps)
    policy, now_ms = read_policy(args), clock_ms()
    first = _first(lambda: first_starts(settings))
    since_ms = now_ms - duration_ms(args.since, "--since")
    with Progress("Replaying", "events") as progress:
        events = _events(build_record(settings, {"command": "guard replay"}), now_ms, progress)
        found = replay(events, dict.fromkeys(apps, policy), since_ms=since_ms, started_ms=first)
    if args.json:
        print_json({app: as_json(one) for app, one in found.items()})
    else:
        _print(found)


def _first(ask: Callable[[], Mapping[str, int]]) -> Mapping[str, int]:
    from ..domain.errors import StoreUnavailable  # noqa: PLC0415

    try:
        return ask()
    except StoreUnavailable as error:
        raise StoreUnavailable(NOT_WHOLE) from error


def read_policy(args: argparse.Namespace) -> "GuardPolicy":
    """The policy in the file. Raises UsageError."""
    import msgspec  # noqa: PLC0415

    from ..domain.guard.policy import GuardPolicy  # noqa: PLC0415

    try:
        table = tomllib.loads(args.policy.read_text(encoding="utf-8"))
        for name in DURATIONS & set(table):
            table[f"{name}_ms"] = duration_ms(str(table.pop(name)), f"{name} in {args.policy}")
        return msgspec.convert(table, GuardPolicy)
    except OSError as error:
        raise UsageError(f"cannot read {args.policy}: {error.strerror}") from error
    except (UnicodeDecodeError, tomllib.TOMLDecodeError, msgspec.ValidationError) as error:
        raise UsageError(f"{args.policy}: {error}") from error


def _events(record: "AuditReader", until_ms: int, progress: Progress) -> Iterator["Event"]:
    from ..domain.audit import ZERO  # noqa: PLC0415
    from ..domain.errors import StoreUnavailable  # noqa: PLC0415

    positions, done = [ZERO] * record.shards, 0
    while True:
        page = record.read(positions, shards=range(record.shards), until_ms=until_ms, limit=PAGE, wanted={})
        positions, done = page.positions, done + len(page.events)
        yield from page.events
        progress.advance(done)
        if page.unread:
            raise StoreUnavailable(NOT_WHOLE)
        if page.at_end:
            return


def as_json(one: "Comparison") -> Mapping[str, Any]:
    """For programs."""
    return {
        "starts": one.starts,
        "judged": one.judged,
        "refused_then": one.refused_before,
        "refused_now": one.refused_now,
        "newly_refused": one.newly_refused,
        "newly_refused_and_approved": one.approved_of_those,
        "newly_sent": one.newly_sent,
        "refused_now_by": {str(budget): count for budget, count in one.by_budget.most_common()},
        "unread": {str(why): count for why, count in one.unread.most_common()},
    }


def _print(found: Mapping[str, "Comparison"]) -> None:
    rows = []
    for app, one in found.items():
        counts = (one.starts, one.judged, one.refused_before, one.refused_now, one.newly_refused)
        rows.append([app, *(f"{count:,}" for count in (*counts, one.approved_of_those, one.newly_sent))])
    print_table(COLUMNS, rows)
    for app, one in found.items():
        if one.by_budget:
            print_line(f"{app}: refused now by {', '.join(f'{name} {n:,}' for name, n in one.by_budget.most_common())}")
        for why, count in one.unread.most_common():
            verb = "start was" if count == 1 else "starts were"
            print_line(f"{app}: {count:,} {verb} not read, because {WHY_UNREAD[why]}")
