"""Our own numbers, their health, and orders that move numbers between profiles."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from .. import json

Json = Mapping[str, Any]


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

    `mms` says whether it can carry media, `health` is None where the carrier gives no figures (mobile numbers).
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
