"""The delivery of a message after it was accepted: its statuses, its events, and its arrival on the phone.

    queued ──wait_seconds──▶ sent ──delay_ms──▶ delivered | delivery_unconfirmed | delivery_failed
                              └─ (outcome none: arrives, stays `sent`, no final event)
    queued ──wait_seconds + delay_ms──▶ sending_failed      (never sent, so there is no `message.sent`)

A phone receives the text for delivered, delivery_unconfirmed and none. The chaos settings at the time of acceptance
(for a scheduled message: at the time it is due) apply until the end.

Order of events: `message.finalized` is posted after the first attempt to post `message.sent`; with `reorder` it is
the other way round. With `early` both are posted before the send is answered, which waits for their first attempts
(3 s at most); `delay_ms` is skipped then. A message with `wait_seconds` has no event to post early.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from otp_service.sandbox.chaos import ChaosSettings
from otp_service.sandbox.chaos_settings import Behaviour
from otp_service.sandbox.clock import Clock
from otp_service.sandbox.errors import TITLES
from otp_service.sandbox.events import forged_delivery, message_event
from otp_service.sandbox.messages import FINAL, Message, Messages
from otp_service.sandbox.numbers import Numbers
from otp_service.sandbox.optouts import OptOuts
from otp_service.sandbox.phones import PhoneMessage, Phones
from otp_service.sandbox.scheduler import Scheduler
from otp_service.sandbox.webhooks import WebhookSender

EARLY_TIMEOUT_S = 3.0
_WHATSAPP_WINDOW_S = 24 * 3600
_SPAM_CODES = frozenset({"40002", "40003", "40015", "40017"})
_SUCCESS = frozenset({"delivered", "delivery_unconfirmed"})


def _nothing() -> None:
    return None


class _Latch:
    """Delays one action until `release` was called; after that, actions run at once."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._released = False
        self._waiting: Callable[[], None] | None = None

    def release(self) -> None:
        with self._lock:
            self._released = True
            action, self._waiting = self._waiting, None
        if action:
            action()

    def run_when_released(self, action: Callable[[], None]) -> None:
        with self._lock:
            if not self._released:
                self._waiting = action
                return
        action()


@dataclass(slots=True)
class _InFlight:
    """One message on its way, with the settings that applied when it was accepted.

    `sent_attempted` is released after the first attempt to post `message.sent`. `on_first_attempt` is called after
    the first attempt to post each event. `delayed_sent_event` is set if `reorder` posts it last.
    """

    message: Message
    behaviour: Behaviour
    on_first_attempt: Callable[[], None] = _nothing
    sent_attempted: _Latch = field(default_factory=_Latch)
    delayed_sent_event: dict[str, Any] | None = None


class Delivery:
    """Delivers accepted messages. `start` returns at once; `start_early` waits for the first webhook attempts."""

    def __init__(
        self,
        *,
        clock: Clock,
        scheduler: Scheduler,
        messages: Messages,
        phones: Phones,
        numbers: Numbers,
        optouts: OptOuts,
        webhook_sender: WebhookSender,
        chaos: ChaosSettings,
        webhook_url: str | None,
    ) -> None:
        self._clock = clock
        self._scheduler = scheduler
        self._messages = messages
        self._phones = phones
        self._numbers = numbers
        self._optouts = optouts
        self._webhook_sender = webhook_sender
        self._chaos = chaos
        self._webhook_url = webhook_url

    # -- starting ---------------------------------------------------------------------------------------

    def start(self, message: Message, behaviour: Behaviour) -> None:
        """Deliver an accepted message, after its `wait_seconds`."""
        in_flight = _InFlight(message, behaviour)
        if message.wait_seconds > 0:
            self._scheduler.run_after(message.wait_seconds, lambda: self._send(in_flight))
        else:
            self._send(in_flight)

    def start_early(self, messages: Sequence[Message], behaviour: Behaviour) -> None:
        """Deliver messages now, and return when each of their events was attempted once."""
        attempts = threading.Semaphore(0)
        ready = [message for message in messages if message.wait_seconds <= 0]
        for message in messages:
            if message.wait_seconds > 0:
                self.start(message, behaviour)
        for message in ready:
            self._send(_InFlight(message, behaviour, attempts.release), finish_now=True)
        events_each = sum(behaviour.delivery.outcome != kind for kind in ("none", "sending_failed"))
        self._wait_for_attempts(attempts, events_each * len(ready))

    def schedule(self, message: Message) -> None:
        """Start a scheduled message when it is due, unless it was cancelled or the person opted out."""
        self._scheduler.run_at(message.send_at or 0.0, lambda: self._start_scheduled(message))

    def _wait_for_attempts(self, attempts: threading.Semaphore, expected: int) -> None:
        deadline = self._clock.now() + EARLY_TIMEOUT_S
        for _ in range(expected):
            if not attempts.acquire(timeout=max(0.0, deadline - self._clock.now())):
                return

    def _start_scheduled(self, message: Message) -> None:
        behaviour = self._chaos.for_sender(message.sender)
        with self._messages.lock:
            if message.status != "scheduled":
                return
            message.to[0].status = "queued"
            message.wait_seconds = behaviour.wait_seconds
        if self._optouts.is_blocked(message.profile_id, message.to[0].phone_number):
            reason = "The recipient opted out before the message was due."
            self._finalize(_InFlight(message, behaviour), "sending_failed", "40300", reason)
        else:
            self.start(message, behaviour)

    # -- the statuses -----------------------------------------------------------------------------------

    def _send(self, in_flight: _InFlight, *, finish_now: bool = False) -> None:
        """Set the status `sent`, unless the outcome is to fail before that, and schedule the outcome."""
        if in_flight.behaviour.delivery.outcome == "sending_failed":
            in_flight.sent_attempted.release()
        else:
            self._set_sent(in_flight)
        if finish_now:
            self._apply_outcome(in_flight)
        else:
            delay_s = in_flight.behaviour.delivery.delay_ms / 1000
            self._scheduler.run_after(delay_s, lambda: self._apply_outcome(in_flight))

    def _set_sent(self, in_flight: _InFlight) -> None:
        message, behaviour = in_flight.message, in_flight.behaviour
        with self._messages.lock:
            message.to[0].status = "sent"
            message.sent_at = self._clock.now()
            message.valid_until = None
            self._update_group(message)
            self._count_sent(message)
            event = message_event("message.sent", message, self._clock.now())
        if behaviour.webhooks.reorder and behaviour.delivery.outcome != "none":
            in_flight.delayed_sent_event = event
        else:
            self._post_sent(in_flight, event)

    def _apply_outcome(self, in_flight: _InFlight) -> None:
        outcome, message = in_flight.behaviour.delivery.outcome, in_flight.message
        if outcome == "none":
            self._deliver_to_phone(message)
        elif outcome not in _SUCCESS:
            code = in_flight.behaviour.delivery.error_code
            reason = f"The message was not delivered: {TITLES.get(code, 'failed')}."
            self._finalize(in_flight, outcome, code, reason)
        elif self._is_outside_whatsapp_window(message):
            reason = "Free text needs a message from the person first."
            self._finalize(in_flight, "delivery_failed", "40008", reason)
        else:
            self._finalize(in_flight, outcome)

    def _finalize(self, in_flight: _InFlight, status: str, code: str | None = None, reason: str = "") -> None:
        """Set the final status, deliver to the phone if there is no error `code`, and post `message.finalized`."""
        message = in_flight.message
        with self._messages.lock:
            message.to[0].status = status
            message.completed_at = self._clock.now()
            message.valid_until = None
            if code is not None:
                message.set_error(code, reason)
            self._update_group(message)
            self._count_final(message, status, code)
            event = message_event("message.finalized", message, self._clock.now())
            # Together with the status: who reads that it was delivered finds it on the phone.
            if code is None:
                self._deliver_to_phone(message)
        self._post_finalized(in_flight, event)

    def _deliver_to_phone(self, message: Message) -> None:
        recipient = message.to[0]
        text = "\n".join(part for part in (message.subject or "", message.text, *message.media_urls) if part)
        self._phones.add(
            recipient.phone_number,
            PhoneMessage(message.id, message.sender, text, self._clock.now(), recipient.status, kind=message.type),
        )

    def _is_outside_whatsapp_window(self, message: Message) -> bool:
        """WhatsApp delivers free text only within a day of the person's last message to the sender."""
        if message.whatsapp is None or message.whatsapp.get("type") == "template":
            return False
        wrote_at = self._phones.last_sent_at(message.to[0].phone_number, message.sender)
        return wrote_at is None or self._clock.now() - wrote_at > _WHATSAPP_WINDOW_S

    # -- the events -------------------------------------------------------------------------------------

    def _post_sent(self, in_flight: _InFlight, event: dict[str, Any]) -> None:
        def attempted() -> None:
            in_flight.on_first_attempt()
            in_flight.sent_attempted.release()

        self._post(in_flight, event, attempted)

    def _post_finalized(self, in_flight: _InFlight, event: dict[str, Any]) -> None:
        sent_event = in_flight.delayed_sent_event
        if sent_event is None:
            in_flight.sent_attempted.run_when_released(lambda: self._post(in_flight, event, in_flight.on_first_attempt))
            return

        def post_sent_last() -> None:
            in_flight.on_first_attempt()
            self._post_sent(in_flight, sent_event)

        self._post(in_flight, event, post_sent_last)

    def _post(self, in_flight: _InFlight, event: dict[str, Any], attempted: Callable[[], None]) -> None:
        self._webhook_sender.post(
            event,
            self.webhook_urls(in_flight.message),
            in_flight.behaviour.webhooks,
            forgery=forged_delivery(event, in_flight.behaviour.delivery.outcome),
            on_first_attempt=attempted,
        )

    def webhook_urls(self, message: Message) -> list[str]:
        """Where events about this message go: first its own URLs, then its profile's unless it opts out of it."""
        profile = self._webhook_url if message.use_profile_webhooks else None
        wanted = (message.webhook_url, message.webhook_failover_url, profile)
        return list(dict.fromkeys(url for url in wanted if url))

    # -- groups and counts (with the lock of the messages) ----------------------------------------------

    def _update_group(self, message: Message) -> None:
        """A group is sent when its first message is, and complete when all of them are."""
        group = self._messages.get(message.group_message_id) if message.group_message_id else None
        if group is None or group is message:
            return
        group.sent_at = group.sent_at or message.sent_at
        if all(recipient.status in FINAL for recipient in group.to):
            group.completed_at = message.completed_at

    def _count_sent(self, message: Message) -> None:
        number = self._numbers.get(message.sender)
        if number is not None:
            number.health.sent += 1

    def _count_final(self, message: Message, status: str, code: str | None) -> None:
        number = self._numbers.get(message.sender)
        if number is not None:
            number.health.finished += 1
            number.health.delivered += status in _SUCCESS
            number.health.spam += code in _SPAM_CODES
