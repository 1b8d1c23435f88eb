"""Which requests to send are accepted, and the messages that they make.

`plan` validates a request and chooses its sender, and changes nothing but the pool's turn. `accept` stores the
messages. The caller applies the chaos settings in between. The first fault found is reported, in this order: form,
`to`, content, sender, country, block.

Telnyx does not document the status codes. Here 400 is used for messaging codes (40xxx, also for a block by STOP) and
422 for parameters of a wrong type or range.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from otp_service.sandbox import regions
from otp_service.sandbox.chaos_settings import Behaviour
from otp_service.sandbox.clock import Clock, parse_rfc3339
from otp_service.sandbox.content import Content, read_content, read_whatsapp
from otp_service.sandbox.errors import CarrierError
from otp_service.sandbox.fields import Fields, missing
from otp_service.sandbox.messages import QUEUE_LIFE_S, Message, Messages, Recipient
from otp_service.sandbox.numbers import Numbers
from otp_service.sandbox.optouts import OptOuts
from otp_service.sandbox.senders import Sender, Senders

SCHEDULE_MIN_S = 5 * 60
SCHEDULE_MAX_S = 5 * 24 * 3600
CANCEL_UNTIL_S = 60
MAX_GROUP = 8

# The operations that send, by the last part of their path.
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
class SendPlan:
    """A valid request: the message for the response, and the messages to deliver (a group has one per recipient)."""

    message: Message
    deliveries: Sequence[Message]

    @property
    def is_scheduled(self) -> bool:
        """Whether it is sent at a later time."""
        return self.message.send_at is not None


class Sending:
    """Validates and accepts requests to send."""

    def __init__(self, clock: Clock, numbers: Numbers, messages: Messages, optouts: OptOuts) -> None:
        self._clock = clock
        self._numbers = numbers
        self._senders = Senders(numbers)
        self._messages = messages
        self._optouts = optouts

    def plan(self, kind: str, fields: Fields) -> SendPlan:
        """The messages that this request makes, or a `CarrierError`."""
        if kind == "whatsapp":
            return self._plan_whatsapp(fields)
        if kind == "group_mms":
            return self._plan_group(fields)
        send_at = self._send_at(kind, fields)
        recipient = _recipient(fields.required_text("to"))
        content = read_content(fields, mms=fields.choice("type", ("SMS", "MMS"), "SMS") == "MMS")
        sender = self._senders.choose(kind, fields, recipient)
        self._check_route(sender, recipient, content)
        message = self._message(fields, sender, content, [recipient])
        if send_at is not None:
            message.send_at = send_at
            message.to[0].status = "scheduled"
        return SendPlan(message, (message,))

    def accept(self, plan: SendPlan, behaviour: Behaviour) -> None:
        """Store the messages; `CarrierError` if the sender's queue is full."""
        if not plan.is_scheduled:
            self._set_wait(plan, behaviour)
        if plan.deliveries[0] is plan.message:
            self._messages.add(plan.message)
        else:
            self._messages.add(plan.message, *plan.deliveries)

    def cancel(self, message_id: str) -> Message:
        """Cancel a scheduled message, until a minute before it is due."""
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

    def _set_wait(self, plan: SendPlan, behaviour: Behaviour) -> None:
        wait_s = behaviour.wait_seconds
        if behaviour.enforce_rates:
            wait_s = max(wait_s, self._queue_wait(plan.message))
        for message in (plan.message, *plan.deliveries):
            message.wait_seconds = round(wait_s, 3)
            message.valid_until = message.received_at + QUEUE_LIFE_S

    def _queue_wait(self, message: Message) -> float:
        wait_s = self._numbers.queue(message.sender, message.sender_kind, message.segments.parts)
        if wait_s is None:
            raise CarrierError(400, "40318", f"The queue of '{message.sender}' is full.", pointer="/from")
        return wait_s

    # -- the messages of a plan -------------------------------------------------------------------------

    def _message(self, fields: Fields, sender: Sender, content: Content, recipients: Sequence[str]) -> Message:
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

    def _plan_group(self, fields: Fields) -> SendPlan:
        address = fields.required_text("from")
        recipients = _group_recipients(fields)
        content = read_content(fields, mms=True)
        sender = self._senders.number(address, None, {"longcode", "tollfree"})
        for position, recipient in enumerate(recipients):
            self._check_block(sender, recipient, f"/to/{position}")
        group = self._message(fields, sender, content, recipients)
        group.group_message_id = group.id
        return SendPlan(group, [self._group_part(fields, sender, content, group, one) for one in group.to])

    def _group_part(
        self, fields: Fields, sender: Sender, content: Content, group: Message, recipient: Recipient
    ) -> Message:
        message = self._message(fields, sender, content, [])
        # The group and its part share this object, so the group always shows each recipient's status.
        message.to = [recipient]
        message.group_message_id = group.id
        return message

    def _plan_whatsapp(self, fields: Fields) -> SendPlan:
        address = fields.required_text("from")
        recipient = _recipient(fields.required_text("to"))
        fields.choice("type", ("WHATSAPP",), "WHATSAPP")
        body, content = read_whatsapp(fields)
        sender = self._senders.whatsapp(address, fields.text("messaging_profile_id"))
        message = self._message(fields, sender, content, [recipient])
        message.whatsapp = body
        return SendPlan(message, (message,))

    def _check_route(self, sender: Sender, recipient: str, content: Content) -> None:
        if sender.kind == "alphanumeric" and regions.region(recipient) != "other":
            raise CarrierError(
                400, "40301", "Alphanumeric senders cannot reach the US, Canada and Puerto Rico.", pointer="/to"
            )
        if content.type == "MMS" and sender.kind in {"alphanumeric", "shortcode"}:
            raise CarrierError(400, "40301", f"'{sender.address}' cannot send MMS.", pointer="/from")
        self._check_block(sender, recipient, "/to")

    def _check_block(self, sender: Sender, recipient: str, pointer: str) -> None:
        """A STOP by SMS blocks SMS and MMS. It does not block WhatsApp, which has its own consent."""
        if self._optouts.is_blocked(sender.profile_id, recipient):
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
        time_s = parse_rfc3339(text)
        if time_s is None:
            raise CarrierError(422, "10015", "'send_at' must be an ISO 8601 time.", pointer="/send_at")
        if not SCHEDULE_MIN_S <= time_s - self._clock.now() <= SCHEDULE_MAX_S:
            raise CarrierError(422, "10033", "'send_at' must be 5 minutes to 5 days in the future.", pointer="/send_at")
        return time_s


def _recipient(address: str, pointer: str = "/to") -> str:
    if not regions.is_reachable(address):
        raise CarrierError(400, "40310", "'to' must be a reachable number in +E.164 format.", pointer=pointer)
    return address


def _group_recipients(fields: Fields) -> Sequence[str]:
    recipients = fields.texts("to")
    if not recipients:
        raise missing("to")
    if len(recipients) > MAX_GROUP or len(set(recipients)) != len(recipients):
        raise CarrierError(400, "40310", f"A group has at most {MAX_GROUP} different recipients.", pointer="/to")
    for position, recipient in enumerate(recipients):
        if regions.region(_recipient(recipient, f"/to/{position}")) not in {"US", "CA"}:
            raise CarrierError(400, "40310", "Group MMS reaches only the US and Canada.", pointer=f"/to/{position}")
    return recipients


def requested_sender(fields: Fields) -> str | None:
    """The `from` of a request, valid or not. A refused request needs it to find the chaos override of its sender."""
    values: Mapping[str, Any] = fields.values
    sender = values.get("from")
    return sender if isinstance(sender, str) else None
