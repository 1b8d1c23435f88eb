"""Entries of the carrier's list of opt-outs."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from .. import json

Json = Mapping[str, Any]


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
