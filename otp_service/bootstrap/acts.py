"""Putting an act of an operator on record."""

from collections.abc import Mapping

from ..config import Settings
from ..domain import phone
from ..domain.audit import EventType
from .stores import open_keyring, open_stores


def record_act(settings: Settings, kind: EventType, detail: Mapping[str, int | str], number: str | None = None) -> None:
    """Record it. `number`: the person it is about, in E.164; without a keyring nobody is named.

    Raises ConfigError, InvalidNumber and StoreUnavailable.
    """
    keyring = open_keyring(settings) if number is not None and settings.keyring_path is not None else None
    stores = open_stores(settings, keyring)
    try:
        if keyring is None or number is None:
            stores.audit.record(kind, detail)
        else:
            person = phone.parse(number)
            number_hash = keyring.ids.number_hash(person.e164)
            stores.audit.record(kind, detail, mask=person.mask, number_hash=number_hash)
    finally:
        stores.store.close()
