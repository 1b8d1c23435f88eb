"""Which processes run, whether there is a worker, and how they differ from one another and from this command."""

from collections.abc import Iterator, Sequence

from ..domain.errors import ServiceError
from ..domain.fleet import API, WORKER, Difference, ProcessRecord, differences, webhook_verdicts, wrong_clocks
from ..storage.fleet import Fleet
from .result import CheckResult

HINTS = ((API, "no request is answered; run: otp-service serve"), (WORKER, "no code is sent; run: otp-service worker"))


def check_fleet(fleet: Fleet, own: ProcessRecord | None) -> Iterator[CheckResult]:
    """A line for each role, each process, each thing that differs and the webhooks' signatures.

    `own` is what this command would be as a process; None if that cannot be said.
    """
    try:
        processes = fleet.live()
    except ServiceError as error:
        yield CheckResult("processes", False, error.detail)
        return
    yield from _roles(processes)
    yield from (CheckResult(one.name, True, one.facts) for one in processes)
    if processes:
        yield from _same(processes, own)
        yield from _webhooks(processes)


def _roles(processes: Sequence[ProcessRecord]) -> Iterator[CheckResult]:
    for role, hint in HINTS:
        names = [one.name for one in processes if one.role == role]
        yield CheckResult(f"{role} processes", bool(names), ", ".join(names) or f"none runs: {hint}")


def _same(processes: Sequence[ProcessRecord], own: ProcessRecord | None) -> Iterator[CheckResult]:
    compared = processes if own is None else [*processes, own]
    found = [*differences(compared), *wrong_clocks(processes)]
    yield from map(_failed, found)
    if not found:
        yield CheckResult("processes", True, "all alike, with right clocks")


def _webhooks(processes: Sequence[ProcessRecord]) -> Iterator[CheckResult]:
    bad = list(webhook_verdicts(processes))
    yield from map(_failed, bad)
    if not bad:
        good, refused = (sum(getattr(one, f"webhooks_{kind}") for one in processes) for kind in ("good", "refused"))
        detail = f"of the last minutes: {good} good, {refused} refused" if good else "no webhook in the last minutes"
        yield CheckResult("webhook signatures", True, detail)


def _failed(difference: Difference) -> CheckResult:
    return CheckResult(f"processes: {difference.subject}", False, difference.detail)
