"""`otp-service explain` and `lift`: what stands against a person, and taking it away."""

import argparse
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from ..clock import rfc3339
from .acts import known_settings
from .output import cell, note, print_json, print_line, print_table
from .parser import Parser, add_command, add_group, json_option
from .settings import known_app

if TYPE_CHECKING:
    from ..storage.guard_of_number import NumberInGuard
    from ..web.schemas.people import PersonStanding


def register(groups: Any) -> None:
    """Add the commands to the command line."""
    explain = add_command(
        groups,
        "explain",
        _explain,
        line="show what stands against a person: opt-outs, budgets, waits, the latest messages",
        text="Each look is an event of the record. It needs OTP_REDIS_URL, OTP_KEYRING and the configuration.",
        example="otp-service explain +12025550143",
    )
    _about(explain)
    lift = add_group(
        groups, "lift", line="take away what stands against a person", example='otp-service lift lock +1… --reason "…"'
    )
    _add_lift(lift, "lock", "clear the number's wrong codes, waits and caps", "")
    _add_lift(
        lift,
        "optout",
        "forget the number's opt-outs",
        "A block that the carrier holds comes back with its list: only the person's START ends that one.",
    )


def _about(parser: Parser) -> None:
    parser.add_argument("number", metavar="NUMBER", help="the person's number in E.164")
    parser.add_argument("--app", help="only for this app (default: for all)")
    json_option(parser)


def _add_lift(groups: Any, what: str, line: str, text: str) -> None:
    example = f'otp-service lift {what} +12025550143 --reason "Ticket 4711"'
    parser = add_command(groups, what, _lift, line=line, text=text, example=example)
    _about(parser)
    parser.add_argument("--reason", required=True, help="why, for the record; without telephone numbers")
    parser.set_defaults(what=what)


def _explain(args: argparse.Namespace) -> None:
    import msgspec  # noqa: PLC0415

    from ..bootstrap import open_guard, open_support  # noqa: PLC0415
    from ..web.schemas.people import person_standing  # noqa: PLC0415

    settings = known_settings()
    app = known_app(settings, args.app) if args.app else None
    with open_support(settings) as support:
        shown = person_standing(support.explain(args.number, app))
    if args.json:
        print_json(msgspec.to_builtins(shown))
        return
    with open_guard(settings) as guard:
        seen = [
            (one.app, "guard", _seen(*guard.of_number(args.number, settings.policy.apps[one.app])))
            for one in shown.apps
        ]
    _print(shown, seen)


def _seen(found: "NumberInGuard", safe: bool) -> str:
    """The pumping guard's view of the number."""
    levels = ", ".join(f"{name} {level:.1f} of {most:g}" for name, (level, most) in found.blocks.items())
    if safe:
        state = "on the safe list"
    elif found.known_until_ms:
        state = f"known until {rfc3339(found.known_until_ms, 'seconds')}"
    else:
        state = "unknown, counted" if found.counted else "unknown, not counted"
    return f"{state}; {levels}"


def _print(shown: "PersonStanding", seen: Sequence[tuple[str, str, str]]) -> None:
    if not shown.blocks:
        print_line(f"{shown.to}: nothing refuses a start now")
    for block in shown.blocks:
        where = "/".join(filter(None, (block.app, block.purpose)))
        cause = block.limit or f"profile {block.messaging_profile_id}"
        wait = "" if block.retry_after is None else f", passes in {block.retry_after} s"
        print_line(f"{shown.to}: {where} gets {block.code} ({cause}{wait}); lift {block.lift} takes it away")
    print_table(("app", "what", "state"), [*_rows(shown), *seen])


def _rows(shown: "PersonStanding") -> Iterator[tuple[str, str, str]]:
    for one in shown.apps:
        for entry in one.optouts:
            state = f"{'out' if entry.opted_out else 'in'} since {cell(entry.since)} by {cell(entry.source)}"
            yield one.app, f"opt-out of {entry.messaging_profile_id}", state
        for limit in one.limits:
            name = f"{limit.name} {limit.purpose}" if limit.purpose else limit.name
            yield one.app, name, f"{limit.used} of {limit.limit} in {limit.per} s"
        for latest in one.verifications:
            yield one.app, latest.purpose, f"{latest.status}, {latest.created_at}"
            for sent in latest.deliveries:
                error = f", {sent.error.code} {sent.error.title}" if sent.error else ""
                yield one.app, sent.delivery_id, f"{sent.status} by {sent.sender}, {sent.updated_at}{error}"


def _lift(args: argparse.Namespace) -> None:
    from ..bootstrap import open_support  # noqa: PLC0415

    settings = known_settings()
    app = known_app(settings, args.app) if args.app else None
    with open_support(settings) as support:
        lifted = support.lift(args.number, args.what, args.reason, app)
    if args.json:
        print_json({"lifted": lifted})
        return
    if not lifted:
        note("nothing stood against this number")
    for name in lifted:
        print_line(name)
