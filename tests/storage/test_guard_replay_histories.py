"""Whatever happened on record, the policy that judged it replays to the same outcomes and to the same budgets."""

from collections.abc import Iterator
from random import Random

import pytest

from otp_service.domain.audit import ZERO, Event
from otp_service.domain.delivery import Accepted, Action, Refused
from otp_service.domain.denial import Denial
from otp_service.domain.guard.policy import DAY_MS, HOUR_MS, MINUTE_MS, GuardPolicy
from otp_service.domain.guarding import Converted
from otp_service.domain.outbox import Timer
from otp_service.domain.person import Also
from otp_service.domain.starting import Started, StartRefused
from otp_service.guard_simulation.replay import Replay, feed
from otp_service.storage import safe_list
from otp_service.storage.people import People
from otp_service.storage.schema.guard_fields import Guard

from .guard import CLOCK, Clocked, GuardedApp
from .harness import POOL, StoreHarness, word
from .test_guard_rules import POLICY, STRICT, read

NUMBERS = [f"+1202{block}{line}" for block in (550, 551, 552, 553) for line in ("1000", "1007", "9999")]
WAITS_MS = [300, 2_000, MINUTE_MS, 20 * MINUTE_MS, HOUR_MS, 5 * HOUR_MS, DAY_MS, 4 * DAY_MS]
NO = Refused("40310", "Invalid number", Action.STOP_PERSON)
STEPS = 100


@pytest.fixture
def clocked(redis_url: str, redis_server: object, monkeypatch: pytest.MonkeyPatch) -> Iterator[StoreHarness]:
    """A store whose scripts and events go by the clock of the test."""
    monkeypatch.setattr(safe_list, "KNOWN_FOR_S", 0.0)
    made = StoreHarness.open(redis_url, Clocked)
    yield made
    made.close()


class History:
    """One app, and everything that can happen to its numbers."""

    def __init__(self, harness: StoreHarness, policy: GuardPolicy, chance: Random) -> None:
        harness.raw.flushall()
        harness.outbox.open()
        self.harness, self.chance = harness, chance
        self.app = GuardedApp(harness, policy)
        self.now = harness.now() + DAY_MS
        self.refused = self.sent = 0
        self.started: list[Started] = []
        self.wait(0)

    def wait(self, ms: int) -> None:
        """Move the clock: no two steps are at the same time."""
        self.now += ms + 1
        self.harness.raw.set(CLOCK, self.now)

    def start(self) -> None:
        """Of a few numbers in two countries, some by callers who know them."""
        number = self.chance.choice(NUMBERS)
        region, address = "AA" if number[7] in "01" else "BB", self.chance.choice([None, "192.0.2.1", "192.0.2.2"])
        outcome = self.app.start(number, region, address, known_user=self.chance.random() < 0.2)
        if isinstance(outcome, StartRefused):
            assert outcome.code == "guard_refused"
            self.refused += 1
        else:
            self.sent += 1
            self.started.append(outcome)

    def approve(self) -> None:
        """The right code of a start that may have ended."""
        if self.app.latest:
            self.app.approve(self.chance.choice(list(self.app.latest)))

    def complete(self) -> None:
        """A login that ended well otherwise; some of them are over, and some repeats."""
        if self.started:
            ref = self.chance.choice(self.started[-8:]).reference
            found = self.app.numbers.complete(ref, "shop", self.app.app.guard)
            if isinstance(found, Converted):
                self.app.guard.converted(self.app.app, found)
                self.app.guard.in_background()

    def factor(self) -> None:
        """Another factor of a person, to whom codes may have been sent."""
        self.app.guard.notes.factor_approved("shop", self.harness.hash_of(self.chance.choice(NUMBERS)))
        self.app.guard.in_background()

    def deliver(self) -> None:
        """The carrier takes what waits, or refuses it; a worker gives back what that leaves."""
        if not self.started:
            return
        for job in self.harness.jobs(self.chance.choice(self.started[-8:]).reference):
            if self.harness.begin(job, self.app.app) is None:
                pass
            elif self.chance.random() < 0.3:
                self.harness.deliveries.record_accepted(job, Accepted(word("m"), "queued"))
            else:
                self.harness.deliveries.record_refused(job, NO)
            self.wait(0)
            due = Timer(self.harness.keys.shard(job.reference.number_hash), "return", job.reference, 1)
            if (found := self.harness.due_deliveries.claim_guarded(due)) is not None:
                self.app.guard.unsent(found)

    def end(self) -> None:
        """Canceled, or denied by its person."""
        if self.started:
            ref = self.chance.choice(self.started[-8:]).reference
            if self.chance.random() < 0.5:
                self.harness.verifications.cancel(word(), ref, "shop")
            else:
                self.harness.verifications.deny(
                    ref, Denial(frozenset({"shop"}), frozenset({POOL.name}), self.now, self.now)
                )

    def safe(self) -> None:
        """A number comes to the safe list, or leaves it."""
        name = self.app.safe_list.number(self.chance.choice(NUMBERS))
        if not self.app.safe_table.add(name, "test"):
            self.app.safe_table.remove(name)
        self.app.safe_list.refresh()

    def lift(self) -> None:
        """Somebody who supports a person lets the next sends pass, for the app or as an operator."""
        people = People(self.harness.store, self.harness.scripts, self.harness.keys)
        number_hash, app = self.harness.hash_of(self.chance.choice(NUMBERS)), self.chance.choice(["shop", None])
        let_pass = {"shop": self.app.app.guard.counted_for_ms}
        assert "guard" in people.lift_lock(number_hash, "+1", app, "test", Also(let_pass=let_pass))

    def run(self) -> None:
        """So many steps."""
        steps = (self.start, self.approve, self.complete, self.factor, self.deliver, self.end, self.safe, self.lift)
        for _ in range(STEPS):
            self.chance.choices(steps, (12, 3, 1, 1, 2, 1, 1, 1))[0]()
            self.wait(self.chance.choice(WAITS_MS) if self.chance.random() < 0.2 else self.chance.choice([0, 40, 900]))

    def events(self) -> list[Event]:
        """Every event in order of time."""
        shards = self.harness.audit.shards
        page = self.harness.audit.read([ZERO] * shards, shards=range(shards), until_ms=None, limit=5_000, wanted={})
        assert page.at_end
        return page.events


@pytest.mark.parametrize(("seed", "policy"), [(0, POLICY), (5, POLICY), (3, STRICT), (7, STRICT)])
def test_every_history_replays_to_identical_outcomes(clocked: StoreHarness, seed: int, policy: GuardPolicy) -> None:
    """Starts, codes entered, completed logins, other factors, unsent messages, expiry, probes, the safe list, lifts."""
    history = History(clocked, policy, Random(seed))
    history.run()
    one = Replay(policy)
    feed({"shop": one}, history.events())
    found = one.comparison
    assert (found.newly_refused, found.newly_sent, found.approved_of_those) == (0, 0, 0)
    assert found.refused_before == found.refused_now
    keys, raw = clocked.keys, clocked.raw
    for record, key in (
        (one.counters.total, keys.total("shop")),
        *((country, keys.country("shop", region)) for region, country in one.counters.countries.items()),
    ):
        stored = raw.hgetall(key)
        for name, field in (("cold", Guard.COLD), ("warm", Guard.WARM), ("hour", Guard.HOUR), ("known", Guard.KNOWN)):
            if stored and hasattr(record, name) and field in stored:
                assert read(stored[field]) == getattr(record, name), (name, key)
    assert one.counters.total.approvals == int(raw.hget(keys.total("shop"), Guard.APPROVALS) or 0)
