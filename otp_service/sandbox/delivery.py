"""The life of a message after it was accepted: held, sent, finished; who is told, and whether a phone rings.

    queued ──wait_seconds──▶ sent ──delay_ms──▶ delivered | delivery_unconfirmed | delivery_failed
                              └─ (outcome none: arrives, stays `sent`, no final event)
    queued ──wait_seconds + delay_ms──▶ sending_failed      (never handed over, so no `message.sent`)

A phone gets the text for delivered, delivery_unconfirmed and none. The chaos that holds when a message is
accepted (for a scheduled one: when it is due) governs its whole life.

Order of events: `message.finalized` is posted when the first attempt for `message.sent` is over; with `reorder`
the other way round. With `early` both are posted, and their first attempts waited for (3 s at most), before the
send is answered; `delay_ms` is skipped then. A message that is held (`wait_seconds`) has nothing to tell early.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from otp_service.sandbox.chaos import Behaviour, ChaosBook
from otp_service.sandbox.clock import Clock, rfc3339
from otp_service.sandbox.errors import TITLES
from otp_service.sandbox.handsets import Handsets, Item
from otp_service.sandbox.messages import FINAL, Message, Messages, new_id
from otp_service.sandbox.numbers import Numbers
from otp_service.sandbox.optouts import OptOuts
from otp_service.sandbox.timeline import Timeline
from otp_service.sandbox.webhooks import WebhookPoster

EARLY_PATIENCE_S = 3.0
_SPAM_CODES = frozenset({"40002", "40003", "40015", "40017"})


class _Gate:
    """Lets one action wait for an event: it runs when both the gate is open and the action is there."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._open = False
        self._action: Callable[[], None] | None = None

    def open(self) -> None:
        with self._lock:
            self._open = True
            action, self._action = self._action, None
        if action:
            action()

    def when_open(self, action: Callable[[], None]) -> None:
        with self._lock:
            if not self._open:
                self._action = action
                return
        action()


@dataclass(slots=True)
class _Course:
    """One message on its way, with the chaos it was accepted under."""

    message: Message
    behaviour: Behaviour
    gate: _Gate
    tried: Callable[[], None]
    held_sent_event: dict[str, Any] | None = None


class Delivery:
    """Moves messages along. `start` returns at once; `start_early` waits for the first webhook attempts."""

    def __init__(
        self,
        *,
        clock: Clock,
        timeline: Timeline,
        messages: Messages,
        handsets: Handsets,
        numbers: Numbers,
        optouts: OptOuts,
        poster: WebhookPoster,
        chaos: ChaosBook,
        webhook_url: str | None,
    ) -> None:
        self._clock = clock
        self._timeline = timeline
        self._messages = messages
        self._handsets = handsets
        self._numbers = numbers
        self._optouts = optouts
        self._poster = poster
        self._chaos = chaos
        self._webhook_url = webhook_url

    # -- beginnings -------------------------------------------------------------------------------------

    def start(self, message: Message, behaviour: Behaviour) -> None:
        """Let an accepted message take its course."""
        course = _Course(message, behaviour, _Gate(), tried=lambda: None)
        if message.wait_seconds > 0:
            self._timeline.after(message.wait_seconds, lambda: self._hand_over(course))
        else:
            self._hand_over(course)

    def start_early(self, messages: Sequence[Message], behaviour: Behaviour) -> None:
        """Let messages take their whole course now, and return when their events have been tried."""
        held = [message for message in messages if message.wait_seconds > 0]
        for message in held:
            self.start(message, behaviour)
        tries = threading.Semaphore(0)
        expected = 0
        for message in messages:
            if message in held:
                continue
            expected += sum((behaviour.delivery.outcome != kind) for kind in ("none", "sending_failed"))
            course = _Course(message, behaviour, _Gate(), tried=tries.release)
            self._hand_over(course, at_once=True)
        deadline = self._clock.now() + EARLY_PATIENCE_S
        for _ in range(expected):
            if not tries.acquire(timeout=max(0.0, deadline - self._clock.now())):
                return

    def schedule(self, message: Message) -> None:
        """Start a scheduled message when it is due, unless it was cancelled or the person opted out."""
        self._timeline.at(message.send_at or 0.0, lambda: self._release(message))

    def _release(self, message: Message) -> None:
        behaviour = self._chaos.of(message.sender)
        with self._messages.lock:
            if message.status != "scheduled":
                return
            message.to[0].status = "queued"
            message.wait_seconds = behaviour.wait_seconds
        if self._optouts.blocks(message.profile_id, message.to[0].phone_number):
            self._end(
                _Course(message, behaviour, _Gate(), tried=lambda: None),
                "sending_failed",
                "40300",
                "The recipient opted out before the message was due.",
            )
        else:
            self.start(message, behaviour)

    # -- the course -------------------------------------------------------------------------------------

    def _hand_over(self, course: _Course, *, at_once: bool = False) -> None:
        """From our queue to the carrier of the recipient."""
        message, behaviour = course.message, course.behaviour
        if behaviour.delivery.outcome == "sending_failed":
            course.gate.open()
        else:
            with self._messages.lock:
                message.to[0].status = "sent"
                message.sent_at = self._clock.now()
                message.valid_until = None
                self._mirror(message)
                event = self._event("message.sent", message)
            self._count(message, sent=True)
            if behaviour.webhooks.reorder and behaviour.delivery.outcome != "none":
                course.held_sent_event = event
            else:
                self._tell_sent(course, event)
        if at_once:
            self._finish(course)
        else:
            self._timeline.after(behaviour.delivery.delay_ms / 1000, lambda: self._finish(course))

    def _finish(self, course: _Course) -> None:
        """What the carrier of the recipient made of it."""
        outcome = course.behaviour.delivery.outcome
        message = course.message
        if outcome in {"delivered", "delivery_unconfirmed"} and _outside_whatsapp_window(
            message, self._handsets, self._clock.now()
        ):
            self._end(course, "delivery_failed", "40008", "Free text needs a message from the person first.")
            return
        if outcome == "none":
            self._ring(message)
            return
        if outcome in {"delivered", "delivery_unconfirmed"}:
            self._end(course, outcome, None, "")
        else:
            code = course.behaviour.delivery.error_code
            self._end(course, outcome, code, f"The message was not delivered: {TITLES.get(code, 'failed')}.")

    def _end(self, course: _Course, status: str, code: str | None, detail: str) -> None:
        message = course.message
        with self._messages.lock:
            message.to[0].status = status
            message.completed_at = self._clock.now()
            message.valid_until = None
            if code is not None:
                message.fail(code, detail)
            self._mirror(message)
            event = self._event("message.finalized", message)
        self._count(message, status=status, code=code)
        if code is None:
            self._ring(message)
        sent_event = course.held_sent_event
        if sent_event is None:
            course.gate.when_open(lambda: self._post(course, event, course.tried))
            return

        def then_sent() -> None:
            course.tried()
            self._tell_sent(course, sent_event)

        self._post(course, event, then_sent)

    def _ring(self, message: Message) -> None:
        """The text appears on the phone."""
        recipient = message.to[0]
        text = "\n".join(part for part in (message.subject or "", message.text, *message.media_urls) if part)
        self._handsets.put(
            recipient.phone_number,
            Item(message.id, message.sender, text, self._clock.now(), recipient.status, kind=message.type),
        )

    # -- who is told ------------------------------------------------------------------------------------

    def _tell_sent(self, course: _Course, event: dict[str, Any]) -> None:
        def tried() -> None:
            course.tried()
            course.gate.open()

        self._post(course, event, tried)

    def _post(self, course: _Course, event: dict[str, Any], tried: Callable[[], None]) -> None:
        self._poster.post(
            event,
            self.urls(course.message),
            course.behaviour.webhooks,
            forgery=_opposite(event, course.behaviour.delivery.outcome),
            tried=tried,
        )

    def urls(self, message: Message) -> list[str]:
        """Where this message's events go: its own URLs first, then the profile's if it uses them."""
        profile = self._webhook_url if message.use_profile_webhooks else None
        wanted = (message.webhook_url, message.webhook_failover_url, profile)
        return list(dict.fromkeys(url for url in wanted if url))

    def _event(self, event_type: str, message: Message) -> dict[str, Any]:
        return event_data(event_type, message, self._clock.now())

    # -- bookkeeping ------------------------------------------------------------------------------------

    def _mirror(self, message: Message) -> None:
        """A group message shares its recipients' statuses and is complete when all of them are."""
        group = self._messages.get(message.group_message_id) if message.group_message_id else None
        if group is None or group is message:
            return
        group.sent_at = group.sent_at or message.sent_at
        if all(recipient.status in FINAL for recipient in group.to):
            group.completed_at = message.completed_at

    def _count(
        self, message: Message, *, sent: bool = False, status: str | None = None, code: str | None = None
    ) -> None:
        number = self._numbers.get(message.sender)
        if number is None:
            return
        with self._messages.lock:
            number.health.sent += sent
            if status is not None:
                number.health.finished += 1
                number.health.delivered += status in {"delivered", "delivery_unconfirmed"}
                number.health.spam += code in _SPAM_CODES


def event_data(event_type: str, message: Message, now: float) -> dict[str, Any]:
    """The signed `data` of an event about `message` as it stands."""
    return {
        "event_type": event_type,
        "id": new_id(),
        "occurred_at": rfc3339(now, zulu=False),
        "payload": message.to_json(webhook=True),
        "record_type": "event",
    }


def _opposite(event: dict[str, Any], outcome: str) -> dict[str, Any]:
    """What a forger would want believed: failed instead of delivered, and the other way round."""
    failed = outcome in {"delivery_failed", "sending_failed"}
    payload = dict(event["payload"])
    status = "delivered" if failed else "delivery_failed"
    payload["to"] = [{**recipient, "status": status} for recipient in payload["to"]]
    payload["completed_at"] = event["occurred_at"]
    payload["errors"] = (
        [] if failed else [{"code": "40008", "title": TITLES["40008"], "detail": "The message was not delivered."}]
    )
    return {**event, "event_type": "message.finalized", "payload": payload}


_WINDOW_S = 24 * 3600


def _outside_whatsapp_window(message: Message, handsets: Handsets, now: float) -> bool:
    """WhatsApp delivers free text only within a day of the person's last message to the sender."""
    if message.whatsapp is None or message.whatsapp.get("type") == "template":
        return False
    wrote_at = handsets.last_written(message.to[0].phone_number, message.sender)
    return wrote_at is None or now - wrote_at > _WINDOW_S
