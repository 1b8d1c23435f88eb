"""The states of a verification.

```
pending ──right code──────────────▶ approved
   │  ├──its last wrong code──────▶ exhausted
   │  ├──time──────────────────────▶ expired
   │  ├──the caller withdraws it──▶ canceled
   │  └──"that wasn't me"─────────▶ denied
```
Every other state is final. The moves are made by the Lua scripts in `storage/lua`, one script a move; the rules that
they follow are replayed against this module's words by the model in `tests/storage/test_state_machine.py`.
"""

from enum import StrEnum

DEFAULT_PURPOSE = "login"
"""What a code is for, where the caller does not say."""


class Status(StrEnum):
    """The states of a verification."""

    PENDING = "pending"
    APPROVED = "approved"
    EXPIRED = "expired"
    CANCELED = "canceled"
    EXHAUSTED = "exhausted"
    DENIED = "denied"


ENDED_CODE = {
    Status.APPROVED: "already_approved",
    Status.EXPIRED: "verification_expired",
    Status.CANCELED: "verification_canceled",
    Status.EXHAUSTED: "attempts_exhausted",
    Status.DENIED: "verification_denied",
}
"""The problem code that explains how a verification ended."""
