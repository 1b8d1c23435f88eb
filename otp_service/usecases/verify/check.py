"""Checking a code. The store counts a guess before it compares it; only an approval gives a receipt."""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Protocol

from ...domain import binding, codes, receipt
from ...domain.checking import Approved, CheckAnswer, CheckCommand, Limited, Superseded, Wrong
from ...domain.ending import Ended
from ...domain.errors import KeyUnknown, Refusal
from ...domain.ids import Reference
from ...domain.policy import App, Policy
from ...domain.verification import DEFAULT_PURPOSE
from .. import ports
from .apps import configured_app
from .digests import code_digest
from .people import People
from .refusals import NOT_FOUND, about, ended, too_many_wrong_codes

_TIMES = 3
"""How often a check by number follows the number's latest verification while newer ones are started."""

_OVERTAKEN = Refusal("store_unavailable", "The number's verification changed meanwhile. Try again.", 1)


class CheckRequest(Protocol):
    """What a caller sends, validated in form: `verification_id` or `to` is there.

    Beside `verification_id`, `to` and `purpose` are assertions: where they are not so, there is no such verification.
    """

    @property
    def code(self) -> str: ...
    @property
    def context(self) -> Mapping[str, str]: ...
    @property
    def verification_id(self) -> str | None: ...
    @property
    def to(self) -> str | None: ...
    @property
    def purpose(self) -> str | None: ...
    @property
    def code_verifier(self) -> str | None: ...


class CheckVerification:
    """Judges guesses, and signs the receipt of an approval."""

    def __init__(
        self,
        *,
        store: ports.VerificationStore,
        vault: ports.Vault,
        people: People,
        policy: Policy,
        issuer: str,
        token_bytes: Callable[[int], bytes],
    ) -> None:
        self._store = store
        self._vault = vault
        self._people = people
        self._policy = policy
        self._issuer = issuer
        self._token_bytes = token_bytes

    def __call__(self, app_name: str, request: CheckRequest, request_key: str = "") -> Approved | Refusal:
        """Judge a guess, by id or at the latest verification of the number for the purpose.

        With a `request_key` a repeat of the same request gets the approval again. Raises InvalidNumber,
        StoreUnavailable, and KeyUnknown where another process has the code's key.
        """
        app = configured_app(self._policy, app_name)
        number = "" if request.to is None else self._people.hash_of(request.to)
        if request.verification_id is None:
            return self._by_number(app, number, request, request_key)
        ref = self._vault.ids.read(request.verification_id)
        if ref is None:
            return NOT_FOUND
        make = partial(
            self._command,
            app,
            request,
            request_key,
            ref,
            asserted_number=number,
            asserted_purpose=request.purpose or "",
        )
        return about(ref, self._judge(app, make) or NOT_FOUND)

    def _by_number(self, app: App, number: str, request: CheckRequest, request_key: str) -> Approved | Refusal:
        purpose = request.purpose or DEFAULT_PURPOSE
        for _ in range(_TIMES):
            ref = self._store.latest(number, app.name, purpose)
            if ref is None:
                return NOT_FOUND
            answer = self._judge(app, partial(self._command, app, request, request_key, ref, by_purpose=purpose))
            if answer is not None:
                return about(ref, answer)
        return _OVERTAKEN

    def _command(
        self,
        app: App,
        request: CheckRequest,
        request_key: str,
        ref: Reference,
        *,
        by_purpose: str | None = None,
        asserted_number: str = "",
        asserted_purpose: str = "",
    ) -> CheckCommand:
        hashed, peppers = codes.context_hash(request.context), self._vault.current().peppers
        return CheckCommand(
            operation_id=self._token_bytes(8).hex(),
            reference=ref,
            app=app,
            receipt_id=self._token_bytes(16).hex(),
            digests={kid: code_digest(pepper, app, ref, hashed, request.code) for kid, pepper in peppers.items()},
            by_purpose=by_purpose,
            asserted_number=asserted_number,
            asserted_purpose=asserted_purpose,
            request_key=request_key,
            per_number=self._policy.per_number,
            challenge=binding.challenge_of(request.code_verifier) if request.code_verifier else "",
        )

    def _judge(self, app: App, make: Callable[[], CheckCommand]) -> Approved | Refusal | None:
        """The verdict; None if another verification has become the latest meanwhile."""
        answer = self._ask(make)
        if isinstance(answer, Approved):
            self._sign(app, answer)
            return answer
        return None if isinstance(answer, Superseded) else refusal_of(answer)

    def _ask(self, make: Callable[[], CheckCommand]) -> CheckAnswer:
        try:
            return self._store.check(make())
        except KeyUnknown as error:
            # Nothing was counted. The keyring file may have the key by now.
            if not self._vault.knows(error.kid):
                raise
        return self._store.check(make())

    def _sign(self, app: App, approved: Approved) -> None:
        """Put the signed receipt into the approval."""
        ring, approval = self._vault.current(), approved.approval
        claims = receipt.Claims(
            iss=self._issuer,
            aud=app.name,
            sub=approval.sub,
            purpose=approval.purpose,
            channel=approval.channel,
            context_hash=approved.context_hash,
            jti=approved.receipt_id,
            verification_id=approval.verification_id,
            iat=approved.at_ms // 1000,
        )
        approval.receipt = receipt.encode(claims, ring.active_kid, ring.sign)


def refusal_of(answer: CheckAnswer) -> Refusal:
    """What the caller gets for an answer of the store that is no approval."""
    match answer:
        case Wrong(checks_left):
            detail = f"The code is not right. Tries left: {checks_left}."
            return Refusal("code_incorrect", detail, fields={"checks_left": checks_left})
        case Ended(status):
            return ended(status)
        case Limited(wait_ms):
            return too_many_wrong_codes(wait_ms)
        case _:
            return NOT_FOUND
