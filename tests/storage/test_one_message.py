"""One person's odd message touches nobody else's: the real parts over a real store, and a carrier that is scripted.

Whatever the carrier answers to one message, or reports of it, everybody else's go out by the first sender of the route
and at once. The exceptions are `findings.AT_ONCE`.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any, cast

import httpx
import pytest

from otp_service.domain.circuit import ACCOUNT, HOLDS_AFTER, TRIPS_AFTER, profile_scope, sender_scope
from otp_service.domain.delivery import DeliveryReport, Refused
from otp_service.domain.findings import AT_ONCE, PUMPING
from otp_service.domain.ids import Reference
from otp_service.domain.optout_list import OptOut
from otp_service.domain.outbox import Timer
from otp_service.domain.policy import Policy
from otp_service.telnyx.client import TelnyxClient
from otp_service.telnyx.errors import MEANINGS, OUTCOME_UNKNOWN, delivery_error
from otp_service.telnyx.gateway import Gateway
from otp_service.usecases.deliver import Deliver
from otp_service.usecases.receive import Receive
from otp_service.usecases.sender_health import SenderHealth

from .harness import BACKUP, POOL, SHOP, StoreHarness, fresh_number, word

Answer = Callable[[], httpx.Response]
FAST_POOL, FAST_BACKUP = replace(POOL, rate_per_s=10_000.0), replace(BACKUP, rate_per_s=10_000.0)
APP = replace(SHOP, route=(FAST_POOL, FAST_BACKUP))
ALONE = replace(SHOP, route=(FAST_POOL,))
ENDED = {"failed", "suppressed", "expired", "unconfirmed", "delivered"}


@dataclass
class Alerts:
    """Who would be paged."""

    told: list[Refused] = field(default_factory=list)

    def refused(self, refusal: Refused, sender: object) -> None:
        """One alert."""
        self.told.append(refusal)


class Service:
    """Worker and webhooks of one process over the store; `odd` maps a phone to what the carrier answers about it."""

    def __init__(self, harness: StoreHarness, app: Any = APP) -> None:
        self.harness, self.app = harness, app
        self.odd: dict[str, Answer] = {}
        self.sent: list[dict[str, Any]] = []
        self.alerts = Alerts()
        policy = Policy(MappingProxyType({"shop": app}), MappingProxyType({s.name: s for s in app.route}))
        self.sender_health = SenderHealth(
            circuits=harness.circuits,
            sender_stats=harness.sender_stats,
            policy=policy,
            alert=cast("Any", self.alerts),
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
            receipt = DeliveryReport(
                record[f"{ordinal}:message_id"], number, "delivery_failed", 0, error, ref.delivery_id(ordinal)
            )
            self.receive.reports.apply(word("evt"), [receipt])
            self.work(ref)

    def told(self, ref: Reference) -> list[tuple[str, str]]:
        """Sender and status of each delivery."""
        record = self.harness.record(ref)
        ordinals = range(1, int(record["deliveries"]) + 1)
        return [(record[f"{n}:sender"], record[f"{n}:status"]) for n in ordinals]

    def untouched(self, count: int) -> None:
        """So many others: each is accepted by the first sender at once."""
        for _ in range(count):
            assert self.told(self.start()) == [("pool", "sent")]

    def open_breakers(self) -> set[str]:
        """The scopes whose breaker is not closed."""
        # A process of its own sees them as they are now.
        fresh = StoreHarness(self.harness.store, self.harness.keys, self.harness.scripts, self.harness.ring)
        scopes = [ACCOUNT, *(s for each in self.app.route for s in (sender_scope(each.name), _profile(each)))]
        return {scope for scope, circuit in fresh.circuits.states(scopes).items() if circuit.state != "closed"}


def _profile(sender: Any) -> str:
    return profile_scope(sender.messaging_profile_id)


@pytest.fixture
def service(server_harness: StoreHarness) -> Service:
    """A service on the single server; breakers' scripts run on a cluster in `test_circuits`."""
    return Service(server_harness)


def refusal(code: str, status: int = 422) -> Answer:
    """The carrier's own envelope."""
    return lambda: httpx.Response(status, json={"errors": [{"code": code, "title": "As it happens"}]})


def page(status: int, content: bytes, kind: str, headers: Mapping[str, str] = MappingProxyType({})) -> Answer:
    """Somebody else's answer."""
    return lambda: httpx.Response(status, content=content, headers={"content-type": kind, **headers})


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


HTML = b"<!doctype html><title>Request blocked</title>"
BODIES = {
    "html": (HTML, "text/html"),
    "empty": (b"", "text/plain"),
    "cut": (b'{"data": {"id": "m', "application/json"),
    "shape": (b'{"message": "Forbidden", "code": null}', "application/json"),
    "list": (b"[]", "application/json"),
    "text": (b'{"errors": "denied"}', "text/html"),
}
STATUSES = (200, 301, 302, 400, 401, 402, 403, 404, 405, 408, 409, 410, 418, 422, 429)
FOREIGN = {
    f"{status} {name}": page(status, *body, {"location": "https://example.net/"} if 300 <= status < 400 else {})
    for status in (*STATUSES, 500, 502, 503)
    for name, body in BODIES.items()
} | {error.__name__: failing(error) for error in (httpx.ConnectError, httpx.ReadTimeout, httpx.RemoteProtocolError)}
CODES = sorted({*MEANINGS, *OUTCOME_UNKNOWN, "10011", "10036", "49999", "29999"})
MANY = ("40302", "10027", "40013", "20014")


@pytest.mark.parametrize("status", [400, 401, 403, 422])
def test_any_code_of_the_carrier_as_an_answer_to_one_message(service: Service, status: int) -> None:
    """Each in turn, whatever its status: nothing is open afterwards, and the others go out. Nobody is paged."""
    for code in set(CODES) - set(AT_ONCE):
        ref = service.start(refusal(code, status))
        service.persist(ref)
        assert service.open_breakers() == set(), code
        service.untouched(1)
        service.untouched(100 if code in MANY and status == 422 else 0)
    assert service.alerts.told == []


def test_any_code_of_the_carrier_as_a_report_of_one_message(service: Service) -> None:
    """A failed message has a sender held no more than a refused one."""
    for code in set(CODES) - {PUMPING}:
        service.report(service.start(), code)
        assert service.open_breakers() == set(), code
        service.untouched(1)
        service.untouched(100 if code in ("40013", "10015") else 0)
    assert service.alerts.told == []


def test_any_foreign_answer_to_one_message(service: Service) -> None:
    """A firewall's page, a redirect, an empty or cut body, a lost connection, at every one of the message's tries."""
    for name, answer in FOREIGN.items():
        service.persist(service.start(answer))
        assert service.open_breakers() == set(), name
        service.untouched(1)
        service.untouched(100 if name in ("403 html", "500 empty", "ReadTimeout") else 0)
    assert service.alerts.told == []


@pytest.mark.parametrize("code", ["10023", "http"])
def test_a_refused_message_goes_to_the_next_sender(service: Service, code: str) -> None:
    """What is wrong with a request by one sender need not be wrong with that by another."""
    ref = service.start(first(refusal(code) if code != "http" else page(403, HTML, "text/html")))
    assert [sender for sender, _ in service.told(ref)] == ["pool", "backup"]
    assert service.told(ref)[0] == ("pool", "failed")


@pytest.mark.parametrize("code", sorted(AT_ONCE))
def test_the_short_list_holds_at_once_and_stops_nobody(service: Service, code: str) -> None:
    """Told to people, seen in the metrics; the others' messages are sent all the same."""
    service.start(refusal(code, 401))
    assert service.open_breakers() != set()
    assert service.alerts.told[0].code == code
    for _ in range(20):
        assert service.told(service.start())[-1][1] == "sent"


@pytest.mark.parametrize(
    ("answer", "scope"),
    [
        (refusal("40305"), "sender:pool"),
        (refusal("40312"), "profile:profile-a"),
        (refusal("20014"), ACCOUNT),
        (page(403, HTML, "text/html"), ACCOUNT),
        (page(404, b"", "text/plain"), ACCOUNT),
        (page(301, HTML, "text/html"), ACCOUNT),
    ],
)
def test_what_meets_everybody_is_noticed(service: Service, answer: Answer, scope: str) -> None:
    """By the third number, with no success in between; people are told then, and not before."""
    for _ in range(HOLDS_AFTER - 1):
        service.start(answer)
    assert (service.open_breakers(), service.alerts.told) == (set(), [])
    service.start(answer)
    assert scope in service.open_breakers()
    assert service.alerts.told != []


def test_a_carrier_that_is_down_is_noticed(service: Service) -> None:
    """By the fifth number; a message then waits for a probe, and goes when the carrier is back."""
    for _ in range(TRIPS_AFTER):
        assert "sender:pool" not in service.open_breakers()
        service.start(failing(httpx.ConnectError))
    assert "sender:pool" in service.open_breakers()
    later = service.harness.now() + 60_000  # however slow this machine is
    service.harness.raw.hset(
        service.harness.keys.circuit("sender:pool"), mapping={"open_until_ms": later, "next_probe_ms": later}
    )
    # The next one takes the other sender at once.
    ref = service.start()
    assert service.told(ref)[-1] == ("backup", "sent")


def test_reports_of_several_numbers_hold(service: Service) -> None:
    """The third phone that the sender's carrier rejects it for; a delivery in between begins anew."""
    refs = [service.start() for _ in range(HOLDS_AFTER + 1)]
    for ref in refs[:2]:
        service.report(ref, "40013", [1])
    record = service.harness.record(refs[2])
    number = next(body["to"] for body in service.sent if refs[2].delivery_id(1) in body["webhook_url"])
    receipt = DeliveryReport(record["1:message_id"], number, "delivered", 0, None, refs[2].delivery_id(1))
    service.receive.reports.apply(word("evt"), [receipt])
    service.report(refs[3], "40013", [1])
    assert service.open_breakers() == set()
    for _ in range(2):
        service.report(service.start(), "40013", [1])
    assert "sender:pool" in service.open_breakers()


# ---- all senders of a route are held ---------------------------------------------------------------------------------


def hold_all(service: Service, code: str) -> None:
    """By so many numbers as it takes, at every sender of the route; the refused messages end with the reason."""
    for _ in range(HOLDS_AFTER):
        ref = service.start(refusal(code))
        assert {status for _, status in service.told(ref)} == {"failed"}


@pytest.mark.parametrize("code", ["40305", "40312", "40010", "10009", "20100", "40333"])
def test_a_route_that_is_held_is_tried_all_the_same(service: Service, code: str) -> None:
    """The next person's message goes out if the carrier takes it, and that ends the hold by which it went."""
    hold_all(service, code)
    assert service.open_breakers() != set()
    ref = service.start()
    assert service.told(ref)[-1][1] == "sent"
    assert set(service.told(ref)[:-1]) <= {("pool", "failed")}
    # Whoever it was, the sender is well again.
    assert service.told(service.start())[-1][1] == "sent"


@pytest.mark.parametrize("code", ["40305", "10009"])
def test_the_only_sender_is_tried_though_it_is_held(server_harness: StoreHarness, code: str) -> None:
    """Refused again, the person is told the carrier's reason; taken, the breaker closes."""
    service = Service(server_harness, ALONE)
    hold_all(service, code)
    requests = len(service.sent)
    ref = service.start(refusal(code))
    assert service.told(ref) == [("pool", "failed")]
    assert service.harness.record(ref)["1:error_code"] == code
    assert len(service.sent) == requests + 1
    assert service.told(service.start()) == [("pool", "sent")]
    assert service.open_breakers() == set()


def test_the_sender_whose_hold_ends_sooner_is_tried(service: Service) -> None:
    """The one before it gives way, and its delivery says what stood in the way."""
    service.start(first(refusal("40020"), refusal("40333")))
    assert service.open_breakers() == {"sender:pool", "profile:profile-b"}
    number = fresh_number()
    ref = service.harness.start(number, APP).reference
    midnight_is_later = service.harness.raw.hget(service.harness.keys.circuit("sender:pool"), "open_until_ms")
    assert int(midnight_is_later) > int(
        service.harness.raw.hget(service.harness.keys.circuit("profile:profile-b"), "open_until_ms")
    )
    service.work(ref)
    assert service.told(ref) == [("pool", "failed"), ("backup", "sent")]
    assert service.harness.record(ref)["1:error_code"] == "40020"
    assert "lets nothing through" in service.harness.record(ref)["1:error_title"]


def test_a_sender_that_is_not_left_for_this_person_is_no_better_one(service: Service) -> None:
    """They have stopped its profile: the held sender tries, instead of handing the message to nobody."""
    for _ in range(HOLDS_AFTER):
        service.start(first(refusal("40305")))
    assert service.open_breakers() == {"sender:pool"}
    number = fresh_number()
    order = service.harness.order(number, APP)
    stop = OptOut("profile-b", True, service.harness.now(), "STOP", "inbound")
    service.harness.optouts.record(order.reference.number_hash, "+1***", stop, word("evt"))
    ref = service.harness.start(number, APP).reference
    service.work(ref)
    assert service.told(ref) == [("pool", "sent")]


def test_what_may_have_been_sent_is_not_handed_on(service: Service) -> None:
    """Its answer is lost and its sender held meanwhile: the same bytes go again, by the same sender."""
    number = fresh_number()
    service.odd[number] = failing(httpx.ReadTimeout)
    ref = service.harness.start(number, APP).reference
    service.work(ref)
    assert service.told(ref) == [("pool", "unknown")]
    for _ in range(HOLDS_AFTER):
        service.start(first(refusal("40305")))
    assert service.open_breakers() == {"sender:pool"}
    del service.odd[number]
    service.persist(ref)
    assert service.told(ref) == [("pool", "sent")]
    tries = [body for body in service.sent if body["to"] == number]
    assert tries[0] == tries[-1]
