"""What the service knew of a number: its earlier events, followed in order, as the scripts follow them."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from ..person import IN_A_ROW_MS, Remembered, Sent, WrongCodes
from ..policy import MAX_CONSECUTIVE_WRONG, App, Sender
from .courses import ENDS, GREATEST_UNCOUNTED, Course, begun
from .record import Happened, PolicyOf

_UNSENT_ENDS = ("delivery.failed", "delivery.suppressed", "delivery.expired")
_NOTED_MS = 60_000
RESTARTS = frozenset({"store.restarted", "store.emptied", "ledger.gap"})


class History:
    """One number. `follow` takes each event; `see` what comes next, before it is judged."""

    def __init__(self, policy_of: PolicyOf) -> None:
        self._policy_of = policy_of
        self.courses: dict[str, Course] = {}
        self.latest: dict[tuple[str, str], str] = {}
        self.opted_out: set[str] = set()
        self.approved: dict[str, int] = {}
        self.restarts: list[int] = []
        self._sends: list[Sent] = []
        self._wrong: dict[str, WrongCodes] = {}
        self._wrong_everywhere: list[int] = []
        self._starts: dict[str, list[int]] = {}
        self._unsent: Happened | None = None

    def app_of(self, event: Happened, name: str | None = None) -> App:
        """The app as the configuration of this event has it. Raises KeyError."""
        return self._policy_of(event.policy).apps[name or event.app or ""]

    def route_of(self, event: Happened, course: Course) -> Sequence[Sender]:
        """The senders of the app, by the configuration that started it and by the one that decides now.

        Raises KeyError. An app that was removed since has no senders any more.
        """
        known = [self._policy_of(policy).apps.get(course.app) for policy in (course.policy, event.policy)]
        return list({one.name: one for app in known if app is not None for one in app.route}.values())

    def senders_of(self, event: Happened) -> Mapping[str, Sender]:
        """All senders of this event's configuration. Raises KeyError."""
        return self._policy_of(event.policy).senders

    def course(self, event: Happened) -> Course:
        """The verification of this event. Raises KeyError if its start is not on record."""
        return self.courses[event.verification or ""]

    def remembered(self, now_ms: int, app: str = "", purpose: str = "") -> Remembered:
        """What counts against the number at this moment, for a start of this app and purpose."""
        before = self.latest_of(app, purpose)
        sends = list(self._sends)
        if before is not None and before.ended_early:
            _give_back(sends, app, purpose)
        return Remembered(now_ms, sends, dict(self._wrong), list(self._wrong_everywhere), dict(self._starts))

    def latest_of(self, app: str, purpose: str) -> Course | None:
        """The latest verification of app and purpose."""
        return self.courses.get(self.latest.get((app, purpose), ""))

    def was_restarted(self, course: Course, now_ms: int) -> bool:
        """Whether the store began another run after this verification was started: no code of before is good then.

        A process puts a restart on record when it has looked, which is later than the store knows of it.
        """
        return any(course.started_ms <= at_ms <= now_ms + _NOTED_MS for at_ms in self.restarts)

    def see(self, event: Happened) -> None:
        """The next event: a delivery that ended unsent and was followed by no other gives its send back."""
        ended, self._unsent = self._unsent, None
        if ended is not None and not (event.type == "delivery.fell_back" and event.delivery == ended.delivery):
            self._give_send_back(self.course(ended), ended.ordinal)

    def follow(self, event: Happened) -> None:
        """What the event changes."""
        self.see(event)
        known = event.verification in self.courses
        if event.type in RESTARTS:
            self._restart(event)
        elif event.type in _NUMBER:
            _NUMBER[event.type](self, event)
        elif event.type in ENDS and known:
            self._end(event)
        elif event.type.startswith(("delivery.", "report.")) and known:
            self._follow_delivery(event)

    def _restart(self, event: Happened) -> None:
        self.restarts.append(event.at_ms)
        if event.type == "store.emptied":
            self._forget_all()

    def _start(self, event: Happened) -> None:
        app, purpose = self.app_of(event), str(event.detail.get("purpose"))
        if event.type == "verification.started":
            before = self.latest_of(app.name, purpose)
            if before is not None and before.ended_early:
                _give_back(self._sends, app.name, purpose)
            self.courses[event.verification or ""] = begun(event, app)
            self.latest[app.name, purpose] = event.verification or ""
        elif event.verification in self.courses:
            self.course(event).sends_again(event.at_ms, app.code_ttl_ms)
        self._sends.insert(0, Sent(event.at_ms, app.name, purpose))
        self._starts.setdefault(app.name, []).insert(0, event.at_ms)

    def _guess(self, event: Happened) -> None:
        course = self.courses.get(event.verification or "")
        if course is None:
            return
        if "checks_left" not in event.detail:
            course.unbound += 1
            return
        course.attempts += 1
        if not course.subject:
            self._count_wrong(course.app, event.at_ms)

    def _count_wrong(self, app: str, now_ms: int) -> None:
        known = self._wrong.get(app, WrongCodes())
        in_a_row = 0 if known.last_ms + IN_A_ROW_MS <= now_ms else known.in_a_row
        times = (now_ms, *known.times)[:MAX_CONSECUTIVE_WRONG]
        self._wrong[app] = WrongCodes(in_a_row + 1, now_ms, times)
        self._wrong_everywhere = [now_ms, *self._wrong_everywhere][:MAX_CONSECUTIVE_WRONG]

    def _end(self, event: Happened) -> None:
        course = self.course(event)
        course.status, course.ended_ms = event.type.partition(".")[2], event.at_ms
        if course.status == "approved":
            self.approved[course.app] = event.at_ms
            self._sends = [
                Sent(one.at_ms, "", "") if (one.app, one.purpose) == (course.app, course.purpose) else one
                for one in self._sends
            ]
            if course.app in self._wrong:
                self._wrong[course.app] = replace(self._wrong[course.app], in_a_row=0)

    def _follow_delivery(self, event: Happened) -> None:
        self.course(event).follow(event)
        reason = str(event.detail.get("reason", ""))
        counts_still = reason == "test_number" or reason.startswith("verification_")
        if event.type in _UNSENT_ENDS and "carrier_status" not in event.detail and not counts_still:
            self._unsent = event

    def _give_send_back(self, course: Course, ordinal: int) -> None:
        send = course.deliveries[ordinal].send
        if send in course.accepted or course.has_lost_answer(send):
            return
        at_ms = course.sent_at.get(send, 0)
        for one in ((course.app, course.purpose), ("", ""), (course.app, "")):
            if Sent(at_ms, *one) in self._sends:
                self._sends.remove(Sent(at_ms, *one))
                break
        if send == course.sends and len(course.deliveries) < GREATEST_UNCOUNTED:
            course.sends -= 1

    def _lift(self, event: Happened) -> None:
        if event.app is None:
            self._sends, self._wrong, self._wrong_everywhere, self._starts = [], {}, [], {}
            return
        for at_ms in self._wrong.pop(event.app, WrongCodes()).times:
            if at_ms in self._wrong_everywhere:
                self._wrong_everywhere.remove(at_ms)
        self._starts.pop(event.app, None)
        self._sends = [one for one in self._sends if one.app != event.app]

    def _wish(self, event: Happened) -> None:
        profile = str(event.detail.get("messaging_profile_id"))
        (self.opted_out.add if event.type == "optout.added" else self.opted_out.discard)(profile)

    def _forget_all(self) -> None:
        self.courses, self.latest, self.opted_out, self.approved = {}, {}, set(), {}
        self._sends, self._wrong, self._wrong_everywhere, self._starts = [], {}, [], {}


def _give_back(sends: list[Sent], app: str, purpose: str) -> None:
    """The latest send counts in the caps alone: the store has ended its code."""
    for index, one in enumerate(sends):
        if (one.app, one.purpose) == (app, purpose):
            sends[index] = Sent(one.at_ms, app, "")
            return


_NUMBER: dict[str, Callable[[History, Happened], None]] = {
    "verification.started": History._start,
    "verification.resent": History._start,
    "check.failed": History._guess,
    "optout.added": History._wish,
    "optout.removed": History._wish,
    "person.lock_lifted": History._lift,
}
