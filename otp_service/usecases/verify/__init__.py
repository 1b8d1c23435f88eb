"""Starting, checking and canceling a verification, and redeeming its receipt: what a login flow asks for.

Each use case is one atomic step in the store, between pure preparation and pure translation. Nothing here decides on
anything that was read before the step: whether this is a resend, and whether a limit of the number refuses, is decided
in the store's script `start`; whether a guess is right in `check`. What lies on other shards than the number's (limits
per app, per client address) is taken before the step, by `admission`.

The shapes between the body of a request and the bytes of its reply (`tests/web/test_shapes.py` counts them):

* start, five: `StartRequest` -> `StartCommand` -> script arguments by name -> `Started`, a `VerificationView` ->
  `StartedVerification`.
* check, four: `CheckRequest` -> `CheckCommand` -> script arguments by name -> `Approved`. It holds the `Approval` that
  is written as the JSON; the use case signs the receipt into it.

Each of them is there for a reason. The requests are all that a caller may say. The commands hold a code only as digests
and sealed. The view counts in milliseconds of the store's clock, and holds the hash of the number;
`StartedVerification` has no member for that, so no such value can be told to a caller. An `Approval` has none either.
Without an Idempotency-Key nothing else reads, writes or copies the reply.
"""

from .admission import Admission, Part
from .cancel import CancelVerification
from .check import CheckRequest, CheckVerification
from .exceeded import Exceeded
from .preview import Preview
from .redeem import Asserted, RedeemReceipt, Redemption
from .refusals import NOT_FOUND, ended, seconds
from .risk import AskRisk
from .spending import Spending
from .start import StartVerification
from .start_limits import SlotsOfStarts, StartLimits
from .start_request import StartRequest
from .verify import Verify

__all__ = [
    "NOT_FOUND",
    "Admission",
    "AskRisk",
    "Asserted",
    "CancelVerification",
    "CheckRequest",
    "CheckVerification",
    "Exceeded",
    "Part",
    "Preview",
    "RedeemReceipt",
    "Redemption",
    "SlotsOfStarts",
    "Spending",
    "StartLimits",
    "StartRequest",
    "StartVerification",
    "Verify",
    "ended",
    "seconds",
]
