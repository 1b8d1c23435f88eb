"""Whether the SMS of a start fits: the amount and the payee are never cut."""

from collections.abc import Mapping
from typing import Protocol

from ...domain import message_text
from ...domain.errors import InvalidRequest
from ...domain.policy import App, Channel


class _Request(Protocol):
    @property
    def channel(self) -> str: ...
    @property
    def locale(self) -> str: ...
    @property
    def context(self) -> Mapping[str, str]: ...
    @property
    def autofill(self) -> str: ...


def require_fit(app: App, request: _Request) -> None:
    """Raise InvalidRequest if an SMS of this start would not fit, amount and payee in full."""
    payment = message_text.confirms_payment(request.context)
    if not (payment or request.autofill) or not _may_be_sms(app, request):
        return
    try:
        message_text.longest(
            code_length=app.code_length,
            brand=app.brand,
            ttl_ms=app.code_ttl_ms,
            locale=request.locale,
            context=request.context,
            autofill=message_text.read_autofill(request.autofill),
        )
    except message_text.TextTooLong as error:
        raise _too_long(str(error), payment=payment, autofill=bool(request.autofill)) from error


def _may_be_sms(app: App, request: _Request) -> bool:
    # A code with a context stays on the channel asked for; for any other one failover may choose an SMS sender.
    if not any(sender.channel is Channel.SMS for sender in app.route):
        return False
    return request.channel == Channel.SMS or not request.context


def _too_long(sentence: str, *, payment: bool, autofill: bool) -> InvalidRequest:
    pointer = "/context" if payment else "/autofill"
    advice = "Shorten amount and payee" if payment else "Shorten the web origin or the app's brand"
    if autofill:
        advice += ", or leave out autofill"
    return InvalidRequest(f"{sentence} {advice}.", [(pointer, f"{sentence} {advice}.")])
