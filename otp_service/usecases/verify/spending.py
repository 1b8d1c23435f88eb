"""What an app may spend on messages in a day: a start takes the expected price of its message before it is queued."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from ...domain import message_text, notices
from ...domain.admission import OuterAnswer
from ...domain.guarding import NO_REGION
from ...domain.message_text import Autofill
from ...domain.notices import Notice
from ...domain.phone import Phone
from ...domain.policy import App, Channel
from ...domain.prices import ExpectedCost, Prices
from ...domain.sms_segments import MAX_PARTS, segments
from ...domain.starting import StartCommand, Started
from .start_request import StartRequest


class Spending:
    """A part of the admission, for apps that have such a limit."""

    def __init__(self, prices: Prices) -> None:
        self._prices = prices

    def wanted(self, command: StartCommand, request: StartRequest, to: Phone) -> Sequence[ExpectedCost]:
        """The price of the dearest message that a sender of the route may send: who sends is not known yet."""
        app = command.app
        if app.spend_limit is None or command.test:
            return ()
        parts = _parts(command, request)
        channels = {sender.channel for sender in (*command.route, *command.failover_route)}
        price = max(self._prices.expected(to.region, channel, parts) for channel in channels)
        return [ExpectedCost(app.name, to.region or NO_REGION, price, app.spend_limit)]

    def told(self, command: StartCommand, answers: Sequence[OuterAnswer]) -> StartCommand:
        """Whether there was room for it."""
        return replace(command, spend=answers[0])

    def kept(self, answers: Sequence[OuterAnswer], started: Started) -> Sequence[OuterAnswer]:
        """The price, but for a repeat of an earlier start."""
        return () if started.replayed else answers


def _parts(command: StartCommand, request: StartRequest) -> int:
    """The most parts that the SMS may take."""
    app = command.app
    if not any(sender.channel is Channel.SMS for sender in (*command.route, *command.failover_route)):
        return 1
    if command.notice:
        text = notices.render(Notice(request.purpose), brand=app.brand, language=command.locale, replies=True)
        return segments(text).parts
    return code_parts(app, command.locale, request.context, message_text.read_autofill(request.autofill))


def code_parts(
    app: App, locale: str | None = None, context: Mapping[str, str] | None = None, autofill: Autofill | None = None
) -> int:
    """The most parts that the SMS with a code of the app may take."""
    try:
        text = message_text.longest(
            code_length=app.code_length,
            brand=app.brand,
            ttl_ms=app.code_ttl_ms,
            locale=locale,
            context=context,
            autofill=autofill,
        )
    except message_text.TextTooLong:
        return MAX_PARTS
    return segments(text).parts
