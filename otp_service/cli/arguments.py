"""Types of arguments: each turns a text into a value or raises ArgumentTypeError with one sentence."""

import argparse
import contextlib
import re
from datetime import UTC, datetime
from pathlib import Path

from ..domain.errors import ServiceError
from ..domain.names import NAME_FORM, is_name


def port_number(text: str) -> int:
    """0 to 65535; 0 takes a free one."""
    return _whole(text, 0, 65535)


def count(text: str) -> int:
    """1 to 1000."""
    return _whole(text, 1, 1000)


def seed(text: str) -> int:
    """0 to 999,999,999: where a simulation's chance begins."""
    return _whole(text, 0, 999_999_999)


def many(text: str) -> int:
    """1 to 1,000,000."""
    return _whole(text, 1, 1_000_000)


def record_number(text: str) -> int:
    """1 to 999,999,999,999,999: the number of a record in the ledger."""
    return _whole(text, 1, 999_999_999_999_999)


def _whole(text: str, low: int, high: int) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= max(9, len(str(high))) and low <= int(text) <= high):
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number from {low} to {high}")
    return int(text)


def seconds(text: str) -> float:
    """A duration such as `5s` or `0s`, in seconds."""
    from ..config.duration import Duration  # noqa: PLC0415

    try:
        return Duration.read(text) / 1000
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def event_type(text: str) -> str:
    """A type of event of the record."""
    from ..domain.audit import EventType  # noqa: PLC0415

    if text not in set(EventType):
        raise argparse.ArgumentTypeError(f"{text!r} is no type of event: `audit tail` shows those that there are")
    return text


def app_name(text: str) -> str:
    """A name that an app can have in the configuration."""
    if not is_name(text):
        raise argparse.ArgumentTypeError(f"{text!r} is not a name of {NAME_FORM}")
    return text


def web_address(text: str) -> str:
    """An http or https URL."""
    from ..config import require_url  # noqa: PLC0415

    try:
        return require_url(text, "")
    except ServiceError:
        raise argparse.ArgumentTypeError(f"{text!r} is not an http or https URL without query") from None


def host_name(text: str) -> str:
    """An IP address or a host name."""
    try:
        known = text.strip() == text and 0 < len(text.encode("idna")) <= 253
    except UnicodeError:
        known = False
    if not known:
        raise argparse.ArgumentTypeError(f"{text!r} is not an address such as 127.0.0.1, ::1 or 0.0.0.0")
    return text


def host_and_port(text: str) -> tuple[str, int]:
    """`127.0.0.1:8500` or `[::1]:8500`."""
    host, colon, port = text.rpartition(":")
    if not colon:
        raise argparse.ArgumentTypeError(f"{text!r} is not an address with a port such as 127.0.0.1:8500")
    return host_name(host.removeprefix("[").removesuffix("]")), port_number(port)


def e164(text: str) -> str:
    """A number in E.164. Whether the number exists is the carrier's to decide."""
    from ..domain.phone import is_e164  # noqa: PLC0415

    if not is_e164(text):
        raise argparse.ArgumentTypeError(f"{text!r} is not a number in E.164, e.g. +12025550143")
    return text


def nonempty(text: str) -> str:
    """A text that is not blank."""
    if not text.strip():
        raise argparse.ArgumentTypeError("it must not be empty")
    return text


def file_path(text: str) -> Path:
    """A path that is not blank."""
    return Path(nonempty(text))


def moment(text: str) -> datetime:
    """A time in RFC 3339 with its zone."""
    # datetime takes more spellings than RFC 3339 has, e.g. weeks and bare dates, and "T" or a blank between.
    if re.fullmatch(r"\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d:\d\d(\.\d{1,9})?([Zz]|[+-]\d\d:\d\d)", text, re.ASCII):
        with contextlib.suppress(ValueError, OverflowError):
            return datetime.fromisoformat(text.upper()).astimezone(UTC)
    raise argparse.ArgumentTypeError(
        f"{text!r} is not a time such as 2026-12-01T09:30:00Z or 2026-12-01T10:30:00+01:00"
    )
