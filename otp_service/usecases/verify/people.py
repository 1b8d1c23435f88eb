"""Who a number belongs to, without keeping the number: its keyed hash."""

from ...domain import phone
from .. import ports


class People:
    """Reads numbers of callers. `fictitious` allows 555-0100 … 0199, which only a sandbox carrier delivers to."""

    def __init__(self, vault: ports.Vault, *, fictitious: bool) -> None:
        self._vault = vault
        self._fictitious = fictitious

    def phone(self, to: str) -> phone.Phone:
        """The number, which can receive a code. Raises InvalidNumber."""
        return phone.parse_receiver(to, fictitious=self._fictitious)

    def hash_of(self, to: str) -> str:
        """The keyed hash (hex) of a number. Raises InvalidNumber."""
        return self._vault.ids.number_hash(self.phone(to).e164)
