"""The carrier as the worker needs it: compose the bytes of a delivery once, send them, ask what became of them.

The composed value is the operation's path and the exact body, in one piece, so that every try of a delivery, also
one by another process after a crash, sends the same bytes to the same place.
"""

import logging

from ..domain.delivery import Receipt, SendOutcome
from ..domain.policy import Sender
from .client import TelnyxClient
from .exceptions import TelnyxError
from .wire import SendRequest, WhatsAppTemplate, build_send

_log = logging.getLogger("otp.carrier")


class Gateway:
    """Fits `usecases.ports.Carrier`. Safe for many threads."""

    def __init__(self, client: TelnyxClient) -> None:
        self._client = client

    def compose(self, sender: Sender, *, to: str, text: str, code: str, webhook_url: str, delivery_id: str) -> bytes:
        """The request that brings the text (for WhatsApp: the template's code) to the phone."""
        template = None
        if sender.template is not None:
            template = WhatsAppTemplate(sender.template.name, sender.template.language, code, delivery_id)
        request = build_send(
            sender.kind,
            to=to,
            text=text,
            sender=sender.address,
            messaging_profile_id=sender.messaging_profile_id,
            webhook_url=webhook_url,
            whatsapp=template,
        )
        return request.path.encode() + b"\n" + request.body

    def send(self, composed: bytes, *, idempotency_key: str) -> SendOutcome:
        """Send what `compose` made. Never raises for what the carrier or the way to it does."""
        path, _, body = composed.partition(b"\n")
        return self._client.send(SendRequest(path.decode(), body), idempotency_key=idempotency_key)

    def ask(self, message_id: str) -> Receipt | None:
        """What the carrier says of a message now; None if it does not say (then the poll comes again)."""
        try:
            return self._client.retrieve(message_id)
        except TelnyxError as error:
            _log.warning("the carrier does not say", extra={"reason": type(error).__name__})
            return None
