"""Recorded starts under another policy."""

import json
from collections import Counter
from random import Random

import msgspec
import pytest

from otp_service.domain.audit import Event, EventField, EventType, Position
from otp_service.domain.guard import record, rules, updates
from otp_service.domain.guard.counters import Number
from otp_service.domain.guard.policy import DAY_MS, GuardPolicy
from otp_service.guard_simulation.attacks import hidden
from otp_service.guard_simulation.defences import Guard, start_of
from otp_service.guard_simulation.replay import Comparison, replay
from otp_service.guard_simulation.run import Run
from otp_service.guard_simulation.shapes import Shape
from otp_service.guard_simulation.traffic import Attempt, Traffic

OLD = GuardPolicy(monitor_approvals=100)


class Recorder(Guard):
    """The guard, with the events that the service would have recorded."""

    def __init__(self) -> None:
        super().__init__(OLD)
        self.events: list[Event] = []
        self._latest: dict[str, str] = {}
        self._approved: Counter[bool] = Counter()
        self._known = 0
        self._judged = 0

    def lets(self, attempt: Attempt) -> bool:
        """Judge, count and record."""
        start = start_of(attempt.number, attempt.country, attempt.address)
        verdict = rules.judge(self.counters, start, attempt.at_ms, self.policy)
        updates.settle(self.counters, start, verdict, attempt.at_ms, self.policy)
        detail = {"code": "guard_refused"} if verdict.refused else {"purpose": "login"}
        if verdict.counted:
            self._judged += 1
            flags = "nw" if verdict.way.warm else "n"
            place = f"{start.country}|{start.block_10k}|{start.block_1k}|{start.address or '-'}"
            turn = f"{attempt.at_ms}-{self._judged}-{self._approved[False]}-{self._approved[True]}-{self._known}-0"
            detail[record.FIELD] = f"{place}:{verdict.cost}:{flags}|{turn}".replace(" ", "_")
        elif verdict.known and self.counters.numbers[start.number].started_ms == attempt.at_ms:
            self._known += 1
            detail[record.FIELD] = f"{start.country}|{start.block_10k}|{start.block_1k}|-:0:k|"
        self._latest[start.number] = f"v{len(self.events)}"
        self._event(EventType.REFUSED if verdict.refused else EventType.STARTED, start.number, attempt.at_ms, detail)
        return not verdict.refused

    def approved(self, number: str, country: str, address: str, at_ms: int) -> None:
        """Give back and record."""
        kept = self.counters.numbers.get(number, Number())
        known = kept.is_known(at_ms, OLD)
        self._approved[known and not (kept.taken and at_ms < kept.counted_ms + OLD.counted_for_ms)] += 1
        super().approved(number, country, address, at_ms)
        self._event(EventType.APPROVED, number, at_ms, {})

    def _event(self, kind: EventType, number: str, at_ms: int, detail: dict[str, str]) -> None:
        fields = {
            EventField.TYPE: str(kind),
            EventField.APP: "default",
            EventField.NUMBER_HASH: number,
            EventField.VERIFICATION: self._latest.get(number, ""),
            EventField.DETAIL: json.dumps(detail),
        }
        self.events.append(Event(0, Position(at_ms, len(self.events)), str(kind), fields))


@pytest.fixture(scope="module")
def events() -> list[Event]:
    """A day of traffic with an attack in the largest country."""
    chance, recorder = Random(4), Recorder()
    attempts = Shape("hidden", "", 1, hidden).attempts(Traffic(400, chance), chance)
    Run(recorder).play(attempts)
    return recorder.events


def compared(events: list[Event], policy: GuardPolicy, since_ms: int = 0) -> Comparison:
    """The comparison of the one app."""
    return replay(events, {"default": policy, "other": policy}, since_ms=since_ms)["default"]


def test_the_old_policy_replays_to_identical_outcomes(events: list[Event]) -> None:
    """Every start that was judged is judged alike, also where the comparison begins later than the record."""
    one = compared(events, OLD)
    assert one.judged > 1_000
    assert 1_000 < one.refused_before == one.refused_now
    assert one.newly_refused == one.newly_sent == one.approved_of_those == 0
    late = compared(events, OLD, since_ms=events[0].at_ms + DAY_MS // 2)
    assert 0 < late.judged < one.judged
    assert late.newly_refused == late.newly_sent == 0


def test_another_policy_shows_what_it_would_have_done(events: list[Event]) -> None:
    """A wider one sends more; a narrower one refuses people whose code was entered."""
    wide = compared(events, msgspec.structs.replace(OLD, country_a_day=500, country_an_hour=500, total_a_day=900))
    assert wide.newly_sent > 100
    assert wide.refused_now < wide.refused_before
    narrow = compared(events, msgspec.structs.replace(OLD, monitor_approvals=0, country_a_day=1, total_a_day=2))
    assert narrow.newly_refused > 0
    assert narrow.approved_of_those > 0
    assert sum(narrow.by_budget.values()) == narrow.refused_now


def test_a_number_that_was_approved_before_the_record_is_known(events: list[Event]) -> None:
    """Its starts have nothing of the guard in them."""
    first = next(event for event in events if event.type == EventType.APPROVED)
    rest = [event for event in events if event.position > first.position]
    one = compared(rest, OLD)
    assert one.starts > one.judged


@pytest.mark.parametrize(
    "text",
    [
        "",
        "US|a|b",
        "--",
        "US|a|b|c:1:n",
        "US|a|b|c:1:n|x",
        "US|a|b|c|1-1",
        "US|a|b|-:1:n|1-1",
        "US|a|b|-:1:n|1-1-1-1-1-x",
        "||||",
    ],
)
def test_what_has_another_form_is_no_start_that_was_judged(text: str) -> None:
    """Events of before, or of a later version."""
    assert record.read("n", {"guard": text}) is None


def changed(event: Event, **fields: str) -> Event:
    """An event as another version, a broken record or an erasure left it."""
    return Event(event.shard, event.position, fields.get("type", event.type), {**event.fields, **fields})


def test_starts_that_cannot_be_read_are_counted(events: list[Event]) -> None:
    """By why they cannot; without them the rest is compared as before, and nothing else is taken for unread."""
    refused = [n for n, event in enumerate(events) if event.type == EventType.REFUSED]
    started = [n for n, event in enumerate(events) if event.type == EventType.STARTED and "guard" in event.detail]
    assert not compared(events, OLD).unread
    broken = list(events)
    for n in refused[:3]:
        broken[n] = changed(broken[n], detail='{"code":"guard_refused","limit":"block_1k"}')
    for n in refused[3:5]:
        broken[n] = changed(broken[n], detail='{"code":"guard_refused","limit":"block_1k","guard":"2|US|x"}')
    for n in started[:4]:
        broken[n] = changed(broken[n], number_hash="", detail='{"purpose":"login"}')
    broken[started[5]] = changed(broken[started[5]], detail='{"unreadable":true}')
    broken[started[6]] = changed(broken[started[6]], detail="[")
    broken[started[7]] = Event(0, broken[started[7]].position, "", {})
    one = compared(broken, OLD)
    assert one.unread == {"lost": 3, "unknown_form": 2, "erased": 4, "unreadable_detail": 2, "unknown_event": 1}
    assert one.judged == compared(events, OLD).judged - 12


def test_a_start_that_was_sent_and_lost_what_the_guard_noted_is_told(events: list[Event]) -> None:
    """It looks like one that the guard left alone; but budgets number what they judge, and its number is missing."""
    started = [n for n, event in enumerate(events) if event.type == EventType.STARTED and "guard" in event.detail]
    broken = list(events)
    for n in started[3:6]:
        broken[n] = changed(broken[n], detail='{"purpose":"login"}')
    without = [event for n, event in enumerate(events) if n != started[8]]
    assert compared(broken, OLD).unread == {"lost": 3}
    assert compared(without, OLD).unread == {"lost": 1}


@pytest.mark.parametrize(
    "detail",
    [
        {"code": "guard_refused", "limit": "spend_limit"},
        {"code": "guard_refused", "reason": "risk_denied", "risk": "deny"},
        {"code": "rate_limited", "limit": "starts_per_number"},
    ],
)
def test_refusals_by_others_are_no_unread_starts(detail: dict[str, str]) -> None:
    """The guard has nothing to note of them; an erasure of their person changes that not."""
    fields = {EventField.TYPE: str(EventType.REFUSED), EventField.APP: "default", EventField.DETAIL: json.dumps(detail)}
    event = Event(0, Position(1, 0), str(EventType.REFUSED), fields)
    assert not compared([event, changed(event, number_hash="n")], OLD).unread


def test_other_events_with_an_unreadable_detail_stop_no_replay(events: list[Event]) -> None:
    """They change nothing."""
    odd = [
        changed(events[-1], type=str(kind), detail="[") for kind in (EventType.LOCK_LIFTED, EventType.GUARD_RETURNED)
    ]
    assert compared([*events, *odd], OLD).judged == compared(events, OLD).judged
