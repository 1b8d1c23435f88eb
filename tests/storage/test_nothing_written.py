"""What was taken for a request is given back where the store refused it and wrote nothing, and kept where it may have.

Otherwise an outage would use up what an app may spend in a day, or a person's tries.
"""

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import pytest
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import ResponseError

from otp_service.domain.errors import Refusal, StoreUnavailable
from otp_service.domain.factor_checking import SentCode
from otp_service.domain.factors import Subject
from otp_service.domain.guard.policy import GuardPolicy
from otp_service.domain.policy import Policy
from otp_service.domain.prices import Prices
from otp_service.domain.starting import Started
from otp_service.storage.breaker import TRIPS_AFTER, Breaker
from otp_service.storage.connect import connect
from otp_service.storage.replica_guard import ReplicaGuard, UnconfirmedError
from otp_service.storage.replicas import Replicas
from otp_service.storage.script_files import Script, Value
from otp_service.storage.scripts import Scripts
from otp_service.storage.spend import SpendTable
from otp_service.storage.unsent import UnsentError, wrote_nothing
from otp_service.usecases.factors.check import CheckFactors
from otp_service.usecases.subjects import Subjects
from otp_service.usecases.verify import Verify
from otp_service.usecases.verify.spending import Spending
from tests.fakes import FakeKeyIds, FakeSenderHealth
from tests.usecases.verify.parts import NO_HOOKS, CheckRequest, StartRequest

from .factors import tries
from .guard import GuardedApp
from .harness import CODE, POOL, SHOP, StoreHarness, fresh_number

PRICE, LIMIT = 8_000, 24_000
APP = replace(SHOP, spend_limit=LIMIT)
_numbers = (f"+1202330{number:04d}" for number in itertools.count(1))


class Replies(Scripts):
    """Scripts of a process that waits for replicas. `loses`: after this script each server lacks one."""

    loses = ""
    lost = False
    """Whether the reply to a start is lost, each time."""

    def wait_for_replicas(self, harness: StoreHarness) -> None:
        """As a process does that counts them; there are none here, so none are missing."""
        self.guard = ReplicaGuard()
        self.runs = [harness.keys.run(shard) for shard in range(harness.keys.shards)]
        Replicas(harness.store, self, harness.keys, self.guard, None).look()

    def lack(self, *runs: str) -> None:
        """A replica of these shards is away."""
        for run in runs or self.runs:
            self.guard.learn(run, None)

    def _run(self, script: Script, keys: Sequence[str], args: Sequence[Value], *, repeat: bool) -> Any:
        reply = super()._run(script, keys, args, repeat=repeat)
        if script.name == self.loses:
            self.lack()
        if self.lost and script.name == "verification/start":
            raise StoreUnavailable("The store does not answer.")
        return reply


class Service:
    """The use cases over a store."""

    def __init__(self, url: str) -> None:
        self.harness = StoreHarness.open(url, Replies)
        self.harness.outbox.open()
        scripts = self.harness.scripts
        assert isinstance(scripts, Replies)
        self.scripts = scripts
        scripts.wait_for_replicas(self.harness)
        chance = itertools.count(1)
        self.verify = Verify(
            store=self.harness.verifications,
            outer=self.harness.limits.outer,
            parts=[Spending(Prices(segments={"US": PRICE / 1_000_000}))],
            exceeded=lambda *_: None,
            sender_health=FakeSenderHealth(),
            vault=self.harness.ring,
            key_ids=FakeKeyIds(),
            policy=Policy({"shop": APP}, {"pool": POOL}),
            issuer="https://otp.example",
            queue_max=10_000,
            token_bytes=lambda n: next(chance).to_bytes(n, "big"),
            randbelow=lambda below: below - 1,
            factor_store=self.harness.factors,
            ask_risk=NO_HOOKS,
        )

        self.factors = CheckFactors(
            store=self.harness.factors,
            vault=self.harness.ring,
            subjects=Subjects(self.harness.ring),
            policy=Policy({"shop": APP}, {"pool": POOL}),
            issuer="https://otp.example",
            token_bytes=lambda n: next(chance).to_bytes(n, "big"),
            sent=self.verify.check,
            tell=self.verify.tell,
        )

    def start(self) -> object:
        """A start of another number."""
        return self.verify.start("shop", StartRequest(next(_numbers)))

    def spent(self) -> int:
        """What counts for the day's limit."""
        return SpendTable(self.harness.store, self.scripts, self.harness.keys).read("shop").spent_today

    def sent_to(self, subject: Subject) -> Any:
        """The verification of a code that was sent to bind a number to the subject; its shard is another."""
        while True:
            number = fresh_number()
            hashed = self.harness.hash_of(number)
            if self.harness.keys.shard(hashed) != self.harness.keys.shard(subject.hash):
                break
        ref = self.harness.start(number, subject=subject.hash, purpose="bind").reference
        sealed = self.harness.ring.seal(number.encode())
        self.harness.factors.note_sent(SentCode(subject, "bind", ref, True, sealed))
        return ref


@pytest.fixture
def service(store_url: str) -> Iterator[Service]:
    """On a single server and in a Cluster."""
    made = Service(store_url)
    yield made
    made.harness.close()


def test_starts_that_were_not_written_cost_an_app_nothing(service: Service) -> None:
    """Twenty would have used up its day six times over."""
    service.scripts.lack()
    for _ in range(20):
        with pytest.raises(StoreUnavailable, match="too few replicas"):
            service.start()
    assert service.spent() == 0
    service.scripts.wait_for_replicas(service.harness)
    assert isinstance(service.start(), Started)
    assert service.spent() == PRICE
    service.scripts.lost = True
    with pytest.raises(StoreUnavailable):
        service.start()
    assert service.spent() == 2 * PRICE, "it may have been sent"


def test_starts_that_were_not_written_fill_no_budget(service: Service) -> None:
    """A Cluster asks the budgets between two steps; the second of them finds that a replica is away."""
    app = GuardedApp(service.harness, GuardPolicy(block_1k_in_6h=2))
    if not service.harness.store.is_cluster:
        service.scripts.lack()
    for _ in range(5):
        service.scripts.loses = "guard/take"
        with pytest.raises(StoreUnavailable, match="too few replicas"):
            app.start("+12025557001")
        service.scripts.loses = ""
        if service.harness.store.is_cluster:
            service.scripts.wait_for_replicas(service.harness)
    service.scripts.wait_for_replicas(service.harness)
    assert isinstance(app.start("+12025557002"), Started)
    assert isinstance(app.start("+12025557003"), Started)
    assert not isinstance(app.start("+12025557004"), Started)


def test_checks_that_were_not_judged_cost_a_person_no_try(service: Service) -> None:
    """The number's shard lacks a replica; the subject's, where a try is taken first, has all."""
    text = "user-of-two-shards"
    subject = Subjects(service.harness.ring).of("shop", text)
    ref = service.sent_to(subject)
    service.scripts.lack(service.harness.keys.run(service.harness.keys.shard(ref.number_hash)))
    request = CheckRequest(CODE, subject=text, purpose="bind")
    for _ in range(6):
        with pytest.raises(StoreUnavailable, match="too few replicas"):
            service.factors("shop", text, request)
    assert tries(service.harness, subject) == 0
    service.scripts.wait_for_replicas(service.harness)
    answer = service.factors("shop", text, request)
    assert not isinstance(answer, Refusal), answer
    assert answer.status == "approved"


def test_what_may_have_run_is_not_called_unwritten() -> None:
    """A write that no replica acknowledged, a lost reply, a refusal after a lost reply."""
    assert wrote_nothing(UnsentError("away"))
    assert wrote_nothing(ResponseError("NOREPLICAS too few"))
    for error in (UnconfirmedError("NOREPLICAS late"), RedisConnectionError("lost"), ResponseError("ERR other")):
        assert not wrote_nothing(error)
    breaker = Breaker()
    for _ in range(TRIPS_AFTER):
        breaker.trip()
    with pytest.raises(UnsentError):
        breaker.call_with_retry(str, print)


class Failing(Scripts):
    """Scripts whose tries end in these errors, one after the other."""

    errors: Iterator[Exception] = iter(())

    def _once(self, script: Script, keys: Sequence[str], args: Sequence[Value]) -> Any:
        for error in self.errors:
            raise error
        return super()._once(script, keys, args)


def test_of_two_tries_neither_may_have_run() -> None:
    """Nothing listens at the address. What the first try may have done, no second one undoes."""
    store = connect("redis://127.0.0.1:1")
    scripts, refused, lost = Failing(store), UnsentError("away"), RedisConnectionError("lost")
    try:
        for errors, nothing in (([], True), ([refused], True), ([lost], False), ([refused, lost], False)):
            scripts.errors = iter(errors)
            with pytest.raises(StoreUnavailable) as failure:
                scripts.call("store/count_replicas", {"run": "run"}, lower_in="", lower_to="")
            assert failure.value.nothing_written is nothing, errors
    finally:
        store.close()
