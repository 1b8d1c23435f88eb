"""Whether a code can be sent to this number at all, before the store is asked."""

from collections.abc import Mapping
from typing import Protocol

from ...domain import message_text, routing
from ...domain.errors import Refusal
from ...domain.factors import FactorKind
from ...domain.phone import Phone
from ...domain.policy import App, Channel


class _Request(Protocol):
    @property
    def channel(self) -> str: ...
    @property
    def context(self) -> Mapping[str, str]: ...


def no_room_for_payment(request: _Request) -> Refusal | None:
    """A payment goes by SMS only: its amount and payee must stand in the message in full."""
    if request.channel == Channel.SMS or not message_text.confirms_payment(request.context):
        return None
    detail = "The template of this channel has no room for the amount and the payee. Start with channel sms."
    return Refusal("channel_unavailable", detail)


def counts_for_nothing(app: App, purpose: str) -> Refusal | None:
    """A code that is sent must count for the purpose."""
    if FactorKind.SMS in app.counts(purpose):
        return None
    detail = "A code that is sent does not count for this purpose. Take another factor of the person."
    return Refusal("channel_unavailable", detail)


def unreachable(app: App, to: Phone, channel: Channel, *, served: bool, test: bool) -> Refusal | None:
    """The channel first (`served`: a sender of the route serves it), then the country and the kind of number.

    `test`: nothing is sent to it, so that its country and kind decide nothing.
    """
    if not served:
        detail = f"No sender of this app's route can reach this number by {channel}. Start with another channel."
        return Refusal("channel_unavailable", detail)
    if test:
        return None
    match routing.refused_destination(app, to):
        case "country_not_allowed" as code:
            return Refusal(
                code, "This app does not send to this number's country. The operator's `countries` lists them."
            )
        case "destination_blocked" as code:
            detail = f"This app sends no code to numbers of this kind ({to.kind}). Ask the person for another number."
            return Refusal(code, detail)
    return None
