"""The scripts of the guard and the pure rules are one: the same starts, approvals and refusals, to the last bit."""

from collections.abc import Iterator
from dataclasses import astuple
from random import Random

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from otp_service.domain.guard import rules, updates
from otp_service.domain.guard.counters import Bucket, Counters
from otp_service.domain.guard.policy import DAY_MS, HOUR_MS, MINUTE_MS, GuardPolicy
from otp_service.domain.guard.rules import Start
from otp_service.domain.starting import StartRefused
from otp_service.storage.schema.encodings import GuardBucket, GuardProbes
from otp_service.storage.start_call import REFUSAL_GAP_MS

from .guard import CLOCK, Clocked, GuardedApp
from .harness import StoreHarness

POLICY = GuardPolicy(
    monitor_approvals=3,
    country_a_day=5,
    country_an_hour=3,
    total_a_day=7,
    share=0.9,
    base_rank=1,
    warm_after_ms=DAY_MS,
    warm_factor=1,
    outage_known=3,
    outage_floor=2,
    novelty_floor=3,
)
"""Small, so that every budget is spent in a short sequence."""

NUMBERS = [f"+1202{block}{line}" for block in range(550, 562) for line in ("1000", "1007", "9999")]
ADDRESSES = [None, None, "192.0.2.1", "2001:db8::1"]
WAITS_MS = [1_000, MINUTE_MS, 3 * MINUTE_MS, 20 * MINUTE_MS, HOUR_MS, 5 * HOUR_MS, DAY_MS, 4 * DAY_MS]
STEPS = 90


@pytest.fixture
def clocked(redis_url: str, redis_server: object) -> Iterator[StoreHarness]:
    """A store whose scripts go by the clock of the test."""
    made = StoreHarness.open(redis_url, Clocked)
    yield made
    made.close()


STRICT = msgspec.structs.replace(POLICY, address_countries=1, novelty_refuses=True)
"""With what else may refuse."""


class Both:
    """The scripts, and the rules beside them."""

    def __init__(self, harness: StoreHarness, policy: GuardPolicy = POLICY) -> None:
        harness.raw.flushall()
        self.policy = policy
        self.harness, self.counters = harness, Counters()
        self.app = GuardedApp(harness, policy)
        self.starts: dict[str, Start] = {}
        self.refused: dict[str, int] = {}
        self.now = harness.now() + DAY_MS
        self.wait(0)

    def wait(self, ms: int) -> None:
        """Move the clock."""
        self.now += ms
        self.harness.raw.set(CLOCK, self.now)

    def start(self, number: str, address: str | None, *, known_user: bool) -> None:
        """Both say the same, and count the same."""
        region = "AA" if int(number[5:8]) % 3 else "BB"
        one = Start(number, *rules.blocks(number), region, address or "", known_user)
        self.starts[number] = one
        verdict = rules.judge(self.counters, one, self.now, self.policy)
        reports = [] if self.is_repeated(number, refused=verdict.refused) else self.settled(one, verdict)
        before = len(self.app.events.found)
        outcome = self.app.start(number, region, address, known_user=known_user)
        assert isinstance(outcome, StartRefused) == verdict.refused, (outcome, verdict)
        if isinstance(outcome, StartRefused):
            assert (outcome.code, outcome.limit) == ("guard_refused", verdict.full[0])
        assert len(self.app.events.found) - before == len(reports), (self.app.events.found[before:], reports)
        self.compare(region)

    def settled(self, one: Start, verdict: rules.Verdict) -> list[updates.Report]:
        """Count it."""
        return updates.settle(self.counters, one, verdict, self.now, self.policy)

    def is_repeated(self, number: str, *, refused: bool) -> bool:
        """A number's refusal within a second of its last one on record changes nothing, and is not on record."""
        if refused and self.now < self.refused.get(number, 0) + REFUSAL_GAP_MS:
            return True
        if refused:
            self.refused[number] = self.now
        return False

    def approve(self, number: str) -> None:
        """An approval, where the code still lives."""
        if self.app.approve(number):
            updates.approve(self.counters, self.starts[number], self.now, self.policy)
            self.compare(self.starts[number].country)

    def compare(self, region: str) -> None:
        """Every bucket and every row of probes of the country and of the total; blocks and addresses too."""
        keys, raw = self.harness.keys, self.harness.raw
        for record, key in (
            (self.counters.total, keys.total("shop")),
            (self.counters.country(region), keys.country("shop", region)),
        ):
            found = raw.hgetall(key)
            if not found:
                continue
            for name in ("cold", "warm", "hour", "outage", "known"):
                if hasattr(record, name):
                    stored = found.get("known_starts" if name == "known" else name, UNTOUCHED)
                    assert read(stored) == getattr(record, name), (name, key)
            assert tuple(map(int, GuardProbes.parse(found.get("probes", NO_PROBES)))) == astuple(record.probes), key
        narrow = [*self.counters.blocks_10k.values(), *self.counters.blocks_1k.values()]
        known = [text for key in raw.keys("*:blocks:*") for text in raw.hgetall(key).values()]
        assert {(one.level, one.at_ms) for one in map(read, known)} <= {(one.level, one.at_ms) for one in narrow}
        levels = {address.bucket.level for address in self.counters.addresses.values()}
        assert {float(text.split("|")[0]) for text in raw.hvals(keys.addresses("shop"))} <= levels


UNTOUCHED, NO_PROBES = GuardBucket.pack(0, 0, 0), GuardProbes.pack(0, 0, 0)
"""What was never changed has no field."""


def read(text: str) -> Bucket:
    """A bucket as the store has it."""
    level, at, refused = GuardBucket.parse(text)
    return Bucket(float(level), int(at), int(refused))


def run(both: Both, chance: Random) -> None:
    """Bursts of starts, approvals of some, and waits."""
    for _ in range(STEPS):
        match chance.choices(("start", "approve", "wait"), (6, 2, 1))[0]:
            case "start":
                address = chance.choice(ADDRESSES)
                both.start(chance.choice(NUMBERS), address, known_user=chance.random() < 0.2)
            case "approve":
                both.approve(chance.choice([*both.app.latest, NUMBERS[0]]))
            case _:
                both.wait(chance.choice(WAITS_MS))


@settings(max_examples=12)
@given(st.randoms(use_true_random=False), st.sampled_from([POLICY, STRICT]))
def test_scripts_and_rules_are_one(clocked: StoreHarness, chance: Random, policy: GuardPolicy) -> None:
    """Random sequences of starts, approvals and waits over twelve blocks, two countries and two addresses."""
    run(Both(clocked, policy), chance)
