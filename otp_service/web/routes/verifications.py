"""The endpoints of login flows, operators and auditors: typed bodies in, a story, typed bodies out."""

import ipaddress
import json
import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Annotated, Any, Literal

import msgspec
from msgspec import UNSET, Meta, UnsetType

from ... import telemetry
from ...domain import codes, message
from ...domain.audit import Event, EventType
from ...domain.errors import InvalidRequest, KeyUnknown, Refusal, SealBroken
from ...domain.ids import Ids
from ...domain.operation import VerificationView
from ...domain.phone import E164
from ...domain.policy import Channel
from ...domain.verification import ENDED_CODE, Status
from ...domain.watch_tokens import WatchTokens
from ...storage.idempotency import Idempotency, Replay
from ...usecases.browse import AuditFilter, Browse
from ...usecases.verify import NOT_FOUND, Approval, Asserted, Sent, StartRequest, Verify
from ...usecases.watch import News, Watch
from ..auth import bearer
from ..bodies import canonical, decode, require_json
from ..http import JSON, NO_STORE, Call, Doc, Reply, Route, TokenAccess, reply
from ..problems import Problems
from ..schemas import (
    StartedVerification,
    Verification,
    VerificationWithTimeline,
    instant,
    redacted,
    verification,
    verification_with_timeline,
)

Word = Annotated[str, Meta(min_length=1, max_length=32)]
MAX_METADATA = 1024
MAX_WAIT_S = 25
"""How long a request may wait for news: less than what the proxies on the way usually allow."""

TOKEN_SHARE = 16
"""How many of a process's waits one verification's watch token may have: it is in the hands of strangers."""

_AFTER_EXPIRY_S = 0.05
_REPLAYED = {"Idempotent_Replayed": "true"}
_HOST = re.compile(r"(?=.{1,253}$)([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z][a-z0-9-]{0,61}[a-z0-9]", re.ASCII)
_ANDROID_HASH = re.compile(r"[A-Za-z0-9+/]{11}", re.ASCII)
_IDEMPOTENCY_KEY = re.compile(r"[A-Za-z0-9_:.-]{1,255}", re.ASCII)
_INSTANT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,6})?(Z|[+-]\d\d:\d\d)", re.ASCII)


# Told to readers of the OpenAPI document, but judged by the rules themselves, which answer with their own codes.
_E164_FORM = {"pattern": f"^{E164}$"}
_CODE_FORM = {"pattern": "^[0-9]{4,10}$"}
_HASH_FORM = {"pattern": "^[A-Za-z0-9+/]{11}$"}
_ADDRESS_FORM = {"anyOf": [{"format": "ipv4"}, {"format": "ipv6"}]}
_RECEIVER = (
    "The phone in E.164. Unassigned and fictitious numbers are `invalid_number`; premium rate, shared cost, toll-free, "
    "personal, UAN, pager, voicemail and satellite numbers are `destination_blocked`."
)


class AutofillBody(msgspec.Struct, forbid_unknown_fields=True, rename=None):
    """How the phone fills the code in by itself: exactly one of the two."""

    web_origin: Annotated[str, Meta(description="Host of the page, as in `@example.com #123456`.")] | UnsetType = UNSET
    android_hash: (
        Annotated[str, Meta(description="The app's 11-character hash.", extra_json_schema=_HASH_FORM)] | UnsetType
    ) = UNSET


class StartBody(msgspec.Struct, forbid_unknown_fields=True):
    """Ask for a code to be sent."""

    to: Annotated[str, Meta(description=_RECEIVER, examples=["+12025550143"], extra_json_schema=_E164_FORM)]
    channel: Literal["sms", "whatsapp"] = "sms"
    purpose: Word = "login"
    locale: Annotated[
        str,
        Meta(
            description="BCP 47. A language that there are no words for, or a text that is no tag, falls back to `en`."
        ),
    ] = "en"
    context: Annotated[
        dict[str, str],
        Meta(
            max_length=8,
            description="What the code is bound to; the check must repeat it. `amount` and `payee` stand in the "
            "message in full. Where they cannot, nothing is started: 400 for a text over ten parts "
            "(10 x 153 GSM-7 or 10 x 67 UCS-2 characters; 140 bytes with `android_hash`), "
            "422 `channel_unavailable` for a channel whose template has no room.",
        ),
    ] = msgspec.field(default_factory=dict)
    client_ip: (
        Annotated[
            str,
            Meta(
                description="The end user's address; proxy headers are never believed.", extra_json_schema=_ADDRESS_FORM
            ),
        ]
        | UnsetType
    ) = UNSET
    autofill: AutofillBody | UnsetType = UNSET
    metadata: Annotated[dict[str, Any], Meta(description="At most 1 kB, returned as is.")] = msgspec.field(
        default_factory=dict
    )


class CheckBody(msgspec.Struct, forbid_unknown_fields=True):
    """A guess at the verification `verification_id`, or without it at the latest one of `to` and `purpose`.

    Beside `verification_id`, `to` and `purpose` are assertions: a verification of another number or purpose is answered
    as if it did not exist, and costs no try. So a code that was sent to one phone never approves another's login.
    """

    code: Annotated[str, Meta(description="4 to 10 ASCII digits.", examples=["123456"], extra_json_schema=_CODE_FORM)]
    verification_id: str | UnsetType = UNSET
    to: (
        Annotated[str, Meta(description="The phone of the person who logs in, in E.164.", extra_json_schema=_E164_FORM)]
        | UnsetType
    ) = UNSET
    purpose: Annotated[Word, Meta(description="By `to` alone, `login` unless given.")] | UnsetType = UNSET
    context: Annotated[dict[str, str], Meta(max_length=8)] = msgspec.field(default_factory=dict)


class RedeemBody(msgspec.Struct, forbid_unknown_fields=True):
    """A receipt to spend. `to`, `sub` and `purpose` are assertions: one of others is invalid here, and is not spent."""

    receipt: Annotated[str, Meta(min_length=1, max_length=4096)]
    to: Annotated[str, Meta(extra_json_schema=_E164_FORM)] | UnsetType = UNSET
    sub: Annotated[str, Meta(description="As the reply of the start has it.")] | UnsetType = UNSET
    purpose: Word | UnsetType = UNSET


class ApprovalReply(msgspec.Struct):
    """The code was right: who was verified (`to` masked, `sub` as in the receipt) and for what."""

    verification_id: str
    status: Literal["approved"]
    approved_at: str
    to: str
    purpose: str
    channel: str
    sub: str
    receipt: Annotated[str, Meta(description="A compact JWS (EdDSA) of `ReceiptClaims`, good for 120 seconds.")]


class RedeemReply(msgspec.Struct):
    """The receipt was spent just now."""

    verification_id: str
    redeemed_at: str
    to: str
    purpose: str
    sub: str


class ProfileOptOut(msgspec.Struct):
    """What one messaging profile holds against a number."""

    messaging_profile_id: str
    opted_out: bool
    keyword: str | None
    since: str | None
    source: str | None


class OptOutReply(msgspec.Struct):
    """A number's opt-outs."""

    to: str
    profiles: list[ProfileOptOut]


class AuditEvent(msgspec.Struct):
    """One event of the record."""

    seq: str
    at: str
    type: str
    app: str | None
    verification_id: str | None
    delivery_id: str | None
    to: str | None
    number_hash: str | None
    detail: dict[str, Any]


class AuditReply(msgspec.Struct):
    """Events in order of time; `next_cursor` is null at the end."""

    events: list[AuditEvent]
    next_cursor: str | None


class Api:
    """The handlers. Each is a plain function of a call."""

    def __init__(
        self,
        verify: Verify,
        browse: Browse,
        watch: Watch,
        idempotency: Idempotency,
        problems: Problems,
        *,
        ids: Ids,
        watch_tokens: WatchTokens,
        seal: Callable[[bytes], str],
        unseal: Callable[[str], bytes],
    ) -> None:
        self._verify = verify
        self._browse = browse
        self._watch = watch
        self._idempotency = idempotency
        self._problems = problems
        self._ids = ids
        self._watch_tokens = watch_tokens
        self._seal = seal
        self._unseal = unseal

    # ---- start -----------------------------------------------------------------------------------------------------

    def replay(self, call: Call) -> Reply | None:
        """What an earlier request with this Idempotency-Key got; None if there was none. Answers before scopes."""
        digest = self._digest("idem", call)
        if digest is None:
            return None
        return self._known_start(self._idempotency.look(digest, self._fingerprint(call.body)), call)

    def start(self, call: Call) -> Reply:
        """POST /verify/start."""
        require_json(call.headers)
        digest = self._require_digest("idem", call)
        request = _start_request(decode(call.headers, call.body, StartBody))
        if digest is None:
            return self._start(call, request, None)
        known = self._known_start(self._reserve(digest, call), call)
        if known is not None:
            return known
        return self._run(call, digest, lambda: self._start(call, request, digest), _without_token)

    def _start(self, call: Call, request: StartRequest, operation_id: str | None) -> Reply:
        outcome = self._verify.start(call.app, request, operation_id)
        if isinstance(outcome, Refusal):
            telemetry.REFUSALS.labels(call.app, outcome.code).inc()
            return self._problems.refusal(outcome, call.request_id)
        return self._sent(call, outcome)

    def _sent(self, call: Call, sent: Sent) -> Reply:
        telemetry.STARTS.labels(call.app, "new" if sent.created else "resend").inc()
        return reply(201 if sent.created else 200, self._with_token(verification(sent.view)))

    def _with_token(self, shown: Verification) -> StartedVerification:
        token = self._watch_tokens.make(shown.verification_id)
        return StartedVerification(**msgspec.structs.asdict(shown), watch_token=token)

    def _known_start(self, found: Replay | str, call: Call) -> Reply | None:
        if isinstance(found, Replay):
            first = self._with_token(msgspec.json.decode(found.body, type=Verification))
            return reply(found.status, first, **_REPLAYED)
        return self._taken(found, call)

    # ---- Idempotency-Key -------------------------------------------------------------------------------------------

    def _reserve(self, digest: str, call: Call) -> Replay | str:
        return self._idempotency.reserve(digest, self._fingerprint(call.body), call.request_id)

    def _run(self, call: Call, digest: str, work: Callable[[], Reply], kept: Callable[[bytes], str]) -> Reply:
        """Do the work under the reserved key. What `kept` makes of a 2xx body is stored; refusals free the key."""
        done = None
        try:
            done = work()
            return done
        finally:
            if done is not None and done.status < 300:
                self._idempotency.complete(digest, call.request_id, done.status, kept(done.body))
            else:
                self._idempotency.release(digest, call.request_id)

    def _taken(self, found: Replay | str, call: Call) -> Reply | None:
        if found == "conflict":
            detail = "This Idempotency-Key was used with another body. Use a new key for a new request."
            return self._problems.of("idempotency_conflict", detail, call.request_id, status=422)
        if found == "running":
            detail = "The first request with this Idempotency-Key is still running. Try again in a second."
            headers = {"Retry-After": "1"}
            return self._problems.of("idempotency_conflict", detail, call.request_id, headers=headers)
        return None

    def _digest(self, kind: str, call: Call) -> str | None:
        # Each endpoint has keys of its own: a login may be started and checked under one word.
        key = call.headers.get("idempotency-key")
        if key is None or not _IDEMPOTENCY_KEY.fullmatch(key):
            return None
        return self._ids.digest(codes.length_prefixed(kind, call.app, key))[:16].hex()

    def _require_digest(self, kind: str, call: Call) -> str | None:
        digest = self._digest(kind, call)
        if digest is None and "idempotency-key" in call.headers:
            raise InvalidRequest("Idempotency-Key: 1 to 255 characters of A-Z a-z 0-9 _ : . -")
        return digest

    def _fingerprint(self, body: bytes) -> str:
        return self._ids.digest(b"body\0" + canonical(body)).hex()

    # ---- check and the rest ----------------------------------------------------------------------------------------

    def replay_check(self, call: Call) -> Reply | None:
        """What an earlier check with this Idempotency-Key got; None if there was none. Answers before scopes."""
        digest = self._digest("idem-check", call)
        if digest is None:
            return None
        return self._known_check(self._idempotency.look(digest, self._fingerprint(call.body)), call)

    def check(self, call: Call) -> Reply:
        """POST /verify/check. Only an approval is 2xx."""
        require_json(call.headers)
        digest = self._require_digest("idem-check", call)
        guess = _guess(decode(call.headers, call.body, CheckBody))
        if digest is None:
            return self._check(call, guess, "")
        found = self._reserve(digest, call)
        known = self._known_check(found, call)
        if known is not None:
            return known
        # Of key and body: another body can never be given this approval.
        request_key = f"{digest}:{self._fingerprint(call.body)}"
        if isinstance(found, Replay):
            return self._check(call, guess, request_key)
        return self._run(call, digest, lambda: self._check(call, guess, request_key), self._seal)

    def _known_check(self, found: Replay | str, call: Call) -> Reply | None:
        if not isinstance(found, Replay):
            return self._taken(found, call)
        try:
            first = self._unseal(found.body)
        except (KeyUnknown, SealBroken):
            # Its key has left the keyring: the verification's record has the approval, too.
            return None
        return Reply(found.status, {"Content-Type": JSON, **NO_STORE, "Idempotent-Replayed": "true"}, first)

    def _check(self, call: Call, guess: "_Guess", request_key: str) -> Reply:
        outcome = self._judged(call.app, guess, request_key)
        if isinstance(outcome, Refusal):
            telemetry.CHECKS.labels(call.app, outcome.code).inc()
            return self._problems.refusal(outcome, call.request_id)
        telemetry.CHECKS.labels(call.app, "replayed" if outcome.replayed else "approved").inc()
        return reply(200, _approval(outcome), **(_REPLAYED if outcome.replayed else {}))

    def _judged(self, app: str, guess: "_Guess", request_key: str) -> Approval | Refusal:
        if guess.verification_id is not None:
            asserted = Asserted(guess.to, guess.purpose)
            return self._verify.check_by_id(
                app, guess.verification_id, guess.code, guess.context, asserted=asserted, request_key=request_key
            )
        purpose = "login" if guess.purpose is None else guess.purpose
        return self._verify.check_by_number(
            app, str(guess.to), purpose, guess.code, guess.context, request_key=request_key
        )

    def show(self, call: Call) -> Reply:
        """GET /verify/{verification_id} with an API key."""
        return self._show(call, call.app, token_access=False)

    def show_with_token(self, call: Call) -> Reply:
        """GET /verify/{verification_id} with the verification's watch token, which was proven before."""
        return self._show(call, None, token_access=True)

    def _holds_token(self, call: Call) -> bool:
        token = bearer(call.headers) or ""
        return self._watch_tokens.is_valid(call.path["verification_id"], token)

    def _show(self, call: Call, app: str | None, *, token_access: bool) -> Reply:
        wanted = _watch_query(call)
        view = self._browse.verification(app, call.path["verification_id"])
        news, waited_s = None, 0.0
        if view is not None and wanted.waits_for(view):
            began = time.perf_counter()
            news = self._watch.wait(
                view.reference,
                view.version if wanted.after is None else wanted.after,
                _patience_s(view, wanted.wait_s),
                TOKEN_SHARE if token_access else None,
            )
            waited_s = time.perf_counter() - began
            view = self._browse.verification(app, call.path["verification_id"])
        if view is None:
            return self._problems.refusal(NOT_FOUND, call.request_id)
        # Who was sent away without a wait is asked not to come back in the same instant.
        headers = {"Retry_After": "1"} if news in (News.FULL, News.ENDING) else {}
        shown = verification_with_timeline(view, self._browse.timeline(view))
        answer = reply(200, redacted(shown) if token_access else shown, **headers)
        return replace(answer, waited_s=waited_s)

    def cancel(self, call: Call) -> Reply:
        """POST /verify/{verification_id}/cancel. Takes no body, or an empty object."""
        if call.body:
            decode(call.headers, call.body, _Nothing)
        outcome = self._verify.cancel(call.app, call.path["verification_id"])
        if isinstance(outcome, Refusal):
            return self._problems.refusal(outcome, call.request_id)
        return reply(200, verification(outcome))

    def redeem(self, call: Call) -> Reply:
        """POST /receipts/redeem."""
        body = decode(call.headers, call.body, RedeemBody)
        asserted = Asserted(_given_number(body.to), _given(body.purpose), _given(body.sub))
        outcome = self._verify.redeem(call.app, body.receipt, asserted)
        if isinstance(outcome, Refusal):
            return self._problems.refusal(outcome, call.request_id)
        spent_at = instant(outcome.redeemed_at_ms)
        return reply(
            200, RedeemReply(outcome.verification_id, spent_at, outcome.mask, outcome.purpose, outcome.subject)
        )

    def optouts(self, call: Call) -> Reply:
        """GET /optouts/{number}."""
        mask, entries = self._browse.optouts(call.path["number"])
        profiles = [
            ProfileOptOut(
                entry.messaging_profile_id,
                entry.opted_out,
                entry.keyword,
                instant(entry.at_ms) if entry.at_ms else None,
                entry.source if entry.at_ms else None,
            )
            for entry in entries
        ]
        return reply(200, OptOutReply(mask, profiles))

    def audit(self, call: Call) -> Reply:
        """GET /audit/events."""
        wanted = _audit_filter(call)
        try:
            page = self._browse.audit(wanted, visible_app=call.app)
        except ValueError as error:
            raise _bad_query("cursor", "not a cursor of this service") from error
        return reply(200, AuditReply([audit_event(event) for event in page.events], page.next_cursor))

    def routes(self) -> list[Route]:
        """The endpoints of this slice."""
        ended = tuple(ENDED_CODE.values())
        form = ("unauthorized", "forbidden", "payload_too_large", "unsupported_media_type", "invalid_request")
        here = ("unauthorized", "forbidden", "store_unavailable", "not_ready")
        start_codes = (
            *form,
            *("invalid_number", "channel_unavailable", "country_not_allowed", "destination_blocked", "opted_out"),
            *("too_many_wrong_codes", "context_conflict", "resend_too_soon", "rate_limited", "idempotency_conflict"),
            *("store_unavailable", "queue_full", "not_ready"),
        )
        check_codes = (
            *form,
            *("verification_not_found", *ended, "too_many_wrong_codes", "code_incorrect", "invalid_number"),
            "idempotency_conflict",
            *("store_unavailable", "not_ready"),
        )
        key_form = "1-255 characters of [A-Za-z0-9_:.-]"
        key_header = (("Idempotency-Key", f"{key_form}; kept for 24 hours."),)
        check_key_header = (
            (
                "Idempotency-Key",
                f"{key_form}, new for each check that a person makes. A repeat of an approved check gets the same "
                "reply and receipt for 24 hours, with `Idempotent-Replayed: true`; another body under it is 422. "
                "Refusals are not stored: a wrong code that is sent again is judged again, and costs a try.",
            ),
        )
        watch_query = (
            (
                "wait",
                "Seconds to wait for news, if there is none yet: the answer comes when `version` grows or the code "
                "expires, and else after this time, unchanged. With Retry-After, no place to wait was free: ask again "
                "after that many seconds.",
            ),
            ("after", "The `version` that the caller has seen; without it the one at the request's arrival."),
        )
        audit_query = (
            ("verification", "Only events of this verification id."),
            ("number", "Only events of this number (E.164)."),
            ("app", "Only events of this app; a key sees its own app's and those of no app."),
            ("type", "Only events of this type; may be repeated."),
            ("since", "RFC 3339, included."),
            ("until", "RFC 3339, included."),
            ("cursor", "`next_cursor` of the page before."),
            ("limit", "1 to 1000, default 100."),
        )
        return [
            Route(
                "POST",
                "/verify/start",
                self.start,
                "verify",
                Doc(
                    "Send a code, or the pending one again",
                    StartBody,
                    StartedVerification,
                    201,
                    start_codes,
                    headers=key_header,
                    also=(200,),
                ),
                precheck=self.replay,
            ),
            Route(
                "POST",
                "/verify/check",
                self.check,
                "verify",
                Doc(
                    "Check a code; only an approval is 2xx",
                    CheckBody,
                    ApprovalReply,
                    200,
                    check_codes,
                    headers=check_key_header,
                ),
                precheck=self.replay_check,
            ),
            Route(
                "GET",
                "/verify/{verification_id}",
                self.show,
                "verify",
                Doc(
                    "A verification and its timeline, now or when something changes",
                    None,
                    VerificationWithTimeline,
                    200,
                    (*here, "invalid_request", "verification_not_found"),
                    query=watch_query,
                ),
                token_access=TokenAccess(self._holds_token, self.show_with_token),
                cross_origin=True,
            ),
            Route(
                "POST",
                "/verify/{verification_id}/cancel",
                self.cancel,
                "verify",
                Doc(
                    "Withdraw a verification",
                    None,
                    Verification,
                    200,
                    (*form, "verification_not_found", *ended, "store_unavailable", "not_ready"),
                ),
            ),
            Route(
                "POST",
                "/receipts/redeem",
                self.redeem,
                "verify",
                Doc(
                    "Spend a receipt once",
                    RedeemBody,
                    RedeemReply,
                    200,
                    (*form, "receipt_invalid", "invalid_number", "receipt_spent", "store_unavailable", "not_ready"),
                    tag="receipts",
                ),
            ),
            Route(
                "GET",
                "/optouts/{number}",
                self.optouts,
                "optouts:read",
                Doc("A number's opt-outs", None, OptOutReply, 200, (*here, "invalid_number"), tag="opt-outs"),
            ),
            Route(
                "GET",
                "/audit/events",
                self.audit,
                "audit:read",
                Doc(
                    "The audit record, in order of time",
                    None,
                    AuditReply,
                    200,
                    (*here, "invalid_request", "invalid_number"),
                    query=audit_query,
                    tag="audit",
                ),
            ),
        ]


class _Nothing(msgspec.Struct, forbid_unknown_fields=True):
    """An empty object."""


def audit_event(event: Event) -> AuditEvent:
    """An event as auditors see it."""
    fields = event.fields
    vid = fields.get("vid", "")
    return AuditEvent(
        seq=event.seq,
        at=instant(event.at_ms),
        type=event.type,
        app=fields.get("app") or None,
        verification_id=f"vrf_{vid}" if vid else None,
        delivery_id=fields.get("dlv") or None,
        to=fields.get("mask") or None,
        number_hash=fields.get("nh") or None,
        detail=json.loads(fields.get("detail") or "{}"),
    )


@dataclass(frozen=True, slots=True)
class _Guess:
    """A check's body, validated in form: `verification_id` or `to` is there."""

    code: str = field(repr=False)
    context: Mapping[str, str] = field(repr=False)
    verification_id: str | None
    to: str | None = field(repr=False)
    purpose: str | None


def _guess(body: CheckBody) -> _Guess:
    code = codes.require_typed(body.code)
    _require_context(body.context)
    if body.verification_id is UNSET and body.to is UNSET:
        detail = "Name the verification by verification_id or by to."
        raise InvalidRequest(detail, [("/verification_id", "give verification_id, or to, or both")])
    return _Guess(code, body.context, _given(body.verification_id), _given_number(body.to), _given(body.purpose))


def _given(text: str | UnsetType) -> str | None:
    return None if isinstance(text, UnsetType) else text


def _given_number(to: str | UnsetType) -> str | None:
    if isinstance(to, str):
        _require_ascii(to)
    return _given(to)


def _approval(approval: Approval) -> ApprovalReply:
    return ApprovalReply(
        verification_id=approval.verification_id,
        status="approved",
        approved_at=instant(approval.approved_at_ms),
        to=approval.mask,
        purpose=approval.purpose,
        channel=approval.channel,
        sub=approval.subject,
        receipt=approval.receipt,
    )


def _without_token(body: bytes) -> str:
    # The token can be made again, so the store need not hold it.
    return msgspec.json.encode(msgspec.json.decode(body, type=Verification)).decode()


def _patience_s(view: VerificationView, wait_s: float) -> float:
    # What time alone changes is told, too: a code that has run out, before any event says so.
    if view.status is not Status.PENDING:
        return wait_s
    return min(wait_s, (view.expires_ms - view.now_ms) / 1000 + _AFTER_EXPIRY_S)


def _start_request(body: StartBody) -> StartRequest:
    _require_ascii(body.to)
    if not message.printable(body.purpose):
        raise InvalidRequest("purpose must be printable.", [("/purpose", "printable characters only")])
    _require_context(body.context)
    _require_words(body.context)
    metadata = msgspec.json.encode(body.metadata).decode()
    if len(metadata.encode()) > MAX_METADATA:
        raise InvalidRequest("metadata is too large.", [("/metadata", f"at most {MAX_METADATA} bytes as JSON")])
    return StartRequest(
        to=body.to,
        channel=Channel(body.channel),
        purpose=body.purpose,
        locale=body.locale,
        context=body.context,
        client_ip=_client_ip(body.client_ip),
        autofill=_autofill(body.autofill),
        metadata=metadata,
    )


def _require_ascii(to: str) -> None:
    # Foreign digits are a malformed request, as everywhere in a body; a number that cannot be is another matter (422).
    if not to.isascii():
        raise InvalidRequest("to must be in ASCII.", [("/to", "E.164 in ASCII: a plus sign and the digits 0-9")])


def _require_context(context: dict[str, str]) -> None:
    for key, value in context.items():
        if not (1 <= len(key) <= 32 and len(value) <= 128 and message.printable(key) and message.printable(value)):
            detail = "keys of 1 to 32 and values of up to 128 printable characters"
            raise InvalidRequest("context does not have the form it must have.", [("/context", detail)])


def _require_words(context: dict[str, str]) -> None:
    # An amount or payee that nobody can read would be confirmed unseen.
    for name in message.CONFIRMED:
        if name in context and not message.legible(context[name]):
            detail = "a letter, digit or sign that a person can read"
            raise InvalidRequest(f"{name} stands in the message, and is blank.", [(f"/context/{name}", detail)])


def _client_ip(text: str | UnsetType) -> str | None:
    if isinstance(text, UnsetType):
        return None
    try:
        if "%" in text or not text.isascii():
            raise ValueError
        return str(ipaddress.ip_address(text))
    except ValueError as error:
        raise InvalidRequest("client_ip is no IP address.", [("/client_ip", "an IPv4 or IPv6 address")]) from error


def _autofill(body: AutofillBody | UnsetType) -> str:
    if isinstance(body, UnsetType):
        return ""
    web, android = body.web_origin, body.android_hash
    if isinstance(web, str) == isinstance(android, str):
        detail = "exactly one of web_origin and android_hash: both want the last line"
        raise InvalidRequest("autofill takes exactly one of its members.", [("/autofill", detail)])
    if isinstance(android, str) and not _ANDROID_HASH.fullmatch(android):
        detail = "11 characters of A-Z a-z 0-9 + /"
        raise InvalidRequest("android_hash is no app's hash.", [("/autofill/android_hash", detail)])
    if isinstance(web, str) and not _HOST.fullmatch(web):
        raise InvalidRequest("web_origin is no host name.", [("/autofill/web_origin", "a host such as example.com")])
    return json.dumps({"web_origin": web} if isinstance(web, str) else {"android_hash": android})


@dataclass(frozen=True, slots=True)
class _WatchQuery:
    wait_s: int
    after: int | None

    def waits_for(self, view: VerificationView) -> bool:
        return self.wait_s > 0 and (self.after is None or view.version <= self.after)


def _watch_query(call: Call) -> _WatchQuery:
    for name in ("wait", "after"):
        if len(call.query.get(name, ())) > 1:
            raise _bad_query(name, "given twice")
    wait_s = _whole(call, "wait", f"whole seconds, 0 to {MAX_WAIT_S}")
    if wait_s is not None and wait_s > MAX_WAIT_S:
        raise _bad_query("wait", f"whole seconds, 0 to {MAX_WAIT_S}")
    return _WatchQuery(wait_s or 0, _whole(call, "after", "a version, as in the answer before"))


def _whole(call: Call, name: str, detail: str) -> int | None:
    text = call.query.get(name, [None])[0]
    if text is None:
        return None
    if not (text.isascii() and text.isdigit() and len(text) <= 15):
        raise _bad_query(name, detail)
    return int(text)


_AUDIT_QUERY = frozenset({"verification", "number", "app", "type", "since", "until", "cursor", "limit"})


def _audit_filter(call: Call) -> AuditFilter:
    for name, values in call.query.items():
        if name not in _AUDIT_QUERY:
            raise _bad_query(name, "unknown parameter")
        if len(values) > 1 and name != "type":
            raise _bad_query(name, "given twice")
    one = {name: values[0] for name, values in call.query.items()}
    types = frozenset(call.query.get("type", ()))
    if not types <= set(EventType):
        raise _bad_query("type", "no such type of event")
    limit = one.get("limit", "100")
    if not (limit.isascii() and limit.isdigit() and len(limit) <= 4 and 1 <= int(limit) <= 1000):
        raise _bad_query("limit", "a whole number from 1 to 1000")
    return AuditFilter(
        app=one.get("app"),
        verification_id=one.get("verification"),
        to=one.get("number"),
        types=types,
        since_ms=_time(one, "since"),
        until_ms=_time(one, "until"),
        cursor=one.get("cursor"),
        limit=int(limit),
    )


def _time(query: dict[str, str], name: str) -> int | None:
    text = query.get(name)
    if text is None:
        return None
    # A plus sign in a query arrives as a space unless it was escaped.
    text = text.replace(" ", "+")
    try:
        if not _INSTANT.fullmatch(text):
            raise ValueError
        ms = int(datetime.fromisoformat(text).timestamp() * 1000)
        if ms < 0:
            raise ValueError
    except (ValueError, OverflowError) as error:
        raise _bad_query(name, "a time such as 2026-01-31T12:00:00Z") from error
    return ms


def _bad_query(name: str, detail: str) -> InvalidRequest:
    return InvalidRequest(f"The query parameter {name[:40]!r} cannot be used.", [(f"?{name[:40]}", detail)])
