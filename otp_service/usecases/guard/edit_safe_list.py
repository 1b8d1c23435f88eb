"""Changing the safe list: each change is an event with its reason."""

from ...domain import phone
from ...domain.audit import EventType
from ...domain.errors import InvalidRequest
from .. import ports
from ..support import require_reason
from .safelist import SafeList, number_in


class EditSafeList:
    """Adds and removes numbers, blocks of 1,000 numbers (`+1202555***` style) and countries."""

    def __init__(self, *, names: SafeList, table: ports.EditedSafeList, events: ports.GuardEvents) -> None:
        self._names = names
        self._table = table
        self._events = events

    def add(self, what: str, reason: str) -> bool:
        """Add an entry; False if it was there. Raises InvalidNumber, InvalidRequest and StoreUnavailable."""
        name, reason = self.name(what), require_reason(reason)
        if not self._table.add(name, reason):
            return False
        self._record(EventType.SAFE_LISTED, name, reason)
        return True

    def remove(self, what: str, reason: str) -> bool:
        """Take an entry out; False if there was none. `what` may be the entry's name in the list."""
        name, reason = what if ":" in what else self.name(what), require_reason(reason)
        if not self._table.remove(name):
            return False
        self._record(EventType.SAFE_REMOVED, name, reason)
        return True

    def _record(self, kind: EventType, name: str, reason: str) -> None:
        # The hash of a number stands where an erasure reaches it: a detail is part of the record for good.
        number_hash = number_in(name)
        entry = name.partition(":")[0] if number_hash else name
        self._events.record(kind, {"entry": entry, "reason": reason}, number_hash=number_hash)

    def name(self, what: str) -> str:
        """The name of an entry: of a number in E.164, of its beginning with three stars, or of a country."""
        if what in phone.REGIONS:
            return f"country:{what}"
        if what.endswith("***"):
            prefix = what.removesuffix("***")
            phone.parse(f"{prefix}000")
            return self._names.block(prefix)
        if not what.startswith("+"):
            raise InvalidRequest("Name a number in E.164, a block such as +12025550***, or a country such as CA.")
        return self._names.number(phone.parse(what).e164)
