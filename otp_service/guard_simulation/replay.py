"""What another policy would have done with the starts on record.

A start that the record has as sent and the new policy refuses is not approved in the replay. One that the record has as
refused and the new policy sends is never approved in it: nobody knows what would have become of it.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import partial

from ..domain.audit import Event, EventType
from ..domain.guard import rules, updates
from ..domain.guard.counters import Counters, Number, Taken, WarmBlock
from ..domain.guard.policy import Budget, GuardPolicy
from ..domain.guard.record import JudgedStart, Unread, detail_of
from ..domain.guard.rules import Start
from .replay_order import in_order
from .replay_waiting import Change, Waiting

SENT = (EventType.STARTED, EventType.RESENT)
CONVERTED = (EventType.APPROVED, EventType.COMPLETED, EventType.GUARD_FACTOR)


@dataclass(slots=True)
class Comparison:
    """Starts of an app, as they were and as they would have been.

    `judged`: starts that the budgets were asked about. `refused_before`, `refused_now`: of those. `newly_refused`: they
    were sent; `approved_of_those`: of them, those whose code was entered or whose login was completed, so people whom
    the policy would have refused. `newly_sent`: they were refused. `by_budget`: what refuses now. `unread`:
    starts of the whole record that could not be judged again, and fill no budget.
    """

    starts: int = 0
    judged: int = 0
    refused_before: int = 0
    refused_now: int = 0
    newly_refused: int = 0
    newly_sent: int = 0
    approved_of_those: int = 0
    by_budget: Counter[Budget] = field(default_factory=Counter)
    unread: Counter[Unread] = field(default_factory=Counter)


class Replay:
    """One app's record under one policy."""

    def __init__(self, policy: GuardPolicy, *, since_ms: int = 0, started_ms: int = 0) -> None:
        """What is before `since_ms` fills the budgets and is not compared.

        `started_ms`: of the first start of the app, 0 if it is not known.
        """
        self._policy = policy
        self._since_ms = since_ms
        self.counters = Counters()
        self.counters.total.started_ms = started_ms
        self._places: dict[str, Start] = {}
        self._sent: dict[str, bool] = {}
        self._guessed: set[str] = set()
        self._approved: set[str] = set()
        self._waiting = Waiting()
        self._to_give_back: dict[str, tuple[Start, Taken]] = {}
        self._turn = 0
        self._left_out = 0
        self.comparison = Comparison()

    def feed(self, event: Event, number: str, judged: JudgedStart | Unread | None) -> None:
        """The next event of the record. `number`: of whom it is about. `judged`: what it keeps of a start."""
        if isinstance(judged, Unread):
            self.comparison.unread[judged] += 1
            if event.type in SENT:
                self._note(event, sent=True)
        elif event.type in SENT:
            self._start(event, number, judged, refused=False)
        elif event.type == EventType.REFUSED and judged is not None:
            # Only the guard's own: the risk hook refuses with the same code.
            self._start(event, number, judged, refused=True)
        elif event.type in CONVERTED:
            self._converted(event, number)
        elif event.type == EventType.LOCK_LIFTED:
            updates.let_pass(self.counters, number, event.at_ms, self._policy)
        elif event.type == EventType.GUARD_RETURNED and self._was_sent(event):
            self._returned(event, number)

    def _start(self, event: Event, number: str, judged: JudgedStart | None, *, refused: bool) -> None:
        compared = event.at_ms >= self._since_ms
        self.comparison.starts += compared
        if judged is not None and judged.alone:
            self._note(event, sent=True)
            return
        if judged is not None and not refused:
            self._places[number] = judged.start
        if judged is None or not judged.is_judged:
            self._unjudged(event, number, is_known=judged is not None and judged.known)
            return
        self._count_turn(judged.turns.starts)
        self._waiting.settle(judged.turns, judged.at_ms)
        self._forget_guess(number)
        if judged.warm:
            # What was approved there may be older than the record.
            country = self.counters.country(judged.start.country)
            country.blocks.setdefault(judged.start.block_10k, WarmBlock(1, judged.at_ms)).first_ms = 1
        verdict = rules.judge(self.counters, judged.start, judged.at_ms, self._policy)
        updates.settle(self.counters, judged.start, verdict, judged.at_ms, self._policy)
        self._note(event, sent=not verdict.refused)
        if compared:
            self._compare(before=refused, now=verdict.refused, full=verdict.full)

    def _count_turn(self, turn: int) -> None:
        """The budgets number the starts that they judge. A store that was emptied begins again."""
        if 0 < self._turn < turn:
            self._left_out += turn - self._turn - 1
        self._turn = turn

    def _forget_guess(self, number: str) -> None:
        """The number was taken for a known one, and was none."""
        if number in self._guessed:
            self._guessed.discard(number)
            self.counters.numbers.pop(number, None)

    def _note(self, event: Event, *, sent: bool) -> None:
        if event.verification_id is not None:
            self._sent[event.verification_id] = sent or self._was_sent(event, unknown=False)

    def _was_sent(self, event: Event, *, unknown: bool = True) -> bool:
        return self._sent.get(event.verification_id or "", unknown)

    def _unjudged(self, event: Event, number: str, *, is_known: bool) -> None:
        """A known number, or a send that an earlier count covers, or one that the guard left alone."""
        kept = self.counters.numbers.get(number)
        if kept is None and is_known:
            # Approved before the record begins.
            self._guessed.add(number)
            kept = self.counters.numbers.setdefault(number, Number(approved_ms=event.at_ms))
        start = self._places.get(number)
        if kept is not None and start is not None:
            verdict = rules.judge(self.counters, start, event.at_ms, self._policy)
            if verdict.covered:
                updates.settle(self.counters, start, verdict, event.at_ms, self._policy)
            elif verdict.known and is_known and updates.begin_known(kept, event.at_ms):
                self._waiting.add(Change.KNOWN_START, event.at_ms, self._count_known)
        self._note(event, sent=kept is not None or start is None)

    def _returned(self, event: Event, number: str) -> None:
        """No carrier accepted a send: it counts no more, and a moment later the budgets get back what it took."""
        sent = event.delivery_id or ""
        if "given_back" in (detail_of(event) or {}):
            if (waiting := self._to_give_back.pop(sent, None)) is not None:
                back = partial(updates.give_back_unsent, self.counters, *waiting, policy=self._policy)
                self._waiting.add(Change.UNSENT, event.at_ms, back)
        elif (place := self._places.get(number)) is not None:
            taken = updates.uncount(self.counters, place, event.at_ms, self._policy)
            if taken is not None:
                self._to_give_back[sent] = (place, taken)

    def finish(self) -> None:
        """The record ends. What the budgets judged and no start on record says is lost, unless it is unread already."""
        self._waiting.finish()
        lost = self._left_out - self.comparison.unread.total()
        if lost > 0:
            self.comparison.unread[Unread.LOST] += lost

    def _count_known(self, at_ms: int) -> None:
        self.counters.total.started_ms = self.counters.total.started_ms or at_ms
        updates.count_known(self.counters, at_ms, self._policy)

    def _compare(self, *, before: bool, now: bool, full: Iterable[Budget]) -> None:
        one = self.comparison
        one.judged += 1
        one.refused_before += before
        one.refused_now += now
        one.newly_refused += now and not before
        one.newly_sent += before and not now
        if now:
            one.by_budget[next(iter(full))] += 1

    def _converted(self, event: Event, number: str) -> None:
        verification = event.verification_id or ""
        if not self._was_sent(event):
            self.comparison.approved_of_those += event.at_ms >= self._since_ms and verification not in self._approved
            self._approved.add(verification)
            return
        place = self._places.get(number)
        if place is not None:
            number_state = self.counters.numbers.setdefault(number, Number())
            one = updates.convert(number_state, event.at_ms, self._policy)
            kind = Change.KNOWN_APPROVED if one.known and not one.taken else Change.APPROVED
            count = partial(updates.count_conversion, self.counters, place, one, policy=self._policy)
            self._waiting.add(kind, event.at_ms, count)
        elif event.type != EventType.GUARD_FACTOR:
            self.counters.numbers.setdefault(number, Number()).approved_ms = event.at_ms
        self._guessed.discard(number)


def replay(
    events: Iterable[Event],
    policies: Mapping[str, GuardPolicy],
    *,
    since_ms: int = 0,
    started_ms: Mapping[str, int] | None = None,
) -> dict[str, Comparison]:
    """The comparison for each app that has a policy. `started_ms`: of apps whose first start is known."""
    first = started_ms or {}
    runs = {app: Replay(one, since_ms=since_ms, started_ms=first.get(app, 0)) for app, one in policies.items()}
    feed(runs, events)
    return {app: run.comparison for app, run in runs.items()}


def feed(runs: Mapping[str, Replay], events: Iterable[Event]) -> None:
    """Let each app's replay have its events, in the order in which the budgets met them."""
    for event, number, judged in in_order(events):
        for app in runs if judged is Unread.EVENT else _apps_of(event):
            if app in runs:
                runs[app].feed(event, number, judged)
    for run in runs.values():
        run.finish()


def _apps_of(event: Event) -> Iterable[str]:
    """A lift by an operator is of no app, and says in which the guard lets the number pass."""
    if event.type == EventType.LOCK_LIFTED:
        return [str(app) for app in (detail_of(event) or {}).get("guard", [])]
    return [event.app or ""]
