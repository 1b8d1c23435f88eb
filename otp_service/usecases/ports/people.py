"""What is remembered of a person, for those who support them."""

from collections.abc import Sequence
from typing import Protocol

from ...domain.person import Remembered


class PersonStore(Protocol):
    """What is remembered of a number, and taking it away."""

    def remembered(self, number_hash: str) -> Remembered:
        """Sends, wrong codes, starts and latest verifications."""
        ...

    def lift_lock(self, number_hash: str, mask: str, app: str | None, reason: str) -> list[str]:
        """Forget what counts against the number: budget, ladder and caps, of one app or of all (None).

        The names of the limits that had counted something.
        """
        ...

    def lift_optouts(
        self, number_hash: str, mask: str, profiles: Sequence[str], app: str | None, reason: str
    ) -> list[str]:
        """Forget the number's opt-outs of these messaging profiles; those that stood."""
        ...

    def record_shown(self, number_hash: str, mask: str, app: str | None) -> None:
        """Put on record that somebody looked."""
        ...
