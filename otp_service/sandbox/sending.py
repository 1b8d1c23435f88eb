"""What the carrier accepts: from whom, to whom, what, and when.

`plan` checks a request and chooses its sender without leaving a trace; `accept` makes it real. Between the two
the caller decides about chaos. A request breaks on the first of: form, `to`, content, sender, country, block.

The status codes, which the carrier's documents leave open: 400 for the messaging codes (40xxx, a block by STOP
among them), 422 for parameters of a wrong kind or range. Blocks stop SMS and MMS; WhatsApp has consent of its
own and is not stopped by an SMS STOP.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from otp_service.sandbox import places
from otp_service.sandbox.chaos import Behaviour
from otp_service.sandbox.clock import Clock, parse_rfc3339
from otp_service.sandbox.errors import CarrierError
from otp_service.sandbox.fields import Fields, missing
from otp_service.sandbox.messages import QUEUE_LIFE_S, Message, Messages, Recipient
from otp_service.sandbox.numbers import Number, Numbers
from otp_service.sandbox.optouts import OptOuts
from otp_service.sandbox.texts import MAX_PARTS, Segments, is_gsm7, measure
from otp_service.sandbox.webhooks import is_web_url
from otp_service.sandbox.whatsapp import render

SCHEDULE_MIN_S = 5 * 60
SCHEDULE_MAX_S = 5 * 24 * 3600
CANCEL_UNTIL_S = 60
MAX_GROUP = 8
MAX_MEDIA = 10

# The sending operations, by the last part of their path.
KINDS = (
    "generic",
    "long_code",
    "number_pool",
    "short_code",
    "alphanumeric_sender_id",
    "whatsapp",
    "group_mms",
    "schedule",
)


@dataclass(frozen=True, slots=True)
class Plan:
    """A request found good: the message to answer with, and the ones to put on their way (a group has many)."""

    message: Message
    courses: Sequence[Message]

    @property
    def scheduled(self) -> bool:
        """Whether it waits for its own time."""
        return self.message.send_at is not None


@dataclass(frozen=True, slots=True)
class _Sender:
    address: str
    kind: str
    profile_id: str


@dataclass(frozen=True, slots=True)
class _Content:
    type: str
    text: str
    media_urls: tuple[str, ...]
    segments: Segments


class Sending:
    """Checks and accepts requests to send."""

    def __init__(self, clock: Clock, numbers: Numbers, messages: Messages, optouts: OptOuts) -> None:
        self._clock = clock
        self._numbers = numbers
        self._messages = messages
        self._optouts = optouts

    def plan(self, kind: str, fields: Fields) -> Plan:
        """The messages that this request makes, or a `CarrierError`."""
        if kind == "whatsapp":
            return self._plan_whatsapp(fields)
        if kind == "group_mms":
            return self._plan_group(fields)
        send_at = self._send_at(kind, fields)
        recipient = _recipient(fields.required_text("to"))
        content = _content(fields, mms=fields.choice("type", ("SMS", "MMS"), "SMS") == "MMS")
        sender = self._sender(kind, fields, recipient)
        self._check_route(sender, recipient, content)
        message = self._message(fields, sender, content, [recipient])
        if send_at is not None:
            message.send_at = send_at
            message.to[0].status = "scheduled"
        return Plan(message, (message,))

    def accept(self, plan: Plan, behaviour: Behaviour) -> None:
        """Take the messages on: from here on they exist. `CarrierError` if the sender's queue is full."""
        message = plan.message
        wait = behaviour.wait_seconds
        if behaviour.enforce_rates and not plan.scheduled:
            queued = self._numbers.queue(message.sender, message.sender_kind, message.segments.parts)
            if queued is None:
                raise CarrierError(400, "40318", f"The queue of '{message.sender}' is full.", pointer="/from")
            wait = max(wait, queued)
        if not plan.scheduled:
            for each in {message.id: message, **{course.id: course for course in plan.courses}}.values():
                each.wait_seconds = round(wait, 3)
                each.valid_until = each.received_at + QUEUE_LIFE_S
        if plan.courses[0] is message:
            self._messages.add(message)
        else:
            self._messages.add(message, *plan.courses)

    def cancel(self, message_id: str) -> Message:
        """Withdraw a scheduled message, until a minute before it is due."""
        message = self._messages.get(message_id)
        if message is None or message.direction != "outbound":
            raise CarrierError(404, "10005", "The message was not found.")
        with self._messages.lock:
            due = message.send_at
            if due is None or message.status != "scheduled" or due - self._clock.now() <= CANCEL_UNTIL_S:
                raise CarrierError(
                    403,
                    "10010",
                    "Only a message with status 'scheduled' that is due in more than a minute can be cancelled.",
                )
            message.to[0].status = "cancelled"
            message.completed_at = self._clock.now()
        return message

    # -- parts of a plan --------------------------------------------------------------------------------

    def _message(self, fields: Fields, sender: _Sender, content: _Content, recipients: Sequence[str]) -> Message:
        fields.flag("auto_detect", False)
        return Message(
            type=content.type,
            profile_id=sender.profile_id,
            sender=sender.address,
            sender_kind=sender.kind,
            to=[Recipient(recipient, "queued") for recipient in recipients],
            text=content.text,
            segments=content.segments,
            received_at=self._clock.now(),
            subject=fields.text("subject"),
            media_urls=content.media_urls,
            webhook_url=fields.url("webhook_url"),
            webhook_failover_url=fields.url("webhook_failover_url"),
            use_profile_webhooks=fields.flag("use_profile_webhooks", True),
        )

    def _plan_group(self, fields: Fields) -> Plan:
        sender_address = fields.required_text("from")
        recipients = fields.texts("to")
        if not recipients:
            raise missing("to")
        if len(recipients) > MAX_GROUP or len(set(recipients)) != len(recipients):
            raise CarrierError(400, "40310", f"A group has at most {MAX_GROUP} different recipients.", pointer="/to")
        for position, recipient in enumerate(recipients):
            if places.region(_recipient(recipient, f"/to/{position}")) not in {"US", "CA"}:
                raise CarrierError(400, "40310", "Group MMS reaches only the US and Canada.", pointer=f"/to/{position}")
        content = _content(fields, mms=True)
        sender = self._number_sender(sender_address, None, {"longcode", "tollfree"})
        for position, recipient in enumerate(recipients):
            self._check_block(sender, recipient, f"/to/{position}")
        group = self._message(fields, sender, content, recipients)
        group.group_message_id = group.id
        courses = []
        for share in group.to:
            course = self._message(fields, sender, content, [])
            # The same object: the group shows each recipient's status without being told.
            course.to = [share]
            course.group_message_id = group.id
            courses.append(course)
        return Plan(group, courses)

    def _plan_whatsapp(self, fields: Fields) -> Plan:
        sender_address = fields.required_text("from")
        recipient = _recipient(fields.required_text("to"))
        fields.choice("type", ("WHATSAPP",), "WHATSAPP")
        body = fields.object("whatsapp_message")
        if body is None:
            raise missing("whatsapp_message")
        text = render(body)
        profile_id = fields.text("messaging_profile_id")
        number = self._numbers.get(sender_address)
        if number is not None and number.profile_id and profile_id in (None, "", number.profile_id):
            sender = _Sender(sender_address, number.kind, number.profile_id)
        elif number is None and profile_id and self._numbers.has_profile(profile_id):
            # A WhatsApp sender need not be an SMS number; then the profile must be named.
            if not places.E164.fullmatch(sender_address):
                raise _bad_sender(sender_address)
            sender = _Sender(sender_address, "whatsapp", profile_id)
        else:
            raise _bad_sender(sender_address)
        message = self._message(
            fields, sender, _Content("WHATSAPP", text, (), Segments("utf-8", len(text), 1)), [recipient]
        )
        message.whatsapp = body
        return Plan(message, (message,))

    def _sender(self, kind: str, fields: Fields, recipient: str) -> _Sender:
        profile_id = fields.text("messaging_profile_id") or None
        if kind == "number_pool":
            return self._pool_sender(fields.required_text("messaging_profile_id"), recipient)
        if kind == "alphanumeric_sender_id":
            fields.required_text("messaging_profile_id")
            return self._alphanumeric_sender(fields.required_text("from"), profile_id)
        if kind == "long_code":
            return self._number_sender(fields.required_text("from"), profile_id, {"longcode", "tollfree"})
        if kind == "short_code":
            return self._number_sender(fields.required_text("from"), profile_id, {"shortcode"})
        address = fields.text("from")
        if not address:
            if profile_id is None:
                raise CarrierError(400, "40305", "Either 'from' or 'messaging_profile_id' is needed.", pointer="/from")
            return self._pool_sender(profile_id, recipient)
        if self._numbers.get(address) is None and places.ALPHANUMERIC.fullmatch(address):
            return self._alphanumeric_sender(address, profile_id)
        return self._number_sender(address, profile_id, {"longcode", "tollfree", "shortcode"})

    def _number_sender(self, address: str, profile_id: str | None, kinds: set[str]) -> _Sender:
        number = self._numbers.get(address)
        if number is None or number.kind not in kinds or number.profile_id is None:
            raise _bad_sender(address)
        if profile_id is not None and profile_id != number.profile_id:
            raise _bad_sender(address)
        return _Sender(address, number.kind, number.profile_id)

    def _pool_sender(self, profile_id: str, recipient: str) -> _Sender:
        if not self._numbers.has_profile(profile_id):
            raise CarrierError(
                400,
                "40305",
                "The messaging profile does not exist, so it has no number to send from.",
                pointer="/messaging_profile_id",
            )
        number: Number | None = self._numbers.pick(profile_id, recipient)
        if number is None:
            raise CarrierError(
                400, "40321", "The messaging profile has no usable number.", pointer="/messaging_profile_id"
            )
        return _Sender(number.phone_number, number.kind, profile_id)

    def _alphanumeric_sender(self, name: str, profile_id: str | None) -> _Sender:
        if profile_id is None or not self._numbers.has_profile(profile_id):
            raise _bad_sender(name)
        if not places.ALPHANUMERIC.fullmatch(name):
            raise _bad_sender(name)
        return _Sender(name, "alphanumeric", profile_id)

    def _check_route(self, sender: _Sender, recipient: str, content: _Content) -> None:
        if sender.kind == "alphanumeric" and places.region(recipient) != "other":
            raise CarrierError(
                400, "40301", "Alphanumeric senders cannot reach the US, Canada and Puerto Rico.", pointer="/to"
            )
        if content.type == "MMS" and sender.kind in {"alphanumeric", "shortcode"}:
            raise CarrierError(400, "40301", f"'{sender.address}' cannot send MMS.", pointer="/from")
        self._check_block(sender, recipient, "/to")

    def _check_block(self, sender: _Sender, recipient: str, pointer: str) -> None:
        if self._optouts.blocks(sender.profile_id, recipient):
            raise CarrierError(
                400,
                "40300",
                f"Messages cannot be sent from '{sender.address}' to '{recipient}' due to an existing block rule.",
                pointer=pointer,
            )

    def _send_at(self, kind: str, fields: Fields) -> float | None:
        if kind not in {"generic", "schedule"}:
            return None
        text = fields.text("send_at")
        if text is None:
            if kind == "schedule":
                raise missing("send_at")
            return None
        moment = parse_rfc3339(text)
        if moment is None:
            raise CarrierError(422, "10015", "'send_at' must be an ISO 8601 time.", pointer="/send_at")
        if not SCHEDULE_MIN_S <= moment - self._clock.now() <= SCHEDULE_MAX_S:
            raise CarrierError(422, "10033", "'send_at' must be 5 minutes to 5 days in the future.", pointer="/send_at")
        return moment


def _bad_sender(address: str) -> CarrierError:
    return CarrierError(
        400,
        "40305",
        f"'{address[:20]}' is not a sender of this kind on the messaging profile.",
        pointer="/from",
    )


def _recipient(address: str, pointer: str = "/to") -> str:
    if not places.is_reachable(address):
        raise CarrierError(400, "40310", "'to' must be a reachable number in +E.164 format.", pointer=pointer)
    return address


def _content(fields: Fields, *, mms: bool) -> _Content:
    text = fields.text("text") or ""
    media_urls = fields.texts("media_urls") or ()
    encoding = fields.choice("encoding", ("auto", "gsm7", "ucs2"), "auto")
    if not text and not media_urls:
        raise CarrierError(400, "40316", "A message needs a text or media.", pointer="/text")
    if media_urls and not mms and "type" in fields:
        raise CarrierError(400, "40304", "An SMS cannot carry media.", pointer="/media_urls")
    if len(media_urls) > MAX_MEDIA or not all(is_web_url(url) for url in media_urls):
        raise CarrierError(
            400, "40317", f"'media_urls' must be at most {MAX_MEDIA} http or https URLs.", pointer="/media_urls"
        )
    if encoding == "gsm7" and not is_gsm7(text):
        raise CarrierError(400, "10015", "The text has characters outside GSM-7.", pointer="/text")
    if mms or media_urls:
        sized = measure(text[:1])
        return _Content("MMS", text, media_urls, Segments(sized.encoding, len(text), 1))
    segments = measure(text, force_ucs2=encoding == "ucs2")
    if segments.parts > MAX_PARTS:
        raise CarrierError(400, "40302", f"The text takes more than {MAX_PARTS} parts.", pointer="/text")
    return _Content("SMS", text, (), segments)


def sender_hint(fields: Fields) -> str | None:
    """Whom a refused request claimed to be sent from; only chaos overrides ask."""
    values: Mapping[str, Any] = fields.values
    sender = values.get("from")
    return sender if isinstance(sender, str) else None
