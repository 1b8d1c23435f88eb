"""The carrier's own Python SDK, unchanged, works against the sandbox: messages, opt-outs and numbers."""

import threading

import httpx
import pytest

from otp_service.sandbox.optouts import Block
from otp_service.sandbox.seeds import POOL
from tests.conftest import wait_until

from .official_sdk import (
    MOBILE,
    NOBODY,
    PERSON,
    PROFILE,
    SENDS,
    SHORT_CODE,
    TOLL_FREE,
    SandboxClient,
    code_of,
    error,
    later,
    valid,
)


class TestMessages:
    """Sending, looking up, scheduling, withdrawing."""

    @pytest.mark.parametrize("name", SENDS)
    def test_a_send_is_accepted_arrives_and_can_be_looked_up(self, sandbox_client: SandboxClient, name: str) -> None:
        """The message that the SDK got an id for arrives on the phone, and is reported as delivered."""
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
        with pytest.raises(error("PermissionDeniedError")):
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
        with pytest.raises(error("UnprocessableEntityError")) as refused:
            sandbox_client.sdk.messages.send(**(given | {"text": "Other"}))
        assert code_of(refused.value) == "10027"
        wait_until(lambda: sandbox_client.inbox(PERSON), what="the message")
        assert len(sandbox_client.inbox(PERSON)) == 1

    def test_two_at_once_under_one_key(self, sandbox_client: SandboxClient) -> None:
        """The second learns that the first is still in progress."""
        sandbox_client.chaos(send={"mode": "slow", "latency_ms": 2_500})
        given = {"from_": TOLL_FREE, "to": PERSON, "text": "Hello", "idempotency_key": "key-1"}
        thread = threading.Thread(target=sandbox_client.sdk.messages.send, kwargs=given)
        thread.start()
        wait_until(lambda: sandbox_client.inbox(PERSON), what="the first")
        with pytest.raises(error("ConflictError")) as refused:
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
        sandbox_client.reply(PERSON, "STOP")
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
        sandbox_client.reply(PERSON, "STOP")
        for name in ("send", "long code", "number pool", "short code"):
            with pytest.raises(error("BadRequestError")) as refused:
                SENDS[name](sandbox_client.sdk.messages)
            assert code_of(refused.value) == "40300"
        sandbox_client.reply(PERSON, "START")
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
        with pytest.raises(error("NotFoundError")):
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
