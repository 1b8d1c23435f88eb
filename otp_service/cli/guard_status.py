"""`otp-service guard status` and `guard safelist`: how the budgets stand, and what is never counted."""

import argparse
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from ..clock import rfc3339
from .acts import known_settings
from .output import note, print_json, print_line, print_table
from .parser import Parser, add_command, add_group, json_option
from .settings import known_app, load_settings

if TYPE_CHECKING:
    from ..domain.guard.policy import GuardPolicy
    from ..storage.guard_states import BudgetState, GuardState

WIDTH = 30
"""Characters of a full bar."""


def register(guard: Any) -> None:
    """Add the commands to the group."""
    status = add_command(
        guard,
        "status",
        _status,
        line="show how full the budgets of countries are",
        text="A number is a code that nobody has used. A bar shows how much of a budget is spent.",
        example="otp-service guard status --app default",
    )
    status.add_argument("--app", help="only this app (default: all)")
    json_option(status)
    group = add_group(
        guard, "safelist", line="what the guard never counts", example='otp-service guard safelist add CA --reason "…"'
    )
    _edit(group, "add", "never count a number, a block of 1,000 numbers or a country")
    _edit(group, "remove", "count it again")
    json_option(add_command(group, "list", _list, line="list the entries", example="otp-service guard safelist list"))


def _edit(group: Any, verb: str, line: str) -> None:
    example = f'otp-service guard safelist {verb} +12025550143 --reason "Ticket 4711"'
    parser: Parser = add_command(group, verb, _change, line=line, example=example)
    parser.add_argument("what", metavar="WHAT", help="+12025550143, +12025550*** or CA; to remove, also a listed name")
    parser.add_argument("--reason", required=True, help="why, for the record; without telephone numbers")
    parser.set_defaults(verb=verb)
    json_option(parser)


def _status(args: argparse.Namespace) -> None:
    from ..bootstrap import open_guard  # noqa: PLC0415

    settings = load_settings()
    apps = [known_app(settings, args.app)] if args.app else list(settings.policy.apps)
    with open_guard(settings) as parts:
        states = [parts.states.read(app, settings.policy.apps[app].guard) for app in apps]
    if args.json:
        print_json([_as_json(one) for one in states])
        return
    for one in states:
        _print(one, settings.policy.apps[one.app].guard)


def _as_json(state: "GuardState") -> dict[str, Any]:
    return {
        "app": state.app,
        "approvals": state.approvals,
        "first_start": rfc3339(state.started_ms) if state.started_ms else None,
        "wide_budgets_only_report": state.only_reports,
        "budgets": [
            {"country": one.region or None, "budget": one.budget, "unapproved": round(one.level, 2), "limit": one.most}
            | {"refused_within_the_hour": one.pressed}
            for one in state.budgets
        ],
    }


def _print(state: "GuardState", policy: "GuardPolicy") -> None:
    from ..usecases.guard.progress import told  # noqa: PLC0415

    begun = {"started_ms": state.started_ms, "approvals": state.approvals}
    print_line(f"{state.app}: {told(policy, only_reports=state.only_reports, **begun)}")
    if not state.budgets:
        note("no start of an unknown number was counted yet")
        return
    print_table(("country", "budget", "unapproved", "limit", "spent", ""), map(_row, state.budgets))


def _row(one: "BudgetState") -> Sequence[str]:
    filled = round(WIDTH * min(1.0, one.level / one.most))
    bar = "█" * filled + "·" * (WIDTH - filled)
    state = "spent lately" if one.pressed else ""
    return one.region or "all", one.budget, f"{one.level:.1f}", f"{one.most:.0f}", bar, state


def _change(args: argparse.Namespace) -> None:
    from ..bootstrap import open_guard  # noqa: PLC0415

    with open_guard(known_settings()) as parts:
        edit = parts.edit.add if args.verb == "add" else parts.edit.remove
        changed = edit(args.what, args.reason)
    if args.json:
        print_json({"changed": changed})
    else:
        print_line("done; it holds everywhere within ten seconds" if changed else "nothing changed")


def _list(args: argparse.Namespace) -> None:
    from ..bootstrap import open_guard  # noqa: PLC0415

    with open_guard(load_settings()) as parts:
        entries = sorted(parts.safe_list.all().items())
    if args.json:
        print_json([{"entry": name, "since": rfc3339(at_ms), "reason": why} for name, (at_ms, why) in entries])
        return
    print_table(("entry", "since", "reason"), ((name, rfc3339(at, "seconds"), why) for name, (at, why) in entries))
