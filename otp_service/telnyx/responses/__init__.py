"""What comes from the carrier: its answers, and the messages in its webhooks, as typed values.

Reading is tolerant: unknown members stay in `raw`, optional ones that are missing or of the wrong type are None or
empty. A value without the member that makes it what it is (an id, a number) is no value: `read` is None.

No repr here shows a text or the number of a person. Numbers of our own senders are no secret.
"""

from .messages import InboundMessage, OutboundMessage, Recipient, TakenMessage, addressees, read_message
from .numbers import BulkUpdate, Number, NumberHealth
from .optouts import OptOut
from .pages import PageMeta
from .reports import delivery_named_by, is_about, reports

__all__ = [
    "BulkUpdate",
    "InboundMessage",
    "Number",
    "NumberHealth",
    "OptOut",
    "OutboundMessage",
    "PageMeta",
    "Recipient",
    "TakenMessage",
    "addressees",
    "delivery_named_by",
    "is_about",
    "read_message",
    "reports",
]
