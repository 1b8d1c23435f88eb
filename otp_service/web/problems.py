"""Errors as RFC 9457 problem documents: the one table from a code to its status, and nothing that shows internals."""

from collections.abc import Mapping
from typing import Any

import msgspec

from ..domain.errors import AppMissing, InvalidRequest, KeyUnknown, Refusal, ServiceError
from .http import NO_STORE, Reply

MEDIA = "application/problem+json"

STATUS: dict[str, tuple[int, str]] = {
    "invalid_request": (400, "The request is malformed"),
    "unauthorized": (401, "No valid credentials"),
    "forbidden": (403, "The API key may not do this"),
    "country_not_allowed": (403, "The app does not send to this country"),
    "destination_blocked": (403, "No code is sent to numbers of this kind"),
    "guard_refused": (403, "No code is sent, to keep people and accounts safe"),
    "number_not_bound": (403, "The number is not bound to the subject"),
    "opted_out": (403, "The person has opted out"),
    "not_found": (404, "There is nothing here"),
    "verification_not_found": (404, "No such verification"),
    "factor_not_found": (404, "No such factor"),
    "method_not_allowed": (405, "The method is not allowed here"),
    "request_timeout": (408, "The request took too long to arrive"),
    "context_conflict": (409, "Another context is pending"),
    "too_many_factors": (409, "The subject has as many factors as it may have"),
    "idempotency_conflict": (409, "The Idempotency-Key is in use"),
    "already_approved": (410, "Already approved"),
    "attempts_exhausted": (410, "All tries are used up"),
    "verification_expired": (410, "The verification has expired"),
    "verification_canceled": (410, "The verification was canceled"),
    "verification_denied": (410, "The person denied the request"),
    "factor_expired": (410, "It was not confirmed in time"),
    "code_used": (410, "The code was used before"),
    "receipt_spent": (410, "The receipt was already spent"),
    "payload_too_large": (413, "The body is too large"),
    "uri_too_long": (414, "The path with its query is too long"),
    "unsupported_media_type": (415, "The body is not JSON"),
    "code_incorrect": (422, "The code is not right"),
    "invalid_number": (422, "Not a telephone number"),
    "channel_unavailable": (422, "No sender serves this channel"),
    "receipt_invalid": (422, "Not a valid receipt"),
    "rate_limited": (429, "Too many requests"),
    "resend_too_soon": (429, "Too soon to send again"),
    "too_many_wrong_codes": (429, "Too many wrong codes"),
    "headers_too_large": (431, "The headers are too large"),
    "internal_error": (500, "Something went wrong on our side"),
    "method_unknown": (501, "No such method"),
    "store_unavailable": (503, "The store does not answer"),
    "queue_full": (503, "Too many messages are waiting"),
    "audit_backlog": (503, "Too many events are waiting to be put on record"),
    "not_ready": (503, "The service is not ready"),
}
"""Every code a caller can see. `idempotency_conflict` is 409 while the first request runs and 422 for another body."""

_RETRY_S = {
    "store_unavailable": 1,
    "queue_full": 2,
    "audit_backlog": 5,
    "not_ready": 2,
    "rate_limited": 1,
    "resend_too_soon": 1,
}

NOT_HANDLED = (
    "The request could not be handled. If it stays so, tell the operator this request id: the log has the cause."
)

_KEY_UNKNOWN = (
    "It was made with a key that this process does not have. This is no verdict; try again. Operators: see "
    "`otp-service keyring status`."
)
"""Which key stays inside: it is in the exception."""


class Problems:
    """Builds problem documents; `base` is the public URL, whose /docs explains each code."""

    def __init__(self, base: str) -> None:
        self._base = base

    def of(
        self,
        code: str,
        detail: str,
        request_id: str,
        *,
        status: int | None = None,
        retry_after_s: int | None = None,
        fields: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
        verification_id: str | None = None,
    ) -> Reply:
        """The problem document of a code. 429 and 503 always carry Retry-After."""
        default_status, title = STATUS[code]
        status = status or default_status
        document = {
            "type": f"{self._base}/docs#{code}",
            "title": title,
            "status": status,
            "detail": detail,
            "instance": request_id,
            "code": code,
        }
        if code == "invalid_request":
            fields = {"errors": [{"pointer": "", "detail": detail}], **(fields or {})}
        # No field of a refusal may replace one of RFC 9457's members.
        document |= {name: value for name, value in (fields or {}).items() if name not in document}
        sent = {"Content-Type": MEDIA, **NO_STORE, **(headers or {})}
        if status in (429, 503):
            sent["Retry-After"] = str(retry_after_s or _RETRY_S.get(code, 1))
        return Reply(status, sent, msgspec.json.encode(document), code, verification_id=verification_id)

    def refusal(self, refusal: Refusal, request_id: str) -> Reply:
        """The problem document of an expected outcome. A 401 names the scheme to use (RFC 9110, 15.5.2)."""
        return self.of(
            refusal.code,
            refusal.detail,
            request_id,
            retry_after_s=refusal.retry_after_s,
            fields=refusal.fields,
            headers={"WWW-Authenticate": "Bearer"} if refusal.code == "unauthorized" else None,
            verification_id=refusal.verification_id,
        )

    def error(self, error: ServiceError, request_id: str) -> Reply:
        """The problem document of an exception. One whose code has no status is an internal error without details."""
        if isinstance(error, KeyUnknown):
            return self.of(error.code, _KEY_UNKNOWN, request_id)
        if isinstance(error, AppMissing):
            return self.of(error.code, error.detail, request_id)
        if error.code not in STATUS or STATUS[error.code][0] >= 500:
            return self.hidden(error.code, request_id)
        return self.of(error.code, error.detail, request_id, fields=_form_errors(error))

    def hidden(self, code: str, request_id: str) -> Reply:
        """A fault of the service: the caller learns that it is not theirs, and when to try again."""
        code = code if code in STATUS else "internal_error"
        detail = {
            "store_unavailable": "The store does not answer or refuses writes. This is no approval; try again.",
            "not_ready": "The service is not ready to work. Try again shortly; /readyz says why.",
        }.get(code, NOT_HANDLED)
        return self.of(code, detail, request_id)


def _form_errors(error: ServiceError) -> dict[str, Any]:
    if not (isinstance(error, InvalidRequest) and error.errors):
        return {}
    return {"errors": [{"pointer": pointer, "detail": detail} for pointer, detail in error.errors]}
