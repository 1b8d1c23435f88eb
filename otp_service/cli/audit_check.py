"""`otp-service audit check`: the promises, judged by the record alone."""

import argparse
from typing import TYPE_CHECKING, Any

from .arguments import moment
from .output import print_json, print_line
from .parser import add_command, json_option
from .progress import Progress
from .settings import load_settings

if TYPE_CHECKING:
    from ..signed_log.checking import CheckReport
    from ..signed_log.explaining import Recomputed
    from ..signed_log.promises import Breach


def register(audit: Any) -> None:
    """Add the command to those of `audit`."""
    check = add_command(
        audit,
        "check",
        _check,
        line="check from the record alone that promises were kept",
        text="No send after a STOP, no approval without a code sent, none twice, no guess over budget, every accepted "
        "start ended. The exit status is 1 if one was not kept.",
        example="otp-service audit check --from 2026-11-01T00:00:00Z --to 2026-12-01T00:00:00Z",
    )
    check.add_argument("--from", dest="since", metavar="TIME", type=moment, help="from this time on (default: all)")
    check.add_argument("--to", dest="until", metavar="TIME", type=moment, help="before this time (default: until now)")
    check.add_argument(
        "--decisions", action="store_true", help="recompute each decision too, as `audit explain` does: it takes longer"
    )
    json_option(check)


def _check(args: argparse.Namespace) -> int:
    from ..bootstrap.explaining import recompute_decisions  # noqa: PLC0415
    from ..bootstrap.signed_log import own_log  # noqa: PLC0415
    from ..signed_log.checking import check_promises  # noqa: PLC0415

    since_ms, until_ms = (int(one.timestamp() * 1000) if one else None for one in (args.since, args.until))
    decisions = None
    with own_log(load_settings()) as own, Progress("checking", "records") as progress:
        report = check_promises(own.database, since_ms or 0, until_ms, progress.advance)
        if args.decisions:
            decisions = recompute_decisions(own.database, since_ms or 0, until_ms)
            report.breaches.extend(_breaches(decisions))
    if args.json:
        print_json(_as_json(report, decisions))
    else:
        _show(report, decisions)
    return 1 if report.breaches else 0


def _breaches(decisions: "Recomputed") -> "list[Breach]":
    from ..signed_log.promises import Breach, Promise  # noqa: PLC0415

    return [Breach(Promise.RULES, seq, sentence) for seq, sentence in decisions.differ]


def _as_json(report: "CheckReport", decisions: "Recomputed | None") -> dict[str, Any]:
    breaches = [{"promise": one.promise, "seq": one.seq, "detail": one.sentence} for one in report.breaches]
    counted = {"records": report.records, "started": report.started, "unjudged": report.unjudged}
    if decisions is not None:
        counted |= {"decisions": decisions.decisions, "unknown_decisions": decisions.unknown}
    return {**counted, "breaches": breaches}


def _show(report: "CheckReport", decisions: "Recomputed | None") -> None:
    from ..signed_log.promises import Promise  # noqa: PLC0415

    for breach in report.breaches:
        print_line(f"record {breach.seq}: {breach.sentence}")
    for promise in [one for one in Promise if one is not Promise.RULES or decisions]:
        count = sum(breach.promise is promise for breach in report.breaches)
        print_line(f"{'FAIL' if count else 'ok  '}  {promise}" + (f": {count} times not" if count else ""))
    if report.unjudged:
        print_line(f"{report.unjudged} sends are not judged by STOP: their configuration is not in the ledger")
    if decisions is not None:
        unknown = (
            f", {decisions.unknown} cannot be: what they rest on is not in the ledger" if decisions.unknown else ""
        )
        print_line(f"{decisions.decisions} decisions recomputed{unknown}")
    print_line(f"{report.records} records, {report.started} starts")
