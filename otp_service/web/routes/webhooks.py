"""Webhooks of the carrier: delivery reports, replies and link clicks. Nothing counts before the signature is verified.

A webhook with a good signature gets 200 with an empty body whatever it contains, so nobody learns anything from the
status. If the store does not answer it gets 503, and the carrier sends it again.
"""

import logging
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext

from ... import telemetry
from ...domain.audit import EventType
from ...domain.errors import StoreUnavailable
from ...storage.audit_log import AuditLog
from ...telnyx import webhooks
from ...telnyx.signatures import Verdict, verify
from ...usecases.receive import Receive
from ...usecases.receive_reply import Reply as IncomingReply
from ..http import NO_STORE, Call, Doc, Reply, Route
from ..kept_webhooks import KeepWebhooks
from ..problems import Problems
from ..webhook_verdicts import WebhookVerdicts
from .codes import STORE

TOLERANCE_S = 300
THROTTLE_MS = 1000
_log = logging.getLogger("otp.hooks")
_OK = Reply(200, dict(NO_STORE), b"")


class WebhookRoutes:
    """Verifies webhooks and passes them to their use cases. `now_s` is Unix time in seconds."""

    def __init__(
        self,
        receive: Receive,
        audit: AuditLog,
        public_keys: Sequence[bytes],
        problems: Problems,
        now_s: Callable[[], float],
        *,
        verdicts: WebhookVerdicts,
        keep: KeepWebhooks | None = None,
    ) -> None:
        """`keep`: what keeps accepted webhooks beside the record; None keeps none."""
        self._receive = receive
        self._audit = audit
        self._public_keys = public_keys
        self._verdicts = verdicts
        self._keep = keep
        self._problems = problems
        self._now_s = now_s

    def routes(self) -> list[Route]:
        """The routes of this resource: one for the profile, and one for each delivery, named in its message."""
        return [
            Route("POST", "/webhooks/telnyx", self.telnyx, None, _doc("receiveCarrierWebhook")),
            Route("POST", "/webhooks/telnyx/{delivery_id}", self.telnyx, None, _doc("receiveDeliveryWebhook")),
        ]

    def telnyx(self, call: Call) -> Reply:
        """POST /webhooks/telnyx and /webhooks/telnyx/{delivery_id}."""
        verdict = verify(
            self._public_keys,
            timestamp=call.headers.get("telnyx-timestamp"),
            signature=call.headers.get("telnyx-signature-ed25519"),
            body=call.body,
            now_s=self._now_s(),
            tolerance_s=TOLERANCE_S,
        )
        self._verdicts.count(verdict)
        if verdict is not Verdict.OK:
            return self._reject(call, verdict)
        try:
            event = webhooks.parse(call.body)
        except webhooks.MalformedEvent:
            telemetry.WEBHOOKS.labels("none", "malformed").inc()
            detail = "The body is no event of the carrier: send a JSON object with an object `data`."
            return self._problems.of("invalid_request", detail, call.request_id)
        telemetry.WEBHOOKS.labels(type(event).__name__, "ok").inc()
        with self._keeping(event, call):
            self._dispatch(event)
        return _OK

    def _keeping(self, event: webhooks.Event, call: Call) -> AbstractContextManager[None]:
        """One that names several people is not kept: it could not be erased with one of them."""
        if self._keep is None or not event.names_one:
            return nullcontext()
        headers = call.headers
        return self._keep.keeping(headers["telnyx-timestamp"], headers["telnyx-signature-ed25519"], call.body)

    def _dispatch(self, event: webhooks.Event) -> None:
        match event:
            case webhooks.DeliveryUpdate():
                self._receive.reports.apply(event.reports)
            case webhooks.Inbound():
                self._receive.replies.receive(self._reply(event))
            case webhooks.LinkClick():
                self._receive.reports.record_click(event.event_id, event.message_id, event.to)
            case webhooks.SpendLimit():
                extra = {"messaging_profile_id": event.messaging_profile_id}
                _log.error("a messaging profile has reached its daily spend limit", extra=extra)
                self._receive.spend_limit(event.messaging_profile_id)
            case _:
                _log.info("an event that needs nothing", extra={"event_type": event.event_type})

    def _reply(self, event: webhooks.Inbound) -> IncomingReply:
        return IncomingReply(
            event.event_id,
            from_number=event.from_number,
            to_number=event.to_number,
            messaging_profile_id=event.messaging_profile_id,
            text=event.text,
            autoresponse=event.autoresponse_type,
            occurred_ms=event.occurred_ms or int(self._now_s() * 1000),
        )

    def _reject(self, call: Call, verdict: Verdict) -> Reply:
        telemetry.WEBHOOKS.labels("none", str(verdict)).inc()
        _log.warning("webhook rejected", extra={"reason": str(verdict)})
        try:
            self._audit.record(EventType.WEBHOOK_REJECTED, {"reason": str(verdict)}, THROTTLE_MS)
        except StoreUnavailable:
            _log.warning("the rejection could not be recorded")
        if verdict is Verdict.STALE:
            detail = "The signature is good, but its time is more than 300 s off. Check this machine's clock."
            return self._problems.of("invalid_request", detail, call.request_id)
        detail = "The headers telnyx-timestamp and telnyx-signature-ed25519 must carry the carrier's signature."
        return self._problems.of("unauthorized", detail, call.request_id)


def _doc(operation_id: str) -> Doc:
    codes = ("unauthorized", "invalid_request", "payload_too_large", *STORE)
    summary = "Delivery reports, replies and link clicks"
    return Doc(
        summary,
        dict,
        None,
        200,
        codes,
        headers=(
            ("telnyx-timestamp", "Unix seconds; at most 300 off."),
            ("telnyx-signature-ed25519", "The carrier's signature over `timestamp|body`, in base64."),
        ),
        tag="webhooks",
        operation_id=operation_id,
        description="For the carrier alone. What is well signed is 200 with an empty body, whatever it says.",
    )
