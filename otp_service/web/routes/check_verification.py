"""POST /verify/check: judges a code. Only an approval is 2xx."""

from functools import partial

from ... import telemetry
from ...domain.checking import Approval
from ...domain.errors import Refusal
from ...domain.factor_checking import FactorApproval
from ...domain.policy import LimitMode
from ...usecases.factors import FactorUseCases
from ...usecases.guess_watch import Judged
from ...usecases.verify import Verify
from ..bodies import decode, require_json
from ..http import Call, Doc, Reply, Route, reply
from ..idempotency import REPLAYED
from ..kept_replies import KeptReplies
from ..problems import Problems
from ..schemas.check import CheckRequest
from .codes import BODY, CALLER, CHECK_KEY_HEADER, ENDED, STORE, answer_word

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
    headers=(("Idempotency-Key", CHECK_KEY_HEADER),),
    operation_id="checkVerification",
    description="Every other outcome than an approval is 4xx or 5xx: a caller that looks at the status alone refuses. "
    "By `subject` the code is judged at every factor that it can be of, and the reply is a `FactorApproval`.",
    or_reply=FactorApproval,
)


class CheckRoutes:
    """Judges codes. A caller may send an Idempotency-Key; approvals are stored under it sealed."""

    def __init__(
        self, verify: Verify, factors: FactorUseCases, kept: KeptReplies, problems: Problems, judged: Judged
    ) -> None:
        self._verify = verify
        self._factors = factors
        self._kept = kept
        self._problems = problems
        self._judged = judged

    def routes(self) -> list[Route]:
        """The route of this resource."""
        return [Route("POST", "/verify/check", self.check, "verify", _DOC, precheck=self._kept.replay)]

    def check(self, call: Call) -> Reply:
        """POST /verify/check. Only an approval is 2xx."""
        require_json(call.headers)
        return self._kept.answer(
            call, lambda: decode(call.headers, call.body, CheckRequest), partial(self._judge, call)
        )

    def _judge(self, call: Call, request: CheckRequest, request_key: str) -> Reply:
        if request.verification_id is None and request.to is None:
            return self._judge_factors(call, request, request_key)
        outcome = self._verify.check(call.app, request, request_key)
        if isinstance(outcome, Refusal):
            self._refused(call, outcome)
            return self._problems.refusal(outcome, call.request_id)
        approval = outcome.approval
        self._approved(call.app, answer_word(replayed=outcome.replayed, test=approval.test is True))
        return reply(200, approval, approval.verification_id, **(REPLAYED if outcome.replayed else {}))

    def _judge_factors(self, call: Call, request: CheckRequest, request_key: str) -> Reply:
        outcome = self._factors.check(call.app, request.subject or "", request, request_key)
        if isinstance(outcome, Refusal):
            self._refused(call, outcome)
            return self._problems.refusal(outcome, call.request_id)
        self._approved(call.app, answer_word(replayed=outcome.replayed, test=outcome.test is True))
        return reply(200, outcome, **(REPLAYED if outcome.replayed else {}))

    def _refused(self, call: Call, refusal: Refusal) -> None:
        telemetry.count(telemetry.CHECKS, call.app, refusal.code)
        if refusal.guessed:
            self._judged(call.app, right=False)
        if refusal.limit:
            telemetry.count(telemetry.LIMITS, call.app, refusal.limit, LimitMode.ENFORCE)

    def _approved(self, app: str, answer: str) -> None:
        telemetry.count(telemetry.CHECKS, app, answer)
        if answer == "approved":
            self._judged(app, right=True)
