"""POST /verify/check: judges a code. Only an approval is 2xx."""

from collections.abc import Callable

import msgspec

from ... import telemetry
from ...domain.checking import Approval
from ...domain.errors import KeyUnknown, Refusal, SealBroken
from ...domain.factor_checking import FactorApproval
from ...storage.idempotency import Replay
from ...usecases.factors import FactorUseCases
from ...usecases.guess_watch import Judged
from ...usecases.verify import Verify
from ..bodies import decode, require_json
from ..http import JSON, NO_STORE, Call, Doc, Reply, Route, reply
from ..idempotency import REPLAYED, IdempotencyKeys, has_key
from ..problems import Problems
from ..schemas.check import CheckRequest
from ..schemas.forms import IDEMPOTENCY_KEY_FORM
from .codes import BODY, CALLER, ENDED, STORE

_KEY_HEADER = (
    f"{IDEMPOTENCY_KEY_FORM}, new for each check that a person makes. A repeat of an approved check gets the same "
    "reply and receipt for 24 hours, with `Idempotent-Replayed: true`; another body under it is 422. Refusals are not "
    "stored: a wrong code that is sent again is judged again, and costs a try."
)
_VERDICTS = (
    *("verification_not_found", "factor_not_found", "number_not_bound", *ENDED, "code_used"),
    *("too_many_wrong_codes", "code_incorrect", "invalid_number"),
)
_DOC = Doc(
    "Check a code; only an approval is 2xx",
    CheckRequest,
    Approval,
    200,
    (*CALLER, *BODY, *_VERDICTS, "idempotency_conflict", *STORE),
    headers=(("Idempotency-Key", _KEY_HEADER),),
    operation_id="checkVerification",
    description="Every other outcome than an approval is 4xx or 5xx: a caller that looks at the status alone refuses. "
    "By `subject` the code is judged at every factor that it can be of, and the reply is a `FactorApproval`.",
    or_reply=FactorApproval,
)


_GUESSED = ("approved", "code_incorrect", "attempts_exhausted")
"""Answers to guesses. The last wrong one of a verification ends it."""


class _Kept(msgspec.Struct):
    """What of a stored approval the log names."""

    verification_id: str | None = None


class CheckRoutes:
    """Judges codes. A caller may send an Idempotency-Key; approvals are stored under it sealed."""

    def __init__(
        self,
        verify: Verify,
        factors: FactorUseCases,
        keys: IdempotencyKeys,
        problems: Problems,
        *,
        judged: Judged,
        seal: Callable[[bytes], str],
        unseal: Callable[[str], bytes],
    ) -> None:
        self._verify = verify
        self._factors = factors
        self._keys = keys
        self._problems = problems
        self._judged = judged
        self._seal = seal
        self._unseal = unseal

    def routes(self) -> list[Route]:
        """The route of this resource."""
        return [Route("POST", "/verify/check", self.check, "verify", _DOC, precheck=self.replay)]

    def check(self, call: Call) -> Reply:
        """POST /verify/check. Only an approval is 2xx."""
        require_json(call.headers)
        if has_key(call):
            return self._check_with_key(call)
        return self._judge(call, decode(call.headers, call.body, CheckRequest))

    def _judge(self, call: Call, request: CheckRequest, request_key: str = "") -> Reply:
        if request.verification_id is None and request.to is None:
            return self._judge_factors(call, request, request_key)
        outcome = self._verify.check(call.app, request, request_key)
        if isinstance(outcome, Refusal):
            self._count(call.app, outcome.code)
            return self._problems.refusal(outcome, call.request_id)
        self._count(call.app, "replayed" if outcome.replayed else "approved")
        approval = outcome.approval
        return reply(200, approval, approval.verification_id, **(REPLAYED if outcome.replayed else {}))

    def _judge_factors(self, call: Call, request: CheckRequest, request_key: str) -> Reply:
        outcome = self._factors.check(call.app, request.subject or "", request, request_key)
        if isinstance(outcome, Refusal):
            self._count(call.app, outcome.code)
            return self._problems.refusal(outcome, call.request_id)
        self._count(call.app, "approved")
        return reply(200, outcome)

    def _count(self, app: str, answer: str) -> None:
        telemetry.child(telemetry.CHECKS, app, answer).inc()
        if answer in _GUESSED:
            self._judged(app, right=answer == "approved")

    # ---- Idempotency-Key -------------------------------------------------------------------------------------------

    def replay(self, call: Call) -> Reply | None:
        """What an earlier check with this Idempotency-Key got; None if there was none. Answers before scopes."""
        return self._known(self._keys.look(call))

    def _check_with_key(self, call: Call) -> Reply:
        digest = self._keys.digest(call)
        request = decode(call.headers, call.body, CheckRequest)
        found = self._keys.reserve(call, digest)
        known = self._known(found)
        if known is not None:
            return known
        # Of key and body: another body can never get this approval.
        request_key = f"{digest}:{self._keys.fingerprint(call)}"
        if isinstance(found, Replay):
            return self._judge(call, request, request_key)
        return self._keys.run(call, digest, lambda: self._work(call, request, request_key))

    def _work(self, call: Call, request: CheckRequest, request_key: str) -> tuple[Reply, str | None]:
        judged = self._judge(call, request, request_key)
        return judged, self._seal(judged.body) if judged.status < 300 else None

    def _known(self, found: Replay | Reply | None) -> Reply | None:
        if not isinstance(found, Replay):
            return found
        try:
            first = self._unseal(found.body)
        except (KeyUnknown, SealBroken):
            # Its key is no longer in the keyring. The verification's record has the approval, too.
            return None
        named = {"Content-Type": JSON, **NO_STORE, "Idempotent-Replayed": "true"}
        verification_id = msgspec.json.decode(first, type=_Kept).verification_id
        return Reply(found.status, named, first, verification_id=verification_id)
