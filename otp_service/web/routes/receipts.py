"""Receipts of approvals: POST /receipts/redeem spends one, GET /.well-known/jwks.json has the keys that sign them."""

from collections.abc import Callable
from functools import partial
from typing import Any

import msgspec

from ...clock import rfc3339
from ...domain.errors import Refusal
from ...domain.marks import marked_test
from ...usecases.verify import Asserted, Verify
from ..bodies import decode
from ..http import JSON, PUBLIC, Call, Doc, Reply, Route, reply
from ..kept_replies import KeptReplies
from ..problems import Problems
from ..schemas.check import given
from ..schemas.forms import IDEMPOTENCY_KEY_FORM
from ..schemas.receipts import Jwks, RedeemedReceipt, RedeemRequest
from .codes import BODY, CALLER, STORE

_KEY_HEADER = (
    f"{IDEMPOTENCY_KEY_FORM}, new for each receipt. A repeat gets the first reply for 24 hours, with "
    "`Idempotent-Replayed: true`, and the receipt is spent once. Another body under it is 422."
)
_REDEEM = Doc(
    "Spend a receipt once",
    RedeemRequest,
    RedeemedReceipt,
    200,
    (*CALLER, *BODY, "receipt_invalid", "invalid_number", "receipt_spent", "idempotency_conflict", *STORE),
    headers=(("Idempotency-Key", _KEY_HEADER),),
    tag="receipts",
    operation_id="redeemReceipt",
    description="The second time it is 410. A receipt is good for 120 seconds; `ReceiptClaims` is what it says.",
)
_KEYS = Doc(
    "Keys of the receipts",
    None,
    Jwks,
    codes=("not_ready",),
    tag="receipts",
    operation_id="listReceiptKeys",
    description="Also the key that will sign next, for longer than this answer may be cached.",
)


class ReceiptRoutes:
    """Redeems receipts and shows their keys."""

    def __init__(
        self, verify: Verify, jwks: Callable[[], dict[str, Any]], kept: KeptReplies, problems: Problems
    ) -> None:
        self._verify = verify
        self._jwks = jwks
        self._kept = kept
        self._problems = problems

    def routes(self) -> list[Route]:
        """The routes of this resource."""
        return [
            Route("POST", "/receipts/redeem", self.redeem, "verify", _REDEEM, precheck=self._kept.replay),
            Route("GET", "/.well-known/jwks.json", self.keys, None, _KEYS),
        ]

    def redeem(self, call: Call) -> Reply:
        """POST /receipts/redeem."""
        return self._kept.answer(
            call, lambda: decode(call.headers, call.body, RedeemRequest), partial(self._redeem, call)
        )

    def _redeem(self, call: Call, body: RedeemRequest, request_key: str) -> Reply:
        asserted = Asserted(given(body.to), given(body.purpose), given(body.sub))
        outcome = self._verify.redeem(call.app, body.receipt, asserted, request_key)
        if isinstance(outcome, Refusal):
            return self._problems.refusal(outcome, call.request_id)
        spent_at = rfc3339(outcome.redeemed_at_ms)
        spent = RedeemedReceipt(spent_at, outcome.purpose, outcome.subject)
        if outcome.factor_id:
            spent.factor_id = outcome.factor_id
            return reply(200, spent)
        spent.verification_id, spent.to = outcome.verification_id, outcome.mask
        spent.test = marked_test(outcome.test)
        return reply(200, spent, outcome.verification_id)

    def keys(self, _: Call) -> Reply:
        """GET /.well-known/jwks.json: also the key that will sign next, for longer than the reply may be cached."""
        return Reply(200, {"Content-Type": JSON, **PUBLIC}, msgspec.json.encode(self._jwks()))
