"""`otp-service explain` and `lift`: what stands against a person, and taking it away."""

import argparse
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from .acts import known_settings
from .output import cell, note, print_json, print_line, print_table
from .parser import Parser, add_command, add_group, json_option
from .settings import known_app

if TYPE_CHECKING:
    from ..web.schemas.people import GuardOfPerson, PersonBlock, PersonStanding


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
    _add_lift(lift, "lock", "clear what refuses the number: wrong codes, waits, caps, limits", _LOCK)
    _add_lift(
        lift,
        "optout",
        "forget the number's opt-outs",
        "A block that the carrier holds comes back with its list: only the person's START ends that one.",
    )


_LOCK = (
    "It also cancels a pending verification whose sends are used up, and lets two codes pass the guard against SMS "
    "pumping where that refuses the number, or did within the hour. Opt-outs stay."
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

    from ..bootstrap import open_support  # noqa: PLC0415
    from ..web.schemas.people import person_standing  # noqa: PLC0415

    settings = known_settings()
    app = known_app(settings, args.app) if args.app else None
    with open_support(settings) as support:
        shown = person_standing(support.explain(args.number, app))
    if args.json:
        print_json(msgspec.to_builtins(shown))
        return
    _print(shown)


_STATES = {
    "off": "left alone",
    "safe_list": "on the safe list",
    "passed": "unknown, its next send passes",
    "counted": "unknown, counted",
    "unknown": "unknown, not counted",
}


def _seen(found: "GuardOfPerson | None") -> str:
    """The pumping guard's view of the number."""
    if found is None:
        return "not known: the part of the store with the app's budgets does not answer"
    levels = ", ".join(f"{one.name} {one.used:.1f} of {one.limit:g}" for one in found.blocks)
    return f"{_STATES.get(found.state) or f'known until {found.known_until}'}; {levels}"


def _print(shown: "PersonStanding") -> None:
    if not shown.blocks:
        print_line(f"{shown.to}: nothing refuses a start now")
    for block in shown.blocks:
        where = "/".join(filter(None, (block.app, block.purpose)))
        cause = block.limit or f"profile {block.messaging_profile_id}"
        wait = "" if block.retry_after is None else f", passes in {block.retry_after} s"
        print_line(f"{shown.to}: {where} gets {block.code} ({cause}{wait}); {_help(block)}")
    print_table(("app", "what", "state"), list(_rows(shown)))


def _help(block: "PersonBlock") -> str:
    """What makes the person's next start pass."""
    if block.code == "store_unavailable":
        return "nobody knows what the app has spent: wait until the store answers"
    if block.limit == "spend_limit":
        return "the app may spend no more today: wait, or raise daily_spend_limit"
    if block.code == "guard_refused":
        always = "otp-service guard safelist add NUMBER --reason TEXT"
        return f"lift lock lets two codes pass; to leave the number alone for good, add it to the safe list: {always}"
    if block.lift is None:
        return "it counts more than this number: wait, or change the limit"
    return f"lift {block.lift} takes it away"


def _rows(shown: "PersonStanding") -> Iterator[tuple[str, str, str]]:
    for one in shown.apps:
        for entry in one.optouts:
            state = f"{'out' if entry.opted_out else 'in'} since {cell(entry.since)} by {cell(entry.source)}"
            yield one.app, f"opt-out of {entry.messaging_profile_id}", state
        for limit in one.limits:
            name = f"{limit.name} {limit.purpose}" if limit.purpose else limit.name
            used = "some" if limit.used is None else limit.used
            mode = ", refuses nothing" if limit.mode == "monitor" else ""
            yield one.app, name, f"{used} of {limit.limit} in {limit.per} s{mode}"
        yield one.app, "guard", _seen(one.guard)
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
