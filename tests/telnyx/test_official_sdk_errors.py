"""The carrier's own Python SDK understands the sandbox's errors and verifies its webhooks."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from tests.conftest import wait_until

from .official_sdk import NOBODY, PERSON, PROFILE, SENDS, TOLL_FREE, SandboxClient, Send, code_of, error, later, valid


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
        with pytest.raises(error(kind)) as refused:
            ask(sandbox_client.sdk)
        assert code_of(refused.value) == code

    def test_a_wrong_key(self, sandbox_client: SandboxClient) -> None:
        """401 on every operation, before anything else is looked at."""
        without_a_key = sandbox_client.sdk.with_options(api_key="WRONG")
        asks: list[Send] = [SENDS["send"], lambda m: m.retrieve(NOBODY), lambda m: m.cancel_scheduled(NOBODY)]
        for ask in asks:
            with pytest.raises(error("AuthenticationError")) as refused:
                ask(without_a_key.messages)
            assert code_of(refused.value) == "10009"
        with pytest.raises(error("AuthenticationError")):
            without_a_key.messaging_optouts.list()

    def test_too_many_requests_and_an_error_of_theirs(self, sandbox_client: SandboxClient) -> None:
        """429 says when to come back; 500 is the carrier's own."""
        sandbox_client.chaos(send={"mode": "http_429"})
        with pytest.raises(error("RateLimitError")) as limited:
            SENDS["send"](sandbox_client.sdk.messages)
        assert (code_of(limited.value), limited.value.response.headers["retry-after"]) == ("10011", "1")
        sandbox_client.chaos(send={"mode": "http_500"})
        with pytest.raises(error("InternalServerError")) as broken:
            SENDS["send"](sandbox_client.sdk.messages)
        assert code_of(broken.value) == "10007"
        assert sandbox_client.inbox(PERSON) == []

    def test_an_answer_that_is_lost(self, sandbox_client: SandboxClient) -> None:
        """The message rings the phone all the same: this is why a send needs a key."""
        sandbox_client.chaos(send={"mode": "reset_after_request"})
        with pytest.raises(error("APIConnectionError")):
            SENDS["send"](sandbox_client.sdk.messages)
        wait_until(lambda: sandbox_client.inbox(PERSON), what="the message")


class TestWebhooks:
    """What the sandbox signs is accepted by the SDK's own verifier, and nothing else is."""

    @staticmethod
    def unwrap(sandbox_client: SandboxClient, index: int) -> Any:
        """The event of one webhook, verified by the SDK."""
        headers, body = sandbox_client.receiver.received[index]
        return sandbox_client.sdk.webhooks.unwrap(body.decode(), headers=headers)

    @staticmethod
    def wait_for(sandbox_client: SandboxClient, count: int) -> None:
        """Until so many webhooks have come."""
        wait_until(lambda: len(sandbox_client.receiver.received) >= count, what=f"{count} webhooks")

    def test_a_delivery_is_reported_in_events_that_verify(self, sandbox_client: SandboxClient) -> None:
        """`message.sent` and `message.finalized` of every kind of message."""
        for name, send in SENDS.items():
            sandbox_client.receiver.received.clear()
            sent = send(sandbox_client.sdk.messages).data
            more = 2 if name == "group MMS" else 1

            def events(sent: Any = sent) -> dict[str, Any]:
                # A webhook may come twice, and late: an event counts once, and for its own message only.
                every = [valid(self.unwrap(sandbox_client, n)) for n in range(len(sandbox_client.receiver.received))]
                return {
                    event.data.id: event
                    for event in every
                    if sent.id in (getattr(event.data.payload, "group_message_id", None), event.data.payload.id)
                }

            wait_until(lambda: len(events()) >= 2 * more, what=f"the events of {name}")  # noqa: B023 - called at once
            kinds = sorted(event.data.event_type for event in events().values())
            assert kinds == ["message.finalized"] * more + ["message.sent"] * more

    def test_a_reply_and_a_link_click_verify(self, sandbox_client: SandboxClient) -> None:
        """The person's words, and the event that has no envelope."""
        sandbox_client.reply(PERSON, "STOP")
        wait_until(lambda: sandbox_client.receiver.received, what="the reply")
        event = valid(self.unwrap(sandbox_client, 0))
        assert type(event).__name__ == "InboundMessageWebhookEvent"
        assert (event.data.event_type, event.data.payload.text) == ("message.received", "STOP")
        sandbox_client.reply(PERSON, "START")
        wait_until(lambda: len(sandbox_client.receiver.received) == 2, what="the reply")
        sent = sandbox_client.sdk.messages.send(from_=TOLL_FREE, to=PERSON, text="See https://example.com/a").data
        wait_until(lambda: len(sandbox_client.receiver.received) == 4, what="the delivery")
        clicked = {"message_id": sent.id, "url": "https://example.com/a"}
        sandbox_client.control.post(f"/sandbox/phones/{PERSON}/clicks", json=clicked).raise_for_status()
        wait_until(lambda: len(sandbox_client.receiver.received) == 5, what="the click")
        click = self.unwrap(sandbox_client, 4).to_dict()["data"]
        assert (click["record_type"], click["message_id"]) == ("link_clicked", sent.id)

    def test_what_was_changed_is_not_accepted(self, sandbox_client: SandboxClient) -> None:
        """Another body, another time, another key: each is refused."""
        sandbox_client.reply(PERSON, "Hello")
        wait_until(lambda: sandbox_client.receiver.received, what="the webhook")
        headers, body = sandbox_client.receiver.received[0]
        lowered = {name.lower(): value for name, value in headers.items()}
        for changed, sent in (
            (lowered, body.replace(b"Hello", b"Hullo")),
            (lowered | {"telnyx-timestamp": str(int(lowered["telnyx-timestamp"]) + 1)}, body),
            (lowered | {"telnyx-timestamp": str(int(lowered["telnyx-timestamp"]) - 400)}, body),
            ({name: value for name, value in lowered.items() if "signature" not in name}, body),
        ):
            with pytest.raises(ValueError, match=r".+"):
                sandbox_client.sdk.webhooks.unwrap(sent.decode(), headers=changed)

    def test_a_forged_one_is_not_accepted(self, sandbox_client: SandboxClient) -> None:
        """The forgeries that the sandbox sends on request are forgeries to the SDK as well."""
        sandbox_client.chaos(webhooks={"forge_rate": 1.0})
        SENDS["send"](sandbox_client.sdk.messages)
        wait_until(lambda: len(sandbox_client.receiver.received) == 4, what="the webhooks")
        good = 0
        for headers, body in list(sandbox_client.receiver.received):
            try:
                sandbox_client.sdk.webhooks.unwrap(body.decode(), headers=headers)
                good += 1
            except ValueError:
                assert json.loads(body)
        assert good == 2
