"""What the guard does, for metrics, for the record and for the people on call. Nothing here disturbs a start."""

import logging
from collections.abc import Callable, Iterable

from ...domain.audit import EventType
from ...domain.errors import StoreUnavailable
from ...domain.guarding import GuardPlace, GuardVerdict, Report
from .. import ports

QUIET_MS = 600_000
"""A budget that is spent is on record once in this time, for each country and block."""

_EVENTS = {
    "tripped": EventType.GUARD_TRIPPED,
    "probed": EventType.GUARD_PROBED,
    "converted": EventType.GUARD_CONVERTED,
    "novelty": EventType.GUARD_NOVELTY,
    "outage": EventType.GUARD_OUTAGE,
}
_ALERTS = {
    "tripped": "The pumping guard's budget {budget} is spent{where}: starts of unknown numbers are refused. "
    "Others may follow, see otp-service guard status.",
    "monitored": "The pumping guard's budget {budget} is spent{where}. It only monitors, and refuses nobody.",
    "probed": "The pumping guard lets probes pass while its budget {budget} is spent{where}.",
    "converted": "A probe of the pumping guard's budget {budget} was approved{where}.",
    "novelty": "Unusually many new numbers were sent codes today{where}.",
    "outage": "Not even known numbers are approved any more{where}: look at the integration and at the carrier.",
}
_log = logging.getLogger("otp.guard")


class GuardReports:
    """Counts and tells. `count(app, budget, what)` is called for everything that happens to a budget."""

    def __init__(
        self, *, events: ports.GuardEvents, alert: Callable[[str, str], None], count: Callable[[str, str, str], None]
    ) -> None:
        self._events = events
        self._alert = alert
        self._count = count

    def judged(self, app: str, place: GuardPlace, verdict: GuardVerdict) -> None:
        """A start was judged by the budgets."""
        probed = any(one.what == "probed" for one in verdict.reports)
        monitored = bool(verdict.full) and not verdict.refused and not probed
        outcome = "refused" if verdict.refused else "monitored" if monitored else "passed"
        for budget in verdict.full or ("none",):
            self._count(app, budget, outcome)
        self._tell(app, verdict.reports, place, monitored=monitored)

    def happened(self, app: str, reports: Iterable[Report]) -> None:
        """Something happened to budgets beside a start."""
        self._tell(app, reports, None, monitored=False)

    def _tell(self, app: str, reports: Iterable[Report], place: GuardPlace | None, *, monitored: bool) -> None:
        for one in reports:
            self._count(app, one.budget, one.what)
            try:
                self._record(app, one, place)
            except StoreUnavailable:
                _log.warning("an event of the guard was not recorded", extra={"app": app, "reason": one.budget})
            what = "monitored" if one.what == "tripped" and monitored else one.what
            where = f" for {one.region} in app {app}" if one.region else f" in app {app}"
            # One an hour for each app, whatever else is spent meanwhile: an attack may go over all countries.
            self._alert(f"guard:{what}:{app}", _ALERTS[what].format(budget=one.budget, where=where))

    def _record(self, app: str, one: Report, place: GuardPlace | None) -> None:
        detail = {"budget": one.budget, "country": one.region}
        narrow = {"block_10k": place.block_10k, "block_1k": place.block_1k} if place else {}
        if place and place.on_record:
            narrow["address"] = place.address
        if narrow.get(one.budget):
            detail["place"] = narrow[one.budget]
        throttle_ms = QUIET_MS if one.what == "tripped" else 0
        mark = ":".join(("guard", app, *detail.values()))
        self._events.record(_EVENTS[one.what], detail, throttle_ms, app=app, mark=mark)
