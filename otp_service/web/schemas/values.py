"""Values that many answers hold, with their form for readers of the OpenAPI document. Nothing is validated by them."""

from collections.abc import Iterable
from typing import Annotated

from msgspec import Meta

from ...domain.audit import EventType
from ...domain.callback import EVENTS
from ...domain.delivery import DeliveryStatus
from ...domain.optout import Source
from ...domain.policy import Channel, SenderKind
from ...domain.verification import Status
from ..problems import STATUS


def words(values: Iterable[str]) -> Meta:
    """The form of a text that is one of these words."""
    return Meta(extra_json_schema={"enum": [str(value) for value in values]})


DATE_TIME = {"format": "date-time"}

Time = Annotated[str, Meta(extra_json_schema=DATE_TIME)]
Seconds = Annotated[int, Meta(extra_json_schema={"minimum": 0})]
Count = Annotated[int, Meta(extra_json_schema={"minimum": 0})]
MaskedNumber = Annotated[str, Meta(description="The number, masked: country code, stars, the last four digits.")]
ChannelWord = Annotated[str, words(Channel)]
VerificationStatus = Annotated[str, words(Status)]
SenderKindWord = Annotated[str, words(SenderKind)]
DeliveryStatusWord = Annotated[str, words(DeliveryStatus)]
EventWord = Annotated[str, words(EventType)]
CallbackWord = Annotated[str, words(sorted(EVENTS))]
OptOutSource = Annotated[str, words(Source)]
ProblemCode = Annotated[str, words(STATUS)]
