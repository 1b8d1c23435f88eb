"""The guard's budgets as they stand, for people and for metrics."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from ..domain.guard.counters import Bucket, Country, Days, Probes, Total
from ..domain.guard.places import Limits, Records, Way, places
from ..domain.guard.policy import GuardPolicy
from .schema import Keys
from .schema.encodings import GuardBucket, GuardDay, GuardProbes
from .schema.guard_fields import Guard
from .store import Store, fields_of

NARROW = 2
"""So many of a start's places are blocks: they belong to no country as a whole."""


@dataclass(frozen=True, slots=True)
class BudgetState:
    """A budget of a country, or of all countries ("" as region): unapproved sends in it and how many it holds.

    `pressed`: it refused somebody, or would have, within the hour.
    """

    region: str
    budget: str
    level: float
    most: float
    pressed: bool


@dataclass(frozen=True, slots=True)
class GuardState:
    """The guard of one app. `only_reports`: the budgets of countries and of all of them still refuse nobody."""

    app: str
    only_reports: bool
    approvals: int
    started_ms: int
    budgets: Sequence[BudgetState]


class GuardStates:
    """Reads the budgets of one store. Raises StoreUnavailable."""

    def __init__(self, store: Store, keys: Keys) -> None:
        self._store = store
        self._keys = keys

    def read(self, app: str, policy: GuardPolicy) -> GuardState:
        """How the guard of an app stands now."""
        found, now_ms = self._of_total(app)
        total = _total(found)
        regions = sorted(name.removeprefix(Guard.REGION) for name in found if name.startswith(Guard.REGION))
        budgets: dict[tuple[str, str], BudgetState] = {}
        for region in regions:
            (reply,), _ = self._store.read_at([("HGETALL", self._keys.country(app, region))])
            for one in _states(region, total, _country(fields_of(reply)), now_ms, policy):
                budgets[one.region, one.budget] = one
        return _state(app, total, now_ms, policy, list(budgets.values()))

    def progress(self, app: str, policy: GuardPolicy) -> GuardState:
        """The same without the budgets."""
        found, now_ms = self._of_total(app)
        return _state(app, _total(found), now_ms, policy, ())

    def _of_total(self, app: str) -> tuple[Mapping[str, str], int]:
        (reply,), now_ms = self._store.read_at([("HGETALL", self._keys.total(app))])
        return fields_of(reply), now_ms


def _state(app: str, total: Total, now_ms: int, policy: GuardPolicy, budgets: Sequence[BudgetState]) -> GuardState:
    # The time to monitor begins with the first start. Before that it is all left.
    begun = replace(total, started_ms=total.started_ms or now_ms)
    return GuardState(app, begun.only_reports(now_ms, policy), total.approvals, total.started_ms, budgets)


def _states(region: str, total: Total, country: Country, now_ms: int, policy: GuardPolicy) -> list[BudgetState]:
    records = Records(Bucket(), Bucket(), None, country, total)
    limits = Limits.of(total, country, now_ms, policy)
    ways = (Way(warm=False, outage=False, total=True), Way(warm=True, outage=False, total=True))
    found = [place for way in ways for place in places(records, way, limits, policy)[NARROW:]]
    return [
        BudgetState(
            "" if place.budget.startswith("total") else region,
            place.budget,
            place.bucket.now(now_ms, place.rate),
            place.rate.most,
            place.bucket.is_pressed(now_ms),
        )
        for place in found
    ]


def _total(found: Mapping[str, str]) -> Total:
    return Total(
        cold=_bucket(found.get(Guard.COLD)),
        warm=_bucket(found.get(Guard.WARM)),
        known=_bucket(found.get(Guard.KNOWN)),
        outage=_bucket(found.get(Guard.OUTAGE)),
        probes=_probes(found.get(Guard.PROBES)),
        days=Days(approved=_days(found.get(Guard.APPROVED))),
        started_ms=int(found.get(Guard.STARTED, 0)),
        approvals=int(found.get(Guard.APPROVALS, 0)),
    )


def _country(found: Mapping[str, str]) -> Country:
    return Country(
        cold=_bucket(found.get(Guard.COLD)),
        hour=_bucket(found.get(Guard.HOUR)),
        warm=_bucket(found.get(Guard.WARM)),
        probes=_probes(found.get(Guard.PROBES)),
        days=Days(_days(found.get(Guard.COUNTED)), _days(found.get(Guard.APPROVED))),
    )


def _bucket(text: str | None) -> Bucket:
    if not text:
        return Bucket()
    level, at_ms, refused_ms = GuardBucket.parse(text)
    return Bucket(float(level), int(at_ms), int(refused_ms))


def _probes(text: str | None) -> Probes:
    return Probes(*map(int, GuardProbes.parse(text))) if text else Probes()


def _days(text: str | None) -> dict[int, int]:
    pairs = [GuardDay.parse(one) for one in (text or "").split(",") if one]
    return {int(day): int(count) for day, count in pairs}
