"""Every fake of a port, in one place. mypy proves at the end of the file that each fits its Protocol.

A fake of a port with the store behind it is a small store in memory: it keeps the rules that the port promises, and
gives no reply that a test prepared. Tests put a state there instead. `tests/contracts` runs one suite on each of them,
on a real server and on a one-node cluster. What a fake leaves out stands in its docstring.

It has no clock of its own: what would happen after a time happens when the test moves `now_ms`, or calls `later()` or
`come()`. The carrier and the receivers have no rules of ours: their fakes give the answers that the test prepared, and
record what they were asked; their suites run on our clients too. The last fakes stand for no port, but for parts of
ours that others build on: `FakeStreams` for two classes of the store, the others for use cases.
"""

import json
import math
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from typing import TYPE_CHECKING, Any, cast

from otp_service.clock import rfc3339
from otp_service.domain.admission import OuterAnswer, Wanted
from otp_service.domain.alert import Alert
from otp_service.domain.audit import Event, EventPage, Position
from otp_service.domain.binding import UNBOUND_CHECKS
from otp_service.domain.callback import Answer, Callback
from otp_service.domain.checking import Approval, Approved, CheckAnswer, CheckCommand, LatestAnswer, Limited, Wrong
from otp_service.domain.circuit import PASS, TRIPS_AFTER, BreakerDecision, Circuit, Fault, Hold, Source, Success
from otp_service.domain.delivery import (
    MARGIN_MS,
    RANK,
    Accepted,
    DeliveryReport,
    DeliveryStatus,
    NotSent,
    Refused,
    SendOutcome,
    Unknown,
    from_carrier,
)
from otp_service.domain.denial import Denial
from otp_service.domain.ending import Canceled, Ended, NotFound, Redeemed
from otp_service.domain.errors import KeyUnknown, StoreUnavailable
from otp_service.domain.failover import Blamed, blamed
from otp_service.domain.guarding import Converted
from otp_service.domain.ids import Reference, shard_of
from otp_service.domain.optout_list import Block, BlockPage, Cursor, OptOut, Standing
from otp_service.domain.outbox import LONGEST_SLEEP_MS, Job, PendingDelivery, ReportOutcome, SendPermit, Timer
from otp_service.domain.policy import MAX_LIFETIME_MS, App, Limit, NumberLimits, Sender, Slot
from otp_service.domain.routing import Health
from otp_service.domain.starting import StartCommand, Started, StartRefused, WouldSend
from otp_service.domain.verification import Status
from otp_service.domain.view import DeliveryView, TimelineEntry, VerificationView
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
    most_yielding: int = 30
    known: set[str] = field(default_factory=set)
    waiting: list[Alert] = field(default_factory=list)
    claimed: set[str] = field(default_factory=set)
    down: bool = False

    def raise_alert(self, trouble: str, text: str, *, yields: bool = False) -> bool:
        """Queue an alert."""
        if self.down:
            raise unavailable()
        most = self.most_yielding if yields else self.most_waiting
        if trouble in self.known or len(self.waiting) >= most:
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
    announced: set[str] = field(default_factory=set)
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

    def announce(self, apps: Sequence[str]) -> frozenset[str]:
        """Remember them."""
        if self.away == "*":
            raise unavailable()
        self.announced |= set(apps)
        return frozenset(self.announced)

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
    dead: frozenset[int] = frozenset()

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
            and event.shard not in self.dead
            and event.position > positions[event.shard]
            and (until_ms is None or event.position.ms <= until_ms)
        ]
        while coming and len(found) < limit:
            event = coming.pop(0)
            after[event.shard] = event.position
            if all(event.fields.get(name, "") in values for name, values in wanted.items()):
                found.append(event)
        return EventPage(found, after, at_end=not coming, unread=self.dead & frozenset(shards))


@dataclass
class FakeLimits:
    """Limits apart from the number; without a clock a slot is free again only when it is given back."""

    wait_ms: int = 0
    """If it is not 0, every limit is full for so many milliseconds more."""
    used: Counter[tuple[str, str]] = field(default_factory=Counter)

    def take(self, wanted: Sequence[Wanted]) -> list[OuterAnswer]:
        """One of each that has one left."""
        return [self._take(_slot(one)) for one in wanted]

    def look(self, wanted: Sequence[Wanted]) -> list[OuterAnswer]:
        """The waits, and nothing is taken."""
        return [OuterAnswer(one, self._wait_ms(_slot(one))) for one in wanted]

    def give_back(self, taken: Sequence[OuterAnswer]) -> None:
        """One of each that was taken."""
        for slot in (_slot(one.wanted) for one in taken if not one.wait_ms):
            self.used[slot.name, slot.subject] = max(0, self.used[slot.name, slot.subject] - 1)

    def _take(self, slot: Slot) -> OuterAnswer:
        wait_ms = self._wait_ms(slot)
        if not wait_ms:
            self.used[slot.name, slot.subject] += 1
        return OuterAnswer(slot, wait_ms)

    def _wait_ms(self, slot: Slot) -> int:
        is_full = self.used[slot.name, slot.subject] >= slot.limit.limit
        return self.wait_ms or (slot.limit.per_ms if is_full else 0)

    @property
    def taken(self) -> int:
        """Slots in use, all together."""
        return sum(self.used.values())


def _slot(wanted: Wanted) -> Slot:
    assert isinstance(wanted, Slot)
    return wanted


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
    """Breakers by scope, with a clock that stands still."""

    breakers: dict[str, Circuit] = field(default_factory=dict)
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


@dataclass(frozen=True)
class Secrets:
    """What a verification holds of its code while it is pending."""

    kid: str = ""
    digest: str = field(default="", repr=False)
    context_hash: str = ""
    digest_by_number: str = field(default="", repr=False)
    challenges: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Given:
    """The receipt that an approval gave, when, and for which request."""

    receipt_id: str
    at_ms: int = 0
    request_key: str = ""
    context_hash: str = ""


@dataclass(frozen=True)
class Sent:
    """A send to a number. `in_ladder` until a code of its app and purpose is approved."""

    at_ms: int
    subject: tuple[str, str, str]
    """Number hash, app and purpose."""
    in_ladder: bool = True


@dataclass
class FakeVerifications:
    """Verifications, with a clock that only the test moves. A view may be put there as if it had been started.

    Left out: the bound on consecutive wrong codes, the order of senders, and test numbers. Nothing is forgotten with
    time.
    """

    views: dict[Reference, VerificationView] = field(default_factory=dict)
    """Each as it was when it last changed, the newest last."""
    secrets: dict[Reference, Secrets] = field(default_factory=dict)
    now_ms: int = 500
    given: dict[Reference, Given] = field(default_factory=dict)
    """Of the approved."""
    subject: Callable[[str, str], str] = lambda app, number_hash: f"{app} {number_hash}"
    opted_out: set[tuple[str, str]] = field(default_factory=set)
    """Number hashes and the messaging profiles that must not send to them."""
    wrong: dict[tuple[str, str], list[int]] = field(default_factory=dict)
    """When wrong codes were given, by number hash and app ("" over all apps), the latest first."""
    sends: list[Sent] = field(default_factory=list)
    """The latest first."""
    unbound: dict[Reference, int] = field(default_factory=dict)
    """Checks without the verifier that the verification asks for."""
    events: dict[Reference, list[TimelineEntry]] = field(default_factory=dict)
    fault: Exception | None = None
    """What every call raises."""
    asked: list[Any] = field(default_factory=list)
    viewed: list[Reference] = field(default_factory=list)
    denials: list[tuple[Reference, Denial]] = field(default_factory=list)
    log: Log = field(default_factory=list)
    _done: dict[str, Any] = field(default_factory=dict)
    _redeemed: dict[Reference, tuple[int, str]] = field(default_factory=dict)
    _received: dict[tuple[str, str], int] = field(default_factory=dict)

    # ---- starting ----

    def start(self, command: StartCommand) -> Started | StartRefused:
        """Create, send again, or refuse."""
        self._ask(command)
        if command.operation_id in self._done:
            ref, resent = self._done[command.operation_id]
            return self._started(ref, resent=resent, replayed=True)
        ref = self.newest(command.reference.number_hash, command.app.name, command.purpose)
        if ref is not None and not self._is_pending(ref):
            ref = None
        refused = self._refusal(command, ref)
        if refused is not None:
            return refused
        resent, ref = ref is not None, ref or command.reference
        self._send(command, ref)
        self._done[command.operation_id] = ref, resent
        return self._started(ref, resent=resent)

    def would_start(self, command: StartCommand) -> WouldSend | StartRefused:
        """Judge it alone."""
        self._ask(command)
        ref = self.newest(command.reference.number_hash, command.app.name, command.purpose)
        pending = ref if ref is not None and self._now(ref).status is Status.PENDING else None
        return self._refusal(command, pending) or WouldSend(self._open(command)[0].name)

    def _started(self, ref: Reference, *, resent: bool, replayed: bool = False) -> Started:
        view = self._now(ref)
        return Started(**{one.name: getattr(view, one.name) for one in fields(view)}, resent=resent, replayed=replayed)

    def _refusal(self, command: StartCommand, pending: Reference | None) -> StartRefused | None:
        app, number, steps = command.app, command.reference.number_hash, command.app.resend_after_ms
        if not self._open(command):
            return StartRefused("opted_out", 0)
        wait_ms, limit = self._wrong_wait(number, app, command.per_number)
        if wait_ms:
            return StartRefused("too_many_wrong_codes", wait_ms, None, limit)
        if pending and self.secrets[pending].context_hash != command.context_hash:
            return StartRefused("context_conflict", 0)
        opens_ms, sends = self._opens_ms(command), self.views[pending].sends if pending else 0
        if pending and sends > len(steps):
            wait_ms = max(opens_ms, self.views[pending].expires_ms) - self.now_ms
            return StartRefused("resend_too_soon", wait_ms, 0, "resend_after")
        if opens_ms > self.now_ms:
            return StartRefused("resend_too_soon", opens_ms - self.now_ms, len(steps) + 1 - sends, "resend_after")
        wait_ms, limit = self._start_wait(command)
        if wait_ms:
            return StartRefused("rate_limited", wait_ms, None, limit)
        queued = [one for view in self.views.values() for one in view.deliveries if one.status is DeliveryStatus.QUEUED]
        return StartRefused("queue_full", 1_000) if len(queued) >= command.queue_max else None

    def _open(self, command: StartCommand) -> list[Sender]:
        number = command.reference.number_hash
        return [one for one in command.route if (number, one.messaging_profile_id) not in self.opted_out]

    def _wrong_wait(self, number: str, app: App, everywhere: NumberLimits) -> tuple[int, str]:
        here, all_apps = self.wrong.get((number, app.name), []), self.wrong.get((number, ""), [])
        return max(
            (self._wait_ms(here, app.wrong_codes_per_number), "wrong_codes_per_number"),
            (self._wait_ms(all_apps, everywhere.wrong_codes), "service.wrong_codes_per_number"),
        )

    def _start_wait(self, command: StartCommand) -> tuple[int, str]:
        sends = [send for send in self.sends if send.subject[0] == command.reference.number_hash]
        own = [send.at_ms for send in sends if send.subject[1] == command.app.name]
        return max(
            (self._caps_wait_ms(sends, command.per_number.sends), "service.sends_per_number"),
            (self._wait_ms(own, command.app.starts_per_number), "starts_per_number"),
            (command.outer_wait_ms, command.outer_limit),
        )

    def _caps_wait_ms(self, sends: Sequence[Sent], limits: Sequence[Limit]) -> int:
        longest = max((one.per_ms for one in limits), default=0)
        return max(
            (
                self._wait_ms([send.at_ms for send in sends if send.in_ladder or one.per_ms == longest], [one])
                for one in limits
            ),
            default=0,
        )

    def _wait_ms(self, latest_first: Sequence[int], limits: Sequence[Limit]) -> int:
        full = [(latest_first[one.limit - 1], one) for one in limits if len(latest_first) >= one.limit]
        return max((at_ms + one.per_ms - self.now_ms for at_ms, one in full), default=0) if full else 0

    def _opens_ms(self, command: StartCommand) -> int:
        """When the ladder lets the next send through."""
        subject = (command.reference.number_hash, command.app.name, command.purpose)
        steps = command.app.resend_after_ms
        sends = [send for send in self.sends if send.subject == subject and send.in_ladder]
        own = [send.at_ms for send in sends if send.at_ms + 3_600_000 > self.now_ms]
        return own[0] + steps[min(len(own), len(steps)) - 1] if own and steps else self.now_ms

    def _send(self, command: StartCommand, ref: Reference) -> None:
        app, was = command.app, self.views.get(ref)
        self.sends.insert(0, Sent(self.now_ms, (ref.number_hash, app.name, command.purpose)))
        if was is None:
            self.views[ref] = was = self._created(command)
            self.secrets[ref] = Secrets(command.kid, command.digest, command.context_hash, command.digest_by_number)
        if command.challenge:
            secret = self.secrets[ref]
            self.secrets[ref] = replace(secret, challenges=secret.challenges | {command.challenge})
        ordinal, sender = len(was.deliveries) + 1, self._open(command)[0]
        queued = DeliveryView(
            ordinal, sender.name, sender.kind, DeliveryStatus.QUEUED, None, None, self.now_ms, self.now_ms
        )
        self.views[ref] = replace(
            was,
            channel=command.channel,
            metadata=command.metadata,
            sends=was.sends + 1,
            expires_ms=min(self.now_ms + app.code_ttl_ms, was.created_ms + MAX_LIFETIME_MS),
            next_send_ms=self._opens_ms(command),
            deliveries=(*was.deliveries, queued),
        )
        self._note(ref, "verification.started" if ordinal == 1 else "verification.resent")
        self._note(ref, "delivery.queued", ref.delivery_id(ordinal))

    def _created(self, command: StartCommand) -> VerificationView:
        return verification_view(
            command.reference,
            app=command.app.name,
            purpose=command.purpose,
            mask=command.mask,
            subject=self.subject(command.app.name, command.reference.number_hash),
            created_ms=self.now_ms,
            attempts=0,
            max_checks=command.app.max_checks,
            sends=0,
            max_sends=len(command.app.resend_after_ms) + 1,
            version=0,
        )

    # ---- checking and ending ----

    def check(self, command: CheckCommand) -> CheckAnswer:
        """Count, compare and consume."""
        self._ask(command)
        return self._checked(command)

    def check_latest(self, command: CheckCommand) -> LatestAnswer | None:
        """The same at the newest, ended or not."""
        self._ask(command)
        ref = self.newest(command.reference.number_hash, command.app.name, command.by_purpose or "")
        return LatestAnswer(ref, self._checked(replace(command, reference=ref))) if ref else None

    def _checked(self, command: CheckCommand) -> CheckAnswer:
        if command.operation_id in self._done:
            return cast("CheckAnswer", self._done[command.operation_id])
        ref, app = command.reference, command.app
        if not self._is_as_asserted(command):
            return NotFound()
        given = self.given.get(ref)
        if given is not None and command.request_key and command.request_key == given.request_key:
            return self._approval(command, given)
        if not self._is_pending(ref):
            return Ended(self.views[ref].status)
        if not self._is_bound(command):
            return self._unbound(command)
        wait_ms, _ = self._wrong_wait(ref.number_hash, app, command.per_number)
        return Limited(wait_ms) if wait_ms else self._judge(command)

    def _is_bound(self, command: CheckCommand) -> bool:
        challenges = self.secrets[command.reference].challenges
        return command.challenge in challenges if challenges else not command.challenge

    def _unbound(self, command: CheckCommand) -> CheckAnswer:
        ref = command.reference
        count = self.unbound.get(ref, 0)
        if count == UNBOUND_CHECKS:
            return Limited(self.views[ref].expires_ms - self.now_ms)
        self.unbound[ref] = count + 1
        self._note(ref, "check.failed")
        self._done[command.operation_id] = answer = Wrong(UNBOUND_CHECKS - count - 1, unbound=True)
        return answer

    def _is_as_asserted(self, command: CheckCommand) -> bool:
        view = self.views.get(command.reference)
        return (
            view is not None
            and view.app == command.app.name
            and command.asserted_number in ("", command.reference.number_hash)
            and command.asserted_purpose in ("", view.purpose)
        )

    def _judge(self, command: CheckCommand) -> CheckAnswer:
        ref, secret = command.reference, self.secrets[command.reference]
        if secret.kid not in command.digests:
            raise KeyUnknown(secret.kid)
        view = self._change(ref, attempts=self.views[ref].attempts + 1)
        digest = secret.digest if command.by_purpose is None else secret.digest_by_number
        if command.digests[secret.kid] == digest:
            answer: CheckAnswer = self._approve(command, view, secret)
        else:
            answer = self._refuse(view)
        self._done[command.operation_id] = answer
        return answer

    def _approve(self, command: CheckCommand, view: VerificationView, secret: Secrets) -> Approved:
        ref, subject = view.reference, (view.reference.number_hash, view.app, view.purpose)
        given = Given(command.receipt_id, self.now_ms, command.request_key, secret.context_hash)
        self.given[ref] = given
        self.sends = [replace(send, in_ladder=send.in_ladder and send.subject != subject) for send in self.sends]
        self._end(ref, Status.APPROVED)
        return self._approval(command, given)

    def _approval(self, command: CheckCommand, given: Given) -> Approved:
        view, moment = self.views[command.reference], rfc3339(given.at_ms)
        approval = Approval(
            view.reference.verification_id, "approved", moment, view.mask, view.purpose, view.channel, view.subject, ""
        )
        replayed = given.receipt_id != command.receipt_id
        return Approved(approval, given.at_ms, given.context_hash, given.receipt_id, replayed)

    def _refuse(self, view: VerificationView) -> Wrong | Ended:
        for app in (view.app, ""):
            self.wrong.setdefault((view.reference.number_hash, app), []).insert(0, self.now_ms)
        self._note(view.reference, "check.failed")
        if view.checks_left:
            return Wrong(view.checks_left)
        self._end(view.reference, Status.EXHAUSTED)
        return Ended(Status.EXHAUSTED)

    def cancel(self, operation_id: str, ref: Reference, app: str) -> Canceled | Ended | NotFound:
        """Withdraw a pending one."""
        self._ask((ref, app))
        if ref not in self.views or self.views[ref].app != app:
            return NotFound()
        if self._is_pending(ref):
            self._end(ref, Status.CANCELED)
            self._done[operation_id] = ref
        return Canceled() if self._done.get(operation_id) == ref else Ended(self.views[ref].status)

    def redeem(self, operation_id: str, ref: Reference, app: str, receipt_id: str, ends_ms: int) -> Redeemed | NotFound:
        """Spend the receipt of the approval."""
        self._ask((ref, app, receipt_id, ends_ms))
        given = self.given.get(ref)
        if given is None or given.receipt_id != receipt_id or self.views[ref].app != app:
            return NotFound()
        if ref not in self._redeemed:
            if self.now_ms >= ends_ms:
                return NotFound()
            self._redeemed[ref] = self.now_ms, operation_id
            self._note(ref, "receipt.redeemed")
        at_ms, by = self._redeemed[ref]
        return Redeemed(at_ms, by == operation_id, self.views[ref].mask, self.views[ref].purpose)

    def expire(self, ref: Reference) -> bool:
        """End one whose time is over."""
        self.log.append(("expire", ref))
        before = self.views.get(ref)
        return before is not None and before.status is Status.PENDING and not self._is_pending(ref)

    def pending(self, number_hash: str) -> list[Reference]:
        """Those of the number whose time is not over."""
        return [ref for ref, view in self.views.items() if ref.number_hash == number_hash and not self._is_over(view)]

    def first_received(self, number_hash: str, event_id: str) -> int:
        """The moment of the first call."""
        return self._received.setdefault((number_hash, event_id), self.now_ms)

    def deny(self, ref: Reference, denial: Denial) -> str:
        """End a pending one of which a message was sent before."""
        self.denials.append((ref, denial))
        view = self.views.get(ref)
        before_ms = min(denial.at_ms + 5_000, denial.received_ms)
        if view is None or view.status is not Status.PENDING or self._is_over(view) or view.app not in denial.apps:
            return "no"
        sent = [one for one in view.deliveries if one.status is not DeliveryStatus.QUEUED]
        if not any(one.sender in denial.senders and one.updated_ms <= before_ms for one in sent):
            return "no"
        self._end(ref, Status.DENIED)
        return "denied"

    # ---- reading ----

    def view(self, ref: Reference, app: str | None) -> VerificationView | None:
        """As it is now, for its own app."""
        self.viewed.append(ref)
        return self._now(ref) if ref in self.views and app in (None, self.views[ref].app) else None

    def view_with_timeline(
        self, ref: Reference, app: str | None
    ) -> tuple[VerificationView, list[TimelineEntry]] | None:
        """Both."""
        view = self.view(ref, app)
        return (view, self.timeline(ref)) if view is not None else None

    def versions(self, refs: Sequence[Reference]) -> list[int | None]:
        """Of each."""
        self._ask(list(refs))
        return [self.views[ref].version if ref in self.views else None for ref in refs]

    def timeline(self, ref: Reference) -> list[TimelineEntry]:
        """Its events."""
        return self.events.get(ref, [])

    # ---- what the methods share ----

    def _ask(self, what: object) -> None:
        if self.fault is not None:
            raise self.fault
        self.asked.append(what)

    def newest(self, number_hash: str, app: str, purpose: str) -> Reference | None:
        """The newest verification of a number, ended or not."""
        wanted = (number_hash, app, purpose)
        found = [ref for ref, one in self.views.items() if (ref.number_hash, one.app, one.purpose) == wanted]
        return found[-1] if found else None

    def _is_over(self, view: VerificationView) -> bool:
        return self.now_ms >= view.expires_ms

    def _is_pending(self, ref: Reference) -> bool:
        """Whether it is pending still; it ends here if its time is over."""
        if self.views[ref].status is Status.PENDING and self._is_over(self.views[ref]):
            self._end(ref, Status.EXPIRED)
        return self.views[ref].status is Status.PENDING

    def _now(self, ref: Reference) -> VerificationView:
        view = replace(self.views[ref], now_ms=self.now_ms)
        over = view.status is Status.PENDING and self._is_over(view)
        return replace(view, status=Status.EXPIRED) if over else view

    def _change(self, ref: Reference, **changes: Any) -> VerificationView:
        self.views[ref] = replace(self.views[ref], **changes)
        return self.views[ref]

    def _end(self, ref: Reference, status: Status) -> None:
        self.secrets.pop(ref, None)
        self._change(ref, status=status)
        self._note(ref, f"verification.{status}")

    def _note(self, ref: Reference, event: str, delivery_id: str | None = None) -> None:
        self.events.setdefault(ref, []).append(TimelineEntry(event, self.now_ms, delivery_id, {}))
        self._change(ref, version=self.views[ref].version + 1)


@dataclass
class FakeDeliveries:
    """One delivery, and what became of it. Its clock is `pending.now_ms`, which only the test moves.

    Left out: that the verification ends, opt-outs and limits (the test sets `status` then), what reports say, that
    polls end some time after the code, and that a try is no longer under way some time after it began.
    """

    pending: PendingDelivery | None
    status: DeliveryStatus = DeliveryStatus.QUEUED
    body: str | None = None
    tries: int = 0
    unsent: int = 0
    message_id: str | None = None
    failed_over: bool = False
    """The next sender has it; that one's delivery is not kept."""
    opted_out: set[str] = field(default_factory=set)
    """Senders of the route whose profile the person has opted out of."""
    alike: dict[Blamed, set[str]] = field(default_factory=dict)
    """Senders of the route that have this sender's profile, or its channel."""
    timers: set[str] = field(default_factory=set)
    """The kinds of those that are set."""
    due: set[str] = field(default_factory=set)
    """The kinds of those that have come; `come` lets one come."""
    slots: list[OuterAnswer] = field(default_factory=list)
    guarded: Converted | None = None
    """What its send took in limits."""
    log: Log = field(default_factory=list)
    down_at: str = ""
    """The step at which the store does not answer."""
    _reason: bool = False
    _is_begun: bool = False
    """The last try has no answer yet."""
    _handed_back: bool = False

    def __post_init__(self) -> None:
        rest = self.pending is not None and self.pending.next_senders
        self.timers |= {"closing", "failover"} if rest else {"closing"}

    def come(self, kind: str) -> None:
        """A timer that is set comes."""
        assert kind in self.timers
        self.due.add(kind)

    # ---- what became of a try ----

    def pending_delivery(self, job: Job, *, rate_per_s: float = 0.0) -> PendingDelivery | None:
        """As it is now. A slot of a rate comes at once."""
        has_slot = rate_per_s > 0 and self.pending is not None and self.pending.sender == job.sender
        return replace(self.pending, slot_ms=5) if has_slot and self.pending else self.pending

    def begin_send(
        self,
        job: Job,
        app: str,
        sealed_body: str,
        wrong_limits: Sequence[Limit],
        all_wrong_limits: Sequence[Limit],
        *,
        spend: OuterAnswer | None = None,
    ) -> SendPermit | None:
        """Count the try and keep its bytes, if anything is to be sent."""
        asked = [] if spend is None else [spend]
        self._step("begin_send", app, sealed_body, tuple(wrong_limits), tuple(all_wrong_limits), *asked)
        if self.pending is None or self._is_late():
            return None
        left_ms = self.pending.expires_ms - self.pending.now_ms
        if left_ms <= MARGIN_MS or self.failed_over or self.pending.replaced:
            if self._may_be_sent():
                self.status = DeliveryStatus.UNKNOWN
            else:
                self._end(DeliveryStatus.EXPIRED if left_ms <= MARGIN_MS else DeliveryStatus.SUPPRESSED)
            return None
        if spend is not None and spend.wait_ms:
            self._end(DeliveryStatus.SUPPRESSED)
            return None
        self.body = self.body or sealed_body or None
        if self.body is None:
            return None
        self.tries += 1
        self._is_begun, self._handed_back = True, False
        self.status = DeliveryStatus.SENDING
        kid, colon, _ = self.body.partition(":")
        self.pending = replace(self.pending, has_body=True, rate_limited=False, sealed_by=kid if colon else "")
        return SendPermit(self.body, self.tries, left_ms)

    def record_accepted(self, job: Job, outcome: Accepted) -> str:
        """Failover if it is held for longer than the code lives."""
        self._step("record_accepted", outcome)
        self.message_id = self.message_id or outcome.message_id
        if self.pending is None or self._is_late():
            return "late"
        self.status = DeliveryStatus.SENT
        self.timers.add("poll")
        over = self.pending.now_ms + outcome.wait_s * 1_000 >= self.pending.expires_ms
        return "failed_over" if over and self._fail_over() else "accepted"

    def record_refused(self, job: Job, outcome: Refused) -> str:
        """Failover where that can help."""
        self._step("record_refused", outcome)
        status = DeliveryStatus.SUPPRESSED if outcome.opted_out else DeliveryStatus.FAILED
        return "late" if self._is_late() else self._fail(status, blamed(outcome))

    def record_retry(self, job: Job, wait_ms: int, outcome: NotSent) -> str:
        """The try was none."""
        self._step("record_retry", wait_ms, outcome)
        self.unsent += not self._is_late()
        self._is_begun = False
        return self._wait()

    def record_unknown(self, job: Job, wait_ms: int, outcome: Unknown) -> str:
        """It may have been sent."""
        self._step("record_unknown", wait_ms, outcome)
        if not self._is_late():
            self.status = DeliveryStatus.UNKNOWN
        return self._wait()

    def record_impossible(self, job: Job, code: str, title: str) -> str:
        """Failover, unless it may have been sent or the code's time is over."""
        self._step("record_impossible", code)
        if self.pending is None or self._is_late():
            return "late"
        if self._may_be_sent():
            self.status = DeliveryStatus.UNKNOWN
            return "unknown"
        if self.pending.now_ms >= self.pending.expires_ms:
            self._end(DeliveryStatus.EXPIRED)
            return "expired"
        return self._fail(DeliveryStatus.FAILED)

    # ---- nothing was tried ----

    def record_rate_wait(self, job: Job, wait_ms: int) -> str:
        """It has its slot."""
        self._step("record_rate_wait", wait_ms)
        if self.pending is not None:
            self.pending = replace(self.pending, rate_limited=True)
        self._handed_back = False
        return self._wait()

    def return_to_queue(self, job: Job, title: str, wait_ms: int, *, may_fail_over: bool) -> str:
        """It waits for another worker."""
        self._step("return_to_queue", title, wait_ms, may_fail_over)
        self._handed_back = not may_fail_over
        return self._wait()

    def record_held(self, job: Job, code: str, title: str, wait_ms: int, *, may_fail_over: bool = True) -> str:
        """Failover, or it waits."""
        self._step("record_held", code, wait_ms, *([] if may_fail_over else ["stays"]))
        if not self._is_late() and may_fail_over and not self._may_be_sent() and self._next():
            return self._fail(DeliveryStatus.FAILED)
        return self._wait()

    def pass_to_next_sender(self, job: Job, code: str, title: str, better: Sequence[str]) -> bool:
        """Failover to a better one that is left."""
        self._step("pass_to_next_sender", code, tuple(better))
        if self.pending is None or self._is_late():
            return True
        if self._may_be_sent() or not self._next() & {*better}:
            return False
        self._fail(DeliveryStatus.FAILED)
        return True

    # ---- timers ----

    def requeue(self, due: Timer) -> bool:
        """Its wait is over."""
        self._step("requeue", due)
        return self._take("retry") and not self._is_late()

    def claim_slots(self, due: Timer) -> list[OuterAnswer]:
        """Once, if it ended without having been accepted."""
        self._step("claim_slots", due)
        if self.message_id or self.failed_over or RANK[self.status] <= RANK[DeliveryStatus.SENT]:
            return []
        slots, self.slots = self.slots, []
        return slots

    def claim_guarded(self, due: Timer) -> Converted | None:
        """Once, if it ended without having been accepted."""
        self._step("claim_guarded", due)
        if self.message_id or self.failed_over or RANK[self.status] <= RANK[DeliveryStatus.SENT]:
            return None
        guarded, self.guarded = self.guarded, None
        return guarded

    def claim_poll(self, due: Timer) -> str | None:
        """Its message, if it was sent and has no final report."""
        self._step("claim_poll", due)
        if not self._take("poll") or self.status is not DeliveryStatus.SENT:
            return None
        self.timers.add("poll")
        return self.message_id

    def claim_failover(self, due: Timer) -> str | None:
        """Failover unless it was accepted, is under way, or no worker has seen it."""
        self._step("claim_failover", due)
        if not self._take("failover") or RANK[self.status] > RANK[DeliveryStatus.SENT] or not self._next():
            return None
        if self.status is DeliveryStatus.SENT:
            self.timers.add("failover")
            return self.message_id
        under_way = self.status is DeliveryStatus.SENDING and self._is_begun and self.tries - self.unsent == 1
        if under_way or (not self._may_be_sent() and (self._handed_back or not self._reason)):
            self.timers.add("failover")
        else:
            if not self._may_be_sent():
                self._end(DeliveryStatus.FAILED)
            self._fail_over()
        return None

    def close_delivery(self, due: Timer) -> str | None:
        """The end of one that has none, half a minute after the code's."""
        self._step("close_delivery", due)
        if self.pending is None or not self._take("closing") or RANK[self.status] > RANK[DeliveryStatus.SENT]:
            return None
        if self.pending.now_ms < self.pending.expires_ms + 30_000:
            self.timers.add("closing")
            return None
        sent = self.status is DeliveryStatus.SENT or self._may_be_sent()
        self._end(DeliveryStatus.UNCONFIRMED if sent else DeliveryStatus.EXPIRED)
        return self.status

    # ---- what the methods share ----

    def _step(self, name: str, *rest: object) -> None:
        if name == self.down_at:
            raise unavailable()
        self.log.append((name, *rest))

    def _is_late(self) -> bool:
        return self.pending is None or RANK[self.status] >= RANK[DeliveryStatus.SENT]

    def _may_be_sent(self) -> bool:
        return self.tries > self.unsent

    def _next(self) -> set[str]:
        """The senders that could have it now."""
        pending = self.pending
        if pending is None or self.failed_over or pending.now_ms >= pending.expires_ms:
            return set()
        return {*pending.next_senders} - self.opted_out

    def _fail_over(self) -> bool:
        if not self._next():
            return False
        self.failed_over = True
        self.timers.discard("failover")
        return True

    def _end(self, status: DeliveryStatus) -> None:
        self.status = status
        self.timers.clear()

    def _fail(self, status: DeliveryStatus, blames: Blamed = Blamed.SENDER) -> str:
        self._end(status)
        if blames is Blamed.NOBODY_HELPS or not self._next() - self.alike.get(blames, set()):
            return "failed"
        return "failed_over" if self._fail_over() else "failed"

    def _wait(self) -> str:
        if self._is_late():
            return "late"
        self._reason = True
        self.timers.add("retry")
        return "waiting"

    def _take(self, kind: str) -> bool:
        came = kind in self.due
        if came:
            self.due.discard(kind)
            self.timers.discard(kind)
        return came


@dataclass
class FakeSenderRate:
    """The senders' slots, with a clock that stands still."""

    free_ms: dict[str, float] = field(default_factory=dict)
    """In how many milliseconds each sender's next slot comes."""
    next_ms: dict[str, float] = field(default_factory=dict)
    """In how many milliseconds each sender's next message may go."""
    late_ms: dict[str, float] = field(default_factory=dict)
    """In how many milliseconds the next slot comes for those that are late."""
    log: Log = field(default_factory=list)
    down_at: str = ""

    def acquire_rate_slot(self, sender: str, rate_per_s: float, patience_ms: int, *, again: bool = False) -> int:
        """The next slot, one interval after the one before."""
        if self.down_at == "acquire_rate_slot":
            raise unavailable()
        self.log.append(("acquire_rate_slot", sender, rate_per_s, patience_ms, *(["again"] if again else [])))
        next_ms = at_ms = self.next_ms.get(sender, 0)
        if not again:
            at_ms = max(self.free_ms.get(sender, 0), next_ms)
        elif next_ms > LONGEST_SLEEP_MS:
            at_ms = max(self.late_ms.get(sender, 0), next_ms)
        if at_ms > patience_ms:
            return -math.ceil(at_ms)
        after_ms = at_ms + 1_000 / rate_per_s
        if at_ms <= LONGEST_SLEEP_MS:
            self.next_ms[sender] = after_ms
        elif again:
            self.late_ms[sender] = after_ms
        self.free_ms[sender] = max(self.free_ms.get(sender, 0), after_ms)
        return math.ceil(at_ms)


@dataclass
class FakeDeliveryReports:
    """Deliveries for reports on their messages, each of the sender `pool`."""

    statuses: dict[tuple[Reference, int], DeliveryStatus] = field(default_factory=dict)
    messages: dict[tuple[str, str], tuple[Reference, int]] = field(default_factory=dict)
    """Deliveries by number hash and message id."""
    events: set[tuple[str, str]] = field(default_factory=set)
    """Number hashes and ids of the events that have come."""
    log: Log = field(default_factory=list)
    applied: Log = field(default_factory=list)
    clicks: Log = field(default_factory=list)

    def find_message(self, number_hash: str, message_id: str) -> tuple[Reference, int] | None:
        """The delivery that became it."""
        return self.messages.get((number_hash, message_id))

    def apply_report(self, ref: Reference, ordinal: int, number_hash: str, report: DeliveryReport) -> ReportOutcome:
        """Move the delivery up."""
        self.log.append(("apply_report", ref, ordinal, number_hash, report))
        self.applied.append((ref, ordinal, number_hash, report.status))
        status = from_carrier(report.status)
        if status is None:
            return ReportOutcome("same")
        if not self._is_its_message((ref, ordinal), number_hash, report.message_id):
            return ReportOutcome("foreign")
        self.messages[number_hash, report.message_id] = ref, ordinal
        if RANK[status] <= RANK[self.statuses[ref, ordinal]]:
            return ReportOutcome("same")
        self.statuses[ref, ordinal] = status
        return ReportOutcome("moved", "pool")

    def record_click(self, ref: Reference, ordinal: int, event_id: str) -> str:
        """Once for an event."""
        self.clicks.append((ref, ordinal, event_id))
        if not any(known == ref for known, _ in self.statuses):
            return "unknown"
        return "duplicate" if self._has_come(ref.number_hash, event_id) else "recorded"

    def _is_its_message(self, delivery: tuple[Reference, int], number_hash: str, message_id: str) -> bool:
        own = [message for (_, message), known in self.messages.items() if known == delivery]
        return delivery in self.statuses and delivery[0].number_hash == number_hash and own in ([], [message_id])

    def _has_come(self, number_hash: str, event_id: str) -> bool:
        came = (number_hash, event_id) in self.events
        self.events.add((number_hash, event_id))
        return came


# ---- scripted fakes: what has no memory of ours --------------------------------------------------------------------


@dataclass
class FakeCarrier:
    """The carrier: every send has the prepared outcome, and the prepared report can be fetched."""

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
        return self.report if self.report is not None and self.report.message_id == message_id else None

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
    """The carrier's ratios, by sender."""

    ratios: Mapping[str, tuple[float | None, float | None]] = field(default_factory=dict)

    def health(self, senders: Sequence[Sender]) -> Mapping[str, tuple[float | None, float | None]]:
        """Of each sender that has some."""
        return {sender.name: self.ratios[sender.name] for sender in senders if sender.name in self.ratios}


class FakeStreams:
    """The outbox as a delivery worker reads it: streams and timers that hold what the test puts there."""

    def __init__(self, shards: int = 4, *, together: bool = True) -> None:
        """`together`: one read covers all streams, as on a single server."""
        self.streams: dict[int, list[Job]] = {shard: [] for shard in range(shards)}
        self.stale: list[Job] = []
        self.own: list[Job] = []
        self.kept: list[list[Job]] = []
        self.dues: list[Timer] = []
        self.touched: list[tuple[float, Sequence[Job]]] = []
        self.failing = 0
        self.put_offs: list[tuple[Timer, int]] = []
        self.forward: list[Timer] = []
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

    def claim_stale(self, shards: Sequence[int], count: int) -> list[Job]:
        """What a dead worker left."""
        with self.lock:
            left = [job for shard in shards for job in [one for one in self.stale if one.shard == shard][:count]]
            self.stale = [job for job in self.stale if job not in left]
        return left

    def hand_back(self, shards: Sequence[int], kept: Sequence[Job]) -> None:
        """Record what the worker keeps for itself."""
        self.kept.append(list(kept))

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

    def bring_forward(self, dues: Sequence[Timer]) -> None:
        """Record it."""
        self.forward += dues

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
        paused: BreakerDecision | None = None,
    ) -> None:
        self._decisions = decision, held_too
        self.paused = paused
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

    def pause(self, sender: Sender) -> BreakerDecision | None:
        """As prepared."""
        return self.paused

    def answers(self, sender: Sender) -> bool:
        """If it is not paused."""
        return self.paused is None

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
    _LIMITS: ports.OuterStore = FakeLimits()
    _KEY_IDS: ports.KeyIds = FakeKeyIds()
    _CIRCUITS: ports.Circuits = FakeCircuits()
    _STATS: ports.SenderStats = FakeSenderStats()
    _VERIFICATIONS: ports.VerificationStore = FakeVerifications()
    _DELIVERIES: ports.Deliveries = FakeDeliveries(None)
    _DUE_DELIVERIES: ports.DueDeliveries = FakeDeliveries(None)
    _SENDER_RATE: ports.SenderRate = FakeSenderRate()
    _REPORTS: ports.DeliveryReports = FakeDeliveryReports()
    _CARRIER: ports.Carrier = FakeCarrier()
    _PAGER: ports.Pager = FakePager(Accepted("m"))
    _LIST: ports.BlockList = FakeBlockList()
    _RECEIVERS: ports.Receivers = FakeReceivers()
    _HEALTH: ports.HealthReports = FakeHealthReports()
