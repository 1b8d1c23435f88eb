"""The carrier as the worker needs it: compose the bytes of a delivery once, send them, ask what became of them.

The composed value is the operation's path and the exact body, in one piece, so that every attempt of a delivery, also
one by another process after a crash, sends the same bytes to the same URL.
"""

import logging
from collections.abc import Mapping, Sequence

from ..clock import utc
from ..domain.delivery import DeliveryReport, SendOutcome
from ..domain.errors import CarrierUnavailable
from ..domain.optout_list import Block, BlockPage
from ..domain.policy import Sender, SenderKind
from .client import TelnyxClient
from .exceptions import RefusedError, TelnyxError
from .requests import SendRequest, WhatsAppTemplate, build_group_mms, build_send
from .responses import Number

ENOUGH = 20
"""Messages from which on a number's ratios say something."""

_log = logging.getLogger("otp.carrier")


class Gateway:
    """Fits `usecases.ports.Carrier`, `BlockList` and `Pager`. Safe for many threads."""

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

    def send(self, composed: bytes, *, idempotency_key: str, within_s: float) -> SendOutcome:
        """Send what `compose` made, within these seconds or not. Never raises for what the carrier or the way does."""
        path, _, body = composed.partition(b"\n")
        request = SendRequest(path.decode(), body)
        return self._client.send(request, idempotency_key=idempotency_key, within_s=within_s)

    def fetch_report(self, message_id: str) -> DeliveryReport | None:
        """What the carrier says of a message now; None if it does not say (then the poll comes again)."""
        try:
            return self._client.retrieve(message_id)
        except TelnyxError as error:
            _log.warning("the carrier does not say", extra={"reason": type(error).__name__})
            return None

    def health(self, senders: Sequence[Sender]) -> Mapping[str, tuple[float | None, float | None]]:
        """Success and spam ratio of each sender with figures; a pool's is its numbers'. Raises CarrierUnavailable."""
        try:
            numbers = [*self._client.list_numbers(), *self._client.list_mobile_numbers()]
        except TelnyxError as error:
            raise CarrierUnavailable("The carrier gives no figures of our numbers.") from error
        found = {sender.name: _ratios(sender, numbers) for sender in senders}
        return {name: ratios for name, ratios in found.items() if ratios != (None, None)}

    def blocks(self, profile: str, *, since_ms: int, until_ms: int | None, page: int) -> BlockPage:
        """A page of the profile's opt-outs between two Unix times, both ends included. Raises CarrierUnavailable."""
        try:
            found, meta = self._client.opt_out_page(
                page,
                messaging_profile_id=profile,
                since=utc(since_ms) if since_ms else None,
                until=None if until_ms is None else utc(until_ms),
            )
        except RefusedError as error:
            sentence = f"The carrier refuses to list opt-outs ({error.title}, code {error.code})."
            raise CarrierUnavailable(sentence) from error
        except TelnyxError as error:
            raise CarrierUnavailable(f"{error} The list of opt-outs will be asked for again.") from error
        blocks = tuple(Block(each.to, each.messaging_profile_id, each.keyword, each.created_ms) for each in found)
        return BlockPage(blocks, meta.page_number, meta.total_pages, meta.total_results)

    def page_people(self, sender: str, to: Sequence[str], text: str, *, idempotency_key: str) -> SendOutcome:
        """Write to the people on call at once. Never raises for what the carrier or the way to it does."""
        request = build_group_mms(sender=sender, to=to, text=text)
        return self._client.send(request, idempotency_key=idempotency_key)


def _ratios(sender: Sender, numbers: Sequence[Number]) -> tuple[float | None, float | None]:
    if sender.kind is SenderKind.NUMBER_POOL:
        own = [number for number in numbers if number.messaging_profile_id == sender.messaging_profile_id]
    else:
        own = [number for number in numbers if number.phone_number == sender.address]
    known = [n.health for n in own if n.health is not None and (n.health.message_count or 0) >= ENOUGH]
    success = [health.success_ratio for health in known if health.success_ratio is not None]
    spam = [health.spam_ratio for health in known if health.spam_ratio is not None]
    return (sum(success) / len(success) if success else None, sum(spam) / len(spam) if spam else None)
