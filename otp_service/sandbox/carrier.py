"""The sandbox carrier as one object: its parts put together, its reset, its end. No HTTP here."""

from __future__ import annotations

import hmac
import threading
from collections.abc import Sequence

from otp_service.sandbox import seeds
from otp_service.sandbox.bulk import BulkOrders
from otp_service.sandbox.chaos import ChaosBook
from otp_service.sandbox.clock import Clock, SystemClock
from otp_service.sandbox.delivery import Delivery
from otp_service.sandbox.handsets import Handsets
from otp_service.sandbox.idempotency import Idempotency
from otp_service.sandbox.inbound import Inbound
from otp_service.sandbox.journal import Journal
from otp_service.sandbox.messages import Messages
from otp_service.sandbox.numbers import Numbers
from otp_service.sandbox.optouts import OptOuts
from otp_service.sandbox.seeds import SandboxSender
from otp_service.sandbox.sending import Sending
from otp_service.sandbox.signing import WebhookSigner
from otp_service.sandbox.timeline import Timeline
from otp_service.sandbox.webhooks import WebhookPoster, is_web_url


class Carrier:
    """All state of one sandbox. Threads start when first needed; `close` ends them.

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
        self.timeline = Timeline(self.clock)
        self.poster = WebhookPoster(self.signer, self.timeline)
        self.chaos = ChaosBook()
        self.journal = Journal(self.clock)
        self.handsets = Handsets()
        self.messages = Messages(self.clock)
        self.optouts = OptOuts()
        self.idempotency = Idempotency(self.clock)
        self.numbers = Numbers(self.clock)
        self.bulk_orders = BulkOrders(self.numbers, self.timeline)
        self.sending = Sending(self.clock, self.numbers, self.messages, self.optouts)
        self.delivery = Delivery(
            clock=self.clock,
            timeline=self.timeline,
            messages=self.messages,
            handsets=self.handsets,
            numbers=self.numbers,
            optouts=self.optouts,
            poster=self.poster,
            chaos=self.chaos,
            webhook_url=webhook_url,
        )
        self.inbound = Inbound(
            clock=self.clock,
            numbers=self.numbers,
            messages=self.messages,
            handsets=self.handsets,
            blocks=self.optouts,
            poster=self.poster,
            chaos=self.chaos,
            urls=self.delivery.urls,
            webhook_url=webhook_url,
        )
        self._interrupt = threading.Event()
        self.closed = False
        seeds.plant(self.numbers, self.clock, self._senders)

    def knows_key(self, key: str) -> bool:
        """Whether this API key opens the account."""
        if self._api_key is None:
            return bool(key)
        return hmac.compare_digest(key.encode(), self._api_key.encode())

    def pause(self, seconds: float) -> None:
        """Wait, but not beyond a reset or the end."""
        self._interrupt.wait(seconds)

    @property
    def interruption(self) -> threading.Event:
        """Set at the next reset or at the end; what holds a connection open watches it."""
        return self._interrupt

    def reset(self) -> None:
        """Forget everything, restore the default chaos, drop what is pending."""
        self._interrupt.set()
        self._interrupt = threading.Event()
        self.timeline.reset()
        self.poster.reset()
        self.chaos.reset()
        self.messages.reset()
        self.optouts.reset()
        self.idempotency.reset()
        self.bulk_orders.reset()
        self.numbers.clear()
        seeds.plant(self.numbers, self.clock, self._senders)
        self.handsets.reset()
        self.journal.reset()

    def close(self) -> None:
        """End all threads; nothing is delivered or posted any more."""
        self.closed = True
        self._interrupt.set()
        self.timeline.close()
        self.poster.close()
        self.handsets.wake()
