"""What another policy would have done with the starts on record.

A start that the record has as sent and the new policy refuses is not approved in the replay. One that the record has as
refused and the new policy sends is never approved in it: nobody knows what would have become of it.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from ..domain.audit import Event, EventType
from ..domain.guard import record, rules, updates
from ..domain.guard.counters import Counters, Number, WarmBlock
from ..domain.guard.policy import Budget, GuardPolicy
from ..domain.guard.rules import Start

SENT = (EventType.STARTED, EventType.RESENT)


@dataclass(slots=True)
class Comparison:
    """Starts of an app, as they were and as they would have been.

    `judged`: starts that the budgets were asked about. `refused_before`, `refused_now`: of those. `newly_refused`: they
    were sent; `approved_of_those`: of them, those whose code was entered, so people whom the policy would have refused.
    `newly_sent`: they were refused. `by_budget`: what refuses now.
    """

    starts: int = 0
    judged: int = 0
    refused_before: int = 0
    refused_now: int = 0
    newly_refused: int = 0
    newly_sent: int = 0
    approved_of_those: int = 0
    by_budget: Counter[Budget] = field(default_factory=Counter)


class Replay:
    """One app's record under one policy."""

    def __init__(self, policy: GuardPolicy, *, since_ms: int = 0) -> None:
        """What is before `since_ms` fills the budgets and is not compared."""
        self._policy = policy
        self._since_ms = since_ms
        self._counters = Counters()
        self._places: dict[str, Start] = {}
        self._sent: dict[str, bool] = {}
        self.comparison = Comparison()

    def feed(self, event: Event) -> None:
        """The next event of the record, in order of time."""
        if event.type in SENT:
            self._start(event, refused=False)
        elif event.type == EventType.REFUSED and record.FIELD in event.detail:
            # Only the guard's own: the risk hook refuses with the same code.
            self._start(event, refused=True)
        elif event.type == EventType.APPROVED:
            self._approved(event)

    def _start(self, event: Event, *, refused: bool) -> None:
        number, now_ms = event.number_hash or "", event.at_ms
        judged = record.read(number, event.detail)
        compared = now_ms >= self._since_ms
        self.comparison.starts += compared
        if judged is None:
            self._unjudged(number, event)
            return
        self._places[number] = judged.start
        if judged.warm:
            # What was approved there may be older than the record.
            country = self._counters.country(judged.start.country)
            country.blocks.setdefault(judged.start.block_10k, WarmBlock(1, now_ms)).first_ms = 1
        verdict = rules.judge(self._counters, judged.start, now_ms, self._policy)
        updates.settle(self._counters, judged.start, verdict, now_ms, self._policy)
        self._note(event, sent=not verdict.refused)
        if compared:
            self._compare(before=refused, now=verdict.refused, full=verdict.full)

    def _note(self, event: Event, *, sent: bool) -> None:
        if event.verification_id is not None:
            self._sent[event.verification_id] = sent or self._sent.get(event.verification_id, False)

    def _unjudged(self, number: str, event: Event) -> None:
        """A known number, or a send that an earlier count covers."""
        place = self._places.get(number)
        kept = self._counters.numbers.get(number)
        if kept is None and place is None:
            # Approved before the record begins.
            kept = self._counters.numbers.setdefault(number, Number(approved_ms=event.at_ms))
        if kept is not None:
            start = place or Start(number, "", "", "")
            verdict = rules.judge(self._counters, start, event.at_ms, self._policy)
            if not verdict.counted:
                updates.settle(self._counters, start, verdict, event.at_ms, self._policy)
        self._note(event, sent=kept is not None)

    def _compare(self, *, before: bool, now: bool, full: Iterable[Budget]) -> None:
        one = self.comparison
        one.judged += 1
        one.refused_before += before
        one.refused_now += now
        one.newly_refused += now and not before
        one.newly_sent += before and not now
        if now:
            one.by_budget[next(iter(full))] += 1

    def _approved(self, event: Event) -> None:
        number = event.number_hash or ""
        sent = self._sent.get(event.verification_id or "", True)
        if not sent:
            self.comparison.approved_of_those += event.at_ms >= self._since_ms
            return
        place = self._places.get(number)
        if place is not None:
            updates.approve(self._counters, place, event.at_ms, self._policy)
        else:
            self._counters.numbers[number] = Number(approved_ms=event.at_ms)


def replay(events: Iterable[Event], policies: Mapping[str, GuardPolicy], *, since_ms: int = 0) -> dict[str, Comparison]:
    """The comparison for each app that has a policy."""
    runs = {app: Replay(policy, since_ms=since_ms) for app, policy in policies.items()}
    for event in events:
        run = runs.get(event.app or "")
        if run is not None:
            run.feed(event)
    return {app: run.comparison for app, run in runs.items()}
