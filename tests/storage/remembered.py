"""What is remembered of a number: its sends, starts and wrong codes, as tests read and change them."""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from otp_service.domain.ids import Reference
from otp_service.storage.schema import Keys
from otp_service.storage.schema.encodings import LatestEntry, SendEntry, SendList, WrongCodes
from otp_service.storage.schema.fields import Number


class Remembered:
    """The part of a harness that looks into the hashes of numbers."""

    if TYPE_CHECKING:
        keys: Keys
        raw: Any

        def now(self) -> int:
            """The store's clock in milliseconds."""

    def latest(self, number_hash: str, app: str, purpose: str) -> Reference | None:
        """The number's latest verification for the app and the purpose."""
        entry = self.raw.hget(self.keys.number(number_hash), f"{Number.LATEST}{app}:{purpose}")
        return Reference(LatestEntry.parse(entry)[0], number_hash) if entry else None

    def wrong_codes(self, number_hash: str, app: str | None = None) -> list[int]:
        """The times of the number's wrong codes, newest first: in an app, or over all apps."""
        times = self._wrong(number_hash, app)[2]
        return [int(at_ms) for at_ms in times.split(",") if at_ms]

    def set_wrong_codes(self, number_hash: str, app: str | None, times: Sequence[int]) -> None:
        """Let the number's wrong codes in an app, or over all apps, be these; those in a row stay as they are."""
        text = ",".join(str(at_ms) for at_ms in times)
        in_a_row, last, _ = self._wrong(number_hash, app)
        value = text if app is None else WrongCodes.pack(in_a_row, last, text)
        self.raw.hset(self.keys.number(number_hash), _wrong_field(app), value)

    def in_a_row(self, number_hash: str, app: str) -> int:
        """The number's wrong codes in the app since its last approval there."""
        return int(self._wrong(number_hash, app)[0])

    def set_in_a_row(self, number_hash: str, app: str, count: int) -> None:
        """Let the number's last wrong codes in the app be so many in a row, the last of them just now."""
        value = WrongCodes.pack(count, self.now(), self._wrong(number_hash, app)[2])
        self.raw.hset(self.keys.number(number_hash), _wrong_field(app), value)

    def _wrong(self, number_hash: str, app: str | None) -> list[str]:
        found = self.raw.hget(self.keys.number(number_hash), _wrong_field(app)) or ""
        return WrongCodes.parse(found) if app is not None and found else ["0", "0", found]

    def sends(self, number_hash: str) -> list[str]:
        """The entries of the number's sends, newest first."""
        found = self.raw.hget(self.keys.number(number_hash), Number.SENDS)
        return found.split(SendList.separator) if found else []

    def set_sends(self, number_hash: str, entries: Sequence[str]) -> None:
        """Let the number's sends be these, newest first."""
        self.raw.hset(self.keys.number(number_hash), Number.SENDS, SendList.separator.join(entries))

    def move_sends(self, number_hash: str, move: Callable[[int], int]) -> None:
        """Make the number's sends as much older or younger as this says."""
        parsed = [SendEntry.parse(entry) for entry in self.sends(number_hash)]
        if parsed:
            self.set_sends(number_hash, [SendEntry.pack(move(int(at)), app, purpose) for at, app, purpose in parsed])

    def starts(self, number_hash: str, app: str) -> list[int]:
        """The times of the number's sends in an app, newest first."""
        found = self.raw.hget(self.keys.number(number_hash), f"{Number.STARTS}{app}")
        return [int(at_ms) for at_ms in found.split(",")] if found else []

    def set_starts(self, number_hash: str, app: str, times: Sequence[int]) -> None:
        """Let the times of the number's sends in an app be these, newest first."""
        text = ",".join(str(at_ms) for at_ms in times)
        self.raw.hset(self.keys.number(number_hash), f"{Number.STARTS}{app}", text)


def _wrong_field(app: str | None) -> str:
    return Number.WRONG if app is None else f"{Number.WRONG}:{app}"
