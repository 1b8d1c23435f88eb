"""Writing the request of a delivery: once, and sealed, so that every attempt sends the same bytes.

The number and the code are read from the verification's sealed box, and from nowhere else.
"""

from dataclasses import dataclass, field

from ..domain import message_text, notices
from ..domain.notices import Notice
from ..domain.outbox import Job, PendingDelivery
from ..domain.policy import App, Channel, Sender
from . import ports, sealed_box
from .sealed_box import Box


@dataclass(frozen=True, slots=True)
class SealedRequest:
    """A request as it is kept, and its bytes."""

    sealed: str
    plain: bytes = field(repr=False)


_NONE = SealedRequest("", b"")


class SealRequest:
    """The requests of one installation. `public_url` is where the carrier reaches this service, without a path."""

    def __init__(self, *, carrier: ports.Carrier, vault: ports.Vault, public_url: str) -> None:
        self._carrier = carrier
        self._vault = vault
        self._public_url = public_url

    def has_key(self, pending: PendingDelivery) -> bool:
        """Whether this process has the key that sealed the box, or the request if there is one."""
        return not pending.sealed_by or self._vault.knows(pending.sealed_by)

    def request(self, job: Job, pending: PendingDelivery, app: App, sender: Sender) -> SealedRequest:
        """The request; none if there is one already, or if the verification has ended and its box is gone.

        Raises SealBroken, KeyUnknown, and TextTooLong if the text does not fit.
        """
        if pending.has_body or pending.box is None:
            return _NONE
        box = sealed_box.unpack(job.reference, self._vault.open(pending.box))
        delivery_id = job.delivery_id
        request = self._carrier.compose(
            sender,
            to=box.to,
            # A template message has no text of ours, and need not fit into one.
            text=_text(pending, app, sender, box) if sender.channel is Channel.SMS else "",
            code=box.code,
            webhook_url=f"{self._public_url}/webhooks/telnyx/{delivery_id}",
            delivery_id=delivery_id,
        )
        return SealedRequest(self._vault.seal(request), request)

    def open(self, sealed: str, made: SealedRequest) -> bytes:
        """The bytes of the sealed request that is to be sent: the one just made, or another worker's.

        Raises SealBroken and KeyUnknown.
        """
        return made.plain if made.plain and made.sealed == sealed else self._vault.open(sealed)


def _text(pending: PendingDelivery, app: App, sender: Sender, box: Box) -> str:
    if box.notice:
        language = message_text.language(pending.locale)
        return notices.render(Notice(box.notice), brand=app.brand, language=language, replies=sender.two_way)
    return message_text.render(
        code=box.code,
        brand=app.brand,
        lifetime_s=(pending.expires_ms - pending.now_ms + message_text.ROUNDING_MS) // 1000,
        locale=pending.locale or None,
        context=box.context,
        autofill=message_text.read_autofill(pending.autofill),
        replies=sender.two_way,
        denials=message_text.heard(app.denial_words),
    )
