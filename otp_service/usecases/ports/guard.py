"""The pumping guard's budgets and its list of what is never counted."""

from collections.abc import Mapping
from typing import Protocol

from ...domain.audit import EventType
from ...domain.ending import Ended, NotFound
from ...domain.guard.policy import GuardPolicy
from ...domain.guarding import Converted, GuardPlace, GuardVerdict, Report
from ...domain.ids import Reference


class GuardBudgets(Protocol):
    """The budgets of all apps. Each method is a single atomic step."""

    def take(self, app: str, place: GuardPlace, policy: GuardPolicy, *, quiet: bool = False) -> GuardVerdict:
        """Judge a start of an unknown number, and fill what it takes. `quiet`: a refusal changes nothing."""
        ...

    def look(self, app: str, place: GuardPlace, policy: GuardPolicy) -> GuardVerdict:
        """What `take` would say."""
        ...

    def give_back(self, one: Converted, policy: GuardPolicy, *, approved: bool) -> tuple[Report, ...]:
        """Give back what the sends of a number took."""
        ...

    def count_known(self, app: str, region: str, starts: int, policy: GuardPolicy) -> tuple[Report, ...]:
        """So many known numbers were sent codes."""
        ...


class GuardedNumbers(Protocol):
    """What the guard keeps with a number. Each method is a single atomic step."""

    def complete(self, ref: Reference, app: str, policy: GuardPolicy) -> Converted | NotFound | Ended | None:
        """The login of this verification ended well by another way; None if that changes nothing.

        Ended if the person denied it: that changes nothing either.
        """
        ...

    def approve(self, number_hash: str, app: str, policy: GuardPolicy) -> Converted | None:
        """Another factor of the number's owner was approved; None if that changes nothing."""
        ...


class SafeListTable(Protocol):
    """What an operator has listed."""

    def entries(self) -> frozenset[str]:
        """The names of the entries, as known; never raises."""
        ...

    def refresh(self) -> None:
        """Read the list again, if it is time; never raises."""
        ...


class EditedSafeList(Protocol):
    """The same, to be changed."""

    def add(self, name: str, reason: str) -> bool:
        """Add an entry; False if it was there."""
        ...

    def remove(self, name: str) -> bool:
        """Take an entry out; False if there was none."""
        ...


class GuardEvents(Protocol):
    """The audit record, for events of budgets."""

    def record(
        self,
        kind: EventType,
        detail: Mapping[str, str],
        throttle_ms: int = 0,
        *,
        app: str = "",
        mark: str = "",
        number_hash: str = "",
    ) -> None:
        """Record an event; with a throttle at most one of its mark in that time. `number_hash`: of whom it is about."""
        ...
