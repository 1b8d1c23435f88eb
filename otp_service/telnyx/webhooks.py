"""What the carrier reports by webhook: one typed event from the raw body. The signature has been verified before.

`parse` raises `MalformedEvent` if the body is not a JSON object with an object `data`, and nothing else ever:
every other oddness is an `Other`, which the caller acknowledges and does nothing about. A signed body is genuine,
yet it holds what people wrote, and the carrier may change its mind about a type.

What cannot have come from a sound serialiser (a key twice, NaN, a number of forty digits) is an `Other` as a
whole: it is ambiguous, and two readers of one signed body must not see two different events.

`names_one`: it is about one person, and names no second one.

No repr of an event shows a text or a phone number.
"""

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

from ..domain.delivery import DeliveryReport
from . import json, responses

_LONGEST_TYPE = 100


class MalformedEvent(ValueError):
    """The body is not a JSON object with an object `data`."""


@dataclass(frozen=True, slots=True)
class DeliveryUpdate:
    """A delivery report of a message of ours: `message.sent`, `message.finalized` or `message.read`, per recipient."""

    event_id: str
    event_type: str
    occurred_ms: int
    reports: tuple[DeliveryReport, ...] = field(repr=False)
    names_one: bool = True


@dataclass(frozen=True, slots=True)
class Inbound:
    """A person wrote to us. `autoresponse_type` is the carrier's judgement: STOP, START, HELP or None.

    `text` is as the person wrote it; half a surrogate pair has become U+FFFD.
    """

    event_id: str
    occurred_ms: int
    message_id: str
    from_number: str = field(repr=False)
    to_number: str | None = field(repr=False)
    messaging_profile_id: str | None
    text: str = field(repr=False)
    autoresponse_type: str | None
    names_one: bool = True


@dataclass(frozen=True, slots=True)
class LinkClick:
    """A person opened a link in a message of ours. `time_ms` is 0 if unreadable, `to` as the carrier writes it."""

    event_id: str
    message_id: str
    to: str | None = field(repr=False)
    url: str = field(repr=False)
    time_ms: int
    names_one: ClassVar[bool] = True


@dataclass(frozen=True, slots=True)
class SpendLimit:
    """A profile has reached its daily limit and sends nothing more before midnight UTC. Amounts are decimal text."""

    event_id: str
    occurred_ms: int
    messaging_profile_id: str | None
    configured_limit: str | None
    current_cost: str | None
    names_one: ClassVar[bool] = False


@dataclass(frozen=True, slots=True)
class Other:
    """Anything else: acknowledge it. The two words are None where they were missing or unusable."""

    event_id: str | None
    event_type: str | None
    names_one: ClassVar[bool] = False


Event = DeliveryUpdate | Inbound | LinkClick | SpendLimit | Other


def parse(body: bytes) -> Event:
    """Read one webhook's raw body. Raises MalformedEvent and nothing else."""
    try:
        document = json.decode(body)
    except json.NotJson as error:
        raise MalformedEvent("The body is not JSON.") from error
    data = document.value.get("data") if isinstance(document.value, dict) else None
    if not isinstance(data, dict):
        raise MalformedEvent("The body is not an object with an object `data`.")
    if not document.strict:
        return Other(None, None)
    event_id, event_type = _event_id(data.get("id")), _word(data.get("event_type"))
    event = _read(data, event_id, event_type)
    return event if event is not None else Other(event_id, event_type)


def _read(data: Mapping[str, Any], event_id: str | None, event_type: str | None) -> Event | None:
    if event_type == _LINK_CLICK or (event_type is None and data.get("record_type") == "link_clicked"):
        return _link_click(data, event_id)
    reader = _READERS.get(event_type or "")
    if reader is None or event_id is None or event_type is None:
        return None
    payload = json.mapping(data.get("payload"))
    return reader(payload, event_id, event_type, json.instant_ms(data.get("occurred_at")))


def _delivery_update(payload: Mapping[str, Any], event_id: str, event_type: str, at_ms: int) -> Event | None:
    # A message was read, so it was delivered, whatever word stands beside the recipient.
    found = responses.reports(payload, at_ms, status="read" if event_type == "message.read" else None)
    return DeliveryUpdate(event_id, event_type, at_ms, found, _names_one(payload)) if found else None


def _inbound(payload: Mapping[str, Any], event_id: str, _event_type: str, at_ms: int) -> Event | None:
    message = responses.InboundMessage.read(payload)
    if message is None:
        return None
    return Inbound(
        event_id=event_id,
        occurred_ms=at_ms or message.received_ms,
        message_id=message.id,
        from_number=message.sender,
        to_number=message.to,
        messaging_profile_id=message.messaging_profile_id,
        text=message.text,
        autoresponse_type=message.autoresponse_type,
        names_one=_names_one(payload),
    )


def _names_one(payload: Mapping[str, Any]) -> bool:
    """Whether the message has one recipient at most: others' numbers stand in `to` or `cc`."""
    return len(responses.addressees(payload.get("to"))) <= 1 and not payload.get("cc")


def _spend_limit(payload: Mapping[str, Any], event_id: str, _event_type: str, at_ms: int) -> Event:
    return SpendLimit(
        event_id=event_id,
        occurred_ms=at_ms,
        messaging_profile_id=json.identifier(payload.get("profile_id")),
        configured_limit=_word(payload.get("configured_limit")),
        current_cost=_word(payload.get("current_cost")),
    )


_LINK_CLICK = "message.link_click"
_READERS: Mapping[str, Callable[[Mapping[str, Any], str, str, int], Event | None]] = {
    "message.sent": _delivery_update,
    "message.finalized": _delivery_update,
    "message.read": _delivery_update,
    "message.received": _inbound,
    "messaging-profile.spend-limit-reached": _spend_limit,
}


def _link_click(data: Mapping[str, Any], event_id: str | None) -> Event | None:
    """The schema gives the click flat in `data`, without id, type or payload; an enveloped one is read as well."""
    click = data.get("payload") if isinstance(data.get("payload"), dict) else data
    members = json.mapping(click)
    message_id = json.identifier(members.get("message_id"))
    url = json.string(members.get("url"))
    if message_id is None or not url:
        return None
    clicked = members.get("time_clicked")
    return LinkClick(
        # Without an id of its own, the same click reported twice must still get the same one.
        event_id=event_id or _digest(f"{message_id}\n{url}\n{json.string(clicked) or ''}"),
        message_id=message_id,
        to=json.address(members.get("to")),
        url=url,
        time_ms=json.instant_ms(clicked),
    )


def _event_id(value: object) -> str | None:
    """The carrier's id of the event: as it is if it is short and plain, else its digest; None if it is no text."""
    text = json.string(value)
    if not text:
        return None
    return json.identifier(text) or _digest(text)


def _digest(text: str) -> str:
    return "sha256:" + hashlib.sha256(text.encode("utf-8")).hexdigest()


def _word(value: object) -> str | None:
    text = json.identifier(value)
    return text if text is not None and len(text) <= _LONGEST_TYPE else None
