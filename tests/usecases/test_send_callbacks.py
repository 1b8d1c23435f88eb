"""Events become callbacks and callbacks are sent: what is sent, in which form, and what a failure leaves."""

import json
import threading
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import msgspec
import pytest

from otp_service import keyring
from otp_service.clock import rfc3339
from otp_service.domain.audit import Event, EventType, Position
from otp_service.domain.callback import EVENTS, GONE_PAUSE_MS, MAX_BODY, RETRIES, Answer, Callback
from otp_service.domain.delivery import DeliveryStatus
from otp_service.domain.errors import StoreUnavailable
from otp_service.domain.ids import Reference
from otp_service.domain.verification import Status
from otp_service.domain.view import DeliveryView, TimelineEntry, VerificationView
from otp_service.runtime.callback_worker import CallbackWorker
from otp_service.usecases.send_callbacks import SendCallbacks
from otp_service.web.schemas.callbacks import callback_body, factor_callback_body
from otp_service.web.schemas.verification import VerificationWithTimeline, shown_as, timeline_events
from tests.conftest import wait_until
from tests.fakes import FakeAuditConsumer, FakeCallbackQueue, FakeReceivers, FakeVerifications

RING = keyring.parse(keyring.create(lambda n: bytes(range(n)), "2026-01-01T00:00:00Z"))
REF = RING.ids.new("00" * 10, bytes(10))
SLOW = RING.ids.new("00" * 10, b"s" * 10)
AT = 1_790_000_000_123


def view(ref: Reference = REF, metadata: str = "{}") -> VerificationView:
    """A pending verification with one delivery."""
    delivery = DeliveryView(1, "pool", "number_pool", DeliveryStatus.SENT, "queued", None, AT, AT)
    return VerificationView(
        reference=ref,
        app="shop",
        purpose="login",
        channel="sms",
        mask="+1******0143",
        subject="00ff",
        status=Status.PENDING,
        created_ms=AT,
        expires_ms=AT + 300_000,
        attempts=1,
        max_checks=5,
        sends=1,
        max_sends=4,
        next_send_ms=AT + 30_000,
        metadata=metadata,
        deliveries=(delivery,),
        version=4,
        now_ms=AT + 1,
    )


def event(kind: str = "verification.approved", number: int = 1, **fields: str) -> Event:
    """The n-th event of shard 2."""
    given = {"type": kind, "verification": REF.token, "app": "shop", "mask": "+1******0143", **fields}
    if kind.startswith("factor."):
        given.setdefault("detail", '{"sub": "00ff", "factor_id": "fac_1", "kind": "sms"}')
    return Event(2, Position(AT, number), kind, given)


@dataclass
class Scenario:
    """Everything behind the ports: one verification of the app `shop`, one of `slow`."""

    audit: FakeAuditConsumer = field(default_factory=FakeAuditConsumer)
    queue: FakeCallbackQueue = field(default_factory=FakeCallbackQueue)
    store: FakeVerifications = field(
        default_factory=lambda: FakeVerifications(
            views={REF: view(), SLOW: replace(view(SLOW), app="slow")},
            now_ms=AT + 1,
            events={REF: [TimelineEntry("verification.started", AT, None, {})]},
        )
    )
    receivers: FakeReceivers = field(default_factory=FakeReceivers)
    counted: list[tuple[str, str]] = field(default_factory=list)

    def use_case(self, apps: Sequence[str] = ("shop",)) -> SendCallbacks:
        """The use case of one process."""
        return SendCallbacks(
            audit_consumer=self.audit,
            queue=self.queue,
            store=self.store,
            receivers=self.receivers,
            vault=RING,
            apps=apps,
            write=callback_body,
            write_factor=factor_callback_body,
            random=lambda: 0.0,
            count=lambda app, outcome: self.counted.append((app, outcome)),
        )


@pytest.fixture
def scenario() -> Scenario:
    """Nothing has happened yet."""
    return Scenario()


def test_every_kind_of_event_that_is_promised_is_sent(scenario: Scenario) -> None:
    """The steps between and what concerns no verification are not, nor are other apps' events; all are done."""
    scenario.audit.events = [event(kind, n) for n, kind in enumerate(EventType)]
    scenario.audit.events += [
        event("verification.approved", 99, app="bank"),
        event("verification.approved", 98, app=""),
    ]
    everything = list(scenario.audit.events)
    while scenario.use_case().collect(left_behind=False):
        pass
    assert {one.type for one in scenario.queue.queued} == EVENTS
    assert len(scenario.queue.queued) == len(EVENTS) == 27
    assert scenario.audit.finished == everything


def test_the_body_is_the_object_of_the_api(scenario: Scenario) -> None:
    """Type, the event's own time, and what GET /verify/{id} answers with; the id is the event's."""
    scenario.audit.events = [event()]
    scenario.use_case().collect(left_behind=False)
    (one,) = scenario.queue.queued
    body = json.loads(one.body)
    assert (one.id, one.app, one.verification) == (f"evt_02-{AT}-1", "shop", REF.verification_id)
    assert (body["type"], body["timestamp"]) == ("verification.approved", rfc3339(AT))
    assert set(body) == {"type", "timestamp", "data"}
    shown = shown_as(VerificationWithTimeline, view(), timeline=timeline_events(scenario.store.timeline(REF)))
    assert body["data"] == msgspec.to_builtins(shown)
    assert body["data"]["version"] == 4


def test_a_factors_callback_says_what_the_event_says(scenario: Scenario) -> None:
    """The person's `sub`, the factor, its number's mask; no verification is looked for."""
    scenario.audit.events = [event("factor.added", verification="")]
    scenario.use_case().collect(left_behind=False)
    (one,) = scenario.queue.queued
    assert json.loads(one.body) == {
        "type": "factor.added",
        "timestamp": rfc3339(AT),
        "data": {"sub": "00ff", "factor_id": "fac_1", "kind": "sms", "to": "+1******0143"},
    }


def test_a_body_stays_below_20_kb() -> None:
    """A long timeline is left out; everything else is there."""
    long = [TimelineEntry("check.failed", AT, None, {"n": n}) for n in range(400)]
    data = json.loads(callback_body("check.failed", AT, view(metadata='{"m":"x"}'), long))["data"]
    assert "timeline" not in data
    assert data["metadata"] == {"m": "x"}
    big = tuple(replace(view().deliveries[0], ordinal=n, error=("40300", "x" * 100)) for n in range(1, 30))
    text = callback_body("x", AT, replace(view(), deliveries=big, metadata='{"m":"' + "x" * 1000 + '"}'), long)
    assert len(text.encode()) < MAX_BODY


def test_one_look_serves_a_batch(scenario: Scenario) -> None:
    """Events of one verification that are read together cost one look."""
    scenario.audit.taken = [event(number=n) for n in range(20)]
    scenario.use_case().collect(left_behind=True)
    assert (len(scenario.queue.queued), len(scenario.store.viewed)) == (20, 1)


def test_an_outage_leaves_the_events_to_be_read_again(scenario: Scenario) -> None:
    """Nothing is reported as done unless it is queued."""
    scenario.audit.events = [event()]
    scenario.queue.away = "*"
    with pytest.raises(StoreUnavailable):
        scenario.use_case().collect(left_behind=False)
    assert scenario.audit.finished == []


@pytest.mark.parametrize("left_behind", [True, False])
def test_an_unreachable_queue_delays_its_own_app_only(scenario: Scenario, left_behind: bool) -> None:
    """Wherever its events stand in a batch; they are handed out again later, and the rest is done."""
    events = [event(number=n, app="slow", verification=SLOW.token) if n % 2 else event(number=n) for n in range(1, 7)]
    scenario.audit = FakeAuditConsumer(taken=events) if left_behind else FakeAuditConsumer(events)
    scenario.queue.away = "slow"
    assert scenario.use_case(("shop", "slow")).collect(left_behind=left_behind) == 3
    assert [one.app for one in scenario.queue.queued] == ["shop"] * 3
    assert [one.fields["app"] for one in scenario.audit.finished] == ["shop"] * 3


def test_what_only_another_process_knows_is_left_to_it(scenario: Scenario) -> None:
    """In a rolling restart one worker knows an app's endpoint and another does not; an app of nobody is done."""
    old, new = scenario.use_case(("shop",)), scenario.use_case(("shop", "slow"))
    new.announce()
    scenario.audit.events = [
        event(number=1, app="slow", verification=SLOW.token),
        event(number=2),
        event(number=3, app="bank"),
    ]
    assert old.collect(left_behind=False) == 2
    assert [one.app for one in scenario.queue.queued] == ["shop"]
    assert new.collect(left_behind=True) == 1
    assert [one.app for one in scenario.queue.queued] == ["shop", "slow"]
    assert scenario.audit.taken == []


@pytest.mark.parametrize(("metadata", "outcome"), [(None, "forgotten"), ("no json", "unreadable")])
def test_one_bad_record_holds_up_no_other(scenario: Scenario, metadata: str | None, outcome: str) -> None:
    """A verification that is gone or cannot be read is counted, and the events after it are sent."""
    scenario.store.views = {} if metadata is None else {REF: view(metadata=metadata)}
    scenario.audit.events = [event()]
    scenario.use_case().collect(left_behind=False)
    scenario.store.views = {REF: view()}
    scenario.audit.events = [event(number=2)]
    scenario.use_case().collect(left_behind=False)
    assert [one.id for one in scenario.queue.queued] == [f"evt_02-{AT}-2"]
    assert scenario.counted == [("shop", outcome), ("shop", "queued")]
    assert len(scenario.audit.finished) == 2


def test_what_is_crowded_out_is_counted(scenario: Scenario) -> None:
    """And an event that was queued before is not counted as queued."""
    scenario.queue.most_waiting = 1
    for number in (1, 2, 2):
        scenario.audit.events = [event(number=number)]
        scenario.use_case().collect(left_behind=False)
    assert [outcome for _, outcome in scenario.counted] == ["queued", "queued", "crowded_out", "known"]
    assert [one.id for one in scenario.queue.dead] == [f"evt_02-{AT}-1"]


@pytest.mark.parametrize(
    ("answer", "tries", "settled", "outcome"),
    [
        (Answer(204), 0, ("sent",), "sent"),
        (Answer(500, "status 500"), 0, ("again", RETRIES.steps_ms[0], 0, "status 500"), "failed"),
        (Answer(302, "status 302"), 2, ("again", RETRIES.steps_ms[2], 0, "status 302"), "failed"),
        (Answer(429, "status 429", 90), 0, ("again", 90_000, 90_000, "status 429"), "failed"),
        (Answer(0, "private address"), 0, ("again", RETRIES.steps_ms[0], 0, "private address"), "failed"),
        (Answer(410, "status 410"), 0, ("dead", GONE_PAUSE_MS, "status 410"), "dead"),
        (Answer(0, "no answer in time"), len(RETRIES.steps_ms), ("dead", 0, "no answer in time"), "dead"),
    ],
)
def test_what_becomes_of_a_try(
    scenario: Scenario, answer: Answer, tries: int, settled: tuple[Any, ...], outcome: str
) -> None:
    """Each answer of a receiver is written down, counted, and decides about the next try."""
    scenario.queue.queued = [Callback("evt_1", "shop", "check.failed", "vrf_x", "{}", tries)]
    scenario.receivers.answer = answer
    assert scenario.use_case().send_next("shop")
    assert not scenario.use_case().send_next("shop")
    assert scenario.queue.settled == [(settled[0], "evt_1", *settled[1:])]
    assert scenario.counted == [("shop", outcome)]


def test_a_receiver_that_hangs_holds_up_its_own_app_only(scenario: Scenario) -> None:
    """All threads of one app are blocked: another app's callbacks go out, and no more threads get blocked."""
    scenario.receivers.opened = threading.Event()
    scenario.queue.queued = [Callback(f"s{n}", "slow", "check.failed", "vrf_x", "{}") for n in range(20)]
    worker = CallbackWorker(scenario.use_case(("slow", "shop")), lambda: None, concurrency=3)

    def waiting(app: str) -> int:
        return sum(one.app == app for one in list(scenario.queue.queued))

    stop = threading.Event()
    for turn in range(1, 6):
        scenario.queue.queued.append(Callback(f"q{turn}", "shop", "check.failed", "vrf_x", "{}"))
        worker.look(stop)
        wait_until(lambda: len(scenario.queue.settled) == turn)  # noqa: B023 - it is over when the turn is
    assert scenario.queue.settled == [("sent", f"q{turn}") for turn in range(1, 6)]
    wait_until(lambda: waiting("slow") <= 17, what="its three threads")
    assert waiting("slow") == 17
    assert not any(one[1].startswith("s") for one in scenario.queue.settled)
    scenario.receivers.opened.set()
    wait_until(lambda: len(scenario.queue.settled) == 25)
    stop.set()
    worker.finish(30)


def test_an_ending_worker_waits_a_moment_only(scenario: Scenario) -> None:
    """What hangs is handed back: another worker sends it at once, not after its lease."""
    scenario.receivers.opened = threading.Event()
    scenario.queue.queued = [Callback("s", "slow", "check.failed", "vrf_x", "{}")]
    worker = CallbackWorker(scenario.use_case(("slow",)), lambda: None, concurrency=1)
    stop = threading.Event()
    worker.look(stop)
    wait_until(lambda: not scenario.queue.queued)
    stop.set()
    worker.finish(0.1)
    assert [(one.id, one.attempt) for one in scenario.queue.queued] == [("s", 1)]
    scenario.receivers.opened.set()


def test_events_are_read_to_their_end(scenario: Scenario) -> None:
    """One round reads all events, what others left included, and opens the groups first."""
    opened: list[bool] = []
    scenario.audit.events = [event(number=n) for n in range(120)]
    worker = CallbackWorker(scenario.use_case(), lambda: opened.append(True))
    for _ in range(2):
        worker.read(threading.Event())
    assert (len(scenario.audit.finished), opened) == (120, [True])
