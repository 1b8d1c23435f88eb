"""What the service promises, judged by its record alone: rules over events in order of time. Pure."""

from collections import deque
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from ..domain.explaining.courses import subject_of
from ..domain.explaining.record import CLOCK_MS
from ..domain.policy import MAX_LIFETIME_MS
from .number_budgets import NumberBudgets
from .recorded_rules import Rules

LIFETIME_MS = 15 * 60_000
"""The longest that a verification may be without an end: ten minutes, and five for who has to end it."""

ENDS = frozenset(f"verification.{name}" for name in ("approved", "expired", "canceled", "exhausted", "denied"))
_TRIES = ("delivery.sending", "delivery.retried")


class Promise(StrEnum):
    """What is promised."""

    STOP = "no send after a STOP"
    SENT = "no approval without a code sent"
    ONCE = "none approved twice"
    BUDGET = "no guess over budget"
    ENDED = "every accepted start ended"
    READ = "every record can be read"
    RULES = "every decision by the rules"
    EVIDENCE = "no evidence left a record out"


@dataclass(frozen=True, slots=True)
class Told:
    """One record, as far as promises need it. `number`: the keyed hash of the number, None if it was erased."""

    seq: int
    at_ms: int
    type: str
    verification: str | None
    delivery: str | None
    number: str | None
    policy: str | None
    detail: Mapping[str, Any]
    app: str | None = None

    @property
    def is_guess(self) -> bool:
        """Whether a code was compared, and wrong."""
        return self.type == "check.failed" and "checks_left" in self.detail


@dataclass(frozen=True, slots=True)
class Breach:
    """A promise that was not kept, the record that shows it, and why."""

    promise: Promise
    seq: int
    sentence: str


@dataclass(slots=True)
class _Course:
    """What is known of a verification. `seq` is the record of its start; `left`: guesses that it has left."""

    seq: int
    started_ms: int
    left: int | None
    of_subject: bool = False
    senders: dict[str, str] = field(default_factory=dict)
    is_sent: bool = False
    is_redeemed: bool = False
    end: str | None = None


RulesOf = Callable[[str | None], Rules | None]
"""What a configuration says, by its hash; None if it is not in the ledger."""


class Judge:
    """Sees every record of a period in order of time, and those of `LIFETIME_MS` before it, which are not judged.

    What has ended is forgotten after that time: memory does not grow with the period. `unjudged` counts sends of which
    the record does not say by which messaging profile they went.
    """

    def __init__(self, rules_of: RulesOf, since_ms: int = 0) -> None:
        self._rules_of = rules_of
        self._since_ms = since_ms
        self._courses: dict[str, _Course] = {}
        self._ended: deque[tuple[int, str]] = deque()
        self._stopped: set[tuple[str, str]] = set()
        self._budgets = NumberBudgets()
        self._newest_ms = 0
        self.started = 0
        self.unjudged = 0

    def see(self, told: Told) -> Iterator[Breach]:
        """What this record shows; nothing if it is of before the period."""
        breaches = list(self._see(told))
        if told.at_ms >= self._since_ms:
            yield from breaches

    @property
    def followed(self) -> int:
        """How many verifications are not forgotten yet."""
        return len(self._courses)

    def _see(self, told: Told) -> Iterator[Breach]:
        self._newest_ms = max(self._newest_ms, told.at_ms)
        self._forget()
        if told.type in ("optout.added", "optout.removed"):
            self._note_wish(told)
        elif told.type == "person.lock_lifted":
            self._budgets.lift(told.number, told.app)
        elif told.type == "verification.started" and told.verification:
            self._begin(told, told.verification)
        elif told.verification in self._courses:
            yield from self._follow(told, self._courses[told.verification])
        elif told.type in _TRIES or told.is_guess or _proves_login(told):
            # A code lives for ten minutes, and a receipt for two: nothing of it can happen when its start is forgotten.
            yield Breach(_without_start(told), told.seq, f"{told.verification} has no start on record in that time")

    def _forget(self) -> None:
        while self._ended and self._ended[0][0] + LIFETIME_MS < self._newest_ms:
            self._courses.pop(self._ended.popleft()[1], None)

    def _note_wish(self, told: Told) -> None:
        wish = (told.number or "", str(told.detail.get("messaging_profile_id")))
        if told.type == "optout.added":
            self._stopped.add(wish)
        else:
            self._stopped.discard(wish)

    def _begin(self, told: Told, verification: str) -> None:
        rules = self._rules_of(told.policy)
        own = told.detail.get("max_checks")
        budget = own if isinstance(own, int) and own else (rules.max_checks(told.app) if rules else None)
        self._courses[verification] = _Course(told.seq, told.at_ms, budget, bool(subject_of(told.detail)))
        self.started += told.at_ms >= self._since_ms

    def _follow(self, told: Told, course: _Course) -> Iterator[Breach]:
        if told.type == "delivery.queued":
            course.senders[told.delivery or ""] = str(told.detail.get("sender"))
        elif told.type in _TRIES:
            course.is_sent = True
            yield from self._judge_send(told, course)
        elif told.is_guess:
            yield from _judge_guess(told, course)
            yield from self._judge_budget(told, course)
        elif told.type == "receipt.redeemed":
            yield from _judge_receipt(told, course)
        elif told.type in ENDS:
            if told.type == "verification.approved":
                yield from self._judge_budget(told, course)
            if course.end is None:
                self._ended.append((told.at_ms, told.verification or ""))
            yield from _judge_end(told, course)

    def _judge_send(self, told: Told, course: _Course) -> Iterator[Breach]:
        rules = self._rules_of(told.policy)
        profile = rules.profile(course.senders.get(told.delivery or "", "")) if rules else None
        if profile is None and told.at_ms >= self._since_ms:
            self.unjudged += 1
        if told.number and profile and (told.number, profile) in self._stopped:
            yield Breach(Promise.STOP, told.seq, f"{told.delivery} was sent from {profile} after the person's STOP")

    def _judge_budget(self, told: Told, course: _Course) -> Iterator[Breach]:
        """Wrong codes of the number, over all of its verifications; those of a subject have a budget of their own."""
        rules = self._rules_of(told.policy)
        if course.of_subject or told.number is None or rules is None:
            return
        spent = self._budgets.spent(told.number, told.app, told.at_ms, rules)
        if spent:
            yield Breach(Promise.BUDGET, told.seq, f"a guess at {told.verification}, and the number had spent {spent}")
        self._budgets.count(told.number, told.app, told.at_ms, wrong=told.is_guess)

    def end(self, until_ms: int | None = None) -> Iterator[Breach]:
        """What the whole shows, as of this time or of the newest record."""
        now_ms = self._newest_ms if until_ms is None else min(until_ms, self._newest_ms)
        for verification, course in self._courses.items():
            if course.end is None and self._since_ms <= course.started_ms < now_ms - LIFETIME_MS:
                yield Breach(Promise.ENDED, course.seq, f"{verification} was started and never ended")


def _proves_login(told: Told) -> bool:
    """An approval, or the receipt of one; the receipt of a factor names no verification."""
    return told.type == "verification.approved" or (told.type == "receipt.redeemed" and told.verification is not None)


def _without_start(told: Told) -> Promise:
    if told.type in _TRIES:
        return Promise.ENDED
    return Promise.BUDGET if told.is_guess else Promise.SENT


def _judge_guess(told: Told, course: _Course) -> Iterator[Breach]:
    left = told.detail["checks_left"]
    if course.end is not None:
        yield Breach(Promise.BUDGET, told.seq, f"a guess at {told.verification} after it was {course.end}")
    elif not isinstance(left, int) or left < 0 or (course.left is not None and left >= course.left):
        yield Breach(Promise.BUDGET, told.seq, f"a guess at {told.verification} did not cost a try")
    course.left = left if isinstance(left, int) else course.left


def _judge_receipt(told: Told, course: _Course) -> Iterator[Breach]:
    if course.is_redeemed:
        yield Breach(Promise.ONCE, told.seq, f"the receipt of {told.verification} was redeemed twice")
    if course.end != "approved":
        yield Breach(Promise.SENT, told.seq, f"the receipt of {told.verification} was redeemed before an approval")
    course.is_redeemed = True


def _judge_end(told: Told, course: _Course) -> Iterator[Breach]:
    kind = told.type.partition(".")[2]
    if kind == "approved":
        if course.end == "approved":
            yield Breach(Promise.ONCE, told.seq, f"{told.verification} was approved twice")
        elif course.end is not None or course.left == 0:
            yield Breach(Promise.BUDGET, told.seq, f"{told.verification} was approved after its end")
        elif told.at_ms > course.started_ms + MAX_LIFETIME_MS + CLOCK_MS:
            yield Breach(Promise.BUDGET, told.seq, f"{told.verification} was approved after its code's longest life")
        if not course.is_sent and not told.detail.get("test"):
            yield Breach(Promise.SENT, told.seq, f"{told.verification} was approved, and nothing was sent")
    course.end = course.end or kind
