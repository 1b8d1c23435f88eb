"""POST /verify/{verification_id}/cancel: withdraws a pending verification."""

import msgspec

from ...domain.errors import Refusal
from ...usecases.verify import Verify
from ..bodies import decode
from ..http import Call, Doc, Reply, Route, reply
from ..problems import Problems
from ..schemas.verification import Verification, shown_as
from .codes import BODY, CALLER, ENDED, STORE

_DOC = Doc(
    "Withdraw a verification",
    None,
    Verification,
    200,
    (*CALLER, *BODY, "verification_not_found", *ENDED, *STORE),
    operation_id="cancelVerification",
    description="No code of it is approved any more. One that has already ended is 410.",
)


class _Empty(msgspec.Struct, forbid_unknown_fields=True):
    """An empty object."""


class CancelRoutes:
    """Cancels verifications."""

    def __init__(self, verify: Verify, problems: Problems) -> None:
        self._verify = verify
        self._problems = problems

    def routes(self) -> list[Route]:
        """The route of this resource."""
        return [Route("POST", "/verify/{verification_id}/cancel", self.cancel, "verify", _DOC)]

    def cancel(self, call: Call) -> Reply:
        """POST /verify/{verification_id}/cancel. Takes no body, or an empty object."""
        if call.body:
            decode(call.headers, call.body, _Empty)
        outcome = self._verify.cancel(call.app, call.path["verification_id"])
        if isinstance(outcome, Refusal):
            return self._problems.refusal(outcome, call.request_id)
        return reply(200, shown_as(Verification, outcome))
