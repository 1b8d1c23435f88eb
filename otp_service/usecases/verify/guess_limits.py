"""The limits of wrong codes that do not belong to the number: taken before a guess is judged, so that no guess is free.

What turns out to be no wrong code gives back what it took.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TypeVar

from ...domain.admission import OuterAnswer
from ...domain.checking import CheckAnswer, CheckCommand, LatestAnswer, was_wrong
from ...domain.errors import KeyUnknown, StoreUnavailable, changed_nothing
from ...domain.ids import Reference
from ...domain.limits import Counted, outer_limits, slots
from ...domain.policy import App, LimitEvent, Policy, Slot
from .. import ports
from .outer_answers import refusing, refusing_with_caller
from .start_request import CountedRequest

T = TypeVar("T")
Exceeded = Callable[[str, str, str, str, int], object]
"""Told of limits that refuse nothing and would have: see `exceeded`."""


class GuessLimits:
    """Judges guesses under these limits. Without any it adds nothing. `digest`: a keyed hash."""

    def __init__(
        self,
        *,
        store: ports.VerificationStore,
        outer: ports.OuterStore,
        policy: Policy,
        digest: Callable[[bytes], bytes],
        exceeded: Exceeded,
    ) -> None:
        self._store = store
        self._outer = outer
        self._limits = {name: outer_limits(policy, app, LimitEvent.WRONG_CODE) for name, app in policy.apps.items()}
        self._digest = digest
        self._exceeded = exceeded

    def slots(self, app: App, ref: Reference, request: CountedRequest) -> Sequence[Slot]:
        """A slot in each limit that a wrong guess counts in."""
        limits = self._limits[app.name]
        if not limits:
            return ()
        counted = Counted(app.name, ref.number_hash, request.client_ip, request.device_id, request.limit_keys)
        return slots(limits, counted, self._digest)

    def check(self, command: CheckCommand) -> CheckAnswer:
        """Judge a guess by id. Raises KeyUnknown and StoreUnavailable, as the store does."""
        return self._judged(command, self._store.check, _as_it_is)

    def check_latest(self, command: CheckCommand) -> LatestAnswer | None:
        """The same by number. Raises as `check`."""
        return self._judged(command, self._store.check_latest, _answer_of)

    def _judged(
        self, command: CheckCommand, judge: Callable[[CheckCommand], T], answer_of: Callable[[T], CheckAnswer | None]
    ) -> T:
        if not command.slots:
            return judge(command)
        taken = self._outer.take(command.slots)
        worst = refusing(taken)
        if worst is not None:
            command = replace(command, outer_wait_ms=worst.wait_ms, outer_limit=worst.wanted.name)
            command = replace(command, outer_refusing=refusing_with_caller(taken))
        try:
            judged = judge(command)
        except (KeyUnknown, StoreUnavailable) as error:
            if changed_nothing(error):
                self._give_back(taken)
            raise
        self._settle(command, taken, answer_of(judged))
        return judged

    def _settle(self, command: CheckCommand, taken: Sequence[OuterAnswer], answer: CheckAnswer | None) -> None:
        if not was_wrong(answer):
            self._give_back(taken)
            return
        for one in taken:
            if one.wait_ms:
                self._exceeded(command.reference.number_hash, "", command.app.name, one.wanted.name, one.wait_ms)

    def _give_back(self, taken: Sequence[OuterAnswer]) -> None:
        back = [one for one in taken if not one.wait_ms]
        if back:
            self._outer.give_back(back)


def _as_it_is(answer: CheckAnswer) -> CheckAnswer:
    return answer


def _answer_of(found: LatestAnswer | None) -> CheckAnswer | None:
    return None if found is None else found.answer
