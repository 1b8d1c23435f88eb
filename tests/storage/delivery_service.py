"""The delivery loop in one process: real store, real client, and a carrier whose responses the test decides."""

import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from types import MappingProxyType
from typing import Any

import httpx

from otp_service.domain.circuit import ACCOUNT, profile_scope, sender_scope
from otp_service.domain.delivery import DeliveryReport
from otp_service.domain.ids import Reference
from otp_service.domain.outbox import Timer
from otp_service.domain.policy import Policy
from otp_service.telnyx.client import TelnyxClient
from otp_service.telnyx.errors import delivery_error
from otp_service.telnyx.gateway import Gateway
from otp_service.usecases.deliver import Deliver
from otp_service.usecases.receive import Receive
from otp_service.usecases.sender_health import SenderHealth
from tests.fakes import FakeAlertOnCall

from .harness import BACKUP, POOL, SHOP, StoreHarness, fresh_number, word

Answer = Callable[[], httpx.Response]
FAST_POOL, FAST_BACKUP = replace(POOL, rate_per_s=10_000.0), replace(BACKUP, rate_per_s=10_000.0)
APP = replace(SHOP, route=(FAST_POOL, FAST_BACKUP))


class Service:
    """Worker and webhooks of one process over the store; `odd` maps a phone to what the carrier answers about it."""

    def __init__(self, harness: StoreHarness, app: Any = APP) -> None:
        self.harness, self.app = harness, app
        self.odd: dict[str, Answer] = {}
        self.sent: list[dict[str, Any]] = []
        self.alerts = FakeAlertOnCall()
        policy = Policy(MappingProxyType({"shop": app}), MappingProxyType({s.name: s for s in app.route}))
        self.sender_health = SenderHealth(
            circuits=harness.circuits,
            sender_stats=harness.sender_stats,
            policy=policy,
            alert=self.alerts,
            monotonic=lambda: 0.0,
            count=lambda *_: None,
        )
        self.deliver = Deliver(
            deliveries=harness.deliveries,
            due=harness.due_deliveries,
            rate=harness.sender_rate,
            reports=harness.reports,
            store=harness.verifications,
            carrier=Gateway(TelnyxClient("KEY", transport=httpx.MockTransport(self._answer))),
            vault=harness.ring,
            policy=policy,
            public_url="https://otp.example",
            sleep=lambda _: None,
            monotonic=lambda: 0.0,
            random=lambda: 0.5,
            count=lambda *_: None,
            sender_health=self.sender_health,
            outer=harness.limits.outer,
        )
        self.receive = Receive(
            reports=harness.reports,
            store=harness.verifications,
            optouts=harness.optouts,
            vault=harness.ring,
            policy=policy,
            sender_health=self.sender_health,
        )

    def _answer(self, request: httpx.Request) -> httpx.Response:
        body = json.loads(request.content)
        self.sent.append(body)
        if body["to"] in self.odd:
            return self.odd[body["to"]]()
        to = [{"phone_number": body["to"], "status": "queued"}]
        return httpx.Response(200, json={"data": {"id": word("msg-"), "direction": "outbound", "to": to}})

    def start(self, answer: Answer | None = None) -> Reference:
        """Start a verification of a new person, as the API does, and work until there is nothing more to do now."""
        number = fresh_number()
        if answer is not None:
            self.odd[number] = answer
        route, healthy = self.sender_health.route(self.app, self.app.route)
        ref = self.harness.start(number, self.app, route=route, healthy=healthy).reference
        self.work(ref)
        return ref

    def work(self, ref: Reference) -> None:
        """Every entry of this person's shard."""
        while jobs := self.harness.jobs(ref):
            for job in jobs:
                self.deliver.send(job)

    def persist(self, ref: Reference) -> None:
        """Let every retry's time come, and the failover's, as often as they would within a code's life."""
        shard = self.harness.keys.shard(ref.number_hash)
        for _ in range(6):
            for member in self.harness.timers(ref):
                kind, _, name = member.partition(":")
                if kind == "retry" and name.startswith(f"dlv_{ref.token}-"):
                    self.harness.raw.zadd(self.harness.keys.timers(shard), {member: 1})
                    self.harness.due_deliveries.requeue(Timer(shard, "retry", ref, int(name.rpartition("-")[2])))
            self.work(ref)

    def report(self, ref: Reference, code: str, ordinals: Sequence[int] = (1, 2)) -> None:
        """Failed reports with this code for these messages that the person was sent."""
        for ordinal in ordinals:
            record = self.harness.record(ref)
            if f"{ordinal}:message_id" not in record:
                return
            number = next(body["to"] for body in self.sent if body["webhook_url"].endswith(ref.delivery_id(ordinal)))
            error = delivery_error({"code": code, "title": "As it happens"})
            report = DeliveryReport(
                record[f"{ordinal}:message_id"], number, "delivery_failed", 0, error, ref.delivery_id(ordinal)
            )
            self.receive.reports.apply([report])
            self.work(ref)

    def outcomes(self, ref: Reference) -> list[tuple[str, str]]:
        """Sender and status of each delivery."""
        record = self.harness.record(ref)
        ordinals = range(1, int(record["deliveries"]) + 1)
        return [(record[f"{n}:sender"], record[f"{n}:status"]) for n in ordinals]

    def untouched(self, count: int) -> None:
        """So many others: each is accepted by the first sender at once."""
        for _ in range(count):
            assert self.outcomes(self.start()) == [("pool", "sent")]

    def open_breakers(self) -> set[str]:
        """The scopes whose breaker is not closed."""
        # A process of its own sees them as they are now.
        fresh = StoreHarness(self.harness.store, self.harness.keys, self.harness.scripts, self.harness.ring)
        scopes = [ACCOUNT, *(s for each in self.app.route for s in (sender_scope(each.name), _profile(each)))]
        return {scope for scope, circuit in fresh.circuits.states(scopes).items() if circuit.state != "closed"}


def _profile(sender: Any) -> str:
    return profile_scope(sender.messaging_profile_id)


def refusal(code: str, status: int = 422) -> Answer:
    """The carrier's own envelope."""
    return lambda: httpx.Response(status, json={"errors": [{"code": code, "title": "As it happens"}]})


def first(*answers: Answer) -> Answer:
    """These answers, one after the other, and acceptance from then on."""
    left = iter(answers)

    def answer() -> httpx.Response:
        accepted = {"data": {"id": word("msg-"), "to": []}}
        return next(left, lambda: httpx.Response(200, json=accepted))()

    return answer


def failing(error: type[httpx.TransportError]) -> Answer:
    """No answer."""

    def fail() -> httpx.Response:
        raise error("x")

    return fail
