"""POST /verify/{verification_id}/completed: the login ended well by another way."""

import msgspec

from ...domain.errors import Refusal
from ...usecases.guard.completed import CompleteLogin
from ..bodies import decode
from ..http import Call, Doc, Reply, Route, reply
from ..problems import Problems
from ..schemas.verification import Verification, shown_as
from .codes import BODY, CALLER, STORE

_DOC = Doc(
    "Say that a login ended well by another way",
    None,
    Verification,
    200,
    (*CALLER, *BODY, "verification_not_found", "verification_denied", *STORE),
    operation_id="completeVerification",
    description="The person was let in without the code: by another factor, or by somebody. The guard against "
    "pumping counts that as an approval of the number; the verification stays as it is. A repeat changes nothing. "
    "What the person denied cannot be completed; what was canceled can be.",
)


class _Empty(msgspec.Struct, forbid_unknown_fields=True):
    """An empty object."""


class CompleteRoutes:
    """Takes note of logins that ended well."""

    def __init__(self, complete: CompleteLogin, problems: Problems) -> None:
        self._complete = complete
        self._problems = problems

    def routes(self) -> list[Route]:
        """The route of this resource."""
        return [Route("POST", "/verify/{verification_id}/completed", self.complete, "verify", _DOC)]

    def complete(self, call: Call) -> Reply:
        """POST /verify/{verification_id}/completed. Takes no body, or an empty object."""
        if call.body:
            decode(call.headers, call.body, _Empty)
        outcome = self._complete(call.app, call.path["verification_id"])
        if isinstance(outcome, Refusal):
            return self._problems.refusal(outcome, call.request_id)
        return reply(200, shown_as(Verification, outcome))
