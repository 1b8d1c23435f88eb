"""The sandbox as one object: its parts, its reset and its end. It has no HTTP code."""

from __future__ import annotations

import hmac
import threading
from collections.abc import Sequence

from otp_service.sandbox import seeds
from otp_service.sandbox.bulk_orders import BulkOrders
from otp_service.sandbox.chaos import ChaosSettings
from otp_service.sandbox.clock import Clock, SystemClock
from otp_service.sandbox.delivery import Delivery
from otp_service.sandbox.idempotency import Idempotency
from otp_service.sandbox.inbound import InboundMessages
from otp_service.sandbox.messages import Messages
from otp_service.sandbox.numbers import Numbers
from otp_service.sandbox.optouts import OptOuts
from otp_service.sandbox.phones import Phones
from otp_service.sandbox.request_log import RequestLog
from otp_service.sandbox.scheduler import Scheduler
from otp_service.sandbox.seeds import SandboxSender
from otp_service.sandbox.sending import Sending
from otp_service.sandbox.signing import WebhookSigner
from otp_service.sandbox.webhooks import WebhookSender, is_web_url


class Carrier:
    """All state of one sandbox. Threads start when they are first needed; `close` ends them.

    `webhook_url` is where every messaging profile sends its webhooks; `api_key` is the only key accepted, or
    None to accept any; `signing_seed` is the 32-byte seed of the webhook key, or None for a random one.
    """

    def __init__(
        self,
        *,
        webhook_url: str | None = None,
        api_key: str | None = None,
        signing_seed: bytes | None = None,
        senders: Sequence[SandboxSender] = (),
        clock: Clock | None = None,
    ) -> None:
        if webhook_url is not None and not is_web_url(webhook_url):
            raise ValueError("the webhook URL must be an http or https URL")
        self._api_key = api_key
        self._senders = tuple(senders)
        self.clock = clock or SystemClock()
        self.signer = WebhookSigner(signing_seed)
        self.scheduler = Scheduler(self.clock)
        self.webhook_sender = WebhookSender(self.signer, self.scheduler)
        self.chaos = ChaosSettings()
        self.request_log = RequestLog(self.clock)
        self.phones = Phones()
        self.messages = Messages(self.clock)
        self.optouts = OptOuts()
        self.idempotency = Idempotency(self.clock)
        self.numbers = Numbers(self.clock)
        self.bulk_orders = BulkOrders(self.numbers, self.scheduler)
        self.sending = Sending(self.clock, self.numbers, self.messages, self.optouts)
        self.delivery = Delivery(
            clock=self.clock,
            scheduler=self.scheduler,
            messages=self.messages,
            phones=self.phones,
            numbers=self.numbers,
            optouts=self.optouts,
            webhook_sender=self.webhook_sender,
            chaos=self.chaos,
            webhook_url=webhook_url,
        )
        self.inbound = InboundMessages(
            clock=self.clock,
            numbers=self.numbers,
            messages=self.messages,
            phones=self.phones,
            blocks=self.optouts,
            webhook_sender=self.webhook_sender,
            chaos=self.chaos,
            webhook_urls=self.delivery.webhook_urls,
            webhook_url=webhook_url,
        )
        self._interrupt = threading.Event()
        self.closed = False
        seeds.seed_account(self.numbers, self.clock, self._senders)

    def accepts_key(self, key: str) -> bool:
        """Whether this API key is accepted."""
        if self._api_key is None:
            return bool(key)
        return hmac.compare_digest(key.encode(), self._api_key.encode())

    def pause(self, seconds: float) -> None:
        """Wait, until a reset or the end at most."""
        self._interrupt.wait(seconds)

    @property
    def interruption(self) -> threading.Event:
        """Set at the next reset or at the end. Whatever holds a connection open must wait for it."""
        return self._interrupt

    def reset(self) -> None:
        """Forget everything, restore the default chaos settings, drop all waiting work."""
        self._interrupt.set()
        self._interrupt = threading.Event()
        self.scheduler.reset()
        self.webhook_sender.reset()
        self.chaos.reset()
        self.messages.reset()
        self.optouts.reset()
        self.idempotency.reset()
        self.bulk_orders.reset()
        self.numbers.reset()
        seeds.seed_account(self.numbers, self.clock, self._senders)
        self.phones.reset()
        self.request_log.reset()

    def close(self) -> None:
        """End all threads. Nothing is delivered or posted after this."""
        self.closed = True
        self._interrupt.set()
        self.scheduler.close()
        self.webhook_sender.close()
        self.phones.end_waits()
