"""Every fake of a port, in one place. mypy proves at the end of the file that each fits its Protocol.

Two kinds. A *memory* fake keeps state as the store does, without a clock: what would happen after a time happens when
the test calls `later()`. `tests/contracts` runs one suite on each of them and on the real store. A *scripted* fake
stands for what has no memory of its own (the carrier, the receivers) or for scripts that have a model elsewhere
(`storage/test_state_machine.py`): it gives the answers that the test prepared and records what it was asked.
"""

import json
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, cast

from otp_service.domain.alert import Alert
from otp_service.domain.audit import Event, EventPage, Position
from otp_service.domain.callback import Answer, Callback
from otp_service.domain.checking import CheckAnswer, CheckCommand
from otp_service.domain.circuit import PASS, TRIPS_AFTER, BreakerDecision, Circuit, Fault, Hold, Source, Success
from otp_service.domain.delivery import Accepted, DeliveryReport, NotSent, Refused, SendOutcome, Unknown
from otp_service.domain.denial import Denial
from otp_service.domain.ending import Canceled, Ended, NotFound, Redeemed
from otp_service.domain.errors import StoreUnavailable
from otp_service.domain.ids import Reference, shard_of
from otp_service.domain.optout_list import Block, BlockPage, Cursor, OptOut, Standing
from otp_service.domain.outbox import Job, PendingDelivery, ReportOutcome, SendPermit, Timer
from otp_service.domain.policy import App, Limit, Sender, Slot
from otp_service.domain.routing import Health
from otp_service.domain.starting import StartCommand, Started, StartRefused
from otp_service.domain.verification import Status
from otp_service.domain.view import TimelineEntry, VerificationView
from otp_service.keyring import Keyring
from otp_service.usecases import ports
from otp_service.usecases.alert_on_call import AlertOnCall
from otp_service.usecases.sender_health import SenderHealth

SHARDS = 16
Log = list[tuple[Any, ...]]


def unavailable() -> StoreUnavailable:
    """What every port raises when the store does not answer."""
    return StoreUnavailable("The store does not answer.")


def verification_view(ref: Reference, **changes: Any) -> VerificationView:
    """A pending verification of the app `shop`, sent once."""
    view = VerificationView(
        reference=ref,
        app="shop",
        purpose="login",
        channel="sms",
        mask="+1******0143",
        subject="00ff",
        status=Status.PENDING,
        created_ms=0,
        expires_ms=300_000,
        attempts=2,
        max_checks=5,
        sends=1,
        max_sends=4,
        next_send_ms=30_000,
        metadata="{}",
        deliveries=(),
        version=2,
        now_ms=500,
    )
    return replace(view, **changes)


# ---- memory fakes -------------------------------------------------------------------------------------------------


@dataclass
class FakeOptOuts:
    """The opt-out registry: the latest wish counts."""

    known: dict[tuple[str, str], OptOut] = field(default_factory=dict)
    """By messaging profile and number hash."""
    masks: dict[str, str] = field(default_factory=dict)
    events: set[str] = field(default_factory=set)
    unclear: Log = field(default_factory=list)
    puts: Log = field(default_factory=list)
    down: bool = False
    away: set[str] = field(default_factory=set)
    """Hashes of numbers whose shard does not answer."""

    def record(self, number_hash: str, mask: str, entry: OptOut, event_id: str | None) -> str:
        """Keep the wish unless a later one is known."""
        if self.down or number_hash in self.away:
            raise unavailable()
        self.puts.append((number_hash, mask, entry, event_id))
        if event_id is not None and f"{number_hash}:{event_id}" in self.events:
            return "duplicate"
        self.events.add(f"{number_hash}:{event_id}")
        was = self.known.get((entry.messaging_profile_id, number_hash))
        if was is not None and (entry.at_ms < was.at_ms or (entry.at_ms == was.at_ms and not entry.opted_out)):
            return "older"
        self.known[entry.messaging_profile_id, number_hash] = entry
        self.masks[number_hash] = mask
        return "same" if was is not None and was.opted_out == entry.opted_out else "changed"

    def record_unclear(self, number_hash: str, mask: str, profile: str | None) -> None:
        """Record a reply that could not be understood, one for a number."""
        if number_hash not in {noted for noted, *_ in self.unclear}:
            self.unclear.append((number_hash, mask, profile))

    def of_number(self, number_hash: str) -> list[OptOut]:
        """Everything known of one number, by profile."""
        return [entry for (_, number), entry in sorted(self.known.items()) if number == number_hash]

    def standing(self, profile: str) -> list[Standing]:
        """Every opt-out of a profile."""
        if self.down or self.away:
            raise unavailable()
        return [
            Standing(number, self.masks.get(number, "+1******0001"), entry, repr(entry))
            for (of, number), entry in self.known.items()
            if of == profile and entry.opted_out
        ]

    def lift(self, profile: str, standing: Standing) -> bool:
        """Forget an entry that has not changed since it was read."""
        if repr(self.known.get((profile, standing.number_hash))) != standing.value:
            return False
        del self.known[profile, standing.number_hash]
        return True

    def blocked(self, profile: str) -> set[str]:
        """The hashes of those who are opted out."""
        return {number for (of, number), entry in self.known.items() if of == profile and entry.opted_out}


@dataclass
class FakeCursors:
    """The cursors of the carrier's list, and the lease of its one reader."""

    kept: dict[str, Cursor] = field(default_factory=dict)
    holder: str | None = None
    pause_ms: int | None = None
    wait_ms: int = 1_000

    def acquire_lease(self, owner: str, *, force: bool) -> int:
        """Become the reader, or stay it."""
        if self.holder not in (None, owner):
            return self.wait_ms
        if self.holder is None and self.pause_ms and not force:
            return self.pause_ms
        self.holder = owner
        return 0

    def load(self, profile: str) -> Cursor:
        """How far the list has been read."""
        return self.kept.get(profile, Cursor())

    def advance(self, owner: str, profile: str, cursor: Cursor) -> bool:
        """Keep it, if the owner is the reader still."""
        if self.holder != owner:
            return False
        self.kept[profile] = cursor
        return True

    def release_lease(self, owner: str, pause_ms: int) -> None:
        """Stop being the reader."""
        if self.holder == owner:
            self.holder, self.pause_ms = None, pause_ms or self.pause_ms


@dataclass
class FakeAlerts:
    """Alerts that wait; each trouble is queued once, each alert handed out once until `later`."""

    most_waiting: int = 50
    known: set[str] = field(default_factory=set)
    waiting: list[Alert] = field(default_factory=list)
    claimed: set[str] = field(default_factory=set)
    down: bool = False

    def raise_alert(self, trouble: str, text: str) -> bool:
        """Queue an alert."""
        if self.down:
            raise unavailable()
        if trouble in self.known or len(self.waiting) >= self.most_waiting:
            return False
        self.known.add(trouble)
        self.waiting.append(Alert(f"1-{len(self.known)}", text))
        return True

    def claim(self) -> Alert | None:
        """The first that waits and is not handed out."""
        for alert in self.waiting:
            if alert.id not in self.claimed:
                self.claimed.add(alert.id)
                return alert
        return None

    def acknowledge(self, alert: Alert) -> None:
        """Forget it; one that is not there is no error."""
        self.waiting = [other for other in self.waiting if other != alert]

    def later(self) -> None:
        """The time has passed after which a claimed alert is handed out again."""
        self.claimed.clear()


@dataclass
class FakeCallbackQueue:
    """The callbacks that wait, a queue for each app. Safe for many threads."""

    most_waiting: int = 10_000
    queued: list[Callback] = field(default_factory=list)
    """What is due now, the longest first."""
    leased: dict[tuple[str, str], Callback] = field(default_factory=dict)
    postponed: list[Callback] = field(default_factory=list)
    dead: list[Callback] = field(default_factory=list)
    paused: set[str] = field(default_factory=set)
    known: set[tuple[str, str]] = field(default_factory=set)
    settled: Log = field(default_factory=list)
    away: str = ""
    """The app whose queue does not answer, or `*` for every one."""
    lock: threading.Lock = field(default_factory=threading.Lock)

    def put(self, callback: Callback) -> str:
        """Queue it once."""
        if self.away in ("*", callback.app):
            raise unavailable()
        with self.lock:
            if (callback.app, callback.id) in self.known:
                return "known"
            self.known.add((callback.app, callback.id))
            own = [one for one in (*self.queued, *self.postponed, *self.leased.values()) if one.app == callback.app]
            full = len(own) >= self.most_waiting
            if full:
                self._forget(own[-1])
                self.dead.append(own[-1])
            self.queued.append(callback)
        return "full" if full else "queued"

    def due(self, apps: Sequence[str]) -> Mapping[str, int]:
        """How many could be sent now, by app; apps that have none are left out."""
        with self.lock:
            counts = Counter(one.app for one in self.queued)
            return {app: counts[app] for app in apps if counts[app] and app not in self.paused}

    def claim(self, app: str) -> Callback | None:
        """The first of the app, leased to the caller."""
        with self.lock:
            for one in self.queued:
                if one.app == app and app not in self.paused:
                    self.queued.remove(one)
                    claimed = replace(one, attempt=one.attempt + 1)
                    self.leased[app, one.id] = claimed
                    return claimed
        return None

    def record_sent(self, callback: Callback) -> bool:
        """Forget it, whoever else has it by now."""
        with self.lock:
            self.settled.append(("sent", callback.id))
            return self._forget(callback)

    def schedule_retry(self, callback: Callback, wait_ms: int, pause_ms: int, reason: str) -> bool:
        """Let it come again."""
        with self.lock:
            self.settled.append(("again", callback.id, wait_ms, pause_ms, reason))
            return self._settle(callback, self.postponed if wait_ms > 0 else self.queued, pause_ms)

    def dead_letter(self, callback: Callback, pause_ms: int, reason: str) -> bool:
        """Make it a dead letter."""
        with self.lock:
            self.settled.append(("dead", callback.id, pause_ms, reason))
            return self._settle(callback, self.dead, pause_ms)

    def later(self) -> None:
        """Leases, waits and pauses are over."""
        with self.lock:
            self.queued += [*self.leased.values(), *self.postponed]
            self.leased.clear()
            self.postponed.clear()
            self.paused.clear()

    def _settle(self, callback: Callback, to: list[Callback], pause_ms: int) -> bool:
        if self.leased.get((callback.app, callback.id)) != callback:
            return False
        del self.leased[callback.app, callback.id]
        to.append(callback)
        if pause_ms > 0:
            self.paused.add(callback.app)
        return True

    def _forget(self, callback: Callback) -> bool:
        found = self.leased.pop((callback.app, callback.id), None) is not None
        for waiting in (self.queued, self.postponed):
            left = [one for one in waiting if (one.app, one.id) != (callback.app, callback.id)]
            found |= len(left) < len(waiting)
            waiting[:] = left
        return found


@dataclass
class FakeAuditConsumer:
    """Audit events as they come: each handed out once, and again by `take_over` until it is done."""

    events: list[Event] = field(default_factory=list)
    taken: list[Event] = field(default_factory=list)
    finished: list[Event] = field(default_factory=list)

    def read_new(self, count: int) -> list[Event]:
        """New events, up to `count` of each shard."""
        found = _some_of_each_shard(self.events, count)
        self.events = [event for event in self.events if event not in found]
        self.taken += found
        return found

    def claim_stale(self, count: int) -> list[Event]:
        """Events that were taken and not done, up to `count` of each shard."""
        return _some_of_each_shard(self.taken, count)

    def acknowledge(self, events: Sequence[Event]) -> None:
        """These are not handed out again."""
        self.finished += events
        self.taken = [event for event in self.taken if event not in events]


def _some_of_each_shard(events: Iterable[Event], count: int) -> list[Event]:
    seen: Counter[int] = Counter()
    found = []
    for event in sorted(events, key=lambda event: event.shard):
        seen[event.shard] += 1
        if seen[event.shard] <= count:
            found.append(event)
    return found


@dataclass
class FakeAuditReader:
    """The audit log of all shards."""

    events: list[Event] = field(default_factory=list)
    asked: list[dict[str, Any]] = field(default_factory=list)
    shards: int = SHARDS

    def shard_of(self, number_hash: str) -> int:
        """The shard of a number's events."""
        return shard_of(number_hash, self.shards)

    def read(
        self,
        positions: Sequence[Position],
        *,
        shards: Sequence[int],
        until_ms: int | None,
        limit: int,
        wanted: Mapping[str, frozenset[str]],
    ) -> EventPage:
        """Events after the positions, merged by time."""
        asked = {"positions": list(positions), "shards": shards, "until_ms": until_ms, "limit": limit, "wanted": wanted}
        self.asked.append(asked)
        after, found = list(positions), list[Event]()
        coming = [
            event
            for event in sorted(self.events, key=lambda event: (event.position, event.shard))
            if event.shard in shards
            and event.position > positions[event.shard]
            and (until_ms is None or event.position.ms <= until_ms)
        ]
        while coming and len(found) < limit:
            event = coming.pop(0)
            after[event.shard] = event.position
            if all(event.fields.get(name, "") in values for name, values in wanted.items()):
                found.append(event)
        return EventPage(found, after, at_end=not coming)


@dataclass
class FakeLimits:
    """Limits apart from the number; without a clock a slot is free again only when it is given back."""

    wait_ms: int = 0
    """If it is not 0, the wait that every `acquire` answers with."""
    used: Counter[tuple[str, str]] = field(default_factory=Counter)

    def acquire(self, slots: Sequence[Slot]) -> int:
        """One of each, or none and the wait."""
        full = [slot for slot in slots if self.used[slot.name, slot.subject] >= slot.limit.limit]
        wait_ms = self.wait_ms or max((slot.limit.per_ms // slot.limit.limit for slot in full), default=0)
        if not wait_ms:
            self.used.update((slot.name, slot.subject) for slot in slots)
        return wait_ms

    def release(self, slots: Sequence[Slot]) -> None:
        """One of each."""
        self.used.subtract((slot.name, slot.subject) for slot in slots)

    @property
    def taken(self) -> int:
        """Slots in use, all together."""
        return sum(self.used.values())


class FakeKeyIds:
    """The ids of the keys that some process has."""

    def __init__(self, *kids: str) -> None:
        self.kids = set(kids)

    def register(self, kids: Iterable[str]) -> None:
        """Some process has these."""
        self.kids.update(kids)

    def known(self, kid: str) -> bool:
        """Whether any process has had it."""
        return kid in self.kids


@dataclass
class FakeCircuits:
    """Breakers by scope. `breakers` may be set by the test; `reply` is then what every hold answers with."""

    breakers: dict[str, Circuit] = field(default_factory=dict)
    reply: str | None = None
    down: bool = False
    noted: list[Any] = field(default_factory=list)
    numbers: list[str] = field(default_factory=list)
    reached: list[tuple[str, ...]] = field(default_factory=list)
    met: dict[tuple[str, str], list[str]] = field(default_factory=dict)
    """Numbers in a row, by scope and by what they met."""

    def states(self, scopes: Sequence[str]) -> Mapping[str, Circuit]:
        """The breakers; one that is not known is closed."""
        self._require_up()
        return {scope: self.breakers.get(scope, Circuit(scope)) for scope in scopes}

    def admit(self, scopes: Sequence[str], *, held_too: bool = False) -> BreakerDecision:
        """Whether no breaker is open, or only by a hold that does not count here."""
        self._require_up()
        self.noted.append((tuple(scopes), held_too))
        tripped = [circuit for circuit in self.states(scopes).values() if circuit.until_ms is not None]
        for circuit in sorted(tripped, key=lambda circuit: circuit.is_hold):
            if circuit.state == "open" and not (held_too and circuit.is_hold):
                wait_ms = max(1, circuit.probe_ms - circuit.now_ms)
                return BreakerDecision(False, wait_ms, circuit.code, circuit.title, circuit.is_hold)
        return BreakerDecision(True, probe=True) if tripped else PASS

    def record_hold(self, hold: Hold, number_hash: str, *, probe: bool = False) -> str:
        """Open the breaker when enough numbers have met the code."""
        self._require_up()
        self.noted.append(hold)
        self.numbers.append(number_hash)
        if self.reply is not None:
            return self.reply
        was = self.breakers.get(hold.scope, Circuit(hold.scope))
        row = self._count(hold.scope, f"{hold.source}:{hold.code}", number_hash)
        known = was.is_hold and was.code == hold.code
        if row < hold.after and not known and not (was.is_hold and probe):
            return "counted"
        until_ms = hold.for_ms or 86_400_000
        if was.is_hold and not known and (was.until_ms or 0) > until_ms:
            return "open"
        self.breakers[hold.scope] = Circuit(
            hold.scope, until_ms, min(hold.probe_ms, until_ms), hold.code, hold.title, is_hold=True
        )
        return "open" if known else "opened"

    def record_fault(self, fault: Fault, number_hash: str, *, probe: bool = False) -> bool:
        """Open the breaker when enough numbers have met a fault."""
        self._require_up()
        self.noted.append(fault)
        was = self.breakers.get(fault.scope, Circuit(fault.scope))
        if was.until_ms is not None or self._count(fault.scope, "fault", number_hash) < TRIPS_AFTER:
            return False
        self.breakers[fault.scope] = Circuit(fault.scope, 1_000, 1_000, "sender_down", fault.reason)
        return True

    def record_success(self, success: Success, *, probe: bool) -> bool:
        """Close the breaker if this was its probe; end the rows."""
        self._require_up()
        self.noted.append((success, probe))
        was = self.breakers.get(success.scope, Circuit(success.scope))
        if was.until_ms is not None and not probe:
            return False
        self.breakers.pop(success.scope, None)
        self._end_rows(success.scope, "fault", *([Source.ANSWER.value] if success.sent else []))
        return was.until_ms is not None

    def record_delivered(self, scopes: Sequence[str]) -> None:
        """Failed reports are no longer in a row."""
        self._require_up()
        self.reached.append(tuple(scopes))
        for scope in scopes:
            self._end_rows(scope, Source.REPORT.value)

    def _require_up(self) -> None:
        if self.down:
            raise unavailable()

    def _count(self, scope: str, what: str, number_hash: str) -> int:
        row = self.met.setdefault((scope, what), [])
        if number_hash not in row:
            row.append(number_hash)
        return len(row)

    def _end_rows(self, scope: str, *kinds: str) -> None:
        self.met = {
            (of, what): row
            for (of, what), row in self.met.items()
            if of != scope or what.partition(":")[0] not in kinds
        }


@dataclass
class FakeSenderStats:
    """How senders fare."""

    figures: dict[str, Health] = field(default_factory=dict)
    polls: bool = True
    """Whether it is time to ask the carrier; nobody else may then."""
    down: bool = False
    counted: list[tuple[str, bool]] = field(default_factory=list)
    reports: list[Mapping[str, tuple[float | None, float | None]]] = field(default_factory=list)

    def record_result(self, sender: str, *, delivered: bool) -> None:
        """A delivery of the sender has ended."""
        if self.down:
            raise unavailable()
        self.counted.append((sender, delivered))
        was = self.figures.get(sender, Health())
        self.figures[sender] = replace(was, delivered=was.delivered + delivered, failed=was.failed + (not delivered))

    def health(self, senders: Sequence[str]) -> Mapping[str, Health]:
        """Their figures; all are 0 of one that is not known."""
        if self.down:
            raise unavailable()
        return {name: self.figures.get(name, Health()) for name in senders}

    def claim_health_poll(self) -> bool:
        """Whether it is time, and nobody else has noticed."""
        polls, self.polls = self.polls, False
        return polls

    def record_health(self, reports: Mapping[str, tuple[float | None, float | None]]) -> None:
        """Keep the carrier's ratios."""
        self.reports.append(reports)
        for name, (success, spam) in reports.items():
            self.figures[name] = replace(self.figures.get(name, Health()), success_ratio=success, spam_ratio=spam)


# ---- scripted fakes -----------------------------------------------------------------------------------------------


@dataclass
class FakeVerifications:
    """Gives the prepared replies in their order to what changes a verification, and records what it is asked."""

    replies: list[Any] = field(default_factory=list)
    last: Reference | None = None
    views: dict[Reference, VerificationView] = field(default_factory=dict)
    events: list[TimelineEntry] = field(default_factory=list)
    open_: list[Reference] = field(default_factory=list)
    received_ms: int = 0
    now: dict[Reference, int | None] = field(default_factory=dict)
    """Versions by verification."""
    fault: Exception | None = None
    asked: list[Any] = field(default_factory=list)
    viewed: list[Reference] = field(default_factory=list)
    denials: list[tuple[Reference, Denial]] = field(default_factory=list)
    log: Log = field(default_factory=list)

    def start(self, command: StartCommand) -> Started | StartRefused:
        """The next reply."""
        return cast("Started | StartRefused", self._reply(command))

    def check(self, command: CheckCommand) -> CheckAnswer:
        """The next reply, or what it makes of the command."""
        reply = self._reply(command)
        return cast("CheckAnswer", reply(command) if callable(reply) else reply)

    def latest(self, number_hash: str, app: str, purpose: str) -> Reference | None:
        """The prepared one."""
        self.asked.append((number_hash, app, purpose))
        return self.last

    def cancel(self, operation_id: str, ref: Reference, app: str) -> Canceled | Ended | NotFound:
        """The next reply."""
        return cast("Canceled | Ended | NotFound", self._reply((ref, app)))

    def redeem(self, operation_id: str, ref: Reference, app: str, receipt_id: str, ends_ms: int) -> Redeemed | NotFound:
        """The next reply."""
        return cast("Redeemed | NotFound", self._reply((ref, app, receipt_id, ends_ms)))

    def expire(self, ref: Reference) -> bool:
        """It ends."""
        self.log.append(("expire", ref))
        return True

    def pending(self, number_hash: str) -> list[Reference]:
        """Those of the number that have not ended."""
        return [ref for ref in self.open_ if ref.number_hash == number_hash]

    def first_received(self, number_hash: str, event_id: str) -> int:
        """Always the same moment."""
        return self.received_ms

    def deny(self, ref: Reference, denial: Denial) -> str:
        """Record it."""
        self.denials.append((ref, denial))
        return "denied"

    def view(self, ref: Reference, app: str | None) -> VerificationView | None:
        """What is there, for its own app."""
        self.viewed.append(ref)
        view = self.views.get(ref)
        return view if view is not None and app in (None, view.app) else None

    def versions(self, refs: Sequence[Reference]) -> list[int | None]:
        """Of each, as it is now."""
        self.asked.append(list(refs))
        if self.fault is not None:
            raise self.fault
        return [self.now.get(ref) for ref in refs]

    def timeline(self, ref: Reference) -> list[TimelineEntry]:
        """The prepared events."""
        return self.events

    def _reply(self, command: object) -> Any:
        if self.fault is not None:
            raise self.fault
        self.asked.append(command)
        return self.replies.pop(0)


@dataclass
class FakeOutbox:
    """One delivery and what became of it: records each step in `log`."""

    pending: PendingDelivery | None
    permit: Callable[[str], SendPermit | None] = lambda body: SendPermit(body, 1, 300_000)
    wait_ms: int = 0
    poll: str | None = "m1"
    closed: str | None = "unconfirmed"
    others_left: bool = True
    log: Log = field(default_factory=list)
    down_at: str = ""
    """The step at which the store does not answer."""

    def pending_delivery(self, job: Job) -> PendingDelivery | None:
        """The prepared delivery."""
        return self.pending

    def begin_send(
        self, job: Job, app: str, sealed_body: str, wrong_limits: Sequence[Limit], all_wrong_limits: Sequence[Limit]
    ) -> SendPermit | None:
        """The prepared permit."""
        self._step("begin_send", app, sealed_body, tuple(wrong_limits), tuple(all_wrong_limits))
        return self.permit(sealed_body)

    def acquire_rate_slot(self, sender: str, rate_per_s: float, patience_ms: int) -> int:
        """The prepared wait."""
        self._step("acquire_rate_slot", sender, rate_per_s, patience_ms)
        return self.wait_ms

    def record_rate_wait(self, job: Job, wait_ms: int) -> str:
        """It waits."""
        return self._step("record_rate_wait", wait_ms)

    def record_accepted(self, job: Job, outcome: Accepted) -> str:
        """It is accepted."""
        return self._step("record_accepted", outcome, status="accepted")

    def record_refused(self, job: Job, outcome: Refused) -> str:
        """It has failed."""
        return self._step("record_refused", outcome, status="failed")

    def record_retry(self, job: Job, wait_ms: int, outcome: NotSent) -> str:
        """It waits."""
        return self._step("record_retry", wait_ms, outcome)

    def record_unknown(self, job: Job, wait_ms: int, outcome: Unknown) -> str:
        """It waits."""
        return self._step("record_unknown", wait_ms, outcome)

    def record_impossible(self, job: Job, code: str, title: str) -> str:
        """It has failed."""
        return self._step("record_impossible", code, status="failed")

    def return_to_queue(self, job: Job, title: str, wait_ms: int, *, may_fail_over: bool) -> str:
        """It waits."""
        return self._step("return_to_queue", title, wait_ms, may_fail_over)

    def record_held(self, job: Job, code: str, title: str, wait_ms: int, *, may_fail_over: bool = True) -> str:
        """It waits."""
        return self._step("record_held", code, wait_ms, *([] if may_fail_over else ["stays"]))

    def pass_to_next_sender(self, job: Job, code: str, title: str, better: Sequence[str]) -> bool:
        """Another sender takes it, if there is one."""
        self._step("pass_to_next_sender", code, tuple(better))
        return self.others_left

    def requeue(self, due: Timer) -> bool:
        """A wait is over."""
        self._step("requeue", due)
        return True

    def claim_poll(self, due: Timer) -> str | None:
        """The prepared message to ask for."""
        self._step("claim_poll", due)
        return self.poll

    def claim_failover(self, due: Timer) -> str | None:
        """The prepared message to ask for first."""
        self._step("claim_failover", due)
        return self.poll

    def close_delivery(self, due: Timer) -> str | None:
        """The prepared status."""
        self._step("close_delivery", due)
        return self.closed

    def _step(self, name: str, *rest: object, status: str = "waiting") -> str:
        if name == self.down_at:
            raise unavailable()
        self.log.append((name, *rest))
        return status


@dataclass
class FakeDeliveryReports:
    """Records the reports that are applied; each has the prepared outcome."""

    indexed: dict[tuple[str, str], tuple[Reference, int]] = field(default_factory=dict)
    """Deliveries by number hash and message id."""
    outcome: str = "moved"
    sender: str = "pool"
    log: Log = field(default_factory=list)
    applied: Log = field(default_factory=list)
    clicks: Log = field(default_factory=list)

    def find_message(self, number_hash: str, message_id: str) -> tuple[Reference, int] | None:
        """By the index."""
        return self.indexed.get((number_hash, message_id))

    def apply_report(
        self, ref: Reference, ordinal: int, number_hash: str, receipt: DeliveryReport, event_id: str | None
    ) -> ReportOutcome:
        """Record it."""
        self.log.append(("apply_report", ref, ordinal, number_hash, receipt, event_id))
        self.applied.append((ref, ordinal, number_hash, receipt.status, event_id))
        return ReportOutcome(self.outcome, self.sender)

    def record_click(self, ref: Reference, ordinal: int, event_id: str) -> str:
        """Record it."""
        self.clicks.append((ref, ordinal, event_id))
        return "noted"


@dataclass
class FakeCarrier:
    """The carrier: every send has the prepared outcome, every look the prepared report."""

    outcome: SendOutcome = field(default_factory=lambda: Accepted("m1", "queued"))
    report: DeliveryReport | None = None
    log: Log = field(default_factory=list)
    sent: list[tuple[bytes, str]] = field(default_factory=list)
    within_s: float | None = None
    down_at: str = ""

    def compose(self, sender: Sender, *, to: str, text: str, code: str, webhook_url: str, delivery_id: str) -> bytes:
        """Readable bytes."""
        parts = {"to": to, "text": text, "code": code, "webhook_url": webhook_url, "delivery_id": delivery_id}
        self._step("compose", sender, parts)
        return json.dumps(parts).encode()

    def send(self, composed: bytes, *, idempotency_key: str, within_s: float) -> SendOutcome:
        """Record it."""
        self.within_s = within_s
        self._step("send")
        self.sent.append((composed, idempotency_key))
        return self.outcome

    def fetch_report(self, message_id: str) -> DeliveryReport | None:
        """Record it."""
        self._step("fetch_report", message_id)
        return self.report

    def _step(self, name: str, *rest: object) -> None:
        if name == self.down_at:
            raise unavailable()
        self.log.append((name, *rest))


@dataclass
class FakePager:
    """The carrier as the alerts use it."""

    outcome: SendOutcome
    sent: list[tuple[str, Sequence[str], str, str]] = field(default_factory=list)

    def page_people(self, sender: str, to: Sequence[str], text: str, *, idempotency_key: str) -> SendOutcome:
        """Record it."""
        self.sent.append((sender, to, text, idempotency_key))
        return self.outcome


@dataclass
class FakeBlockList:
    """The carrier's list, three entries a page. `before` runs before each answer and may change the list or raise."""

    listed: dict[str, list[Block]] = field(default_factory=dict)
    before: Callable[[int], None] = lambda _: None
    newest_first: bool = False
    asked: list[tuple[str, int, int | None, int]] = field(default_factory=list)

    def blocks(self, profile: str, *, since_ms: int, until_ms: int | None, page: int) -> BlockPage:
        """One page, as the carrier would answer now."""
        self.before(len(self.asked))
        self.asked.append((profile, since_ms, until_ms, page))
        found = sorted(
            (b for b in self.listed.get(profile, []) if since_ms <= b.created_ms <= (until_ms or b.created_ms)),
            key=lambda block: block.created_ms,
            reverse=self.newest_first,
        )
        return BlockPage(tuple(found[(page - 1) * 3 : page * 3]), page, -(-len(found) // 3), len(found))


@dataclass
class FakeReceivers:
    """The apps' endpoints. Those of the app `slow` answer when the test opens them."""

    answer: Answer = field(default_factory=lambda: Answer(204))
    opened: threading.Event | None = None

    def post(self, callback: Callback) -> Answer:
        """The prepared answer."""
        if self.opened is not None and callback.app == "slow":
            self.opened.wait(10)
        return self.answer


@dataclass
class FakeHealthReports:
    """The carrier's ratios, the same for every sender."""

    ratios: tuple[float | None, float | None] = (1.0, None)

    def health(self, senders: Sequence[Sender]) -> Mapping[str, tuple[float | None, float | None]]:
        """Of each sender."""
        return {sender.name: self.ratios for sender in senders}


class LateVault:
    """A vault whose file has a further key (that of `newer`) by the time that somebody asks for it, or never."""

    def __init__(self, ring: Keyring, newer: Keyring, *, comes: bool) -> None:
        self._ring, self._newer, self._comes = ring, newer, comes
        self.ids = ring.ids

    def current(self) -> Keyring:
        """The keys known now."""
        return self._ring

    def knows(self, kid: str) -> bool:
        """The file is looked at again."""
        if self._comes:
            self._ring = self._newer
        return self._ring.knows(kid)

    def seal(self, plain: bytes) -> str:
        """With the key known now."""
        return self._ring.seal(plain)

    def open(self, sealed: str) -> bytes:
        """With the keys known now."""
        return self._ring.open(sealed)

    def verify(self, kid: str, signature: bytes, message: bytes) -> bool:
        """Whether the key made the signature."""
        return self._ring.verify(kid, signature, message)


class FakeStreams:
    """The outbox as a delivery worker reads it: streams and timers that hold what the test puts there."""

    def __init__(self, shards: int = 4, *, together: bool = True) -> None:
        """`together`: one read covers all streams, as on a single server."""
        self.streams: dict[int, list[Job]] = {shard: [] for shard in range(shards)}
        self.stale: list[Job] = []
        self.own: list[Job] = []
        self.dues: list[Timer] = []
        self.touched: list[tuple[float, Sequence[Job]]] = []
        self.failing = 0
        self.put_offs: list[tuple[Timer, int]] = []
        self.down_for_timers = False
        self.together = together
        self.lock = threading.Lock()

    def open(self) -> None:
        """Nothing to make."""
        self._fail_if_due()

    def shard_groups(self) -> list[list[int]]:
        """The streams that one read covers."""
        return [list(self.streams)] if self.together else [[shard] for shard in self.streams]

    def read_new(self, shards: Sequence[int], count: int, block_s: float) -> list[Job]:
        """Up to `count` of each stream."""
        self._fail_if_due()
        with self.lock:
            taken = [job for shard in shards for job in self.streams[shard][:count]]
            for shard in shards:
                del self.streams[shard][:count]
        if not taken:
            time.sleep(min(block_s, 0.02))
        return taken

    def read_pending(self, shards: Sequence[int], count: int) -> list[Job]:
        """What was given to this worker in an answer that never came."""
        with self.lock:
            own, self.own = self.own, []
        return own

    def claim_stale(self, shard: int, count: int) -> list[Job]:
        """What a dead worker left."""
        with self.lock:
            left = [job for job in self.stale if job.shard == shard][:count]
            self.stale = [job for job in self.stale if job not in left]
        return left

    def keep_claimed(self, jobs: Sequence[Job]) -> None:
        """Record it."""
        self.touched.append((time.monotonic(), jobs))

    def due(self, count: int) -> list[Timer]:
        """Timers that have come."""
        dues, self.dues = self.dues[:count], self.dues[count:]
        return dues

    def put_off(self, due: Timer, wait_ms: int) -> None:
        """Record it."""
        self.put_offs.append((due, wait_ms))
        if self.down_for_timers:
            raise unavailable()

    def is_paused(self, shard: int) -> bool:
        """No shard is dead."""
        return False

    def depth(self) -> int:
        """How many have not been taken."""
        return sum(map(len, self.streams.values()))

    def _fail_if_due(self) -> None:
        if self.failing:
            self.failing -= 1
            raise unavailable()


# ---- use cases that others build on -------------------------------------------------------------------------------


class FakeAlertOnCall(AlertOnCall):
    """Records what people would be told."""

    def __init__(self) -> None:
        self.told: list[Any] = []

    def refused(self, refusal: Refused, sender: Sender | None) -> None:
        """Record it."""
        self.told.append((refusal, sender))

    def spend_limit(self, profile: str | None) -> None:
        """Record it."""
        self.told.append(profile)


class FakeSenderHealth(SenderHealth):
    """Decides about every message as prepared, and records what it learns.

    All senders are well and in the operator's order; or only `well` are, and the order is the other way round.
    """

    def __init__(
        self,
        *,
        decision: BreakerDecision = PASS,
        held_too: BreakerDecision = PASS,
        better: tuple[str, ...] = (),
        well: tuple[str, ...] = (),
    ) -> None:
        self._decisions = decision, held_too
        self._better = better
        self._well = well
        self.learned: list[tuple[Sender, SendOutcome, BreakerDecision]] = []
        self.reports: list[tuple[ReportOutcome, DeliveryReport]] = []
        self.spent: list[str | None] = []
        self.numbers: set[str] = set()

    def route(self, app: App, senders: Sequence[Sender]) -> tuple[tuple[Sender, ...], tuple[str, ...]]:
        """The order to try them in, and the names of the healthy."""
        if not self._well:
            return tuple(senders), tuple(sender.name for sender in senders)
        return tuple(reversed(senders)), self._well

    def admit(self, sender: Sender, *, held_too: bool = False) -> BreakerDecision:
        """As prepared."""
        return self._decisions[held_too]

    def better_than(self, sender: Sender, others: Sequence[str]) -> tuple[str, ...]:
        """As prepared, of those that are left."""
        return tuple(name for name in self._better if name in others)

    def not_held(self, senders: Sequence[str]) -> tuple[str, ...]:
        """As prepared, of those that are left."""
        return tuple(name for name in self._better if name in senders)

    def record_outcome(self, sender: Sender, outcome: SendOutcome, decision: BreakerDecision, number_hash: str) -> None:
        """Record it."""
        self.numbers.add(number_hash)
        self.learned.append((sender, outcome, decision))

    def record_report(self, applied: ReportOutcome, report: DeliveryReport, number_hash: str) -> None:
        """Record it."""
        self.numbers.add(number_hash)
        self.reports.append((applied, report))

    def record_spend_limit(self, profile: str | None) -> None:
        """Record it."""
        self.spent.append(profile)


if TYPE_CHECKING:  # each fake fits its port
    _OPTOUTS: ports.OptOutRegistry = FakeOptOuts()
    _CURSORS: ports.Cursors = FakeCursors()
    _ALERTS: ports.Alerts = FakeAlerts()
    _CALLBACKS: ports.CallbackQueue = FakeCallbackQueue()
    _CONSUMER: ports.AuditConsumer = FakeAuditConsumer()
    _READER: ports.AuditReader = FakeAuditReader()
    _LIMITS: ports.OuterLimits = FakeLimits()
    _KEY_IDS: ports.KeyIds = FakeKeyIds()
    _CIRCUITS: ports.Circuits = FakeCircuits()
    _STATS: ports.SenderStats = FakeSenderStats()
    _VERIFICATIONS: ports.VerificationStore = FakeVerifications()
    _DELIVERIES: ports.Deliveries = FakeOutbox(None)
    _DUE_DELIVERIES: ports.DueDeliveries = FakeOutbox(None)
    _SENDER_RATE: ports.SenderRate = FakeOutbox(None)
    _REPORTS: ports.DeliveryReports = FakeDeliveryReports()
    _CARRIER: ports.Carrier = FakeCarrier()
    _PAGER: ports.Pager = FakePager(Accepted("m"))
    _LIST: ports.BlockList = FakeBlockList()
    _RECEIVERS: ports.Receivers = FakeReceivers()
    _HEALTH: ports.HealthReports = FakeHealthReports()
    _VAULT: type[ports.Vault] = LateVault
