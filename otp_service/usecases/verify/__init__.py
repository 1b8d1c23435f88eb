"""Starting, checking and canceling a verification, and redeeming its receipt: what a login flow asks for.

Each use case is one atomic step in the store, between pure preparation and pure translation. Nothing here decides on
anything that was read before the step: whether this is a resend, and whether a limit of the number refuses, is decided
in the store's script `start`; whether a guess is right in `check`. Limits apart from the number (per app, per client
address) are taken in `start` here, before the step.

The shapes on the way of a request (parsed bodies in, JSON bytes out):

* start, five: request struct (`web.schemas.start.StartRequest`) -> `StartCommand` -> script arguments by name ->
  `VerificationView` (inside `Started`, which adds only `resent`) -> JSON bytes.
* check, four: request struct (`web.schemas.check.CheckRequest`) -> `CheckCommand` -> script arguments by name ->
  `Approved`, to which the use case adds the receipt, and which is written as the JSON.

The structs of `web.schemas` that stand in the OpenAPI document write the JSON: each is made and encoded in one call.
Without an Idempotency-Key nothing else reads, writes or copies the reply.
"""

from .cancel import CancelVerification
from .check import CheckRequest, CheckVerification
from .redeem import Asserted, RedeemReceipt, Redemption
from .refusals import NOT_FOUND, ended, seconds
from .start import StartRequest, StartVerification
from .verify import Verify

__all__ = [
    "NOT_FOUND",
    "Asserted",
    "CancelVerification",
    "CheckRequest",
    "CheckVerification",
    "RedeemReceipt",
    "Redemption",
    "StartRequest",
    "StartVerification",
    "Verify",
    "ended",
    "seconds",
]
