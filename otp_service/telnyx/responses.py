"""What comes from the carrier: its answers, and the messages in its webhooks, as typed values.

Reading is tolerant: unknown members stay in `raw`, optional ones that are missing or of the wrong type are None or
empty. A value without the member that makes it what it is (an id, a number) is no value: `read` is None.

No repr here shows a text or the number of a person. Numbers of our own senders are no secret.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from ..domain.delivery import DeliveryReport, Refused
from ..domain.numbering import identity
from . import errors, json

_DELIVERED = frozenset({"delivered", "read"})
_WEBHOOK_PATH = "/webhooks/telnyx/"
_DELIVERY_ID = re.compile(r"[A-Za-z0-9_.-]{1,100}", re.ASCII)

Json = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Recipient:
    """One person a message went to, and the carrier's word for how far it came."""

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
            to=_recipients(members.get("to")),
            messaging_profile_id=json.identifier(members.get("messaging_profile_id")),
            group_message_id=json.identifier(members.get("group_message_id")),
            text=json.free_text(members.get("text")),
            parts=json.integer(members.get("parts")),
            wait_s=max(0.0, json.number(members.get("wait_seconds")) or 0.0),
            cost=json.string(json.mapping(members.get("cost")).get("amount")),
            webhook_url=json.string(members.get("webhook_url")),
            received_ms=json.instant_ms(members.get("received_at")),
            sent_ms=json.instant_ms(members.get("sent_at")),
            completed_ms=json.instant_ms(members.get("completed_at")),
            errors=tuple(error for error in found if error is not None),
            raw=members,
        )


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
        ours = _recipients(members.get("to"))
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


def _recipients(value: object) -> tuple[Recipient, ...]:
    return tuple(one for one in map(Recipient.read, _addressees(value)) if one is not None)


def _addressees(value: object) -> list[Any]:
    return [value] if isinstance(value, str) else json.items(value)


def reports(value: object, occurred_ms: int, status: str | None = None) -> tuple[DeliveryReport, ...]:
    """What a message says of each of its recipients; empty if it lacks an id, a recipient or a status.

    `status` overrides the message's own words. An error belongs to the recipient its JSON pointer names, else to
    all of them; a delivered message has none, whatever happened on the way.
    """
    members = json.mapping(value)
    message_id = json.identifier(members.get("id"))
    if message_id is None:
        return ()
    delivery_id = delivery_named_by(members.get("webhook_url"))
    found = []
    for index, addressee in enumerate(_addressees(members.get("to"))):
        recipient = Recipient.read(addressee)
        word = status or json.identifier(recipient.status if recipient else None)
        if recipient is None or word is None:
            continue
        error = None if word in _DELIVERED else _error_for(index, members.get("errors"))
        found.append(DeliveryReport(message_id, recipient.number, word, occurred_ms, error, delivery_id))
    return tuple(found)


def is_about(message: OutboundMessage, request: bytes) -> bool:
    """Whether the carrier's message is the one that this request's body asked for.

    It names a recipient, and none that was not asked for. Where both name a delivery by their webhook address, it is
    the same.
    """
    asked = json.mapping(json.decode(request).value)
    wanted = {_person(one.number) for one in _recipients(asked.get("to"))}
    delivery_id, named = delivery_named_by(asked.get("webhook_url")), delivery_named_by(message.webhook_url)
    if delivery_id is not None and named is not None and delivery_id != named:
        return False
    found = {_person(one.number) for one in message.to}
    return bool(found) and found <= wanted


def _person(number: str) -> str:
    """Whose number it is, however it is written."""
    return identity("+" + re.sub(r"[^0-9A-Za-z]", "", number))


def _error_for(index: int, listed: object) -> Refused | None:
    for item in json.items(listed):
        pointer = json.string(json.mapping(json.mapping(item).get("source")).get("pointer")) or ""
        if pointer.startswith("/to/") and pointer.split("/")[2] != str(index):
            continue
        error = errors.delivery_error(item)
        if error is not None:
            return error
    return None


def delivery_named_by(webhook_url: object) -> str | None:
    """The delivery that a webhook address of ours names in its last path segment, or None for any other address."""
    url = json.string(webhook_url)
    if url is None:
        return None
    try:
        path = urlsplit(url).path
    except ValueError:
        return None
    name = path.rsplit("/", 1)[-1]
    return name if _WEBHOOK_PATH in path and _DELIVERY_ID.fullmatch(name) else None


@dataclass(frozen=True, slots=True)
class OptOut:
    """A block: the person `to` gets nothing more from `messaging_profile_id`. `created_ms` is 0 if unreadable."""

    to: str = field(repr=False)
    sender: str | None
    messaging_profile_id: str | None
    keyword: str | None
    created_ms: int
    raw: Json = field(repr=False, compare=False)

    @classmethod
    def read(cls, value: object) -> "OptOut | None":
        """Read one entry; None without the person's number (which the carrier masks if redaction was asked for)."""
        members = json.mapping(value)
        person = json.address(members.get("to"))
        if not person:
            return None
        return cls(
            to=person,
            sender=json.address(members.get("from")),
            messaging_profile_id=json.identifier(members.get("messaging_profile_id")),
            keyword=json.string(members.get("keyword")),
            created_ms=json.instant_ms(members.get("created_at")),
            raw=members,
        )


@dataclass(frozen=True, slots=True)
class NumberHealth:
    """A number's recent traffic as the carrier sees it; ratios lie between 0 and 1."""

    message_count: int | None
    inbound_outbound_ratio: float | None
    success_ratio: float | None
    spam_ratio: float | None


@dataclass(frozen=True, slots=True)
class Number:
    """One of our numbers and its messaging settings, a mobile one too. `type` is `longcode`, `tollfree`, ….

    `mms` says whether it can carry media, `health` is None where the carrier tells nothing (mobile numbers).
    """

    id: str
    phone_number: str
    messaging_profile_id: str | None
    type: str | None
    country_code: str | None
    messaging_product: str | None
    traffic_type: str | None
    mms: bool
    health: NumberHealth | None
    tags: tuple[str, ...]
    raw: Json = field(repr=False, compare=False)

    @classmethod
    def read(cls, value: object) -> "Number | None":
        """Read a number; None without its id or the number itself."""
        members = json.mapping(value)
        number_id = json.string(members.get("id"))
        phone_number = json.address(members.get("phone_number"))
        if not number_id or not phone_number:
            return None
        kind = json.string(members.get("type"))
        return cls(
            id=number_id,
            phone_number=phone_number,
            messaging_profile_id=json.identifier(members.get("messaging_profile_id")),
            # Both spellings, "toll-free" and "tollfree", occur in the carrier's own schema.
            type=kind.replace("-", "") if kind else None,
            country_code=json.string(members.get("country_code")),
            messaging_product=json.string(members.get("messaging_product")),
            traffic_type=json.string(members.get("traffic_type")),
            mms=bool(json.mapping(json.mapping(members.get("features")).get("mms"))),
            health=_health(members.get("health")),
            tags=json.strings(members.get("tags")),
            raw=members,
        )


def _health(value: object) -> NumberHealth | None:
    members = json.mapping(value)
    if not members:
        return None
    ratios = (json.number(members.get(name)) for name in _RATIOS)
    return NumberHealth(json.integer(members.get("message_count")), *ratios)


_RATIOS = ("inbound_outbound_ratio", "success_ratio", "spam_ratio")


@dataclass(frozen=True, slots=True)
class BulkUpdate:
    """An order that moves numbers into a profile; done when nothing is `pending`."""

    order_id: str
    success: tuple[str, ...]
    pending: tuple[str, ...]
    failed: tuple[str, ...]
    raw: Json = field(repr=False, compare=False)

    @classmethod
    def read(cls, value: object) -> "BulkUpdate | None":
        """Read an order; None without a usable id."""
        members = json.mapping(value)
        order_id = json.identifier(members.get("order_id"))
        if order_id is None:
            return None
        return cls(
            order_id=order_id,
            success=json.strings(members.get("success")),
            pending=json.strings(members.get("pending")),
            failed=json.strings(members.get("failed")),
            raw=members,
        )


@dataclass(frozen=True, slots=True)
class PageMeta:
    """Where a page of a list stands; pages count from 1."""

    page_number: int
    page_size: int
    total_pages: int
    total_results: int

    @classmethod
    def read(cls, value: object) -> "PageMeta | None":
        """Read it; None unless every member is a whole number that is not negative."""
        members = json.mapping(value)
        numbers = [json.integer(members.get(name)) for name in cls.__slots__]
        known = [n for n in numbers if n is not None and n >= 0]
        return cls(*known) if len(known) == len(numbers) else None
