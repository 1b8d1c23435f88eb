"""Rules for single values of the file. Each raises ValueError with what is wrong and what to write instead."""

import re
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

from ..domain import codes, message_text, replies
from ..domain.errors import InvalidNumber
from ..domain.limits import RESERVED
from ..domain.names import NAME_FORM, is_name
from ..domain.numbering import Kind
from ..domain.phone import REGIONS, is_e164
from ..domain.phone import parse as parse_phone
from ..domain.policy import MAX_CONSECUTIVE_WRONG, MAX_LIFETIME_MS, TOMBSTONE_MS
from ..domain.prices import MICROS
from ..domain.retention import DAY_MS
from ..domain.territories import GROUPS
from .duration import Duration

if TYPE_CHECKING:
    from .sections import LimitEntry

_PROFILE_ID = re.compile(r"[A-Za-z0-9_-]{1,64}", re.ASCII)
MAX_DENIAL_WORD = 40


def profile_id(value: str) -> None:
    """The id of a messaging profile."""
    if not _PROFILE_ID.fullmatch(value):
        raise ValueError("must be the id of a messaging profile: 1 to 64 letters, digits, - and _")


def no_repeats(values: Sequence[str]) -> None:
    """A list that names nothing twice."""
    twice = sorted({value for value in values if values.count(value) > 1})
    if twice:
        raise ValueError(f"{twice[0]!r} is in the list twice; write it once")


def brand(value: str) -> None:
    """The name in every message."""
    if not message_text.printable(value) or message_text.hides_code(value):
        raise ValueError("printable characters, and no run of four digits that looks like a code")


def code_length(value: int) -> None:
    """Digits of a code."""
    if not codes.MIN_LENGTH <= value <= codes.MAX_LENGTH:
        raise ValueError(f"must be {codes.MIN_LENGTH} to {codes.MAX_LENGTH}")


def lifetime(value: Duration) -> None:
    """A time within the life of a code."""
    if not 1000 <= value <= MAX_LIFETIME_MS:
        raise ValueError("must be 1s to 10m")


def retention(value: Duration) -> None:
    """How long the audit log is kept: as long as its verifications at least."""
    if value < TOMBSTONE_MS:
        raise ValueError("must be at least 24h, as long as an ended verification is remembered")


def days(least: int, most: int) -> Callable[[Duration], None]:
    """A time of so many days."""

    def check(value: Duration) -> None:
        if not least * DAY_MS <= value <= most * DAY_MS:
            raise ValueError(f"must be {least * 24}h to {most}d")

    return check


def interval(value: Duration) -> None:
    """The period of a repeated task."""
    if value < 1000:
        raise ValueError("must be at least 1s")


def countries(values: Sequence[str]) -> None:
    """ISO 3166 codes, groups of them, or `*` for all."""
    for value in values:
        if value != "*" and value not in REGIONS and value not in GROUPS:
            hint = " (the United Kingdom is GB)" if value == "UK" else ""
            groups = ", ".join(GROUPS)
            raise ValueError(
                f'{value!r} is no country by ISO 3166 that has numbers, no group ({groups}), nor "*"{hint}'
            )


def priced(values: Mapping[str, object]) -> None:
    """Prices by ISO 3166 code."""
    for value in values:
        if value not in REGIONS:
            raise ValueError(f"{value!r} is no country by ISO 3166 that has numbers")


def spend_limit(value: float) -> None:
    """What an app may spend in a day, in whole millionths."""
    if value * MICROS < 1:
        raise ValueError("must be at least 0.000001: amounts are counted in millionths; leave it out for no limit")


def number_types(values: Sequence[str]) -> None:
    """Kinds of numbers, each by its word."""
    for value in values:
        if value not in set(Kind):
            raise ValueError(f"{value!r} is unknown; write some of {', '.join(Kind)}")


def denial_words(values: Sequence[str]) -> None:
    """Replies that mean "that wasn't me"."""
    for value in values:
        if not replies.plain(value) or len(value) > MAX_DENIAL_WORD:
            raise ValueError(f"{value!r} has no letters or digits, or more than {MAX_DENIAL_WORD}")
        if replies.read(value).wish is not None:
            raise ValueError(f"{value!r} opts a person out or in, or asks for help; write another word")


def windows(values: "Sequence[LimitEntry]") -> None:
    """Limits over a window of time."""
    if any(value.per < 1000 for value in values):
        raise ValueError("per must be at least 1s")


def rules(values: "Sequence[LimitEntry]") -> None:
    """The rules of a limit."""
    windows(values)
    if not values:
        raise ValueError('at least one rule must be there; write for example [{limit = 300, per = "1h"}]')


def limit_name(value: str) -> None:
    """The name of an entry of `[[limits]]`, which refusals tell."""
    if not is_name(value):
        raise ValueError(f"{value[:40]!r} is no name: it has {NAME_FORM}")
    if value in RESERVED:
        raise ValueError(f"{value!r} is the name of a limit that is there anyway; choose another")


def wrong_codes(values: "Sequence[LimitEntry]") -> None:
    """Limits of wrong codes: guessing is never unlimited (NIST SP 800-63B)."""
    windows(values)
    if not values:
        raise ValueError("at least one limit must be there (guessing is never unlimited)")
    if any(value.limit > MAX_CONSECUTIVE_WRONG for value in values):
        raise ValueError(f"limit must be at most {MAX_CONSECUTIVE_WRONG} (NIST SP 800-63B)")


def purposes(values: Mapping[str, object]) -> None:
    """Purposes of starts and checks."""
    for name in values:
        if not (1 <= len(name) <= 32 and name.isprintable()):
            raise ValueError(f"the purpose {name[:40]!r} must have 1 to 32 printable characters")
    for name, policy in values.items():
        acr = getattr(policy, "acr", "x")
        if not (acr.isascii() and acr.isprintable() and " " not in acr):
            raise ValueError(f"acr of {name!r} must be ASCII without blanks, as a URI is")


def e164(value: str) -> None:
    """A number of ours. Its form is enough: the carrier knows whether the number is ours."""
    if not is_e164(value):
        _region(value)


def people_on_call(values: Sequence[str]) -> None:
    """Numbers that a group message reaches."""
    if any(_region(value) not in ("US", "CA") for value in values):
        raise ValueError("group messages reach numbers of the US and Canada only; remove others")
    if len(set(values)) != len(values):
        raise ValueError("a number is in the list twice; write it once")


def _region(number: str) -> str | None:
    try:
        return parse_phone(number).region
    except InvalidNumber as error:
        raise ValueError(error.detail) from error
