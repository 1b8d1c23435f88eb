"""Second factors: /factors enrols, confirms, checks, lists, renames and removes them."""

from functools import partial

import msgspec

from ... import telemetry
from ...clock import rfc3339
from ...domain.errors import Refusal
from ...domain.factor_checking import FactorApproval
from ...domain.factors import factor_id
from ...usecases.factors import FactorUseCases
from .. import qr
from ..bodies import decode
from ..http import FACTOR_RECEIPT, NO_STORE, Call, Doc, Reply, Route, reply
from ..idempotency import REPLAYED
from ..kept_replies import KeptReplies
from ..problems import Problems
from ..queries import decode_query
from ..schemas.factors import (
    ConfirmRequest,
    EnrolledTotp,
    Factor,
    FactorCheckRequest,
    FactorList,
    FactorsQuery,
    LabelRequest,
    RecoveryCodes,
    RecoveryCodesRequest,
    TotpRequest,
    shown_factor,
)
from .codes import BODY, CALLER, CHECK_KEY_HEADER, STORE, answer_word

SCOPE = "factors"
_ENROLL = Doc(
    "Enrol an authenticator app",
    TotpRequest,
    EnrolledTotp,
    201,
    (*CALLER, *BODY, "too_many_factors", *STORE),
    tag="factors",
    operation_id="enrollTotp",
    description="Secret and QR code are shown once. The app counts after POST /factors/totp/{factor_id}/confirm, "
    "within 15 minutes. A subject has ten at most.",
)
_CONFIRM = Doc(
    "Confirm an authenticator app by its first code",
    ConfirmRequest,
    Factor,
    200,
    (*CALLER, *BODY, "factor_not_found", "code_incorrect", "factor_expired", "attempts_exhausted", "code_used", *STORE),
    tag="factors",
    operation_id="confirmTotp",
    description="Five wrong codes end it. The code that confirms it cannot be used to log in. 410 `code_used`: it is "
    "active already.",
)
_LIST = Doc(
    "A subject's factors",
    None,
    FactorList,
    200,
    (*CALLER, "invalid_request", *STORE),
    query=FactorsQuery,
    tag="factors",
    operation_id="listFactors",
    description="No secret and no code stands in it.",
)
_RENAME = Doc(
    "Give a factor another label",
    LabelRequest,
    Factor,
    200,
    (*CALLER, *BODY, "factor_not_found", *STORE),
    tag="factors",
    operation_id="renameFactor",
    description="For the person, who may have several.",
)
_REMOVE = Doc(
    "Remove a factor",
    status=204,
    codes=(*CALLER, "payload_too_large", "invalid_request", "factor_not_found", *STORE),
    media="",
    tag="factors",
    operation_id="removeFactor",
    description="Its secret is deleted. A number that is removed is told by SMS.",
    factor_receipt=True,
)
CHECK_CODES = ("factor_not_found", "code_incorrect", "code_used", "too_many_wrong_codes")
_CHECK = Doc(
    "Check a code of one factor; only an approval is 2xx",
    FactorCheckRequest,
    FactorApproval,
    200,
    (*CALLER, *BODY, *CHECK_CODES, "idempotency_conflict", *STORE),
    headers=(("Idempotency-Key", CHECK_KEY_HEADER),),
    tag="factors",
    operation_id="checkFactor",
    description="As POST /verify/check with the subject, for this factor alone. All factors share one budget.",
)
_CODES = Doc(
    "Make ten new recovery codes",
    RecoveryCodesRequest,
    RecoveryCodes,
    201,
    (*CALLER, *BODY, *STORE),
    tag="factors",
    operation_id="replaceRecoveryCodes",
    description="They are shown once and replace all that the subject had.",
)


class FactorRoutes:
    """Manages the factors of subjects, and judges codes of one factor."""

    def __init__(self, factors: FactorUseCases, kept: KeptReplies, problems: Problems) -> None:
        self._factors = factors
        self._kept = kept
        self._problems = problems

    def routes(self) -> list[Route]:
        """The routes of this resource."""
        return [
            Route("POST", "/factors/totp", self.enroll, SCOPE, _ENROLL),
            Route("POST", "/factors/totp/{factor_id}/confirm", self.confirm, SCOPE, _CONFIRM),
            Route("GET", "/factors", self.list, SCOPE, _LIST),
            Route("PATCH", "/factors/{factor_id}", self.rename, SCOPE, _RENAME),
            Route("DELETE", "/factors/{factor_id}", self.remove, SCOPE, _REMOVE),
            Route("POST", "/factors/{factor_id}/check", self.check, SCOPE, _CHECK, precheck=self._kept.replay),
            Route("POST", "/factors/recovery-codes", self.replace_codes, SCOPE, _CODES),
        ]

    def enroll(self, call: Call) -> Reply:
        """POST /factors/totp."""
        enrolled = self._factors.enroll(call.app, decode(call.headers, call.body, TotpRequest))
        if isinstance(enrolled, Refusal):
            return self._problems.refusal(enrolled, call.request_id)
        shown = EnrolledTotp(
            factor_id=factor_id(enrolled.reference),
            kind="totp",
            status="pending",
            secret=enrolled.secret,
            uri=enrolled.uri,
            qr_svg=qr.svg(enrolled.uri),
            qr_png=qr.png(enrolled.uri),
            confirm_by=rfc3339(enrolled.confirm_by_ms),
        )
        return reply(201, shown)

    def confirm(self, call: Call) -> Reply:
        """POST /factors/totp/{factor_id}/confirm."""
        code = decode(call.headers, call.body, ConfirmRequest).code
        outcome = self._factors.confirm(call.app, call.path["factor_id"], code)
        if isinstance(outcome, Refusal):
            return self._problems.refusal(outcome, call.request_id)
        return reply(200, msgspec.structs.replace(shown_factor(outcome.factor), receipt=outcome.receipt))

    def list(self, call: Call) -> Reply:
        """GET /factors?subject=…."""
        wanted = decode_query(call.query, FactorsQuery)
        found = self._factors.manage.list(call.app, wanted.subject)
        return reply(200, FactorList([shown_factor(one) for one in found]))

    def rename(self, call: Call) -> Reply:
        """PATCH /factors/{factor_id}."""
        label = decode(call.headers, call.body, LabelRequest).label
        outcome = self._factors.manage.rename(call.app, call.path["factor_id"], label)
        if isinstance(outcome, Refusal):
            return self._problems.refusal(outcome, call.request_id)
        return reply(200, shown_factor(outcome))

    def remove(self, call: Call) -> Reply:
        """DELETE /factors/{factor_id}."""
        outcome = self._factors.manage.remove(call.app, call.path["factor_id"])
        if isinstance(outcome, Refusal):
            return self._problems.refusal(outcome, call.request_id)
        return Reply(204, {**NO_STORE, FACTOR_RECEIPT: outcome}, b"")

    def check(self, call: Call) -> Reply:
        """POST /factors/{factor_id}/check. Only an approval is 2xx."""
        return self._kept.answer(
            call, lambda: decode(call.headers, call.body, FactorCheckRequest), partial(self._check, call)
        )

    def _check(self, call: Call, request: FactorCheckRequest, request_key: str) -> Reply:
        outcome = self._factors.check.one(call.app, call.path["factor_id"], request, request_key)
        if isinstance(outcome, Refusal):
            telemetry.count(telemetry.CHECKS, call.app, outcome.code)
            return self._problems.refusal(outcome, call.request_id)
        word = answer_word(replayed=outcome.replayed, test=outcome.test is True)
        telemetry.count(telemetry.CHECKS, call.app, word)
        return reply(200, outcome, **(REPLAYED if outcome.replayed else {}))

    def replace_codes(self, call: Call) -> Reply:
        """POST /factors/recovery-codes."""
        subject = decode(call.headers, call.body, RecoveryCodesRequest).subject
        made = self._factors.replace_codes(call.app, subject)
        return reply(201, RecoveryCodes(factor_id(made.reference), list(made.codes), made.receipt))
