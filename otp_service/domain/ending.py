"""What the store answers about the end of a verification: it had ended, was canceled, or its receipt was redeemed."""

from dataclasses import dataclass, field

from .verification import Status


@dataclass(frozen=True, slots=True)
class Ended:
    """The verification has ended, perhaps by this step. `counted`: by a guess that was compared and counted."""

    status: Status
    counted: bool = field(default=False, compare=False)


@dataclass(frozen=True, slots=True)
class NotFound:
    """This app has no such verification."""


@dataclass(frozen=True, slots=True)
class Canceled:
    """The verification was canceled."""


@dataclass(frozen=True, slots=True)
class Redeemed:
    """The receipt was spent at `at_ms`, now (`first`) or before."""

    at_ms: int
    first: bool
    mask: str
    purpose: str
