"""Messages of either direction, as the carrier keeps them."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ...domain.delivery import Refused
from .. import errors, json

Json = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Recipient:
    """One person a message went to, and the carrier's status of the message to them."""

    number: str = field(repr=False)
    status: str | None = None
    carrier: str | None = None
    line_type: str | None = None

    @classmethod
    def read(cls, value: object) -> "Recipient | None":
        """Read a member of `to`, given as an object or as a bare string."""
        number = json.address(value)
        if not number:
            return None
        members = json.mapping(value)
        return cls(number, *(json.string(members.get(name)) for name in ("status", "carrier", "line_type")))


@dataclass(frozen=True, slots=True)
class OutboundMessage:
    """A message of ours as the carrier keeps it. `wait_s` is how long it says it will hold the message.

    `errors` are delivery errors. Times are Unix milliseconds, 0 if not (yet) known.
    """

    id: str
    type: str | None
    sender: str | None
    to: tuple[Recipient, ...]
    messaging_profile_id: str | None
    group_message_id: str | None
    text: str = field(repr=False)
    parts: int | None
    wait_s: float
    cost: str | None
    webhook_url: str | None = field(repr=False)
    received_ms: int
    sent_ms: int
    completed_ms: int
    errors: tuple[Refused, ...]
    raw: Json = field(repr=False, compare=False)

    @classmethod
    def read(cls, value: object) -> "OutboundMessage | None":
        """Read a message; None without a usable id."""
        members = json.mapping(value)
        message_id = json.identifier(members.get("id"))
        if message_id is None:
            return None
        found = (errors.delivery_error(item) for item in json.items(members.get("errors")))
        return cls(
            id=message_id,
            type=json.string(members.get("type")),
            sender=json.address(members.get("from")),
            to=recipients(members.get("to")),
            messaging_profile_id=json.identifier(members.get("messaging_profile_id")),
            group_message_id=json.identifier(members.get("group_message_id")),
            text=json.free_text(members.get("text")),
            parts=json.integer(members.get("parts")),
            wait_s=_wait_s(members),
            cost=json.string(json.mapping(members.get("cost")).get("amount")),
            webhook_url=json.string(members.get("webhook_url")),
            received_ms=json.instant_ms(members.get("received_at")),
            sent_ms=json.instant_ms(members.get("sent_at")),
            completed_ms=json.instant_ms(members.get("completed_at")),
            errors=tuple(error for error in found if error is not None),
            raw=members,
        )


@dataclass(frozen=True, slots=True)
class TakenMessage:
    """What a send needs of the carrier's answer; the rest is a third of the time that a send takes to read it."""

    id: str
    to: tuple[Recipient, ...]
    webhook_url: str | None = field(repr=False)
    wait_s: float

    @classmethod
    def read(cls, value: object) -> "TakenMessage | None":
        """Read an outbound message; None without a usable id."""
        members = json.mapping(value)
        message_id = json.identifier(members.get("id"))
        if message_id is None:
            return None
        return cls(message_id, recipients(members.get("to")), json.string(members.get("webhook_url")), _wait_s(members))


def _wait_s(members: Json) -> float:
    return max(0.0, json.number(members.get("wait_seconds")) or 0.0)


@dataclass(frozen=True, slots=True)
class InboundMessage:
    """What a person wrote to one of our numbers."""

    id: str
    type: str | None
    sender: str = field(repr=False)
    to: str | None
    messaging_profile_id: str | None
    text: str = field(repr=False)
    autoresponse_type: str | None
    received_ms: int
    raw: Json = field(repr=False, compare=False)

    @classmethod
    def read(cls, value: object) -> "InboundMessage | None":
        """Read a message; None without a usable id or the person's number."""
        members = json.mapping(value)
        message_id = json.identifier(members.get("id"))
        sender = json.address(members.get("from"))
        if message_id is None or not sender:
            return None
        ours = recipients(members.get("to"))
        answered = json.string(members.get("autoresponse_type"))
        return cls(
            id=message_id,
            type=json.string(members.get("type")),
            sender=sender,
            to=ours[0].number if ours else None,
            messaging_profile_id=json.identifier(members.get("messaging_profile_id")),
            text=json.free_text(members.get("text")),
            autoresponse_type=answered.strip().upper()[:40] or None if answered else None,
            received_ms=json.instant_ms(members.get("received_at")),
            raw=members,
        )


def read_message(value: object) -> OutboundMessage | InboundMessage | None:
    """Read a message of either direction."""
    if json.mapping(value).get("direction") == "inbound":
        return InboundMessage.read(value)
    return OutboundMessage.read(value)


def recipients(value: object) -> tuple[Recipient, ...]:
    """Read the member `to` of a message; members that are no recipient are left out."""
    return tuple(one for one in map(Recipient.read, addressees(value)) if one is not None)


def addressees(value: object) -> list[Any]:
    """The members of `to` as the carrier wrote them: a list, or one bare string."""
    return [value] if isinstance(value, str) else json.items(value)
