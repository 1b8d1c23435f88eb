"""One delivery in a worker: the fakes behind its ports, and what was recorded."""

from types import MappingProxyType
from typing import Any

from otp_service.domain.circuit import BreakerDecision
from otp_service.domain.delivery import Accepted, Action, DeliveryReport, DeliveryStatus, Refused, SendOutcome
from otp_service.domain.guarding import Converted
from otp_service.domain.ids import Reference
from otp_service.domain.outbox import Job, PendingDelivery
from otp_service.domain.policy import App, Limit, Policy, Sender, SenderKind
from otp_service.keyring import Keyring, create, parse
from otp_service.usecases import sealed_box
from otp_service.usecases.deliver import Deliver
from otp_service.usecases.sealed_box import Box
from tests.fakes import (
    FakeCarrier,
    FakeDeliveries,
    FakeDeliveryReports,
    FakeLimits,
    FakeSenderHealth,
    FakeSenderRate,
    FakeVerifications,
    Log,
)

RAW = create(lambda n: bytes(range(n)), "2026-01-01T00:00:00Z")
RING = parse(RAW)
NUMBER, CODE = "+12025550143", "314159"
REF = RING.ids.new(RING.ids.number_hash(NUMBER), bytes(10))
JOB = Job(3, "1-0", REF, 1)
POOL = Sender("pool", SenderKind.NUMBER_POOL, "profile-a", None, 20.0)
APP = App("shop", "Acme", (POOL,), wrong_codes_per_number=(Limit(7, 1_000),))
POLICY = Policy(MappingProxyType({"shop": APP}), MappingProxyType({"pool": POOL}))


def box(ref: Reference = REF, **changes: Any) -> str:
    """The sealed box of a verification."""
    return RING.seal(sealed_box.pack(ref, Box(**{"to": NUMBER, "code": CODE, **changes})))


PENDING = PendingDelivery("shop", "pool", "sms", "en", "", 300_000, 0, box(), False, False)


class Scenario:
    """Outbox, carrier and store, which keep the order of what is asked of them in one log."""

    def __init__(
        self,
        pending: PendingDelivery | None = PENDING,
        *,
        outcome: SendOutcome | None = None,
        report: DeliveryReport | None = None,
        wait_ms: int = 0,
        late_s: float = 0.0,
        down_at: str = "",
        **delivery: Any,
    ) -> None:
        self.log: Log = []
        self.late_s = late_s
        self.left: list[str] = []
        self.unsent: list[Converted] = []
        self.outbox = FakeDeliveries(pending, log=self.log, down_at=down_at, **delivery)
        self.rate = FakeSenderRate({"pool": wait_ms}, log=self.log, down_at=down_at)
        self.reports = FakeDeliveryReports({(REF, 1): DeliveryStatus.SENT}, log=self.log)
        self.store = FakeVerifications(log=self.log)
        self.outer = FakeLimits()
        self.carrier = FakeCarrier(outcome or Accepted("m1", "queued"), report, self.log, down_at=down_at)

    def steps(self) -> list[str]:
        """The names of what was asked, in order."""
        return [entry[0] for entry in self.log]


def use_case(
    scenario: Scenario, policy: Policy = POLICY, ring: Keyring = RING, sender_health: FakeSenderHealth | None = None
) -> Deliver:
    """The use case of one process; half of every jitter, no real sleep."""
    clock = iter((100.0, 100.0 + scenario.late_s))
    return Deliver(
        deliveries=scenario.outbox,
        due=scenario.outbox,
        rate=scenario.rate,
        reports=scenario.reports,
        store=scenario.store,
        carrier=scenario.carrier,
        vault=ring,
        policy=policy,
        public_url="https://otp.example",
        sleep=lambda seconds: scenario.log.append(("sleep", seconds)),
        monotonic=lambda: next(clock),
        random=lambda: 0.5,
        count=lambda sender, outcome: scenario.log.append(("count", sender, outcome)),
        left=scenario.left.append,
        sender_health=sender_health or FakeSenderHealth(),
        outer=scenario.outer,
        unsent=scenario.unsent.append,
    )


NEXT = Refused("40002", "Spam", Action.NEXT_SENDER)
HELD = BreakerDecision(False, 700, "40333", "spent", is_hold=True)
