"""Enrolling an authenticator app: its secret is told once, and its first code confirms that the app has it."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

from ...domain import totp
from ...domain.errors import Refusal
from ...domain.factor_checking import (
    CodeUsed,
    Confirmed,
    Enrollment,
    EnrollmentExpired,
    TooManyFactors,
    WrongConfirmation,
)
from ...domain.factors import CONFIRM_MS, Authenticator, Factor, Subject, TotpForm
from ...domain.ids import Reference
from ...domain.policy import App, Policy
from ...domain.receipt import Change
from .. import ports
from ..subjects import RANDOM_BYTES, Subjects
from ..verify.apps import configured_app
from . import refusals
from .change_receipts import ChangeReceipts


class TotpRequest(Protocol):
    """What a caller asks for, validated in form."""

    @property
    def subject(self) -> str: ...
    @property
    def label(self) -> str: ...
    @property
    def form(self) -> TotpForm: ...


@dataclass(frozen=True, slots=True)
class EnrolledTotp:
    """What the person's app needs, told once: the secret in base32 and as an `otpauth:` address."""

    reference: Reference
    secret: str = field(repr=False)
    uri: str = field(repr=False)
    confirm_by_ms: int


class EnrollTotp:
    """Enrols authenticator apps."""

    def __init__(
        self,
        *,
        store: ports.FactorStore,
        vault: ports.Vault,
        subjects: Subjects,
        policy: Policy,
        token_bytes: Callable[[int], bytes],
    ) -> None:
        self._store = store
        self._vault = vault
        self._subjects = subjects
        self._policy = policy
        self._token_bytes = token_bytes

    def __call__(self, app_name: str, request: TotpRequest) -> EnrolledTotp | Refusal:
        """A new secret, pending until its first code. Raises InvalidRequest, NotReady and StoreUnavailable."""
        app = configured_app(self._policy, app_name)
        subject = self._subjects.of(app.name, request.subject)
        secret = self._token_bytes(totp.SECRET_BYTES)
        enrollment = self._enrollment(subject, request, secret)
        answer = self._store.enroll(enrollment)
        if isinstance(answer, TooManyFactors):
            return refusals.TOO_MANY
        return EnrolledTotp(
            enrollment.reference,
            totp.base32(secret),
            _uri(app, request, secret),
            answer.at_ms + CONFIRM_MS,
        )

    def _enrollment(self, subject: Subject, request: TotpRequest, secret: bytes) -> Enrollment:
        return Enrollment(
            operation_id=self._token_bytes(8).hex(),
            reference=self._subjects.new_reference(subject, self._token_bytes(RANDOM_BYTES)),
            subject=subject,
            form=request.form,
            label=request.label,
            sealed=self._vault.seal(secret),
        )


def _uri(app: App, request: TotpRequest, secret: bytes) -> str:
    # The caller's id of the person is not written into the phone: a label is, if there is one.
    return totp.uri(secret, request.form, issuer=app.brand, label=request.label or app.brand)


@dataclass(frozen=True, slots=True)
class ConfirmedTotp:
    """The active factor, and the receipt of that."""

    factor: Factor
    receipt: str = field(repr=False)


Confirmation = ConfirmedTotp | Refusal


class ConfirmTotp:
    """Confirms authenticator apps."""

    def __init__(
        self,
        *,
        store: ports.FactorStore,
        vault: ports.Vault,
        subjects: Subjects,
        token_bytes: Callable[[int], bytes],
        receipts: ChangeReceipts,
    ) -> None:
        self._store = store
        self._vault = vault
        self._subjects = subjects
        self._token_bytes = token_bytes
        self._receipts = receipts

    def __call__(self, app_name: str, factor_id: str, code: str) -> Confirmation:
        """The active factor, or why it is none. Raises StoreUnavailable, and KeyUnknown for a foreign seal."""
        found = self._subjects.of_factor(app_name, factor_id)
        if found is None:
            return refusals.NO_FACTOR
        subject, ref = found
        pending = self._store.enrollment(subject, ref)
        steps = self._steps(*pending, code) if pending is not None else []
        match self._store.confirm(self._token_bytes(8).hex(), subject, ref, steps):
            case Confirmed():
                return self._shown(subject, ref)
            case WrongConfirmation(0):
                return refusals.EXHAUSTED
            case WrongConfirmation(left):
                return refusals.wrong(left)
            case EnrollmentExpired():
                return refusals.EXPIRED
            case CodeUsed():
                return refusals.ACTIVE
            case _:
                return refusals.NO_FACTOR

    def _steps(self, pending: Authenticator, now_ms: int, code: str) -> list[int]:
        return totp.matching_steps(self._vault.open(pending.sealed), pending.form, code, now_ms)

    def _shown(self, subject: Subject, ref: Reference) -> Confirmation:
        factors = self._store.read(subject)
        for factor in factors.all:
            if factor.reference == ref:
                receipt = self._receipts(subject, Change.ADDED, ref, factor.kind, factors.now_ms)
                return ConfirmedTotp(factor, receipt)
        return refusals.NO_FACTOR
