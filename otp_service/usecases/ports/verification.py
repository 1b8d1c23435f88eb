"""Where verifications are stored."""

from collections.abc import Sequence
from typing import Protocol

from ...domain.checking import CheckAnswer, CheckCommand, LatestAnswer
from ...domain.denial import Denial
from ...domain.ending import Canceled, Ended, NotFound, Redeemed
from ...domain.guarding import GuardNeeded
from ...domain.ids import Reference
from ...domain.starting import StartAnswer, StartCommand, StartRefused, WouldSend
from ...domain.view import TimelineEntry, VerificationView


class VerificationStore(Protocol):
    """Where verifications are stored. Each method that changes one is a single atomic step."""

    def start(self, command: StartCommand) -> StartAnswer:
        """Start a verification, or send the pending one's code again. Where a resend is decided.

        GuardNeeded: only the pumping guard stands between, and is to be asked.
        """
        ...

    def would_start(self, command: StartCommand) -> WouldSend | StartRefused | GuardNeeded:
        """What `start` would do, at this moment; nothing changes."""
        ...

    def check(self, command: CheckCommand) -> CheckAnswer:
        """Count, compare and consume a guess."""
        ...

    def check_latest(self, command: CheckCommand) -> LatestAnswer | None:
        """The same at the newest verification of a number for the command's app and purpose; None if there is none."""
        ...

    def cancel(self, operation_id: str, ref: Reference, app: str) -> Canceled | Ended | NotFound:
        """Withdraw a pending verification."""
        ...

    def redeem(self, operation_id: str, ref: Reference, app: str, receipt_id: str, ends_ms: int) -> Redeemed | NotFound:
        """Spend a receipt, which is good until `ends_ms`."""
        ...

    def expire(self, ref: Reference) -> bool:
        """End a pending verification whose time is over; whether it ended now."""
        ...

    def pending(self, number_hash: str) -> list[Reference]:
        """The number's verifications that may be pending; some may have ended lately."""
        ...

    def first_received(self, number_hash: str, event_id: str) -> int:
        """When an event about the number was first received, by the store's clock."""
        ...

    def deny(self, ref: Reference, denial: Denial) -> str:
        """End a pending verification because the person says that it was not them: `denied` if it ended now."""
        ...

    def view(self, ref: Reference, app: str | None) -> VerificationView | None:
        """The verification as it is, if it is this app's (None: any app's)."""
        ...

    def view_with_timeline(
        self, ref: Reference, app: str | None
    ) -> tuple[VerificationView, list[TimelineEntry]] | None:
        """The same, and every event of it in order."""
        ...

    def versions(self, refs: Sequence[Reference]) -> list[int | None]:
        """The version of each verification, None where there is none; one round trip for all."""
        ...

    def timeline(self, ref: Reference) -> list[TimelineEntry]:
        """Every event of the verification, in order."""
        ...
