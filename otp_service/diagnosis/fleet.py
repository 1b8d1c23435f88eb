"""Which processes run, whether there is a worker, and how they differ from one another and from this command."""

from collections.abc import Iterator

from ..domain.errors import StoreUnavailable
from ..domain.fleet import API, WORKER, differences
from ..storage.fleet import Fleet
from .result import CheckResult


def check_fleet(fleet: Fleet) -> Iterator[CheckResult]:
    """A line for each role, and one for each difference."""
    try:
        processes = fleet.live()
    except StoreUnavailable as error:
        yield CheckResult("fleet", False, error.detail)
        return
    for role, hint in (
        (API, "no request is answered; run: otp-service serve"),
        (WORKER, "no code is sent; run: otp-service worker"),
    ):
        names = [one.record.name for one in processes if one.record.role == role]
        yield CheckResult(f"{role} processes", bool(names), ", ".join(names) or f"none runs: {hint}")
    for sentence in differences(processes):
        yield CheckResult("fleet", False, sentence)
