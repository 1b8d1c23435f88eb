"""Why a start was accepted or refused: the rules in the order in which the store's script asks them."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from ..limits import RESERVED
from ..person import Budget, budgets
from ..policy import Channel, NumberLimits, Sender, SenderKind
from ..prices import SPEND_LIMIT
from ..routing import of_channel
from .courses import UNNAMED, Course, subject_of
from .history import History
from .record import CLOCK_MS, Explanation, Happened, Step, checked, taken

_OF_NUMBER = frozenset(name for name in RESERVED if "per_number" in name) | {
    "resend_after",
    "consecutive_wrong_codes",
}
_WRONG = ("wrong_codes_per_number", "service.wrong_codes_per_number", "consecutive_wrong_codes")
"""In the order in which the script compares them: of equal waits the first is named."""


@dataclass(frozen=True, slots=True)
class _Refusal:
    code: str
    limit: str = ""
    wait_ms: int = 0

    def is_like(self, other: "_Refusal") -> bool:
        """Whether it is the same, as exactly as clocks are read."""
        near = abs(self.wait_ms - other.wait_ms) <= 2 * CLOCK_MS
        return (self.code, self.limit) == (other.code, other.limit) and near

    def __str__(self) -> str:
        limit = f" by {self.limit}" if self.limit else ""
        wait = f", {self.wait_ms} ms" if self.wait_ms else ""
        return f"refused: {self.code}{limit}{wait}"


def explain_start(event: Happened, history: History, everywhere: NumberLimits) -> Explanation:
    """A start that was accepted: a new verification, or the code of the pending one again."""
    start = _Start(event, history, everywhere)
    steps = [_guard(event, history), *start.steps()]
    refusal = next(start.refusals(None), None)
    kind = "resent" if start.pending is not None else "started"
    recomputed = f"accepted: {kind}" if refusal is None else str(refusal)
    return Explanation(f"accepted: {event.type.partition('.')[2]}", recomputed, (*steps, start.others(None)))


def explain_refusal(event: Happened, history: History, everywhere: NumberLimits) -> Explanation:
    """A start that was refused, by whatever refuses first."""
    recorded = _recorded(event)
    if recorded.limit == SPEND_LIMIT:
        return _by_spend_limit(event, history, recorded)
    if recorded.code == "guard_refused":
        return _by_guard(event, history, recorded)
    if "risk" in event.detail:
        step = taken("the risk hook's verdict", f"`{event.detail['risk']}` refuses with {recorded.code}")
        return Explanation(str(recorded), str(recorded), (step,))
    start = _Start(event, history, everywhere)
    refusal = next(start.refusals(recorded), None)
    if refusal is not None and refusal.is_like(recorded):
        refusal = recorded
    recomputed = "accepted" if refusal is None else str(refusal)
    return Explanation(str(recorded), recomputed, (*start.steps(), start.others(recorded)))


def _recorded(event: Happened) -> _Refusal:
    detail = event.detail
    return _Refusal(str(detail.get("code")), str(detail.get("limit") or ""), int(detail.get("wait_ms") or 0))


def _guard(event: Happened, history: History) -> Step:
    if _is_known(event, history):
        return Step("the guard against pumping", "a number that was approved lately passes", "passes")
    return taken("the guard against pumping", "its budgets have room, or there was no need to ask them")


def _is_known(event: Happened, history: History) -> bool:
    app = history.app_of(event)
    approved = history.approved.get(app.name)
    return approved is not None and event.at_ms < approved + app.guard.known_for_ms


def _by_spend_limit(event: Happened, history: History, recorded: _Refusal) -> Explanation:
    limited = history.app_of(event).spend_limit is not None
    steps = (
        checked("the daily spend limit", "the app has one", holds=limited),
        taken("what the app has spent", "the message's price does not fit: `otp-service guard spend` has the sums"),
    )
    return Explanation(str(recorded), str(recorded) if limited else "accepted", steps)


def _by_guard(event: Happened, history: History, recorded: _Refusal) -> Explanation:
    known = _is_known(event, history)
    steps = (
        checked("the number", "no number that was approved lately is refused by the guard", holds=not known),
        taken(f"the budget {recorded.limit}", "it has no room: `otp-service guard replay` judges all of an app"),
    )
    return Explanation(str(recorded), "accepted" if known else str(recorded), steps)


class _Start:
    """One start, and what the number's history says of it."""

    def __init__(self, event: Happened, history: History, everywhere: NumberLimits) -> None:
        self._event, self._history, self._everywhere = event, history, everywhere
        self._app = history.app_of(event)
        self._purpose = str(event.detail.get("purpose") or "")
        self._budgets = self._all_budgets()
        self.pending = self._pending()

    def _all_budgets(self) -> list[Budget]:
        known = self._history.remembered(self._event.at_ms, self._app.name, self._purpose)
        return budgets(known, self._app, self._everywhere)

    def _pending(self) -> Course | None:
        """The verification whose code is sent again. A code for one subject is never sent for another."""
        latest = self._history.latest_of(self._app.name, self._purpose)
        if latest is None or not latest.is_pending(self._event.at_ms):
            return None
        if self._event.type == "verification.refused":
            return latest if self._history.courses.get(self._event.verification or "") is latest else None
        detail = self._event.detail
        subject = subject_of(detail)
        if subject == UNNAMED and self._event.type == "verification.started":
            # Whether it was for the same one is no part of the record.
            return None
        same = (latest.subject, latest.test) == (subject, bool(detail.get("test")))
        return latest if same else None

    def refusals(self, recorded: _Refusal | None) -> Iterator[_Refusal]:
        """What refuses, in the script's order. `recorded`: what the record says, for what it alone knows."""
        if not self._open_route(recorded):
            yield _Refusal("opted_out")
        wrong = _worst([one for name in _WRONG for one in self._budgets if one.name == name])
        if wrong is not None:
            yield _Refusal("too_many_wrong_codes", wrong.name, wrong.wait_ms)
        ladder = self._ladder()
        if ladder:
            yield _Refusal("resend_too_soon", "resend_after", ladder)
        capped = _worst([one for one in self._budgets if one.code == "rate_limited"])
        if recorded is not None and _is_outer(recorded) and (capped is None or capped.wait_ms < recorded.wait_ms):
            yield recorded
        if capped is not None:
            yield _Refusal("rate_limited", capped.name, capped.wait_ms)

    def _ladder(self) -> int:
        waits, now = self._app.resend_after_ms, self._event.at_ms
        wait = max((one.wait_ms for one in self._budgets if self._is_ladder(one)), default=0)
        if self.pending is not None and self.pending.sends > len(waits):
            return max(wait, self.pending.expires_ms - now)
        return wait

    def _is_ladder(self, one: Budget) -> bool:
        return one.name == "resend_after" and one.purpose == self._purpose

    def _open_route(self, recorded: _Refusal | None) -> Sequence[Sender]:
        """Whoever the person has not opted out of. A name reaches not every country, and that is not on record."""
        channel = self._event.detail.get("channel")
        route = of_channel(self._app, Channel(channel)) if channel else self._app.route
        refused = recorded is not None and recorded.code == "opted_out"
        return [
            one
            for one in route
            if one.messaging_profile_id not in self._history.opted_out
            and not (refused and one.kind is SenderKind.ALPHANUMERIC)
        ]

    def steps(self) -> Iterator[Step]:
        """Each rule with its fact."""
        names = ", ".join(one.name for one in self._open_route(None)) or "nobody"
        yield Step("opt-outs of the number", "a sender of the route is left", names)
        for one in self._budgets:
            if one.name != "resend_after" or self._is_ladder(one):
                yield _budget(one)
        pending = "none" if self.pending is None else f"sent {self.pending.sends} times"
        yield Step("the pending verification", f"at most {len(self._app.resend_after_ms) + 1} sends", pending)

    @staticmethod
    def others(recorded: _Refusal | None) -> Step:
        """What other numbers did is not in this number's record."""
        refuses = recorded is not None and _is_outer(recorded)
        rule = f"{recorded.limit} has no room" if recorded is not None and refuses else "they let it pass"
        return taken("limits apart from the number, and the queue", rule)


def _is_outer(recorded: _Refusal) -> bool:
    return recorded.code == "rate_limited" and recorded.limit not in _OF_NUMBER


def _worst(found: Sequence[Budget]) -> Budget | None:
    refusing = [one for one in found if one.wait_ms]
    return max(refusing, key=lambda one: one.wait_ms, default=None)


def _budget(one: Budget) -> Step:
    rule = f"at most {one.limit} in {one.per_ms // 1000} s"
    result = f"refuses for {one.wait_ms} ms" if one.wait_ms else "passes"
    return Step(f"{one.name}: {one.used}", rule, result)


def spent(history: History, event: Happened, everywhere: NumberLimits) -> Budget | None:
    """The budget of wrong codes that refuses a guess and a send."""
    found = budgets(history.remembered(event.at_ms), history.app_of(event), everywhere)
    return _worst([one for name in _WRONG for one in found if one.name == name])
