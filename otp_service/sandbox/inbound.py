"""Messages from a person: block rules, automatic replies and `message.received` events.

The number that the person writes to decides the messaging profile. A number on no profile receives the text, but no
event is posted, as in Telnyx's service. Automatic replies arrive on the phone like any other text. A click on a
shortened link is posted to the webhook URLs of its message.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from otp_service.sandbox import optouts, regions
from otp_service.sandbox.chaos import ChaosSettings
from otp_service.sandbox.clock import Clock, rfc3339
from otp_service.sandbox.events import click_event, forged_reply, message_event
from otp_service.sandbox.messages import Message, Messages, Recipient, new_id
from otp_service.sandbox.numbers import Number, Numbers
from otp_service.sandbox.optouts import Block, OptOuts
from otp_service.sandbox.phones import PhoneMessage, Phones
from otp_service.sandbox.texts import measure
from otp_service.sandbox.webhooks import WebhookSender

MAX_TEXT_CHARS = 1600


class UnknownNumberError(LookupError):
    """The account does not have the number that was written to."""


class UnknownMessageError(LookupError):
    """The person never received a message with this id."""


@dataclass(frozen=True, slots=True)
class Reply:
    """A text from the person, as it was processed."""

    message: Message

    def to_json(self) -> dict[str, Any]:
        """As the control API returns it."""
        return {
            "id": self.message.id,
            "from": self.message.sender,
            "to": self.message.to[0].phone_number,
            "text": self.message.text,
            "received_at": rfc3339(self.message.received_at),
            "messaging_profile_id": self.message.profile_id or None,
            "autoresponse_type": self.message.autoresponse_type,
        }


class InboundMessages:
    """Receives what phones send."""

    def __init__(
        self,
        *,
        clock: Clock,
        numbers: Numbers,
        messages: Messages,
        phones: Phones,
        blocks: OptOuts,
        webhook_sender: WebhookSender,
        chaos: ChaosSettings,
        webhook_urls: Callable[[Message], Sequence[str]],
        webhook_url: str | None,
    ) -> None:
        self._clock = clock
        self._numbers = numbers
        self._messages = messages
        self._phones = phones
        self._blocks = blocks
        self._webhook_sender = webhook_sender
        self._chaos = chaos
        self._webhook_urls = webhook_urls
        self._webhook_url = webhook_url

    def receive(self, phone: str, to: str, text: str) -> Reply:
        """`phone` texts `text` to the number `to`; `UnknownNumberError` if it is not one of the account's."""
        number = self._numbers.get(to)
        if number is None:
            raise UnknownNumberError(to)
        message = self._message(phone, number, text)
        self._messages.add(message)
        with self._messages.lock:
            number.health.received += 1
        self._phones.add(phone, PhoneMessage(message.id, to, text, message.received_at, "received", outgoing=True))
        if number.profile_id is not None:
            self._apply_keyword(message, number)
            self._post_received(message)
        return Reply(message)

    def click(self, phone: str, message_id: str, url: str) -> None:
        """`phone` opens a shortened link of a message that it received, else `UnknownMessageError`."""
        message = self._messages.get(message_id)
        to_phone = message is not None and any(to.phone_number == phone for to in message.to)
        if message is None or message.direction != "outbound" or not to_phone:
            raise UnknownMessageError(message_id)
        event = click_event(phone, message_id, url, self._clock.now())
        self._webhook_sender.post(event, self._webhook_urls(message), self._chaos.for_sender(message.sender).webhooks)

    def _message(self, phone: str, number: Number, text: str) -> Message:
        short_code = number.kind == "shortcode"
        return Message(
            type="SMS",
            direction="inbound",
            profile_id=number.profile_id or "",
            sender=phone,
            sender_kind="phone",
            to=[Recipient(number.phone_number, "webhook_delivered")],
            text=text,
            segments=measure(text),
            received_at=self._clock.now(),
            webhook_url=self._webhook_url,
            autoresponse_type=optouts.autoresponse_type(text, short_code=short_code) if number.profile_id else None,
        )

    def _apply_keyword(self, message: Message, number: Number) -> None:
        """Set or remove the block for STOP and START, and send the automatic reply."""
        kind = message.autoresponse_type
        if kind is None:
            return
        if kind == "STOP":
            self._block(message, number)
        elif kind == "START":
            self._blocks.remove(message.profile_id, message.sender)
        text = optouts.automatic_reply(kind, message.text, toll_free=regions.is_toll_free(number.phone_number))
        reply = PhoneMessage(new_id(), number.phone_number, text, self._clock.now(), "delivered")
        self._phones.add(message.sender, reply)

    def _block(self, message: Message, number: Number) -> None:
        self._blocks.add(
            Block(
                profile_id=message.profile_id,
                person=message.sender,
                sender=number.phone_number,
                keyword=message.text.strip().upper(),
                created_at=message.received_at,
            )
        )

    def _post_received(self, message: Message) -> None:
        if self._webhook_url is None:
            return
        event = message_event("message.received", message, self._clock.now())
        self._webhook_sender.post(
            event,
            [self._webhook_url],
            self._chaos.for_sender(message.to[0].phone_number).webhooks,
            forgery=forged_reply(event),
        )
