"""The person writes: block rules, automatic answers and `message.received` follow.

The number written to decides the messaging profile. A number on no profile takes the text and nobody is told,
as at the carrier. The automatic answers arrive on the handset like any other text. A click on a shortened link
is told where the events of its message go.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from otp_service.sandbox import optouts, places
from otp_service.sandbox.chaos import ChaosBook
from otp_service.sandbox.clock import Clock, rfc3339
from otp_service.sandbox.delivery import event_data
from otp_service.sandbox.handsets import Handsets, Item
from otp_service.sandbox.messages import Message, Messages, Recipient, new_id
from otp_service.sandbox.numbers import Number, Numbers
from otp_service.sandbox.optouts import Block, OptOuts
from otp_service.sandbox.texts import measure
from otp_service.sandbox.webhooks import WebhookPoster

MAX_TEXT_CHARS = 1600


class UnknownNumberError(LookupError):
    """Nobody here answers to the number that was written to."""


class UnknownMessageError(LookupError):
    """The person never got a message with this id."""


@dataclass(frozen=True, slots=True)
class Reply:
    """What became of a text that the person sent."""

    message: Message
    known_profile: bool

    def to_json(self) -> dict[str, Any]:
        """As the control API answers it."""
        return {
            "id": self.message.id,
            "from": self.message.sender,
            "to": self.message.to[0].phone_number,
            "text": self.message.text,
            "received_at": rfc3339(self.message.received_at),
            "messaging_profile_id": self.message.profile_id or None,
            "autoresponse_type": self.message.autoresponse_type,
        }


class Inbound:
    """Takes what handsets send."""

    def __init__(
        self,
        *,
        clock: Clock,
        numbers: Numbers,
        messages: Messages,
        handsets: Handsets,
        blocks: OptOuts,
        poster: WebhookPoster,
        chaos: ChaosBook,
        urls: Callable[[Message], Sequence[str]],
        webhook_url: str | None,
    ) -> None:
        self._clock = clock
        self._numbers = numbers
        self._messages = messages
        self._handsets = handsets
        self._blocks = blocks
        self._poster = poster
        self._chaos = chaos
        self._urls = urls
        self._webhook_url = webhook_url

    def receive(self, phone: str, to: str, text: str) -> Reply:
        """`phone` texts `text` to the number `to`; `UnknownNumberError` if it is not one of the account's."""
        number = self._numbers.get(to)
        if number is None:
            raise UnknownNumberError(to)
        profile_id = number.profile_id
        kind = optouts.autoresponse_type(text, short_code=number.kind == "shortcode") if profile_id else None
        message = Message(
            type="SMS",
            direction="inbound",
            profile_id=profile_id or "",
            sender=phone,
            sender_kind="handset",
            to=[Recipient(to, "webhook_delivered")],
            text=text,
            segments=measure(text),
            received_at=self._clock.now(),
            webhook_url=self._webhook_url,
            autoresponse_type=kind,
        )
        self._messages.add(message)
        with self._messages.lock:
            number.health.received += 1
        self._handsets.put(phone, Item(message.id, to, text, message.received_at, "received", outgoing=True))
        if profile_id is not None:
            self._obey(kind, message, number)
            self._tell(message)
        return Reply(message, profile_id is not None)

    def click(self, phone: str, message_id: str, url: str) -> None:
        """`phone` follows a shortened link of a message that it got; `UnknownMessageError` if it got none such."""
        message = self._messages.get(message_id)
        to_phone = message is not None and any(to.phone_number == phone for to in message.to)
        if message is None or message.direction != "outbound" or not to_phone:
            raise UnknownMessageError(message_id)
        click = {
            "record_type": "link_clicked",
            "message_id": message_id,
            "time_clicked": rfc3339(self._clock.now()),
            "to": phone.removeprefix("+"),
            "url": url,
        }
        self._poster.post(click, self._urls(message), self._chaos.of(message.sender).webhooks)

    def _obey(self, kind: str | None, message: Message, number: Number) -> None:
        if kind is None:
            return
        if kind == "STOP":
            self._blocks.stop(
                Block(
                    profile_id=message.profile_id,
                    person=message.sender,
                    sender=number.phone_number,
                    keyword=message.text.strip().upper(),
                    created_at=message.received_at,
                )
            )
        elif kind == "START":
            self._blocks.start(message.profile_id, message.sender)
        answer = optouts.automatic_answer(kind, message.text, toll_free=places.is_toll_free(number.phone_number))
        self._handsets.put(message.sender, Item(new_id(), number.phone_number, answer, self._clock.now(), "delivered"))

    def _tell(self, message: Message) -> None:
        if self._webhook_url is None:
            return
        event = event_data("message.received", message, self._clock.now())
        self._poster.post(
            event,
            [self._webhook_url],
            self._chaos.of(message.to[0].phone_number).webhooks,
            forgery=_opposite(event),
        )


def _opposite(event: dict[str, Any]) -> dict[str, Any]:
    """What a forger would want believed: that the person opted in who opted out, and the other way round."""
    word = "START" if event["payload"]["autoresponse_type"] == "STOP" else "STOP"
    return {**event, "payload": {**event["payload"], "text": word, "autoresponse_type": word}}
