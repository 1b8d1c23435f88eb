"""What an app may spend on messages in a day: taken before they are sent, corrected by what the carrier reports."""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from otp_service.bootstrap.explaining import refusal_of
from otp_service.diagnosis.spending import check_spending
from otp_service.domain.delivery import Accepted, Unknown
from otp_service.domain.errors import StoreUnavailable
from otp_service.domain.explaining.explain import explain_next
from otp_service.domain.explaining.history import History
from otp_service.domain.explaining.record import Explanation
from otp_service.domain.guard.policy import DAY_MS
from otp_service.domain.ids import Reference
from otp_service.domain.outbox import Job
from otp_service.domain.phone import Phone
from otp_service.domain.policy import Policy
from otp_service.domain.prices import MICROS, Cost, Prices
from otp_service.domain.starting import StartRefused
from otp_service.storage.script_files import Script, Value
from otp_service.usecases.spend_of_person import SpendOfPerson
from otp_service.usecases.spend_watch import SpendWatch

from .delivery_service import APP, Service
from .guard import CLOCK, Clocked
from .harness import BANK, SHOP, StoreHarness, fresh_number
from .spending import CHEAP, DEAR, LIMIT, NEXT, PRICE, STOP, SpendingApp
from .test_explained import happened


@pytest.fixture
def app(redis_url: str, redis_server: object) -> Iterator[SpendingApp]:
    """The app, an hour before midnight."""
    harness = StoreHarness.open(redis_url, Clocked)
    harness.raw.set(CLOCK, (harness.now() // DAY_MS + 2) * DAY_MS - 3_600_000)
    harness.outbox.open()
    yield SpendingApp(harness)
    harness.close()


def test_a_start_without_room_is_refused_until_midnight(app: SpendingApp) -> None:
    """Five fit, and the sixth is refused with its reason; the next day begins with nothing."""
    for _ in range(5):
        app.started()
    refused = app.try_start()
    assert isinstance(refused, StartRefused)
    assert (refused.code, refused.limit) == ("guard_refused", "spend_limit")
    assert app.take().wait_ms == 3_600_000
    assert app.spent() == LIMIT
    app.wait(3_600_000)
    assert app.spent() == 0
    app.started()
    assert app.spent() == PRICE


def test_what_no_carrier_accepted_is_given_back_once(app: SpendingApp) -> None:
    """By a refusal, by a cancellation before it was sent; never what was accepted, or may have been."""
    refused, canceled, accepted, lost = (app.started() for _ in range(4))
    app.harness.deliveries.record_refused(app.begun(refused), STOP)
    app.harness.verifications.cancel("op", canceled, "shop")
    assert app.harness.begin(app.jobs[canceled], app.app) is None
    app.harness.deliveries.record_accepted(app.begun(accepted), Accepted("m", "queued"))
    app.harness.deliveries.record_unknown(app.begun(lost), 1_000, Unknown("timeout"))
    for ref in (refused, canceled, accepted, lost):
        app.give_back(ref)
    assert app.spent() == 2 * PRICE


def test_a_price_of_yesterday_is_given_back_to_yesterday(app: SpendingApp) -> None:
    """And what its report says corrects that day, too."""
    refused, accepted = app.started(), app.started()
    app.harness.deliveries.record_refused(app.begun(refused), STOP)
    app.begun(accepted)
    yesterday = app.state().today
    app.wait()
    app.give_back(refused)
    app.report(accepted, "delivered", CHEAP)
    assert app.state().counted == {yesterday: CHEAP.micros}


def test_a_failover_takes_the_price_with_it_or_takes_it_again(app: SpendingApp) -> None:
    """What was refused cost nothing; where the answer is lost, the next sender's message costs once more."""
    ref = app.started()
    app.harness.deliveries.record_refused(app.begun(ref), NEXT)
    assert app.harness.pending_delivery(app.harness.take(ref)).untaken is None
    app.give_back(ref)
    assert app.spent() == PRICE
    ref = app.started()
    app.harness.deliveries.record_accepted(app.begun(ref), Accepted("m-held", "queued", 9_999.0))
    job = app.harness.take(ref)
    untaken = app.harness.pending_delivery(job).untaken
    assert untaken is not None
    assert (untaken.app, untaken.region, untaken.micros) == ("shop", "US", PRICE)
    taken = app.take()
    permit = app.harness.deliveries.begin_send(job, "shop", "sealed", (), (), spend=taken)
    assert permit is not None
    assert app.harness.pending_delivery(job).untaken is None
    app.harness.deliveries.record_refused(job, STOP)
    app.give_back(ref, 2)
    assert app.spent() == 2 * PRICE


def test_a_failover_without_room_ends_the_delivery(app: SpendingApp) -> None:
    """It says why, and is no failure of the sender."""
    ref = app.started()
    app.harness.deliveries.record_accepted(app.begun(ref), Accepted("m-held", "queued", 9_999.0))
    for _ in range(4):
        app.take()
    job = app.harness.take(ref)
    assert app.harness.deliveries.begin_send(job, "shop", "sealed", (), (), spend=app.take()) is None
    record = app.harness.record(ref)
    assert (record["2:status"], record["2:error_code"]) == ("suppressed", "spend_limit")
    app.give_back(ref, 2)
    assert app.spent() == LIMIT


@pytest.mark.parametrize("room", [True, False])
def test_a_worker_takes_the_price_of_a_failover(app: SpendingApp, room: bool) -> None:
    """The first sender's message waits at the carrier for longer than its code lives, and may cost something."""
    service = Service(app.harness, replace(APP, spend_limit=LIMIT))
    number = fresh_number()
    held = {"id": "msg-held", "direction": "outbound", "to": [{"phone_number": number, "status": "queued"}]}
    service.odd[number] = lambda: httpx.Response(200, json={"data": {**held, "wait_seconds": 9_999}})
    ref = app.harness.start(number, service.app, spend=app.take()).reference
    if not room:
        app.take(LIMIT - PRICE)
    service.work(ref)
    assert service.outcomes(ref) == [("pool", "sent"), ("backup", "sent" if room else "suppressed")]
    assert len(service.sent) == 1 + room
    assert app.spent() == (2 * PRICE if room else LIMIT)


class Failing(Clocked):
    """The store refuses the begin of a try. `wrote_nothing`: whether it certainly has not run; None if it answers."""

    wrote_nothing: bool | None = None

    def _run(self, script: Script, keys: Sequence[str], args: Sequence[Value], *, repeat: bool) -> Any:
        if self.wrote_nothing is not None and script.name == "delivery/begin_send":
            raise StoreUnavailable("The store does not answer.", nothing_written=self.wrote_nothing)
        return super()._run(script, keys, args, repeat=repeat)


@pytest.mark.parametrize("wrote_nothing", [True, False])
def test_a_failover_that_was_not_begun_gives_its_price_back(
    redis_url: str, app: SpendingApp, wrote_nothing: bool
) -> None:
    """What may have been begun, though no answer came, keeps it."""
    harness = StoreHarness.open(redis_url, Failing)
    service, scripts, number = Service(harness, replace(APP, spend_limit=LIMIT)), harness.scripts, fresh_number()
    assert isinstance(scripts, Failing)
    held = {"id": "msg-held", "direction": "outbound", "to": [{"phone_number": number, "status": "queued"}]}

    def answer() -> httpx.Response:
        scripts.wrote_nothing = wrote_nothing
        return httpx.Response(200, json={"data": {**held, "wait_seconds": 9_999}})

    service.odd[number] = answer
    ref = harness.start(number, service.app, spend=app.take()).reference
    with pytest.raises(StoreUnavailable):
        service.work(ref)
    assert app.spent() == (PRICE if wrote_nothing else 2 * PRICE)
    harness.close()


def test_support_asks_for_as_much_as_a_start_takes(app: SpendingApp) -> None:
    """A brand outside of the GSM alphabet makes the text two parts: less room is none."""
    support = SpendOfPerson(app.outer, Prices(segments={"US": PRICE / MICROS}))
    to, long = Phone("+12025550143", "US", 1), replace(app.app, brand="Łódź " * 6)
    assert (support.wait_ms(app.app, to), support.wait_ms(long, to)) == (0, 0)
    app.take(LIMIT - PRICE)
    assert support.wait_ms(app.app, to) == 0
    assert support.wait_ms(long, to) > 0
    assert app.spent() == LIMIT - PRICE


def test_refusals_by_the_limit_explain_themselves(app: SpendingApp) -> None:
    """A start, and the delivery of a failover: the app has a limit, and what was spent is taken as recorded."""
    ref = app.started()
    app.harness.deliveries.record_accepted(app.begun(ref), Accepted("m-held", "queued", 9_999.0))
    app.take(LIMIT - PRICE)
    app.harness.deliveries.begin_send(app.harness.take(ref), "shop", "sealed", (), (), spend=app.take())
    refused = fresh_number()
    app.try_start(refused)
    policies = [Policy(apps={"shop": replace(app.app, spend_limit=limit)}) for limit in (LIMIT, None)]
    agree: list[list[bool]] = []
    for policy in policies:
        found = [*why(app, app.numbers[ref], policy), *why(app, refused, policy)]
        agree.append([one.agrees for one in found if "spend_limit" in one.recorded])
    assert agree == [[True, True], [False, False]]


def why(app: SpendingApp, number: str, policy: Policy) -> list[Explanation]:
    """Each decision about a number, explained by what came before it."""
    history = History(lambda _: policy)
    explanations = []
    for _, event in happened(app.harness, number):
        explanations.append(explain_next(event, history, lambda _: policy, refusal_of))
        history.follow(event)
    return [one for one in explanations if one is not None]


def test_reports_correct_what_was_expected(app: SpendingApp) -> None:
    """Once each; a later one may correct an earlier one; without a report the expected price stays."""
    first, second, _ = app.started(), app.started(), app.started()
    for ref in (first, second):
        app.begun(ref)
    for _ in range(2):
        app.report(first, "sent", CHEAP)
    assert app.spent() == CHEAP.micros + 2 * PRICE
    app.report(first, "delivered", DEAR)
    app.report(first, "sent", CHEAP)
    app.report(second, "delivery_failed", None)
    assert app.spent() == DEAR.micros + 2 * PRICE
    (place,) = app.state().places
    assert (place.expected, place.settled, place.messages) == (3 * PRICE, {"USD": DEAR.micros}, 1)
    assert app.counted == [("shop", "US", "USD", 0.0051), ("shop", "US", "USD", 0.0039)]


def test_another_currency_changes_no_limit(app: SpendingApp) -> None:
    """It is counted and shown, and what was expected stays."""
    ref = app.started()
    app.begun(ref)
    for _ in range(2):
        app.report(ref, "delivered", Cost(7_000, "EUR"))
    app.report(ref, "delivered", CHEAP)
    assert app.spent() == PRICE
    assert app.state().places[0].settled == {"EUR": 7_000}


def test_costs_are_counted_without_a_limit(app: SpendingApp) -> None:
    """Of a message for which nothing was taken."""
    started = app.harness.start("+13125559999", SHOP)
    app.harness.must_begin(app.harness.take(started.reference))
    app.report(started.reference, "delivered", CHEAP)
    assert app.spent() == CHEAP.micros
    assert app.state().places[0].expected == 0


def test_doctor_says_what_was_spent_and_fails_where_messages_are_refused(app: SpendingApp) -> None:
    """Of apps with a limit."""

    def lines() -> list[tuple[str, bool, str]]:
        policy = Policy(apps={"shop": app.app, "bank": BANK})
        return [(one.name, one.ok, one.detail) for one in check_spending(policy, "USD", app.table)]

    app.take()
    assert lines() == [("spending of shop", True, "0.0080 of 0.0400 USD today")]
    app.take(LIMIT)
    assert lines() == [
        ("spending of shop", False, "0.0080 of 0.0400 USD today; refused messages: 1; some need more than is left")
    ]


def test_old_days_are_dropped(app: SpendingApp) -> None:
    """The last 14 are shown."""
    for _ in range(16):
        app.take()
        app.wait()
    app.take()
    state = app.state()
    days = list(range(state.today - 13, state.today + 1))
    assert sorted(state.counted) == days
    assert [place.day for place in state.places] == days


def test_much_of_a_limit_is_told_once_a_day(app: SpendingApp) -> None:
    """At 80 %, and where a message is refused, by whichever process finds it first."""
    alerts: list[tuple[str, int]] = []
    shown: list[tuple[str, float, float | None]] = []

    def look() -> list[tuple[str, int]]:
        SpendWatch(
            apps=Policy(apps={"shop": app.app}).apps,
            table=app.table,
            currency="USD",
            alert=lambda *what: alerts.append(what),
            show=lambda *what: shown.append(what),
        ).look()
        return alerts

    app.take(LIMIT - PRICE - 1)
    assert look() == []
    app.take(PRICE)
    assert look() == look() == [("shop", 80)]
    app.take()
    assert look() == look() == [("shop", 80), ("shop", 100)]
    assert shown[-1] == ("shop", 0.039999, 0.04)
    app.wait()
    assert len(look()) == 2
    app.take(LIMIT)
    # Marks of the record live by the server's clock; the mark of another day is another one.
    assert look()[2:] == [("shop", 80), ("shop", 100)]


def test_a_refusal_alone_is_not_the_whole_limit(app: SpendingApp) -> None:
    """A message that costs more than is left says little of the limit: it is reached once 95 % of it are spent."""
    app.take(2 * LIMIT)
    for micros, reached in ((0, []), (LIMIT * 80 // 100, [80]), (LIMIT * 14 // 100, [80]), (LIMIT // 100, [80, 100])):
        if micros:
            app.take(micros)
        assert app.state().reached(LIMIT) == reached


def test_many_refusals_are_the_whole_limit(app: SpendingApp) -> None:
    """Where one message is a large part of the limit, the rest stays too little for each of them."""
    for count, reached in ((9, []), (10, [80, 100])):
        while app.state().refused.get(app.state().today, 0) < count:
            app.take(2 * LIMIT)
        assert app.state().reached(LIMIT) == reached


class Model:
    """Messages and what each of them counts, by the day of its start."""

    def __init__(self, app: SpendingApp) -> None:
        self.app = app
        self.today = app.state().today
        self.open: list[Job] = []
        self.settled: list[tuple[Reference, Cost]] = []
        self.costs: dict[Reference, tuple[int, int]] = {}

    def spent(self) -> dict[int, int]:
        """By day."""
        found: Counter[int] = Counter()
        for day, cost in self.costs.values():
            found[day] += cost
        return {day: cost for day, cost in found.items() if cost}

    def take(self, _: int) -> None:
        """A start, which passes exactly if there is room."""
        outcome = self.app.try_start()
        assert isinstance(outcome, StartRefused) is (self.spent().get(self.today, 0) + PRICE > LIMIT)
        if not isinstance(outcome, StartRefused):
            self.open.append(self.app.jobs[outcome.reference])
            self.costs[outcome.reference] = self.today, PRICE

    def refuse(self, n: int) -> None:
        """The carrier refuses it, or its code is over."""
        if not self.open:
            return
        job = self.open.pop(n % len(self.open))
        if self.app.harness.begin(job, self.app.app) is not None:
            self.app.harness.deliveries.record_refused(job, STOP)
        self.app.give_back(job.reference)
        del self.costs[job.reference]

    def report(self, n: int) -> None:
        """Its first report."""
        if not self.open:
            return
        ref, cost = self.open.pop(n % len(self.open)).reference, Cost(n * 1_000, "USD")
        self.settled.append((ref, cost))
        self.app.report(ref, "delivered", cost)
        self.costs[ref] = self.costs[ref][0], cost.micros

    def repeat(self, n: int) -> None:
        """The same once more."""
        if self.settled:
            ref, cost = self.settled[n % len(self.settled)]
            self.app.report(ref, "delivered", cost)

    def midnight(self, _: int) -> None:
        """The next day."""
        self.today += 1
        self.app.wait()


Step = Callable[[Model, int], None]
ALL: list[Step] = [Model.take, Model.take, Model.refuse, Model.report, Model.repeat, Model.midnight]


@given(steps=st.lists(st.tuples(st.sampled_from(ALL), st.integers(0, 7)), max_size=30))
@settings(max_examples=40)
def test_the_sum_is_that_of_the_messages_and_never_above_the_limit(
    app: SpendingApp, steps: list[tuple[Step, int]]
) -> None:
    """Whatever comes in whatever order, as long as no message costs more than was expected of it."""
    app.harness.raw.delete(app.harness.keys.spend("shop"))
    model = Model(app)
    for step, n in steps:
        step(model, n)
        state = app.state()
        assert state.spent_today <= LIMIT
        assert {day: micros for day, micros in state.counted.items() if micros} == model.spent()
