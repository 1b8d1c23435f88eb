"""What an app's receiver is sent."""

from collections.abc import Sequence

import msgspec
from msgspec import UNSET, UnsetType

from ...clock import rfc3339
from ...domain.callback import MAX_BODY
from ...domain.view import TimelineEntry, VerificationView
from .values import CallbackWord, Time
from .verification import TimelineEvent, Verification, shown_as, timeline_events


class CallbackData(Verification):
    """A verification as it was when the callback was written. Left out of a large one: the timeline."""

    timeline: list[TimelineEvent] | UnsetType = UNSET


class CallbackBody(msgspec.Struct):
    """What an app's receiver is sent. `timestamp` is when the event happened, `version` in `data` which is newer."""

    type: CallbackWord
    timestamp: Time
    data: CallbackData


def callback_body(kind: str, at_ms: int, view: VerificationView, timeline: Sequence[TimelineEntry]) -> str:
    """The body of a callback about an event of this type: less than 20 kB, without the timeline if it must be."""
    body = CallbackBody(kind, rfc3339(at_ms), shown_as(CallbackData, view, timeline=timeline_events(timeline)))
    raw = msgspec.json.encode(body)
    if len(raw) >= MAX_BODY:
        body.data.timeline = UNSET
        raw = msgspec.json.encode(body)
    return raw.decode()
