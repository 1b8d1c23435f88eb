"""`otp-service guard spend`: what messages cost by app, country and day, and what an app may spend."""

import argparse
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from .output import note, print_json, print_line, print_table
from .parser import add_command, json_option
from .settings import known_app, load_settings

if TYPE_CHECKING:
    from ..domain.spending import CountrySpend, SpendState


def register(guard: Any) -> None:
    """Add the command to the group."""
    parser = add_command(
        guard,
        "spend",
        _spend,
        line="show what messages cost, by country and day",
        text="The last 14 days, in UTC. Expected is what messages would cost by [prices], where the app has a limit.",
        example="otp-service guard spend --app default",
    )
    parser.add_argument("--app", help="only this app (default: all)")
    json_option(parser)


def _spend(args: argparse.Namespace) -> None:
    from ..bootstrap import open_spending  # noqa: PLC0415

    settings = load_settings()
    apps = [known_app(settings, args.app)] if args.app else list(settings.policy.apps)
    currency, policy = settings.prices.currency, settings.policy
    with open_spending(settings) as table:
        states = [(table.read(app), policy.apps[app].spend_limit) for app in apps]
    if args.json:
        print_json([_as_json(state, limit, currency) for state, limit in states])
        return
    for state, limit in states:
        _print(state, limit, currency)


def _as_json(state: "SpendState", limit: int | None, currency: str) -> dict[str, Any]:
    from ..domain.spending import amount  # noqa: PLC0415
    from ..usecases.spend_watch import date_of  # noqa: PLC0415

    return {
        "app": state.app,
        "day": date_of(state.today),
        "currency": currency,
        "spent_today": amount(state.spent_today),
        "daily_spend_limit": None if limit is None else amount(limit),
        "refused_today": state.refused.get(state.today, 0),
        "days": [
            {"day": date_of(one.day), "country": one.region, "expected": amount(one.expected), "messages": one.messages}
            | {"settled": {name: amount(micros) for name, micros in sorted(one.settled.items())}}
            for one in state.places
        ],
    }


def _print(state: "SpendState", limit: int | None, currency: str) -> None:
    from ..domain.spending import amount  # noqa: PLC0415

    most = "no limit" if limit is None else f"of {amount(limit)}"
    refused = state.refused.get(state.today, 0)
    print_line(f"{state.app}: {amount(state.spent_today)} {currency} today, {most}; messages refused today: {refused}")
    if not state.places:
        note("no cost is known yet")
        return
    print_table(("day", "country", "expected", "settled", "messages"), map(_row, reversed(state.places)))


def _row(one: "CountrySpend") -> Sequence[str]:
    from ..domain.spending import amount  # noqa: PLC0415
    from ..usecases.spend_watch import date_of  # noqa: PLC0415

    settled = ", ".join(f"{amount(micros)} {name}" for name, micros in sorted(one.settled.items()))
    return date_of(one.day), one.region, amount(one.expected), settled, str(one.messages)
