"""An app with a daily spend limit over a store whose scripts go by a clock that the test moves."""

from dataclasses import replace

from otp_service.domain.admission import OuterAnswer
from otp_service.domain.delivery import Action, DeliveryReport, Refused
from otp_service.domain.guard.policy import DAY_MS
from otp_service.domain.guarding import GuardNeeded
from otp_service.domain.ids import Reference
from otp_service.domain.outbox import Job, Timer
from otp_service.domain.policy import App
from otp_service.domain.prices import Cost, ExpectedCost
from otp_service.domain.spending import SpendState
from otp_service.domain.starting import Started, StartRefused
from otp_service.storage.spend import SpendTable
from otp_service.usecases.settle_costs import SettleCosts

from .guard import CLOCK
from .harness import SHOP, UNCAPPED, StoreHarness, fresh_number, word

STOP = Refused("40310", "Invalid number", Action.STOP_PERSON)
NEXT = Refused("40002", "Spam", Action.NEXT_SENDER)
CHEAP, DEAR = Cost(5_100, "USD"), Cost(9_000, "USD")
PRICE, LIMIT = 8_000, 40_000
"""Of a message, and for a day: five messages. Millionths."""


class ClockedTable(SpendTable):
    """What is read by the clock of the test, too."""

    def read(self, app: str) -> SpendState:
        """With the day of that clock."""
        state = super().read(app)
        state.today = int(self._store.client.get(CLOCK) or 0) // DAY_MS
        return state


class SpendingApp:
    """Starts, sends and reports, with what they do to the day's spending."""

    def __init__(self, harness: StoreHarness, app: App = SHOP) -> None:
        self.harness = harness
        self.app = replace(app, spend_limit=LIMIT, resend_after_ms=(0, 0), starts_per_number=())
        self.outer = harness.limits.outer
        self.table = ClockedTable(harness.store, harness.scripts, harness.keys)
        self.numbers: dict[Reference, str] = {}
        self.jobs: dict[Reference, Job] = {}
        self.counted: list[tuple[str, str, str, float]] = []
        self.settle = SettleCosts(table=self.table, currency="USD", count=lambda *what: self.counted.append(what))

    def wait(self, ms: int = DAY_MS) -> None:
        """Move the clock."""
        self.harness.raw.incrby(CLOCK, ms)

    def state(self) -> SpendState:
        """What is kept."""
        return self.table.read("shop")

    def spent(self) -> int:
        """What counts for today's limit."""
        return self.state().spent_today

    def take(self, micros: int = PRICE) -> OuterAnswer:
        """Take a price as a start does."""
        return self.outer.take([ExpectedCost("shop", "US", micros, LIMIT)])[0]

    def try_start(self, number: str | None = None) -> Started | StartRefused:
        """Start with the price of a message."""
        taken = self.take()
        number = number or fresh_number()
        made = self.harness.start_command(number, self.app, per_number=UNCAPPED, purpose=word("p"))
        outcome = self.harness.verifications.start(replace(made, spend=taken))
        assert not isinstance(outcome, GuardNeeded)
        if isinstance(outcome, Started):
            self.numbers[outcome.reference] = number
            self.jobs[outcome.reference] = self.harness.take(outcome.reference)
        else:
            self.outer.give_back([taken])
        return outcome

    def started(self) -> Reference:
        """A start that passes."""
        outcome = self.try_start()
        assert isinstance(outcome, Started), outcome
        return outcome.reference

    def begun(self, ref: Reference) -> Job:
        """A try that is under way."""
        job = self.jobs[ref]
        self.harness.must_begin(job, self.app)
        return job

    def report(
        self, ref: Reference, status: str, cost: Cost | None, ordinal: int = 1, message_id: str | None = None
    ) -> str:
        """What the carrier reports of a delivery; whether it moved."""
        said = DeliveryReport(message_id or f"msg-{ref.token[:8]}-{ordinal}", "+12025550143", status, cost=cost)
        applied = self.harness.reports.apply_report(ref, ordinal, ref.number_hash, said)
        self.settle(applied, said)
        return applied.outcome

    def give_back(self, ref: Reference, ordinal: int = 1) -> None:
        """What a worker gives back, twice, as after a crash."""
        timer = Timer(self.harness.keys.shard(ref.number_hash), "return", ref, ordinal)
        for _ in range(2):
            self.outer.give_back(self.harness.due_deliveries.claim_slots(timer))


def every_spend(harness: StoreHarness) -> None:
    """Every operation that writes to what an app has spent."""
    app = SpendingApp(harness)
    ref = app.started()
    app.begun(ref)
    app.report(ref, "delivered", Cost(5_100, "USD"))
    app.take(LIMIT)
    app.table.record_reached("shop", 1, 80, {})
