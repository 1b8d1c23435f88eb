"""Starts under the guard: the number's step first, the app's budgets where it asks for them, then the step again.

Where the store can do all of it in the number's step (on a single server, and with Sentinel), it does, and says what
the budgets said. In a Cluster they are on another server.

A start that the number's step refuses fills no budget: they are looked at, and what answers is put on record by the
step that comes after that.
"""

from dataclasses import replace

from ...domain.errors import StoreUnavailable
from ...domain.guarding import LOOKED, GuardNeeded, GuardPlace, GuardVerdict
from ...domain.prices import SPEND_LIMIT
from ...domain.starting import StartCommand, Started, StartRefused, WouldSend
from .. import ports
from .guard import Guard


class GuardedStarts:
    """Runs the step of a start. Safe for many threads. Without a guard no budget is asked."""

    def __init__(self, store: ports.VerificationStore, guard: Guard | None) -> None:
        self._store = store
        self._guard = guard

    def start(self, command: StartCommand) -> Started | StartRefused:
        """Start, or refuse. Raises StoreUnavailable."""
        outcome = self._store.start(command)
        place, guard = command.guard_place, self._guard
        if guard is None or place is None:
            assert not isinstance(outcome, GuardNeeded)
            return outcome
        if isinstance(outcome, GuardNeeded):
            return self._judged(command, place, guard, quiet=outcome.quiet)
        if outcome.verdict is not None:
            guard.judged(command.app, place, outcome.verdict)
        if isinstance(outcome, StartRefused):
            return self._refused(command, place, guard, outcome)
        if outcome.guarded == "known":
            guard.notes.started(command.app.name, place.region)
        return outcome

    def _judged(self, command: StartCommand, place: GuardPlace, guard: Guard, *, quiet: bool) -> Started | StartRefused:
        verdict = guard.take(command.app, place, quiet=quiet)
        counted = False
        try:
            outcome = self._store.start(replace(_told(command, verdict), guard_quiet=quiet))
            assert not isinstance(outcome, GuardNeeded)
            counted = isinstance(outcome, Started) and outcome.guarded == "counted"
            return outcome
        except StoreUnavailable as error:
            # What may have been written keeps what was taken for it.
            counted = not error.nothing_written
            raise
        finally:
            if verdict is not None and not verdict.refused and not counted:
                guard.unused(command.app, place, verdict)

    def _refused(
        self, command: StartCommand, place: GuardPlace, guard: Guard, refused: StartRefused
    ) -> Started | StartRefused:
        """Have what answers put on record, too: a budget's refusal, or else the number's own."""
        if not refused.unguarded:
            return refused
        verdict = _before(refused, command, place, guard)
        if verdict is not None and verdict.refused:
            return self._judged(command, place, guard, quiet=refused.quiet)
        outcome = self._store.start(replace(command, guard=LOOKED))
        if isinstance(outcome, GuardNeeded):
            return self._judged(command, place, guard, quiet=outcome.quiet)
        return outcome

    def _refusal(self, command: StartCommand, place: GuardPlace, guard: Guard, refused: StartRefused) -> StartRefused:
        """The refusal that answers first: a budget's comes before a wait."""
        verdict = _before(refused, command, place, guard) if refused.unguarded else None
        if verdict is None or not verdict.refused:
            return refused
        return StartRefused("guard_refused", 0, limit=verdict.word, verification_id=refused.verification_id)

    def would_start(self, command: StartCommand) -> WouldSend | StartRefused:
        """What `start` would do. Raises StoreUnavailable."""
        outcome = self._store.would_start(command)
        place, guard = command.guard_place, self._guard
        if guard is not None and place is not None:
            if isinstance(outcome, StartRefused):
                return self._refusal(command, place, guard, outcome)
            if isinstance(outcome, GuardNeeded):
                outcome = self._store.would_start(_told(command, guard.look(command.app, place)))
        assert not isinstance(outcome, GuardNeeded)
        return outcome


def _before(refused: StartRefused, command: StartCommand, place: GuardPlace, guard: Guard) -> GuardVerdict | None:
    """What the budgets say where they answer before this refusal. The day's spending answers before them."""
    return None if refused.limit == SPEND_LIMIT else guard.look(command.app, place)


def _told(command: StartCommand, verdict: GuardVerdict | None) -> StartCommand:
    """The command with what the budgets say. Budgets that do not answer let it pass, and nothing is taken."""
    if verdict is None:
        return replace(command, guard_place=None)
    return replace(command, guard=verdict.word, guard_taken=verdict.taken, guard_turn=verdict.turn)
