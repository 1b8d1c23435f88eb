"""The client and the sandbox carrier, two programs that share no code, agree on every operation.

Each promise is kept twice: with the sandbox in this process, and over a socket.
"""

import re
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from time import time
from typing import Any

import httpx
import pytest

from otp_service.domain.delivery import Accepted, Action, NotSent, Refused, Unknown
from otp_service.sandbox.app import create_app
from otp_service.sandbox.carrier import Carrier
from otp_service.sandbox.server import SandboxServer
from otp_service.telnyx.client import TelnyxClient
from otp_service.telnyx.exceptions import NotFoundError, RefusedError
from otp_service.telnyx.requests import SendRequest, WhatsAppTemplate, build_send
from otp_service.telnyx.responses import InboundMessage, OutboundMessage
from otp_service.telnyx.signatures import Verdict, parse_public_key, verify
from otp_service.telnyx.transport import Timeouts
from otp_service.telnyx.webhooks import DeliveryUpdate, Inbound, parse
from tests.conftest import wait_until

PROFILE = "abc85f64-5717-4562-b3fc-2c9600000000"
TOLL_FREE, SHORT_CODE = "+18445550001", "12345"
PERSON, BRITON = "+12025550143", "+447911123456"


@dataclass
class SandboxCarrier:
    """A sandbox, our client of it, and a client of its control endpoints."""

    client: TelnyxClient
    control: httpx.Client
    public_key: bytes

    def inbox(self, phone: str) -> list[dict[str, Any]]:
        """What arrived on a phone, newest first."""
        messages: list[dict[str, Any]] = self.control.get(f"/sandbox/phones/{phone}/messages").json()["messages"]
        return messages

    def reply(self, phone: str, text: str, to: str = TOLL_FREE) -> None:
        """A person replies."""
        self.control.post(f"/sandbox/phones/{phone}/messages", json={"to": to, "text": text}).raise_for_status()

    def chaos(self, **settings: Any) -> None:
        """Have the carrier misbehave."""
        self.control.put("/sandbox/chaos", json=settings).raise_for_status()


@pytest.fixture(params=["process", "socket"])
def sandbox(request: pytest.FixtureRequest) -> Iterator[SandboxCarrier]:
    """A fresh sandbox and a client, in one process or with a socket between them."""
    if request.param == "socket":
        with (
            SandboxServer(api_key="KEY") as server,
            TelnyxClient("KEY", f"{server.url}/v2") as client,
            httpx.Client(base_url=server.url, trust_env=False, timeout=20) as control,
        ):
            yield SandboxCarrier(client, control, parse_public_key(server.public_key_b64))
        return
    carrier = Carrier(api_key="KEY")
    transport = httpx.WSGITransport(app=create_app(carrier))
    try:
        with (
            TelnyxClient("KEY", "http://sandbox.test/v2", transport=transport) as client,
            httpx.Client(base_url="http://sandbox.test", transport=transport) as control,
        ):
            yield SandboxCarrier(client, control, parse_public_key(carrier.signer.public_key_b64))
    finally:
        carrier.close()


def sms(kind: str = "long_code", to: str = PERSON, text: str = "804519 is your code", **more: Any) -> SendRequest:
    """A send from the seeded senders."""
    sender = {"long_code": TOLL_FREE, "generic": TOLL_FREE, "short_code": SHORT_CODE, "alphanumeric": "Acme"}.get(kind)
    profile = None if kind in {"long_code", "short_code"} else PROFILE
    given: dict[str, Any] = {"sender": sender, "messaging_profile_id": profile, "webhook_url": None}
    return build_send(kind, to=to, text=text, **(given | more))


def _whatsapp(client: TelnyxClient) -> Any:
    template = WhatsAppTemplate("otp_code", "en_US", "804519", "dlv_1")
    return client.submit(sms("whatsapp", sender=TOLL_FREE, whatsapp=template), idempotency_key="key-1")


def _later() -> datetime:
    return datetime.now(UTC) + timedelta(hours=1)


def _scheduled(client: TelnyxClient) -> str:
    return client.schedule(to=PERSON, text="Hi", send_at=_later(), sender=TOLL_FREE).id


def _mobile(client: TelnyxClient) -> str:
    return next(client.list_mobile_numbers()).id


def _order(client: TelnyxClient) -> Any:
    return client.create_bulk_update(messaging_profile_id=PROFILE, numbers=["+18880000000"])


OPERATIONS: dict[str, tuple[str, Callable[[TelnyxClient], Any]]] = {
    "send": ("POST /messages", lambda c: c.submit(sms("generic"), idempotency_key="k")),
    "send long code": ("POST /messages/long_code", lambda c: c.submit(sms("long_code"), idempotency_key="k")),
    "send number pool": ("POST /messages/number_pool", lambda c: c.submit(sms("number_pool"), idempotency_key="k")),
    "send short code": ("POST /messages/short_code", lambda c: c.submit(sms("short_code"), idempotency_key="k")),
    "send WhatsApp": ("POST /messages/whatsapp", _whatsapp),
    "send group MMS": (
        "POST /messages/group_mms",
        lambda c: c.send_group_mms(sender=TOLL_FREE, to=[PERSON], text="Hi", idempotency_key="k"),
    ),
    "schedule": ("POST /messages/schedule", _scheduled),
    "cancel scheduled": ("DELETE /messages/{id}", lambda c: c.cancel_scheduled(_scheduled(c))),
    "retrieve": ("GET /messages/{id}", lambda c: c.retrieve(_scheduled(c))),
    "list opt-outs": ("GET /messaging_optouts", lambda c: c.opt_out_page(1, messaging_profile_id=PROFILE)),
    "list numbers": ("GET /phone_numbers/messaging", lambda c: next(c.list_numbers())),
    "show number": ("GET /phone_numbers/{id}/messaging", lambda c: c.show_number(TOLL_FREE)),
    "update number": ("PATCH /phone_numbers/{id}/messaging", lambda c: c.update_number(TOLL_FREE, tags=["otp"])),
    "list mobile numbers": ("GET /mobile_phone_numbers/messaging", _mobile),
    "show mobile number": (
        "GET /mobile_phone_numbers/{id}/messaging",
        lambda c: c.show_mobile_number(_mobile(c)),
    ),
    "create bulk update": ("POST /messaging_numbers_bulk_updates", _order),
    "show bulk update": (
        "GET /messaging_numbers_bulk_updates/{id}",
        lambda c: c.show_bulk_update(_order(c).order_id),
    ),
}
"""Every operation of the contract: method and path, and how our client asks for it."""


@pytest.mark.parametrize("name", OPERATIONS)
def test_every_operation_works_on_both_sides(sandbox: SandboxCarrier, name: str) -> None:
    """The client asks for it where the carrier has it, and understands what the sandbox answers."""
    where, ask = OPERATIONS[name]
    assert ask(sandbox.client) is not None
    last = sandbox.control.get("/sandbox/journal").json()["requests"][-1]
    method, path = where.split()
    shape = "/v2" + path.replace("{id}", "[^/]+")
    assert (last["method"], last["status"]) == (method, 200)
    assert re.fullmatch(shape, last["path"].partition("?")[0]), last["path"]


def test_the_table_has_all_operations() -> None:
    """Seventeen of them, and no two the same."""
    assert len({where for where, _ in OPERATIONS.values()}) == len(OPERATIONS) == 17


@pytest.mark.parametrize(
    ("kind", "to"),
    [
        ("generic", PERSON),
        ("long_code", PERSON),
        ("short_code", PERSON),
        ("number_pool", PERSON),
        ("alphanumeric", BRITON),
    ],
)
def test_every_kind_of_sms_arrives(sandbox: SandboxCarrier, kind: str, to: str) -> None:
    """Each kind of sender is accepted, rings the phone, and can be asked for until it was delivered."""
    outcome = sandbox.client.send(sms(kind, to), idempotency_key="key-1")
    assert isinstance(outcome, Accepted)
    assert outcome.status == "queued"

    def delivered() -> bool:
        receipt = sandbox.client.retrieve(outcome.message_id)
        return receipt is not None and receipt.status == "delivered" and receipt.to == to

    wait_until(delivered, what="the receipt")
    assert [message["id"] for message in sandbox.inbox(to)] == [outcome.message_id]


def test_a_whatsapp_template_arrives(sandbox: SandboxCarrier) -> None:
    """An authentication template brings its code to the phone."""
    template = WhatsAppTemplate("otp_code", "en_US", "804519", "dlv_1")
    outcome = sandbox.client.send(sms("whatsapp", sender=TOLL_FREE, whatsapp=template), idempotency_key="key-1")
    assert isinstance(outcome, Accepted)
    (message,) = wait_until(lambda: sandbox.inbox(PERSON), what="the message")
    assert "804519" in message["text"]


def test_a_group_message_reaches_everybody(sandbox: SandboxCarrier) -> None:
    """Group MMS: one message, several phones."""
    people = ["+12025550144", "+12025550145"]
    sent = sandbox.client.send_group_mms(sender=TOLL_FREE, to=people, text="Alarm", idempotency_key="key-1")
    assert [recipient.number for recipient in sent.to] == people
    wait_until(lambda: all(sandbox.inbox(phone) for phone in people), what="the messages")


def test_a_scheduled_message_can_be_withdrawn_once(sandbox: SandboxCarrier) -> None:
    """Schedule, show, cancel; a second cancel is refused, and so is what is too near."""
    later = datetime.now(UTC) + timedelta(hours=1)
    scheduled = sandbox.client.schedule(to=PERSON, text="Hi", send_at=later, sender=TOLL_FREE)
    assert scheduled.to[0].status == "scheduled"
    assert isinstance(sandbox.client.show_message(scheduled.id), OutboundMessage)
    assert sandbox.client.cancel_scheduled(scheduled.id).to[0].status == "cancelled"
    with pytest.raises(RefusedError):
        sandbox.client.cancel_scheduled(scheduled.id)
    with pytest.raises(RefusedError):
        sandbox.client.schedule(to=PERSON, text="Hi", send_at=datetime.now(UTC), sender=TOLL_FREE)


def test_the_shell_gets_messages_and_refusals(sandbox: SandboxCarrier) -> None:
    """`submit` returns the whole message, or raises with the carrier's own code."""
    message = sandbox.client.submit(sms("number_pool"), idempotency_key="key-1")
    assert message.sender is not None
    assert message.messaging_profile_id == PROFILE
    with pytest.raises(RefusedError) as refusal:
        sandbox.client.submit(sms(sender="+12025550199"))
    assert refusal.value.code == "40305"
    with pytest.raises(NotFoundError):
        sandbox.client.show_message("00000000-0000-0000-0000-000000000000")
    assert sandbox.client.retrieve("00000000-0000-0000-0000-000000000000") is None


def test_a_wrong_key_stops_everything() -> None:
    """A key the carrier does not know is refused, for everybody."""
    with SandboxServer(api_key="KEY") as server, TelnyxClient("WRONG", f"{server.url}/v2") as client:
        outcome = client.send(sms(), idempotency_key="key-1")
    assert isinstance(outcome, Refused)
    assert outcome.action is Action.STOP_ALL


def test_the_same_key_sends_once(sandbox: SandboxCarrier) -> None:
    """A repeat gets the first answer and rings nobody; the same key with another body is refused as our bug."""
    first = sandbox.client.send(sms(), idempotency_key="key-1")
    assert sandbox.client.send(sms(), idempotency_key="key-1") == first
    other = sandbox.client.send(sms(text="another"), idempotency_key="key-1")
    assert isinstance(other, Refused)
    assert (other.code, other.action) == ("10027", Action.BAD_REQUEST)
    wait_until(lambda: sandbox.inbox(PERSON), what="the message")
    assert len(sandbox.inbox(PERSON)) == 1


def test_a_stop_blocks_and_a_start_lifts(sandbox: SandboxCarrier) -> None:
    """STOP refuses every sender of the profile as an opt-out and stands in the list; START ends both."""
    sandbox.reply(PERSON, "STOP")
    for kind in ("long_code", "number_pool", "short_code"):
        outcome = sandbox.client.send(sms(kind), idempotency_key=f"key-{kind}")
        assert isinstance(outcome, Refused)
        assert (outcome.code, outcome.action, outcome.opted_out) == ("40300", Action.STOP_PERSON, True)
    (block,) = sandbox.client.list_opt_outs(messaging_profile_id=PROFILE)
    assert (block.to, block.sender, block.keyword) == (PERSON, TOLL_FREE, "STOP")
    assert abs(block.created_ms / 1000 - time()) < 60
    sandbox.reply(PERSON, "START")
    assert isinstance(sandbox.client.send(sms(), idempotency_key="key-2"), Accepted)
    assert list(sandbox.client.list_opt_outs()) == []


def test_opt_outs_are_listed_over_pages_with_every_filter(sandbox: SandboxCarrier) -> None:
    """Profile, sender, time, redaction and page size each do what they say."""
    people = [f"+1202555{n:04}" for n in range(100, 105)]
    for person in people:
        sandbox.reply(person, "STOP")
    moment = datetime.now(UTC)
    listed = sandbox.client.list_opt_outs
    assert [block.to for block in listed(page_size=2)] == people
    assert len(list(listed(sender=TOLL_FREE, since=moment - timedelta(minutes=1), until=moment))) == 5
    assert list(listed(since=moment + timedelta(minutes=1))) == []
    assert list(listed(until=moment - timedelta(minutes=1))) == []
    assert list(listed(messaging_profile_id="00000000-0000-0000-0000-000000000000")) == []
    assert not {block.to for block in listed(redacted=True)} & set(people)


def test_numbers_are_listed_over_pages_with_every_filter(sandbox: SandboxCarrier) -> None:
    """All numbers come once, and each filter narrows them as it says."""
    listed = sandbox.client.list_numbers
    everything = [number.phone_number for number in listed()]
    assert len(everything) == len(set(everything)) >= 22
    assert [number.phone_number for number in listed(page_size=5)] == everything
    assert {number.type for number in listed()} == {"tollfree", "longcode", "shortcode"}
    assert {number.phone_number for number in listed(messaging_profile_id=PROFILE)} >= {TOLL_FREE, SHORT_CODE}
    assert [number.phone_number for number in listed(phone_numbers=[TOLL_FREE])] == [TOLL_FREE]
    assert len(list(listed(phone_numbers=[TOLL_FREE, "+18880000001"]))) == 2
    assert {number.phone_number for number in listed(containing="888000")} == {f"+188800000{n:02}" for n in range(10)}
    assert [number.phone_number for number in listed(type="shortcode")] == [SHORT_CODE]
    rising = [number.phone_number for number in listed(containing="888000", sort="asc")]
    assert rising == sorted(rising)
    assert [number.phone_number for number in listed(containing="888000", sort="desc")] == rising[::-1]


def test_a_number_is_shown_and_changed(sandbox: SandboxCarrier) -> None:
    """By id and in E.164; a profile can be given and taken away, and what is not mentioned stays."""
    (number,) = sandbox.client.list_numbers(phone_numbers=["+18880000003"])
    assert number.messaging_profile_id is None
    assert sandbox.client.show_number("+18880000003") == sandbox.client.show_number(number.id) == number
    changed = sandbox.client.update_number(number.id, messaging_profile_id=PROFILE, tags=["otp"])
    assert (changed.messaging_profile_id, changed.tags) == (PROFILE, ("otp",))
    assert sandbox.client.update_number(number.id).messaging_profile_id == PROFILE
    taken = sandbox.client.update_number("+18880000003", messaging_profile_id="")
    assert (taken.messaging_profile_id, taken.tags) == (None, ("otp",))
    assert sandbox.client.show_number(TOLL_FREE).health is not None
    with pytest.raises(NotFoundError):
        sandbox.client.show_number("1")


def test_mobile_numbers_are_listed_and_shown(sandbox: SandboxCarrier) -> None:
    """Mobile numbers have a list and a page of their own."""
    (mobile,) = sandbox.client.list_mobile_numbers()
    assert sandbox.client.show_mobile_number(mobile.id) == mobile
    assert mobile.health is None
    with pytest.raises(NotFoundError):
        sandbox.client.show_number(mobile.id)


def test_numbers_are_moved_in_bulk(sandbox: SandboxCarrier) -> None:
    """An order is made, can be asked for until nothing is pending, and has done what it says."""
    numbers = [f"+188800000{n:02}" for n in range(10)]
    order = sandbox.client.create_bulk_update(messaging_profile_id=PROFILE, numbers=[*numbers, "+18885550000"])
    done = wait_until(
        lambda: (found := sandbox.client.show_bulk_update(order.order_id)) and not found.pending and found,
        what="the order",
    )
    assert (sorted(done.success), done.failed) == (numbers, ("+18885550000",))
    assert all(number.messaging_profile_id == PROFILE for number in sandbox.client.list_numbers(phone_numbers=numbers))


@pytest.mark.parametrize(
    ("mode", "outcome"),
    [
        ("http_500", Unknown),
        ("http_429", NotSent),
        ("timeout", Unknown),
        ("reset_after_request", Unknown),
        ("half_body", Unknown),
    ],
)
def test_whatever_happens_the_same_again_rings_once(mode: str, outcome: type) -> None:
    """After each mishap the same bytes with the same key bring exactly one message to the phone."""
    with (
        SandboxServer() as server,
        TelnyxClient("KEY", f"{server.url}/v2", timeouts=Timeouts(read_s=1.0)) as client,
        httpx.Client(base_url=server.url, trust_env=False, timeout=20) as control,
    ):
        sandbox = SandboxCarrier(client, control, b"")
        sandbox.chaos(send={"mode": mode})
        request = sms()
        assert isinstance(client.send(request, idempotency_key="key-1"), outcome)
        sandbox.chaos(send={"mode": "ok"})
        accepted = wait_until(
            lambda: isinstance(found := client.send(request, idempotency_key="key-1"), Accepted) and found,
            what="an answer",
        )
        wait_until(lambda: (found := client.retrieve(accepted.message_id)) and found.status == "delivered")
        assert [message["id"] for message in sandbox.inbox(PERSON)] == [accepted.message_id]


@dataclass
class WebhookReceiver:
    """Takes webhooks: (timestamp, signature, raw body) of each, in order of arrival."""

    url: str = ""
    received: list[tuple[str, str, bytes]] = field(default_factory=list)


@pytest.fixture
def receiver() -> Iterator[WebhookReceiver]:
    """A server that answers 200 to every webhook and keeps it."""
    box = WebhookReceiver()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            box.received.append((self.headers["telnyx-timestamp"], self.headers["telnyx-signature-ed25519"], body))
            self.send_response(200)
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base class's name
            """Nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    box.url = f"http://127.0.0.1:{server.server_address[1]}/webhooks/telnyx"
    try:
        yield box
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def judge(sandbox: SandboxCarrier, entry: tuple[str, str, bytes]) -> Verdict:
    """The verdict on one webhook, by the clock of now."""
    timestamp, signature, body = entry
    return verify(sandbox.public_key, timestamp=timestamp, signature=signature, body=body, now_s=time())


def events_of(sandbox: SandboxCarrier, receiver: WebhookReceiver, kind: Callable[[Any], bool]) -> list[Any]:
    """The genuine events of a kind so far."""
    genuine = [entry for entry in list(receiver.received) if judge(sandbox, entry) is Verdict.OK]
    return [event for event in (parse(body) for _, _, body in genuine) if kind(event)]


def test_a_delivery_is_told_by_genuine_webhooks(sandbox: SandboxCarrier, receiver: WebhookReceiver) -> None:
    """The sandbox's webhooks verify, name our delivery, and tell `sent` and `delivered`; forged ones are found out."""
    sandbox.chaos(webhooks={"forge_rate": 1.0})
    outcome = sandbox.client.send(sms(webhook_url=f"{receiver.url}/dlv_1"), idempotency_key="key-1")
    assert isinstance(outcome, Accepted)

    def reports() -> dict[str, Any]:
        updates = events_of(sandbox, receiver, lambda event: isinstance(event, DeliveryUpdate))
        return {update.reports[0].status: update.reports[0] for update in updates}

    wait_until(lambda: {"sent", "delivered"} <= set(reports()), what="the webhooks")
    assert {(r.message_id, r.delivery_id, r.to) for r in reports().values()} == {(outcome.message_id, "dlv_1", PERSON)}
    wait_until(lambda: len(receiver.received) >= 4, what="the forged webhooks")
    assert {judge(sandbox, entry) for entry in receiver.received} == {Verdict.OK, Verdict.BAD_SIGNATURE}


def test_a_failure_is_told_with_its_code(sandbox: SandboxCarrier, receiver: WebhookReceiver) -> None:
    """A failed delivery's webhook brings the carrier's code, and asking for the message says the same."""
    sandbox.chaos(delivery={"outcome": "delivery_failed", "error_code": "40001"})
    outcome = sandbox.client.send(sms(webhook_url=f"{receiver.url}/dlv_1"), idempotency_key="key-1")
    assert isinstance(outcome, Accepted)

    def failed() -> Any:
        updates = events_of(sandbox, receiver, lambda event: isinstance(event, DeliveryUpdate))
        return next((r for update in updates for r in update.reports if r.status == "delivery_failed"), None)

    receipt = wait_until(failed, what="the failure")
    assert (receipt.error.code, receipt.error.action) == ("40001", Action.STOP_PERSON)
    asked = sandbox.client.retrieve(outcome.message_id)
    assert asked is not None
    assert (asked.status, asked.error, asked.delivery_id) == ("delivery_failed", receipt.error, "dlv_1")


def test_what_people_write_arrives(receiver: WebhookReceiver) -> None:
    """An inbound message comes as a genuine webhook with the carrier's judgement, and can be looked up."""
    with (
        SandboxServer(webhook_url=receiver.url) as server,
        TelnyxClient("KEY", f"{server.url}/v2") as client,
        httpx.Client(base_url=server.url, trust_env=False, timeout=20) as control,
    ):
        sandbox = SandboxCarrier(client, control, parse_public_key(server.public_key_b64))
        sandbox.reply(PERSON, "stop")
        sandbox.reply(PERSON, "That was not me")

        def messages() -> dict[str, Inbound]:
            return {e.text: e for e in events_of(sandbox, receiver, lambda event: isinstance(event, Inbound))}

        wait_until(lambda: len(messages()) == 2, what="the messages")
        assert {text: event.autoresponse_type for text, event in messages().items()} == {
            "stop": "STOP",
            "That was not me": None,
        }
        event = messages()["stop"]
        assert (event.from_number, event.to_number, event.messaging_profile_id) == (PERSON, TOLL_FREE, PROFILE)
        shown = client.show_message(event.message_id)
        assert isinstance(shown, InboundMessage)
        assert (shown.sender, shown.text) == (PERSON, "stop")
