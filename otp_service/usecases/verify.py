"""Starting a verification, judging a guess, withdrawing, spending a receipt: what a login flow asks for.

Each story is one atomic step in the store between pure preparation and pure translation. Nothing here decides on
anything that was read before the step.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import partial

from ..domain import codes, message, optout, phone, receipt, routing
from ..domain.errors import InvalidRequest, KeyUnknown, NotReady, Refusal
from ..domain.ids import NUMBER_HASH_BYTES, Reference
from ..domain.operation import (
    OPERATION_TTL_MS,
    Approved,
    Canceled,
    CheckAnswer,
    CheckCommand,
    Ended,
    Limited,
    Redeemed,
    StartCommand,
    StartRefused,
    Superseded,
    VerificationView,
    Wrong,
)
from ..domain.policy import App, Channel, Policy
from ..domain.verification import ENDED_CODE, Status
from . import ports
from .sender_health import SenderHealth

KEYED_OPERATION_TTL_MS = 24 * 3_600_000
NOT_FOUND = Refusal("verification_not_found", "There is no such verification. Start one with POST /verify/start.")
"""Said alike of what never existed and what is another app's."""

_RECEIPT_INVALID = "This is not a valid receipt of this service for this app, it is over, or it is not as asserted."
_ENDED_DETAIL = {
    Status.APPROVED: "This verification was already approved; an approval counts once. Start a new one.",
    Status.EXPIRED: "The code has expired. Start a new verification.",
    Status.CANCELED: "This verification was canceled. Start a new one.",
    Status.EXHAUSTED: "All tries of this verification are used up. Start a new one.",
    Status.DENIED: "The person said that it was not them who asked for this code.",
}


@dataclass(frozen=True, slots=True)
class StartRequest:
    """What a caller asks for, validated in form. Texts that name a person or a payment stay out of the repr."""

    to: str = field(repr=False)
    channel: Channel = Channel.SMS
    purpose: str = "login"
    locale: str = ""
    context: Mapping[str, str] | None = field(default=None, repr=False)
    client_ip: str | None = None
    autofill: str = ""
    metadata: str = "{}"


@dataclass(frozen=True, slots=True)
class Sent:
    """The code is queued for the phone. `created` tells a new verification from a repeat."""

    view: VerificationView
    created: bool


@dataclass(frozen=True, slots=True)
class Approval:
    """The right code, and the signed receipt of it. `replayed`: the same request was approved before.

    `mask`, `purpose`, `channel` and `subject` (the receipt's `sub`) say who was verified for what.
    """

    verification_id: str
    approved_at_ms: int
    mask: str
    purpose: str
    channel: str
    subject: str
    receipt: str = field(repr=False)
    replayed: bool = False


@dataclass(frozen=True, slots=True)
class Redemption:
    """The receipt was spent just now."""

    verification_id: str
    redeemed_at_ms: int
    mask: str
    purpose: str
    subject: str


@dataclass(frozen=True, slots=True)
class Asserted:
    """What the caller says of a verification or receipt; where it is not so, there is none. None asserts nothing."""

    to: str | None = field(default=None, repr=False)
    purpose: str | None = None
    subject: str | None = None


NOTHING_ASSERTED = Asserted()


class Verify:
    """The stories of one installation. Safe for many threads; holds no state of its own."""

    def __init__(
        self,
        *,
        store: ports.VerificationStore,
        limits: ports.OuterLimits,
        place: Callable[[App, str | None], list[object]],
        sender_health: SenderHealth,
        vault: ports.Vault,
        key_ids: ports.KeyIds,
        policy: Policy,
        issuer: str,
        queue_max: int,
        token_bytes: Callable[[int], bytes],
        randbelow: Callable[[int], int],
        fictitious: bool = False,
    ) -> None:
        """`fictitious` says that the carrier delivers to 555-0100 … 0199, as only the sandbox does."""
        self._store = store
        self._limits = limits
        self._place = place
        self._sender_health = sender_health
        self._vault = vault
        self._key_ids = key_ids
        self._policy = policy
        self._issuer = issuer
        self._queue_max = queue_max
        self._token_bytes = token_bytes
        self._randbelow = randbelow
        self._fictitious = fictitious

    # ---- start -----------------------------------------------------------------------------------------------------

    def start(self, app_name: str, request: StartRequest, operation_id: str | None = None) -> Sent | Refusal:
        """Queue a code for the number. `operation_id` makes a repeat of the same request find the first's result.

        Raises InvalidRequest for a text that would not fit, InvalidNumber and StoreUnavailable.
        """
        app = self._app(app_name)
        _require_fit(app, request)
        to = phone.parse_receiver(request.to, fictitious=self._fictitious)
        route = routing.candidates(app, request.channel, to)
        refusal = _no_room(request) or _unreachable(app, to, request.channel, bool(route))
        if refusal is not None:
            return refusal
        order_of = self._order_maker(app, to, request, operation_id)
        places = self._place(app, request.client_ip)
        wait_ms = self._limits.acquire(places)
        outcome = self._store.start(order_of(wait_ms))
        if isinstance(outcome, StartRefused):
            if wait_ms == 0:
                self._limits.release(places)
            return _start_refusal(outcome)
        view = outcome.view or self._store.view(outcome.reference, app.name)
        if view is None:
            raise NotReady("The verification vanished from the store while it was being started.")
        return Sent(view, created=not outcome.resent)

    def _order_maker(
        self, app: App, to: phone.Phone, request: StartRequest, operation_id: str | None
    ) -> Callable[[int], StartCommand]:
        number = self._vault.ids.number_hash(to.e164)
        ref = self._vault.ids.new(number, self._token_bytes(NUMBER_HASH_BYTES))
        code = codes.draw(app.code_length, self._randbelow)
        context = codes.context_hash(request.context)
        ring = self._vault.current()
        box = {"v": ref.token, "to": to.e164, "code": code, "context": dict(request.context or {})}
        route, healthy = self._sender_health.route(app, routing.candidates(app, request.channel, to))
        # A WhatsApp template has no room for what is to be confirmed: such a code stays on the channel asked for.
        others = () if request.context else routing.other_channel_senders(app, request.channel, to)
        behind, _ = self._sender_health.route(app, others) if others else ((), ())
        detail = {"purpose": request.purpose, "channel": request.channel, "client_ip": request.client_ip}

        def order(outer_wait_ms: int) -> StartCommand:
            return StartCommand(
                operation_id=operation_id or self._token_bytes(12).hex(),
                operation_ttl_ms=KEYED_OPERATION_TTL_MS if operation_id else OPERATION_TTL_MS,
                reference=ref,
                app=app,
                purpose=request.purpose,
                channel=request.channel,
                mask=to.mask,
                context_hash=context,
                kid=ring.active_kid,
                digest=self._digest(ring.peppers[ring.active_kid], app, ref, context, code),
                box=ring.seal(json.dumps(box).encode()),
                metadata=request.metadata,
                locale=message.language(request.locale),
                autofill=request.autofill,
                route=route,
                behind=behind,
                healthy=healthy,
                queue_max=self._queue_max,
                outer_wait_ms=outer_wait_ms,
                detail=json.dumps({name: value for name, value in detail.items() if value}),
                per_number=self._policy.per_number,
            )

        return order

    def _digest(self, pepper: bytes, app: App, ref: Reference, context: str, code: str) -> str:
        return codes.digest(
            pepper,
            app=app.name,
            verification_id=ref.verification_id,
            number_hash=ref.number_hash,
            context=context,
            code=code,
        )

    def _app(self, name: str) -> App:
        app = self._policy.apps.get(name)
        if app is None:
            raise NotReady(f"The configuration has no app {name!r}; this API key belongs to it.")
        return app

    # ---- check -----------------------------------------------------------------------------------------------------

    def check_by_id(
        self,
        app_name: str,
        verification_id: str,
        code: str,
        context: Mapping[str, str] | None,
        *,
        asserted: Asserted = NOTHING_ASSERTED,
        request_key: str = "",
    ) -> Approval | Refusal:
        """Judge a guess at the verification of this id, if it is as asserted. Raises InvalidNumber, StoreUnavailable.

        With a `request_key` a repeat of the same request gets the approval again.
        """
        app = self._app(app_name)
        number = "" if asserted.to is None else self._number(asserted.to)
        ref = self._vault.ids.read(verification_id)
        if ref is None:
            return NOT_FOUND

        def make() -> CheckCommand:
            order = self._check_order(app, ref, code, context, request_key=request_key)
            return replace(order, asserted_number=number, asserted_purpose=asserted.purpose or "")

        return self._judge(app, make) or NOT_FOUND

    def check_by_number(
        self,
        app_name: str,
        to: str,
        purpose: str,
        code: str,
        context: Mapping[str, str] | None,
        *,
        request_key: str = "",
    ) -> Approval | Refusal:
        """Judge a guess at the number's latest verification for the purpose. Raises InvalidNumber, StoreUnavailable.

        With a `request_key` a repeat of the same request gets the approval again.
        """
        app = self._app(app_name)
        number = self._number(to)
        for _ in range(3):
            ref = self._store.latest(number, app.name, purpose)
            if ref is None:
                return NOT_FOUND
            answer = self._judge(
                app, partial(self._check_order, app, ref, code, context, request_key=request_key, purpose=purpose)
            )
            if answer is not None:
                return answer
        return Refusal("store_unavailable", "The number's verification changed meanwhile. Try again.", 1)

    def _number(self, to: str) -> str:
        person = phone.parse_receiver(to, fictitious=self._fictitious)
        return self._vault.ids.number_hash(person.e164)

    def _check_order(
        self,
        app: App,
        ref: Reference,
        code: str,
        context: Mapping[str, str] | None,
        *,
        request_key: str,
        purpose: str | None = None,
    ) -> CheckCommand:
        hashed, peppers = codes.context_hash(context), self._vault.current().peppers
        return CheckCommand(
            operation_id=self._token_bytes(12).hex(),
            reference=ref,
            app=app,
            receipt_id=self._token_bytes(16).hex(),
            digests={kid: self._digest(pepper, app, ref, hashed, code) for kid, pepper in peppers.items()},
            by_purpose=purpose,
            request_key=request_key,
            per_number=self._policy.per_number,
        )

    def _check(self, make: Callable[[], CheckCommand]) -> tuple[CheckCommand, CheckAnswer]:
        order = make()
        try:
            return order, self._store.check(order)
        except KeyUnknown as error:
            # Nothing was counted. The file may have the key by now.
            if not self._vault.knows(error.kid):
                raise
        order = make()
        return order, self._store.check(order)

    def _judge(self, app: App, make: Callable[[], CheckCommand]) -> Approval | Refusal | None:
        order, answer = self._check(make)
        match answer:
            case Approved() as approved:
                # Each order has a receipt id of its own: another one is that of the first approval.
                replayed = approved.receipt_id != order.receipt_id
                return self._approval(app, order.reference, approved, replayed=replayed)
            case Wrong(checks_left):
                detail = f"The code is not right. Tries left: {checks_left}."
                return Refusal("code_incorrect", detail, fields={"checks_left": checks_left})
            case Ended(status):
                return ended(status)
            case Limited(wait_ms):
                return _too_many_wrong(wait_ms)
            case Superseded():
                return None
            case _:
                return NOT_FOUND

    def _approval(self, app: App, ref: Reference, approved: Approved, *, replayed: bool) -> Approval:
        claims = receipt.Claims(
            iss=self._issuer,
            aud=app.name,
            sub=self._vault.ids.subject(app.name, approved.number_hash),
            purpose=approved.purpose,
            channel=approved.channel,
            context_hash=approved.context_hash,
            jti=approved.receipt_id,
            verification_id=ref.verification_id,
            iat=approved.at_ms // 1000,
        )
        ring = self._vault.current()
        token = receipt.encode(claims, ring.active_kid, ring.sign)
        return Approval(
            ref.verification_id,
            approved.at_ms,
            approved.mask,
            approved.purpose,
            approved.channel,
            claims.sub,
            token,
            replayed,
        )

    # ---- the rest --------------------------------------------------------------------------------------------------

    def cancel(self, app_name: str, verification_id: str) -> VerificationView | Refusal:
        """Withdraw a pending verification. Raises StoreUnavailable."""
        ref = self._vault.ids.read(verification_id)
        if ref is None:
            return NOT_FOUND
        match self._store.cancel(self._token_bytes(12).hex(), ref, app_name):
            case Canceled():
                return self._store.view(ref, app_name) or NOT_FOUND
            case Ended(status):
                return ended(status)
            case _:
                return NOT_FOUND

    def redeem(self, app_name: str, token: str, asserted: Asserted = NOTHING_ASSERTED) -> Redemption | Refusal:
        """Spend a receipt once, if it is as asserted.

        Raises InvalidNumber, StoreUnavailable, and KeyUnknown where another process has the receipt's key.
        """
        number = None if asserted.to is None else self._number(asserted.to)
        invalid = Refusal("receipt_invalid", _RECEIPT_INVALID)
        kid = receipt.kid_of(token)
        if kid is not None and not self._vault.knows(kid) and self._key_ids.known(kid):
            raise KeyUnknown(kid)
        claims = receipt.decode(token, self._vault.verify)
        if claims is None or claims.get("iss") != self._issuer or claims.get("aud") != app_name:
            return invalid
        verification_id, receipt_id, ends = (claims.get(name) for name in ("verification_id", "jti", "exp"))
        if not isinstance(verification_id, str) or not isinstance(receipt_id, str) or not isinstance(ends, int):
            return invalid
        ref = self._vault.ids.read(verification_id)
        if ref is None or number not in (None, ref.number_hash) or not _as_asserted(claims, asserted):
            return invalid
        match self._store.redeem(self._token_bytes(12).hex(), ref, app_name, receipt_id, ends * 1000):
            case Redeemed(at_ms, first=True) as redeemed:
                return Redemption(verification_id, at_ms, redeemed.mask, redeemed.purpose, str(claims.get("sub")))
            case Redeemed():
                return Refusal("receipt_spent", "This receipt was already spent; it is good for one login only.")
            case _:
                return invalid


def _as_asserted(claims: Mapping[str, object], asserted: Asserted) -> bool:
    return asserted.subject in (None, claims.get("sub")) and asserted.purpose in (None, claims.get("purpose"))


def ended(status: Status) -> Refusal:
    """Why nothing can be done with a verification that has ended."""
    return Refusal(ENDED_CODE[status], _ENDED_DETAIL[status])


def seconds(wait_ms: int) -> int:
    """Whole seconds to wait, rounded up so that a caller who obeys passes; at least one."""
    return max(1, -(-wait_ms // 1000))


def sends_left(view: VerificationView) -> int:
    """How many more times the code may be sent."""
    return max(0, view.max_sends - view.sends)


def checks_left(view: VerificationView) -> int:
    """How many more guesses will be judged."""
    return max(0, view.max_checks - view.attempts)


def resend_in(view: VerificationView) -> int | None:
    """Seconds until the code may be sent again; None if it never may."""
    if view.status is not Status.PENDING or sends_left(view) == 0:
        return None
    return max(0, -(-(view.next_send_ms - view.now_ms) // 1000))


def _require_fit(app: App, request: StartRequest) -> None:
    """Raise InvalidRequest if an SMS of this start would not fit, amount and payee in full."""
    payment = message.confirms_payment(request.context)
    if not (payment or request.autofill) or not _may_be_sms(app, request):
        return
    try:
        message.longest(
            code_length=app.code_length,
            brand=app.brand,
            ttl_ms=app.code_ttl_ms,
            locale=request.locale,
            context=request.context,
            autofill=message.read_autofill(request.autofill),
        )
    except message.TextTooLong as error:
        raise _too_long(str(error), payment=payment, autofill=bool(request.autofill)) from error


def _may_be_sms(app: App, request: StartRequest) -> bool:
    # A code with a context stays on the channel asked for; any other one may fall over to an SMS sender.
    if not any(sender.channel is Channel.SMS for sender in app.route):
        return False
    return request.channel is Channel.SMS or not request.context


def _too_long(sentence: str, *, payment: bool, autofill: bool) -> InvalidRequest:
    pointer = "/context" if payment else "/autofill"
    advice = "Shorten amount and payee" if payment else "Shorten the web origin or the app's brand"
    if autofill:
        advice += ", or leave out autofill"
    return InvalidRequest(f"{sentence} {advice}.", [(pointer, f"{sentence} {advice}.")])


def _no_room(request: StartRequest) -> Refusal | None:
    if request.channel is Channel.SMS or not message.confirms_payment(request.context):
        return None
    detail = "The template of this channel has no room for the amount and the payee. Start with channel sms."
    return Refusal("channel_unavailable", detail)


def _unreachable(app: App, to: phone.Phone, channel: Channel, served: bool) -> Refusal | None:
    if not served:
        return Refusal("channel_unavailable", f"No sender of this app's route can reach this number by {channel}.")
    if to.region is not None and not app.may_send_to(to.region):
        return Refusal("country_not_allowed", "This app does not send to this number's country.")
    if routing.destination_blocked(to):
        return Refusal("destination_blocked", f"No code is sent to numbers of this kind ({to.kind}).")
    return None


def _too_many_wrong(wait_ms: int) -> Refusal:
    wait = seconds(wait_ms)
    return Refusal("too_many_wrong_codes", f"Too many wrong codes for this number. Try again in {wait} seconds.", wait)


def _start_refusal(refused: StartRefused) -> Refusal:
    wait = seconds(refused.wait_ms)
    match refused.code:
        case "opted_out":
            detail = "The person has opted out of messages from every sender that could reach them."
            return Refusal("opted_out", detail, fields={"resubscribe": optout.RESUBSCRIBE})
        case "too_many_wrong_codes":
            return _too_many_wrong(refused.wait_ms)
        case "context_conflict":
            return Refusal("context_conflict", "A verification with another context is pending. Cancel it first.")
        case "resend_too_soon" if refused.sends_left == 0:
            detail = f"The code was sent as often as it may be. Start a new verification in {wait} seconds."
            return Refusal("resend_too_soon", detail, wait, {"sends_left": 0, "resend_in": None})
        case "resend_too_soon":
            fields = {"sends_left": refused.sends_left, "resend_in": wait}
            detail = f"A code was sent to this number lately. Wait {wait} seconds before the next one is sent."
            return Refusal("resend_too_soon", detail, wait, fields)
        case "queue_full":
            return Refusal("queue_full", "Too many messages are waiting to be sent. Try again shortly.", 2)
        case "rate_limited" if refused.limit.endswith("_per_number"):
            detail = f"This number has been sent as many codes as it may get for now. Try again in {wait} seconds."
            return Refusal("rate_limited", detail, wait)
        case _:
            return Refusal("rate_limited", f"Too many requests. Try again in {wait} seconds.", wait)
