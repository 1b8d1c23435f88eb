"""Query parameters, each set as a struct: it validates them and stands in the OpenAPI document."""

import re
from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, ClassVar

import msgspec
from msgspec import UNSET, Meta, UnsetType

from ...domain.audit import EventType
from ...domain.errors import InvalidRequest
from .forms import E164_FORM, Request
from .values import DATE_TIME

MAX_WAIT_S = 25
"""How long a request may wait for news: less than what proxies usually allow."""

MAX_VERSION = 10**15 - 1
"""More than any `version`, and no more digits than a query's number may have."""

_INSTANT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,6})?(Z|[+-]\d\d:\d\d)", re.ASCII)
_WAIT = (
    "Seconds to wait for news, if there is none yet: the answer comes when `version` grows or the code expires, and "
    "else after this time, unchanged. With Retry-After, no slot to wait was free: ask again after that many seconds."
)


def bad_query(name: str, detail: str) -> InvalidRequest:
    """The error for a query parameter that cannot be used."""
    return InvalidRequest(f"The query parameter {name[:40]!r} cannot be used.", [(f"?{name[:40]}", detail)])


class WatchQuery(msgspec.Struct):
    """How GET /verify/{verification_id} waits. Other parameters are ignored."""

    MUST_BE: ClassVar[Mapping[str, str]] = {
        "wait": f"whole seconds, 1 to {MAX_WAIT_S}",
        "after": "a version, as in the answer before",
    }
    MAX_DIGITS: ClassVar[Mapping[str, int]] = {}

    wait: Annotated[int, Meta(ge=1, le=MAX_WAIT_S, description=_WAIT)] | UnsetType = UNSET
    after: (
        Annotated[
            int,
            Meta(
                ge=0,
                le=MAX_VERSION,
                description="The `version` that the caller has seen; without it the one at the request's arrival.",
            ),
        ]
        | UnsetType
    ) = UNSET


class AuditQuery(Request):
    """Which events GET /audit/events shows.

    A plus sign in a query arrives as a space unless it was escaped: it is read as the plus sign it was.
    """

    MUST_BE: ClassVar[Mapping[str, str]] = {
        "type": "no such type of event",
        "limit": "a whole number from 1 to 1000",
    }
    MAX_DIGITS: ClassVar[Mapping[str, int]] = {"limit": 4}

    verification: Annotated[str, Meta(description="Only events of this verification id.")] | UnsetType = UNSET
    delivery: Annotated[str, Meta(description="Only events of this delivery id.")] | UnsetType = UNSET
    number: (
        Annotated[str, Meta(description="Only events of this number (E.164).", extra_json_schema=E164_FORM)] | UnsetType
    ) = UNSET
    app: (
        Annotated[
            str, Meta(description="Only events of this app. A key with `audit:read` sees its own app's events only.")
        ]
        | UnsetType
    ) = UNSET
    type: Annotated[list[EventType], Meta(description="Only events of this type; may be repeated.")] = msgspec.field(
        default_factory=list
    )
    since: Annotated[str, Meta(description="RFC 3339, included.", extra_json_schema=DATE_TIME)] | UnsetType = UNSET
    until: Annotated[str, Meta(description="RFC 3339, included.", extra_json_schema=DATE_TIME)] | UnsetType = UNSET
    cursor: Annotated[str, Meta(description="`next_cursor` of the page before.")] | UnsetType = UNSET
    limit: Annotated[int, Meta(ge=1, le=1000, description="1 to 1000, default 100.")] = 100

    def __post_init__(self) -> None:
        """Raise InvalidRequest for a time that is none. Read the number as it was meant."""
        _ = self.since_ms, self.until_ms
        if not isinstance(self.number, UnsetType) and self.number.startswith(" "):
            self.number = "+" + self.number[1:]

    @property
    def since_ms(self) -> int | None:
        """The first wanted moment, in Unix milliseconds."""
        return _time("since", self.since)

    @property
    def until_ms(self) -> int | None:
        """The last wanted moment, in Unix milliseconds."""
        return _time("until", self.until)


def _time(name: str, text: str | UnsetType) -> int | None:
    if isinstance(text, UnsetType):
        return None
    text = text.replace(" ", "+")
    try:
        if not _INSTANT.fullmatch(text):
            raise ValueError
        ms = int(datetime.fromisoformat(text).timestamp() * 1000)
        if ms < 0:
            raise ValueError
    except (ValueError, OverflowError) as error:
        raise bad_query(name, "a time such as 2026-01-31T12:00:00Z") from error
    return ms
