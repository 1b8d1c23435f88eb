"""What is remembered of a person, for those who support them."""

from collections.abc import Sequence
from typing import Protocol

from ...domain.factors import Subject
from ...domain.guard.policy import GuardPolicy
from ...domain.guarding import GuardPlace, NumberInGuard
from ...domain.ids import Reference
from ...domain.person import Also, Remembered
from ...domain.policy import Slot


class PersonStore(Protocol):
    """What is remembered of a number, and taking it away."""

    def remembered(self, number_hash: str) -> Remembered:
        """Sends, wrong codes, starts and latest verifications."""
        ...

    def subjects(self, refs: Sequence[Reference]) -> set[str]:
        """The keyed hashes of the subjects for whom these verifications are."""
        ...

    def guard_refused(self, number_hash: str, app: str) -> bool:
        """Whether the app's guard refused the number within the hour."""
        ...

    def refused_by(self, number_hash: str, app: str) -> Sequence[Slot]:
        """The app's limits that refused it within the hour and count it together with what a caller says."""
        ...

    def lift_lock(self, number_hash: str, mask: str, app: str | None, reason: str, also: Also) -> list[str]:
        """Forget what counts against the number: budget, ladder and caps, of one app or of all (None).

        The names of the limits that had counted something, `also.names` among them.
        """
        ...

    def lift_optouts(
        self, number_hash: str, mask: str, profiles: Sequence[str], app: str | None, reason: str
    ) -> list[str]:
        """Forget the number's opt-outs of these messaging profiles; those that stood."""
        ...

    def record_shown(self, number_hash: str, mask: str, app: str | None) -> None:
        """Put on record that somebody looked."""
        ...


class LimitStates(Protocol):
    """How limits apart from the number stand."""

    def read(self, slots: Sequence[Slot]) -> list[tuple[int, int]]:
        """Of each of these: how many are taken, and the milliseconds until one more may be; 0 if it may."""
        ...

    def forget(self, slots: Sequence[Slot]) -> None:
        """Forget what these have counted."""
        ...


class GuardOfNumber(Protocol):
    """What the pumping guard knows of a number."""

    def read(self, number_hash: str, app: str, place: GuardPlace, policy: GuardPolicy) -> NumberInGuard:
        """How the guard of an app sees a number now."""
        ...


class SubjectLocks(Protocol):
    """The wrong codes in a row of subjects."""

    def lift(self, subject: Subject, reason: str) -> int:
        """Take them away; how many there were."""
        ...
