"""What is done at a shell goes on record: which act it was, and who typed it.

A command of the carrier, or of the keyring's file, also works where no store is named: then there is no record.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING

from .keys import at_shell
from .output import note
from .settings import load_settings

if TYPE_CHECKING:
    from ..config import Settings


def known_settings() -> "Settings":
    """The settings; what follows is caused by whoever types. Raises ConfigError."""
    from ..storage.callers import set_caller  # noqa: PLC0415

    settings = load_settings()
    set_caller("", "", at_shell(settings))
    return settings


def names_store() -> bool:
    """Whether the environment names the store; otherwise there is no record to write to."""
    from .. import config  # noqa: PLC0415

    environ = config.environment()
    return bool(environ.get("OTP_REDIS_URL") or environ.get("OTP_REDIS_URL_FILE"))


def put_on_record_first(kind: str, detail: Mapping[str, int | str], number: str | None = None) -> None:
    """The same before the act itself: what cannot be put on record is not done. Raises ServiceError."""
    from ..bootstrap.acts import record_act  # noqa: PLC0415
    from ..domain.audit import EventType  # noqa: PLC0415

    if names_store():
        record_act(known_settings(), EventType(kind), detail, number)


def put_on_record(kind: str, detail: Mapping[str, int | str], number: str | None = None) -> None:
    """Record an act, by the name of its event.

    `number`: the person it is about, in E.164; it stands in the record masked, and can be erased.
    """
    from ..bootstrap.acts import record_act  # noqa: PLC0415
    from ..domain.audit import EventType  # noqa: PLC0415
    from ..domain.errors import ServiceError  # noqa: PLC0415

    if not names_store():
        return
    try:
        record_act(known_settings(), EventType(kind), detail, number)
    except ServiceError as error:
        note(f"this is not on record ({kind}): {error.detail}")
