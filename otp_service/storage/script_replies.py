"""Reading what the scripts of verifications reply: whose answer it is, and why a start was refused."""

from collections.abc import Sequence
from typing import Any

from ..domain.errors import StoreUnavailable
from ..domain.guarding import GuardPlace
from ..domain.ids import VERIFICATION_PREFIX
from ..domain.starting import StartRefused
from .guard_arguments import verdict_of


def refused(reply: Sequence[Any], place: GuardPlace | None = None) -> StartRefused:
    """The refusal of a start. `place`: where its number is."""
    left = int(reply[4]) if reply[4] != "" else None
    pending = f"{VERIFICATION_PREFIX}{reply[5]}" if reply[5] else None
    unguarded, quiet, verdict = reply[7] in ("unknown", "quiet"), reply[7] == "quiet", verdict_of(reply[8], place)
    return StartRefused(
        reply[2], int(reply[3]), left, reply[6], pending, unguarded=unguarded, quiet=quiet, verdict=verdict
    )


def require_echo(reply: Any, operation_id: str) -> None:
    """Raise StoreUnavailable unless the reply belongs to this operation."""
    # A reply to somebody else's operation would be the worst of all answers (CVE-2023-28858).
    if not isinstance(reply, list) or reply[0] != operation_id:
        raise StoreUnavailable("The store's answer belongs to another request.")
