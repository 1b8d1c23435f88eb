"""POST /verify/start: sends a code, or the pending one again."""

import msgspec

from ... import telemetry
from ...domain.errors import Refusal
from ...domain.policy import LimitMode, Policy
from ...domain.starting import Started
from ...domain.watch_tokens import WatchTokens
from ...storage.idempotency import Replay
from ...usecases.verify import Verify
from ..bodies import decode, require_json
from ..http import Call, Doc, Reply, Route, reply
from ..idempotency import REPLAYED, IdempotencyKeys, has_key
from ..problems import Problems
from ..rate_limits import policy_header, refusal_header
from ..schemas.forms import IDEMPOTENCY_KEY_FORM
from ..schemas.preview import StartPreview, start_preview
from ..schemas.start import StartRequest
from ..schemas.verification import StartedVerification, Verification, shown_as
from .codes import BODY, CALLER, STORE

_NUMBER = (
    "invalid_number",
    "channel_unavailable",
    "country_not_allowed",
    "destination_blocked",
    "guard_refused",
    "opted_out",
    "number_not_bound",
)
_LIMITS = ("too_many_wrong_codes", "context_conflict", "resend_too_soon", "rate_limited", "queue_full", "audit_backlog")
_DOC = Doc(
    "Send a code, or the pending one again",
    StartRequest,
    StartedVerification,
    201,
    (*CALLER, *BODY, *_NUMBER, *_LIMITS, "idempotency_conflict", *STORE),
    headers=(("Idempotency-Key", f"{IDEMPOTENCY_KEY_FORM}; kept for 24 hours."),),
    also=(200,),
    or_reply=StartPreview,
    rate_limited=True,
    operation_id="startVerification",
    description="201 for a new verification, 200 if the pending one's code is sent again. The answer comes as soon as "
    "the message is durably queued; its delivery is followed by GET /verify/{verification_id}. With `dry_run` it is "
    "200 and `StartPreview`, also where the start would be refused.",
)


class StartRoutes:
    """Starts verifications. A caller may send an Idempotency-Key."""

    def __init__(
        self, verify: Verify, keys: IdempotencyKeys, tokens: WatchTokens, problems: Problems, policy: Policy
    ) -> None:
        self._policy = policy
        self._policies: dict[str, str] = {}
        self._verify = verify
        self._keys = keys
        self._tokens = tokens
        self._problems = problems

    def routes(self) -> list[Route]:
        """The route of this resource."""
        return [Route("POST", "/verify/start", self.start, "verify", _DOC, precheck=self.replay)]

    def start(self, call: Call) -> Reply:
        """POST /verify/start."""
        require_json(call.headers)
        if has_key(call):
            return self._start_with_key(call)
        request = decode(call.headers, call.body, StartRequest)
        if request.dry_run:
            return self._preview(call, request)
        return self._reply(call, self._verify.start(call.app, request))

    def _preview(self, call: Call, request: StartRequest) -> Reply:
        return reply(200, start_preview(self._verify.preview(call.app, request)))

    def _reply(self, call: Call, outcome: Started | Refusal) -> Reply:
        if isinstance(outcome, Refusal):
            telemetry.count(telemetry.REFUSALS, call.app, outcome.code)
            if outcome.limit:
                telemetry.count(telemetry.LIMITS, call.app, outcome.limit, LimitMode.ENFORCE)
            return self._refusal(call, outcome)
        kind = "test" if outcome.test else "resend" if outcome.resent else "new"
        telemetry.count(telemetry.STARTS, call.app, kind)
        verification_id = outcome.reference.verification_id
        shown = shown_as(StartedVerification, outcome, watch_token=self._tokens.make(verification_id))
        return reply(
            200 if outcome.resent else 201, shown, verification_id, RateLimit_Policy=self._policies_of(call.app)
        )

    def _policies_of(self, app: str) -> str:
        if app not in self._policies:
            self._policies[app] = policy_header(self._policy, self._policy.apps[app])
        return self._policies[app]

    def _refusal(self, call: Call, refusal: Refusal) -> Reply:
        problem = self._problems.refusal(refusal, call.request_id)
        if problem.status != 429:
            return problem
        app = self._policy.apps[call.app]
        headers = {**problem.headers, "RateLimit-Policy": self._policies_of(call.app)}
        refuses = refusal_header(self._policy, app, refusal.limit, refusal.retry_after_s or 0)
        if refuses is not None:
            headers["RateLimit"] = refuses
        return msgspec.structs.replace(problem, headers=headers)

    # ---- Idempotency-Key -------------------------------------------------------------------------------------------

    def replay(self, call: Call) -> Reply | None:
        """What an earlier request with this Idempotency-Key got; None if there was none. Answers before scopes."""
        return self._known(call, self._keys.look(call))

    def _start_with_key(self, call: Call) -> Reply:
        digest = self._keys.digest(call)
        request = decode(call.headers, call.body, StartRequest)
        if request.dry_run:
            return self._preview(call, request)
        known = self._known(call, self._keys.reserve(call, digest))
        if known is not None:
            return known
        return self._keys.run(call, digest, lambda: self._work(call, request, digest))

    def _work(self, call: Call, request: StartRequest, digest: str) -> tuple[Reply, str | None]:
        outcome = self._verify.start(call.app, request, digest)
        kept = None if isinstance(outcome, Refusal) else _without_token(outcome)
        return self._reply(call, outcome), kept

    def _known(self, call: Call, found: Replay | Reply | None) -> Reply | None:
        if not isinstance(found, Replay):
            return found
        first = msgspec.json.decode(found.body, type=Verification)
        token = self._tokens.make(first.verification_id)
        shown = StartedVerification(**msgspec.structs.asdict(first), watch_token=token)
        # A reply is given again also to an app that is not configured any more.
        told = {"RateLimit_Policy": self._policies_of(call.app)} if call.app in self._policy.apps else {}
        return reply(found.status, shown, first.verification_id, **told, **REPLAYED)


def _without_token(started: Started) -> str:
    # The token can be made again, so the store need not hold it.
    return msgspec.json.encode(shown_as(Verification, started)).decode()
