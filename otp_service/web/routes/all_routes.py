"""Every route of the service, from the parts that bootstrap builds."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from ...domain.ids import Ids
from ...domain.policy import Policy
from ...domain.watch_tokens import WatchTokens
from ...storage.audit_log import AuditLog
from ...storage.idempotency import Idempotency
from ...usecases.browse import Browse
from ...usecases.factors import FactorUseCases
from ...usecases.guard.completed import CompleteLogin
from ...usecases.guess_watch import Judged
from ...usecases.receive import Receive
from ...usecases.support import Support
from ...usecases.verify import Verify
from ...usecases.watch import Watch
from ..auth import Auth
from ..http import Route
from ..idempotency import IdempotencyKeys
from ..kept_replies import KeptReplies
from ..kept_webhooks import KeepWebhooks
from ..problems import Problems
from ..readiness import Judgement
from ..webhook_verdicts import WebhookVerdicts
from .audit_events import AuditRoutes
from .audit_log import AuditLogRoutes, Log
from .cancel_verification import CancelRoutes
from .check_verification import CheckRoutes
from .complete_verification import CompleteRoutes
from .documents import DocumentRoutes
from .factors import FactorRoutes
from .get_verification import VerificationRoutes
from .health import HealthRoutes
from .metrics import MetricsRoutes
from .optouts import OptOutRoutes
from .people import PeopleRoutes
from .receipts import ReceiptRoutes
from .start_verification import StartRoutes
from .webhooks import WebhookRoutes

LOOP_ROUTES = (
    ("POST", "/verify/check"),
    ("POST", "/verify/start"),
    ("GET", "/verify/{verification_id}"),
    ("GET", "/healthz"),
    ("GET", "/readyz"),
)
"""Method and template."""


@dataclass(frozen=True, kw_only=True)
class Backend:
    """What the routes work with. `readiness` judges; `token` makes nonces; `now_s` is Unix time in seconds."""

    verify: Verify
    complete: CompleteLogin
    policy: Policy
    factors: FactorUseCases
    browse: Browse
    support: Support
    judged: Judged
    watch: Watch
    receive: Receive
    idempotency: Idempotency
    audit: AuditLog
    signed_log: Log
    auth: Auth
    problems: Problems
    ids: Ids = field(repr=False)
    watch_tokens: WatchTokens = field(repr=False)
    seal: Callable[[bytes], str]
    unseal: Callable[[str], bytes]
    jwks: Callable[[], dict[str, Any]]
    webhook_keys: Sequence[bytes]
    keep_webhooks: KeepWebhooks | None
    verdicts: WebhookVerdicts
    now_s: Callable[[], float]
    readiness: Callable[[], Judgement]
    metrics: Callable[[], bytes]
    public_url: str
    token: Callable[[], str]


def all_routes(backend: Backend) -> list[Route]:
    """All routes. Also makes the OpenAPI document, which describes them."""
    documents = DocumentRoutes(backend.public_url, backend.token)
    routes = [
        *_verification_routes(backend),
        *ReceiptRoutes(backend.verify, backend.jwks, _kept(backend, "idem-redeem"), backend.problems).routes(),
        *FactorRoutes(backend.factors, _kept(backend, "idem-factor"), backend.problems).routes(),
        *OptOutRoutes(backend.browse).routes(),
        *PeopleRoutes(backend.support).routes(),
        *AuditRoutes(backend.browse, _recording(backend), backend.ids, backend.policy).routes(),
        *_signed_log_routes(backend),
        *_webhook_routes(backend),
        *_operation_routes(backend),
        *documents.routes(),
    ]
    documents.describe(routes)
    return routes


def loop_routes(backend: Backend) -> list[Route]:
    """The routes that an event loop answers itself: those that a login or a browser waits for, and health."""
    health = HealthRoutes(backend.readiness, backend.problems).routes()
    routes = [*_verification_routes(backend), *health]
    return [route for route in routes if (route.method, route.template) in LOOP_ROUTES]


def _verification_routes(backend: Backend) -> list[Route]:
    verify, problems, tokens = backend.verify, backend.problems, backend.watch_tokens
    factors = backend.factors
    start_keys = IdempotencyKeys("idem", backend.idempotency, backend.ids, problems)
    check = CheckRoutes(verify, factors, _kept(backend, "idem-check"), problems, backend.judged)
    return [
        *StartRoutes(verify, start_keys, tokens, problems, backend.policy).routes(),
        *check.routes(),
        *VerificationRoutes(backend.browse, backend.watch, tokens, problems).routes(),
        *CancelRoutes(verify, problems).routes(),
        *CompleteRoutes(backend.complete, problems).routes(),
    ]


def _kept(backend: Backend, kind: str) -> KeptReplies:
    keys = IdempotencyKeys(kind, backend.idempotency, backend.ids, backend.problems)
    return KeptReplies(keys, seal=backend.seal, unseal=backend.unseal)


def _recording(backend: Backend) -> Callable[..., None]:
    """Puts an event on record. The record is asked for then: tools look at the routes without a store behind them."""

    def record(*event: Any, **named: Any) -> None:
        backend.audit.record(*event, **named)

    return record


def _signed_log_routes(backend: Backend) -> list[Route]:
    log, problems, now_s = backend.signed_log, backend.problems, backend.now_s
    return AuditLogRoutes(log, problems, _recording(backend), now_s).routes()


def _webhook_routes(backend: Backend) -> list[Route]:
    keys, problems, now_s = backend.webhook_keys, backend.problems, backend.now_s
    verdicts, keep = backend.verdicts, backend.keep_webhooks
    return WebhookRoutes(backend.receive, backend.audit, keys, problems, now_s, verdicts=verdicts, keep=keep).routes()


def _operation_routes(backend: Backend) -> list[Route]:
    health = HealthRoutes(backend.readiness, backend.problems)
    return [*health.routes(), *MetricsRoutes(backend.metrics).routes()]
