"""The carrier's own Python SDK, unchanged, works against the sandbox: an independent check of it.

The SDK is a development dependency and nothing else; the service has its own client (`telnyx.client`).
Its models are built without validation. Here they are validated, so an answer that the carrier's own types do not
accept is a failure, too.
"""

import json
import re
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import httpx
import pytest

from otp_service.sandbox.optouts import Block
from otp_service.sandbox.seeds import POOL
from otp_service.sandbox.server import SandboxServer
from tests.conftest import NEEDS, wait_until

telnyx: Any = pytest.importorskip("telnyx", reason=f"{NEEDS} the package telnyx")

PROFILE = "abc85f64-5717-4562-b3fc-2c9600000000"
TOLL_FREE, SHORT_CODE, MOBILE = "+18445550001", "12345", "+13127367407"
PERSON, OTHER = "+12025550143", "+12025550144"
NOBODY = "00000000-0000-0000-0000-000000000000"
CODE = [{"type": "text", "text": "804519"}]
TEMPLATE = {
    "type": "template",
    "template": {
        "name": "otp_code",
        "language": {"policy": "deterministic", "code": "en_US"},
        "components": [
            {"type": "body", "parameters": CODE},
            {"type": "button", "sub_type": "url", "index": 0, "parameters": CODE},
        ],
    },
}


@dataclass
class WebhookReceiver:
    """Takes webhooks: headers and raw body of each, in order of arrival."""

    url: str = ""
    received: list[tuple[dict[str, str], str]] = field(default_factory=list)


@dataclass
class SandboxClient:
    """A sandbox on a socket, the SDK pointed at it, its steering wheel, and where its webhooks go."""

    server: SandboxServer
    sdk: Any
    control: httpx.Client
    receiver: WebhookReceiver

    def inbox(self, phone: str) -> list[dict[str, Any]]:
        """What arrived on a phone."""
        messages: list[dict[str, Any]] = self.control.get(f"/sandbox/phones/{phone}/messages").json()["messages"]
        return messages

    def says(self, phone: str, text: str) -> None:
        """A person replies."""
        answer = self.control.post(f"/sandbox/phones/{phone}/messages", json={"to": TOLL_FREE, "text": text})
        answer.raise_for_status()

    def chaos(self, **settings: Any) -> None:
        """Have the carrier misbehave."""
        self.control.put("/sandbox/chaos", json=settings).raise_for_status()


@pytest.fixture(scope="module")
def running() -> Iterator[SandboxClient]:
    """One sandbox and one SDK client for all tests: the SDK takes seconds to import."""
    receiver = WebhookReceiver()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"])).decode()
            receiver.received.append((dict(self.headers.items()), body))
            self.send_response(200)
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base class's name
            """Nothing."""

    hooks = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=hooks.serve_forever, args=(0.02,))
    thread.start()
    receiver.url = f"http://127.0.0.1:{hooks.server_address[1]}/webhooks/telnyx"
    with (
        SandboxServer(api_key="KEY", webhook_url=receiver.url) as server,
        httpx.Client(base_url=server.url, trust_env=False, timeout=20) as control,
        telnyx.Telnyx(
            api_key="KEY",
            base_url=f"{server.url}/v2",
            public_key=server.public_key_b64,
            max_retries=0,
            http_client=httpx.Client(trust_env=False),
        ) as sdk,
    ):
        yield SandboxClient(server, sdk, control, receiver)
    hooks.shutdown()
    thread.join()
    hooks.server_close()


@pytest.fixture
def sandbox_client(running: SandboxClient) -> SandboxClient:
    """The same, with everything forgotten."""
    running.control.post("/sandbox/reset").raise_for_status()
    running.receiver.received.clear()
    return running


def valid(model: Any) -> Any:
    """The model, after the SDK's own types have accepted every field of it.

    But for two words that the carrier's guides have and its document lacks: `scheduled` and `cancelled`.
    """
    told = json.dumps(model.to_dict(mode="json", warnings=False))
    type(model).model_validate_json(re.sub(r'"status": "(scheduled|cancelled)"', '"status": "queued"', told))
    return model


def later(**delta: float) -> datetime:
    """A moment from now on."""
    return datetime.now(UTC) + timedelta(**delta)


Send = Callable[[Any], Any]
SENDS: dict[str, Send] = {
    "send": lambda m: m.send(from_=TOLL_FREE, to=PERSON, text="Hello"),
    "send by profile": lambda m: m.send(messaging_profile_id=PROFILE, to=PERSON, text="Hello"),
    "long code": lambda m: m.send_long_code(from_=TOLL_FREE, to=PERSON, text="Hello"),
    "number pool": lambda m: m.send_number_pool(messaging_profile_id=PROFILE, to=PERSON, text="Hello"),
    "short code": lambda m: m.send_short_code(from_=SHORT_CODE, to=PERSON, text="Hello"),
    "group MMS": lambda m: m.send_group_mms(from_=TOLL_FREE, to=[PERSON, OTHER], text="Hello"),
    "WhatsApp": lambda m: m.whatsapp(from_=TOLL_FREE, to=PERSON, type="WHATSAPP", whatsapp_message=TEMPLATE),
}


class TestMessages:
    """Sending, looking up, scheduling, withdrawing."""

    @pytest.mark.parametrize("name", SENDS)
    def test_a_send_is_accepted_arrives_and_can_be_looked_up(self, sandbox_client: SandboxClient, name: str) -> None:
        """The message that the SDK got an id for rings the phone, and is told to be delivered."""
        sent = valid(SENDS[name](sandbox_client.sdk.messages)).data
        assert (sent.direction, sent.to[0].phone_number, sent.to[0].status) == ("outbound", PERSON, "queued")

        def delivered() -> bool:
            shown = valid(sandbox_client.sdk.messages.retrieve(sent.id)).data
            return all(recipient.status == "delivered" for recipient in shown.to)

        wait_until(delivered, what="the delivery")
        (message,) = sandbox_client.inbox(PERSON)
        assert ("804519" if name == "WhatsApp" else "Hello") in message["text"]

    def test_a_pool_chooses_one_of_its_numbers(self, sandbox_client: SandboxClient) -> None:
        """The answer says which."""
        sent = sandbox_client.sdk.messages.send_number_pool(messaging_profile_id=PROFILE, to=PERSON, text="Hello").data
        assert sent.from_.phone_number in POOL

    @pytest.mark.parametrize("operation", ["schedule", "send"])
    def test_a_message_is_scheduled_withdrawn_and_looked_up(
        self, sandbox_client: SandboxClient, operation: str
    ) -> None:
        """Both ways to schedule; the withdrawn message comes bare, with its id at the top."""
        made = getattr(sandbox_client.sdk.messages, operation)(
            from_=TOLL_FREE, to=PERSON, text="Hi", send_at=later(hours=1)
        )
        assert valid(made).data.to[0].status == "scheduled"
        withdrawn = valid(sandbox_client.sdk.messages.cancel_scheduled(made.data.id))
        assert (withdrawn.id, withdrawn.to[0].status) == (made.data.id, "cancelled")
        assert valid(sandbox_client.sdk.messages.retrieve(made.data.id)).data.to[0].status == "cancelled"
        with pytest.raises(telnyx.PermissionDeniedError):
            sandbox_client.sdk.messages.cancel_scheduled(made.data.id)
        assert sandbox_client.inbox(PERSON) == []

    def test_a_message_to_us_can_be_looked_up(self, sandbox_client: SandboxClient) -> None:
        """What a person wrote, with the carrier's judgement."""
        answer = sandbox_client.control.post(
            f"/sandbox/phones/{PERSON}/messages", json={"to": TOLL_FREE, "text": "Hello?"}
        )
        shown = valid(sandbox_client.sdk.messages.retrieve(answer.json()["id"])).data
        assert (shown.direction, shown.from_.phone_number, shown.text) == ("inbound", PERSON, "Hello?")

    def test_a_key_makes_a_repeat_harmless(self, sandbox_client: SandboxClient) -> None:
        """The same answer, marked as replayed, and one message; with another body it is refused."""
        raw = sandbox_client.sdk.messages.with_raw_response
        given = {"from_": TOLL_FREE, "to": PERSON, "text": "Hello", "idempotency_key": "key-1"}
        first, second = raw.send(**given), raw.send(**given)
        assert (first.headers.get("Idempotent-Replayed"), second.headers["Idempotent-Replayed"]) == (None, "true")
        assert first.http_response.content == second.http_response.content
        with pytest.raises(telnyx.UnprocessableEntityError) as refused:
            sandbox_client.sdk.messages.send(**(given | {"text": "Other"}))
        assert code_of(refused.value) == "10027"
        wait_until(lambda: sandbox_client.inbox(PERSON), what="the message")
        assert len(sandbox_client.inbox(PERSON)) == 1

    def test_two_at_once_under_one_key(self, sandbox_client: SandboxClient) -> None:
        """The second learns that the first is still in progress."""
        sandbox_client.chaos(send={"mode": "slow", "latency_ms": 400})
        given = {"from_": TOLL_FREE, "to": PERSON, "text": "Hello", "idempotency_key": "key-1"}
        thread = threading.Thread(target=sandbox_client.sdk.messages.send, kwargs=given)
        thread.start()
        wait_until(lambda: sandbox_client.inbox(PERSON), what="the first")
        with pytest.raises(telnyx.ConflictError) as refused:
            sandbox_client.sdk.messages.send(**given)
        assert code_of(refused.value) == "10036"
        assert refused.value.body["errors"][0]["source"]["pointer"] == "/header/Idempotency-Key"
        thread.join()


class TestOptOuts:
    """The list of blocks."""

    def test_it_is_read_over_many_pages(self, sandbox_client: SandboxClient) -> None:
        """The SDK turns the pages by itself, and sees everybody once."""
        people = [f"+1202{2_000_000 + n}" for n in range(57)]
        for person in people:
            sandbox_client.server.carrier.optouts.add(Block(PROFILE, person, TOLL_FREE, "STOP", later().timestamp()))
        page = valid(sandbox_client.sdk.messaging_optouts.list(page_size=10))
        assert page.meta.to_dict() == {"total_pages": 6, "total_results": 57, "page_number": 1, "page_size": 10}
        assert [block.to for block in page] == people
        assert len(list(sandbox_client.sdk.messaging_optouts.list())) == 57

    def test_it_is_filtered(self, sandbox_client: SandboxClient) -> None:
        """By profile, sender and time; and masked where that is asked for."""
        sandbox_client.says(PERSON, "STOP")
        listed = sandbox_client.sdk.messaging_optouts.list
        assert len(list(listed(filter={"messaging_profile_id": PROFILE, "from": TOLL_FREE}))) == 1
        assert list(listed(filter={"messaging_profile_id": NOBODY})) == []
        assert list(listed(filter={"from": "+17755550100"})) == []
        assert len(list(listed(created_at={"gte": later(minutes=-1), "lte": later(minutes=1)}))) == 1
        assert list(listed(created_at={"gte": later(minutes=1)})) == []
        (masked,) = listed(redaction_enabled="true")
        assert masked.to == "+1202555****"

    def test_a_person_comes_back(self, sandbox_client: SandboxClient) -> None:
        """STOP blocks the whole profile at once, START lifts it."""
        sandbox_client.says(PERSON, "STOP")
        for name in ("send", "long code", "number pool", "short code"):
            with pytest.raises(telnyx.BadRequestError) as refused:
                SENDS[name](sandbox_client.sdk.messages)
            assert code_of(refused.value) == "40300"
        sandbox_client.says(PERSON, "START")
        assert list(sandbox_client.sdk.messaging_optouts.list()) == []
        assert SENDS["send"](sandbox_client.sdk.messages).data.id


class TestNumbers:
    """Our numbers, one by one and many at once."""

    def test_they_are_listed_filtered_and_sorted(self, sandbox_client: SandboxClient) -> None:
        """Over pages, by profile, number, part and type, in both orders."""
        listed = sandbox_client.sdk.phone_numbers.messaging.list
        everything = [number.phone_number for number in listed(page_size=5)]
        assert len(everything) == len(set(everything)) == valid(listed()).meta.total_results
        assert {n.messaging_profile_id for n in listed(filter_messaging_profile_id=PROFILE)} == {PROFILE}
        assert [n.phone_number for n in listed(filter_phone_number=f"{TOLL_FREE},+18880000001")] == [
            TOLL_FREE,
            "+18880000001",
        ]
        assert len(list(listed(filter_phone_number_contains="888000"))) == 10
        assert [n.phone_number for n in listed(filter_type="shortcode")] == [SHORT_CODE]
        rising = [n.phone_number for n in listed(filter_type="tollfree", sort_phone_number="asc")]
        falling = [n.phone_number for n in listed(filter_type="tollfree", sort_phone_number="desc")]
        assert rising == sorted(rising) == falling[::-1]

    def test_one_is_shown_changed_and_listed(self, sandbox_client: SandboxClient) -> None:
        """What an update says holds in the answer, when it is shown, and in the list."""
        numbers = sandbox_client.sdk.phone_numbers.messaging
        (number,) = numbers.list(filter_phone_number="+18880000003")
        assert valid(numbers.retrieve(number.id)).data.phone_number == "+18880000003"
        assert valid(numbers.retrieve("+18880000003")).data.id == number.id
        changed = valid(numbers.update(number.id, messaging_profile_id=PROFILE, tags=["otp"])).data
        assert (changed.messaging_profile_id, changed.tags) == (PROFILE, ["otp"])
        assert numbers.retrieve(number.id).data == changed
        assert number.id in [each.id for each in numbers.list(filter_messaging_profile_id=PROFILE)]
        assert numbers.update(number.id).data.messaging_profile_id == PROFILE
        assert numbers.update(number.id, messaging_profile_id="").data.messaging_profile_id is None

    def test_health_follows_the_traffic(self, sandbox_client: SandboxClient) -> None:
        """A number that delivers has the figures of one."""
        sent = SENDS["send"](sandbox_client.sdk.messages).data
        wait_until(
            lambda: sandbox_client.sdk.messages.retrieve(sent.id).data.to[0].status == "delivered", what="the delivery"
        )
        health = sandbox_client.sdk.phone_numbers.messaging.retrieve(TOLL_FREE).data.health
        assert (health.message_count, health.success_ratio, health.spam_ratio) == (1, 1.0, 0.0)

    def test_mobile_numbers_have_a_list_of_their_own(self, sandbox_client: SandboxClient) -> None:
        """Listed, shown, and not among the others."""
        (mobile,) = sandbox_client.sdk.mobile_phone_numbers.messaging.list()
        assert mobile.phone_number == MOBILE
        assert valid(sandbox_client.sdk.mobile_phone_numbers.messaging.retrieve(mobile.id)).data == mobile
        with pytest.raises(telnyx.NotFoundError):
            sandbox_client.sdk.phone_numbers.messaging.retrieve(mobile.id)

    @pytest.mark.parametrize("path", ["/messaging_numbers_bulk_updates", "/messaging_numbers/bulk_updates"])
    def test_many_are_moved(self, sandbox_client: SandboxClient, path: str) -> None:
        """An order goes from pending to success, under both spellings of its path."""
        numbers = [f"+1888000000{n}" for n in range(10)]
        if path == "/messaging_numbers_bulk_updates":
            order = valid(
                sandbox_client.sdk.messaging_numbers_bulk_updates.create(messaging_profile_id=PROFILE, numbers=numbers)
            ).data
        else:
            body = {"messaging_profile_id": PROFILE, "numbers": numbers}
            data = sandbox_client.sdk.post(path, body=body, cast_to=httpx.Response).json()["data"]
            order = sandbox_client.sdk.messaging_numbers_bulk_updates.retrieve(data["order_id"]).data

        def done() -> bool:
            shown = valid(sandbox_client.sdk.messaging_numbers_bulk_updates.retrieve(order.order_id)).data
            return not shown.pending and sorted(shown.success) == numbers and shown.failed == []

        wait_until(done, what="the order")
        moved = sandbox_client.sdk.phone_numbers.messaging.list(filter_phone_number=",".join(numbers))
        assert {number.messaging_profile_id for number in moved} == {PROFILE}


def code_of(error: Any) -> str:
    """The carrier's code in an SDK exception, from the whole envelope that it keeps."""
    (first,) = error.body["errors"]
    assert first["title"]
    return str(first["code"])


class TestErrors:
    """Every refusal arrives as the SDK's exception of its status, with the carrier's envelope."""

    @pytest.mark.parametrize(
        ("kind", "code", "ask"),
        [
            ("NotFoundError", "10005", lambda c: c.messages.retrieve(NOBODY)),
            ("NotFoundError", "10005", lambda c: c.messages.retrieve("nonsense")),
            ("NotFoundError", "10005", lambda c: c.messages.cancel_scheduled(NOBODY)),
            ("NotFoundError", "10005", lambda c: c.phone_numbers.messaging.retrieve("1")),
            ("NotFoundError", "10005", lambda c: c.phone_numbers.messaging.update("1", tags=[])),
            ("NotFoundError", "10005", lambda c: c.mobile_phone_numbers.messaging.retrieve("1")),
            ("NotFoundError", "10005", lambda c: c.messaging_numbers_bulk_updates.retrieve(NOBODY)),
            ("BadRequestError", "40305", lambda c: c.messages.send(from_="+18449999999", to=PERSON, text="x")),
            ("BadRequestError", "40305", lambda c: c.messages.send(to=PERSON, text="x")),
            ("BadRequestError", "40316", lambda c: c.messages.send(from_=TOLL_FREE, to=PERSON)),
            ("BadRequestError", "40310", lambda c: c.messages.send(from_=TOLL_FREE, to="x", text="x")),
            (
                "BadRequestError",
                "40310",
                lambda c: c.messages.send_group_mms(
                    from_=TOLL_FREE, to=[f"+1202555010{n}" for n in range(9)], text="x"
                ),
            ),
            ("BadRequestError", "10015", lambda c: c.messaging_optouts.list(page_size=251)),
            ("BadRequestError", "10015", lambda c: c.messaging_optouts.list(created_at={"gte": "yesterday"})),
            ("BadRequestError", "10015", lambda c: c.phone_numbers.messaging.list(page_number=0)),
            (
                "UnprocessableEntityError",
                "10033",
                lambda c: c.messages.schedule(from_=TOLL_FREE, to=PERSON, text="x", send_at=later(minutes=1)),
            ),
            (
                "UnprocessableEntityError",
                "10033",
                lambda c: c.messages.schedule(from_=TOLL_FREE, to=PERSON, text="x", send_at=later(days=6)),
            ),
            (
                "UnprocessableEntityError",
                "10027",
                lambda c: c.messaging_numbers_bulk_updates.create(
                    messaging_profile_id=NOBODY, numbers=["+18880000000"]
                ),
            ),
            (
                "UnprocessableEntityError",
                "10004",
                lambda c: c.messaging_numbers_bulk_updates.create(messaging_profile_id=PROFILE, numbers=[]),
            ),
        ],
    )
    def test_a_refusal(self, sandbox_client: SandboxClient, kind: str, code: str, ask: Callable[[Any], Any]) -> None:
        """Status, class and code belong together."""
        with pytest.raises(getattr(telnyx, kind)) as refused:
            ask(sandbox_client.sdk)
        assert code_of(refused.value) == code

    def test_a_wrong_key(self, sandbox_client: SandboxClient) -> None:
        """401 on every operation, before anything else is looked at."""
        without_a_key = sandbox_client.sdk.with_options(api_key="WRONG")
        asks: list[Send] = [SENDS["send"], lambda m: m.retrieve(NOBODY), lambda m: m.cancel_scheduled(NOBODY)]
        for ask in asks:
            with pytest.raises(telnyx.AuthenticationError) as refused:
                ask(without_a_key.messages)
            assert code_of(refused.value) == "10009"
        with pytest.raises(telnyx.AuthenticationError):
            without_a_key.messaging_optouts.list()

    def test_too_many_requests_and_an_error_of_theirs(self, sandbox_client: SandboxClient) -> None:
        """429 says when to come back; 500 is the carrier's own."""
        sandbox_client.chaos(send={"mode": "http_429"})
        with pytest.raises(telnyx.RateLimitError) as limited:
            SENDS["send"](sandbox_client.sdk.messages)
        assert (code_of(limited.value), limited.value.response.headers["retry-after"]) == ("10011", "1")
        sandbox_client.chaos(send={"mode": "http_500"})
        with pytest.raises(telnyx.InternalServerError) as broken:
            SENDS["send"](sandbox_client.sdk.messages)
        assert code_of(broken.value) == "10007"
        assert sandbox_client.inbox(PERSON) == []

    def test_an_answer_that_is_lost(self, sandbox_client: SandboxClient) -> None:
        """The message rings the phone all the same: this is why a send needs a key."""
        sandbox_client.chaos(send={"mode": "reset_after_request"})
        with pytest.raises(telnyx.APIConnectionError):
            SENDS["send"](sandbox_client.sdk.messages)
        wait_until(lambda: sandbox_client.inbox(PERSON), what="the message")


class TestWebhooks:
    """What the sandbox signs is accepted by the SDK's own verifier, and nothing else is."""

    @staticmethod
    def unwrap(sandbox_client: SandboxClient, index: int) -> Any:
        """The event of one webhook, verified by the SDK."""
        headers, body = sandbox_client.receiver.received[index]
        return sandbox_client.sdk.webhooks.unwrap(body, headers=headers)

    @staticmethod
    def wait_for(sandbox_client: SandboxClient, count: int) -> None:
        """Until so many webhooks have come."""
        wait_until(lambda: len(sandbox_client.receiver.received) >= count, what=f"{count} webhooks")

    def test_a_delivery_is_told_in_events_that_verify(self, sandbox_client: SandboxClient) -> None:
        """`message.sent` and `message.finalized` of every kind of message."""
        for name, send in SENDS.items():
            sandbox_client.receiver.received.clear()
            sent = send(sandbox_client.sdk.messages).data
            more = 2 if name == "group MMS" else 1

            def told(sent: Any = sent) -> dict[str, Any]:
                # A webhook may come twice, and late: an event counts once, and for its own message only.
                every = [valid(self.unwrap(sandbox_client, n)) for n in range(len(sandbox_client.receiver.received))]
                return {
                    event.data.id: event
                    for event in every
                    if sent.id in (getattr(event.data.payload, "group_message_id", None), event.data.payload.id)
                }

            wait_until(lambda: len(told()) >= 2 * more, what=f"the events of {name}")  # noqa: B023 - called at once
            kinds = sorted(event.data.event_type for event in told().values())
            assert kinds == ["message.finalized"] * more + ["message.sent"] * more

    def test_a_reply_and_a_link_click_verify(self, sandbox_client: SandboxClient) -> None:
        """The person's words, and the event that has no envelope."""
        sandbox_client.says(PERSON, "STOP")
        wait_until(lambda: sandbox_client.receiver.received, what="the reply")
        event = valid(self.unwrap(sandbox_client, 0))
        assert type(event).__name__ == "InboundMessageWebhookEvent"
        assert (event.data.event_type, event.data.payload.text) == ("message.received", "STOP")
        sandbox_client.says(PERSON, "START")
        wait_until(lambda: len(sandbox_client.receiver.received) == 2, what="the reply")
        sent = sandbox_client.sdk.messages.send(from_=TOLL_FREE, to=PERSON, text="See https://example.com/a").data
        wait_until(lambda: len(sandbox_client.receiver.received) == 4, what="the delivery")
        clicked = {"message_id": sent.id, "url": "https://example.com/a"}
        sandbox_client.control.post(f"/sandbox/phones/{PERSON}/clicks", json=clicked).raise_for_status()
        wait_until(lambda: len(sandbox_client.receiver.received) == 5, what="the click")
        click = self.unwrap(sandbox_client, 4).to_dict()["data"]
        assert (click["record_type"], click["message_id"]) == ("link_clicked", sent.id)

    def test_what_was_changed_is_not_accepted(self, sandbox_client: SandboxClient) -> None:
        """Another body, another time, another key: each is found out."""
        sandbox_client.says(PERSON, "Hello")
        wait_until(lambda: sandbox_client.receiver.received, what="the webhook")
        headers, body = sandbox_client.receiver.received[0]
        lowered = {name.lower(): value for name, value in headers.items()}
        for changed, sent in (
            (lowered, body.replace("Hello", "Hullo")),
            (lowered | {"telnyx-timestamp": str(int(lowered["telnyx-timestamp"]) + 1)}, body),
            (lowered | {"telnyx-timestamp": str(int(lowered["telnyx-timestamp"]) - 400)}, body),
            ({name: value for name, value in lowered.items() if "signature" not in name}, body),
        ):
            with pytest.raises(ValueError, match=r".+"):
                sandbox_client.sdk.webhooks.unwrap(sent, headers=changed)

    def test_a_forged_one_is_not_accepted(self, sandbox_client: SandboxClient) -> None:
        """The forgeries that the sandbox sends on request are forgeries to the SDK as well."""
        sandbox_client.chaos(webhooks={"forge_rate": 1.0})
        SENDS["send"](sandbox_client.sdk.messages)
        wait_until(lambda: len(sandbox_client.receiver.received) == 4, what="the webhooks")
        good = 0
        for headers, body in list(sandbox_client.receiver.received):
            try:
                sandbox_client.sdk.webhooks.unwrap(body, headers=headers)
                good += 1
            except ValueError:
                assert json.loads(body)
        assert good == 2
