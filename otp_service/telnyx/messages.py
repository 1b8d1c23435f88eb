"""Looking up messages that the carrier keeps: for ten days, of either direction."""

from ..domain.delivery import DeliveryReport
from . import responses
from .calls import Calls, data, segment, success
from .exceptions import NotFoundError, UnknownOutcomeError
from .responses import InboundMessage, OutboundMessage


class Messages(Calls):
    """The operations that look messages up."""

    def retrieve(self, message_id: str) -> DeliveryReport | None:
        """What the carrier knows of a message of ours now; None if it knows none (or it is over ten days old)."""
        try:
            message = self.show_message(message_id)
        except NotFoundError:
            return None
        self._require(message.id.lower() == message_id.lower(), "an answer about another message")
        if isinstance(message, InboundMessage):
            raise UnknownOutcomeError("a message to us, not of ours")
        latest = max(message.received_ms, message.sent_ms, message.completed_ms)
        found = responses.reports(message.raw, latest)
        if not found:
            raise UnknownOutcomeError("a message without a recipient's status")
        return found[0]

    def show_message(self, message_id: str) -> OutboundMessage | InboundMessage:
        """One message of either direction, at most ten days old."""
        message = responses.read_message(
            data(success(self._transport.request("GET", f"/messages/{segment(message_id)}")))
        )
        if message is None:
            raise UnknownOutcomeError("an answer without a message")
        return message
