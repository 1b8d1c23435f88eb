"""The limits apart from a number that it meets whoever asks: how they stand, and forgetting what they counted."""

from collections.abc import Callable, Iterable, Iterator, Sequence

from ..domain.limits import Counted, is_of_number, met_by_number, outer_limits
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

    def standing(
        self, app: App, to: Phone, number_hash: str, refused_by: Sequence[Slot], *, alone: bool
    ) -> list[Budget]:
        """Each of them in an app, and those that refused it lately together with what a caller says (`refused_by`).

        `alone`: the app asks, and does not learn what others count.
        """
        met = [*self._met(app, to, number_hash), *self._of_callers(app, refused_by)]
        found = self._states.read([slot for _, slot in met])
        return [
            _budget(app, limit, slot, None if alone and not _is_of(limit, app.name) else used, wait_ms)
            for (limit, slot), (used, wait_ms) in zip(met, found, strict=True)
        ]

    def counted(
        self, refused_by: Iterable[tuple[App, Sequence[Slot]]], to: Phone, number_hash: str, *, alone: bool
    ) -> list[Slot]:
        """What has counted something for this number alone, in these apps, with what refused it there lately.

        An app takes away only what no other counts in.
        """
        slots: dict[Slot, None] = {}
        for app, of_callers in refused_by:
            for limit, slot in (*self._met(app, to, number_hash), *self._of_callers(app, of_callers)):
                if is_of_number(limit) and (not alone or _is_of(limit, app.name)):
                    slots[slot] = None
        found = self._states.read(list(slots))
        return [slot for slot, (used, _) in zip(slots, found, strict=True) if used]

    def forget(self, slots: Sequence[Slot]) -> None:
        """Take away what `counted` found."""
        self._states.forget(slots)

    def _of_callers(self, app: App, refused_by: Sequence[Slot]) -> Iterator[tuple[NamedLimit, Slot]]:
        # The configuration may have changed since: what is in it no more refuses nobody.
        for limit in outer_limits(self._policy, app, *LimitEvent):
            yield from ((limit, one) for one in refused_by if one.name == limit.name and one.limit in limit.rules)

    def _met(self, app: App, to: Phone, number_hash: str) -> Iterable[tuple[NamedLimit, Slot]]:
        country = to.region or f"+{to.country_code}"
        counted = Counted(app.name, number_hash, e164=to.e164, country=country)
        return met_by_number(self._policy, app, counted, self._digest)


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
        is_own=is_of_number(limit),
        is_monitored=limit.is_monitored,
    )
