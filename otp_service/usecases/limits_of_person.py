"""The limits apart from a number that it meets whoever asks: how they stand, and forgetting what they counted."""

from collections.abc import Callable, Iterable, Sequence

from ..domain.limits import Counted, met_by_number
from ..domain.person import Budget
from ..domain.phone import Phone
from ..domain.policy import App, LimitEvent, LimitKey, NamedLimit, Policy, Slot
from . import ports


class LimitsOfPerson:
    """Safe for many threads. `digest`: a keyed hash, as for starts. Methods raise StoreUnavailable."""

    def __init__(self, states: ports.LimitStates, policy: Policy, digest: Callable[[bytes], bytes]) -> None:
        self._states = states
        self._policy = policy
        self._digest = digest

    def standing(self, app: App, to: Phone, number_hash: str, *, alone: bool) -> list[Budget]:
        """Each of them in an app. `alone`: the app asks, and does not learn what others count."""
        met = list(self._met(app, to, number_hash))
        found = self._states.read([slot for _, slot in met])
        return [
            _budget(app, limit, slot, None if alone and not _is_of(limit, app.name) else used, wait_ms)
            for (limit, slot), (used, wait_ms) in zip(met, found, strict=True)
        ]

    def counted(self, apps: Iterable[App], to: Phone, number_hash: str, *, alone: bool) -> list[Slot]:
        """What has counted something for this number alone. An app takes away only what no other counts in."""
        slots: dict[Slot, None] = {}
        for app in apps:
            for limit, slot in self._met(app, to, number_hash):
                if _is_of_number(limit) and (not alone or _is_of(limit, app.name)):
                    slots[slot] = None
        found = self._states.read(list(slots))
        return [slot for slot, (used, _) in zip(slots, found, strict=True) if used]

    def forget(self, slots: Sequence[Slot]) -> None:
        """Take away what `counted` found."""
        self._states.forget(slots)

    def _met(self, app: App, to: Phone, number_hash: str) -> Iterable[tuple[NamedLimit, Slot]]:
        country = to.region or f"+{to.country_code}"
        counted = Counted(app.name, number_hash, e164=to.e164, country=country)
        return met_by_number(self._policy, app, counted, self._digest)


def _is_of_number(limit: NamedLimit) -> bool:
    return any(one.key is LimitKey.NUMBER for one in limit.keys)


def _is_of(limit: NamedLimit, app: str) -> bool:
    """Whether no other app counts in it."""
    return limit.apps == frozenset({app}) or any(one.key is LimitKey.APP for one in limit.keys)


def _budget(app: App, limit: NamedLimit, slot: Slot, used: int | None, wait_ms: int) -> Budget:
    return Budget(
        limit.name,
        "too_many_wrong_codes" if limit.event is LimitEvent.WRONG_CODE else "rate_limited",
        slot.limit.limit,
        slot.limit.per_ms,
        used,
        0 if limit.is_monitored else wait_ms,
        app.name,
        is_own=_is_of_number(limit),
        is_monitored=limit.is_monitored,
    )
