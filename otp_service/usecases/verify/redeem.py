"""Redeeming a receipt: once, by the app that it was made for."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from ...domain import receipt
from ...domain.ending import NotFound, Redeemed
from ...domain.errors import KeyUnknown, Refusal
from ...domain.ids import Reference
from ...domain.policy import Policy
from .. import ports
from .apps import configured_app
from .people import People
from .refusals import about

SpendFactor = Callable[[str, str, str, str, int], Redeemed | NotFound]
"""Spends the receipt of an approval by a factor: operation, app, factor's id, receipt's id, when it ends (ms)."""

INVALID = Refusal(
    "receipt_invalid",
    "This is not a valid receipt of this service for this app, it is over, or it is not as asserted. Let nobody in.",
)
_SPENT = Refusal(
    "receipt_spent", "This receipt was already spent: it is good for one login. Let nobody in with it again."
)


@dataclass(frozen=True, slots=True)
class Asserted:
    """What the caller asserts of the receipt. One that is different is invalid here. None asserts nothing."""

    to: str | None = field(default=None, repr=False)
    purpose: str | None = None
    subject: str | None = None


NOTHING_ASSERTED = Asserted()


@dataclass(frozen=True, slots=True)
class Redemption:
    """The receipt was spent just now. Of an approval by a factor: `factor_id`, and neither verification nor mask.

    `test`: it is of a test number.
    """

    verification_id: str
    redeemed_at_ms: int
    mask: str
    purpose: str
    subject: str
    factor_id: str = ""
    test: bool = False


@dataclass(frozen=True, slots=True)
class _Claims:
    """The claims of a receipt of ours that redeeming needs."""

    verification_id: str
    factor_id: str
    receipt_id: str
    ends_ms: int
    purpose: object
    subject: object
    test: bool


class RedeemReceipt:
    """Spends receipts."""

    def __init__(
        self,
        *,
        store: ports.VerificationStore,
        vault: ports.Vault,
        people: People,
        key_ids: ports.KeyIds,
        issuer: str,
        token_bytes: Callable[[int], bytes],
        redeem_factor: SpendFactor,
        policy: Policy,
    ) -> None:
        self._store = store
        self._vault = vault
        self._people = people
        self._key_ids = key_ids
        self._issuer = issuer
        self._token_bytes = token_bytes
        self._redeem_factor = redeem_factor
        self._policy = policy

    def __call__(
        self, app_name: str, token: str, asserted: Asserted = NOTHING_ASSERTED, request_key: str = ""
    ) -> Redemption | Refusal:
        """Spend a receipt once, if it is as asserted. With a `request_key` a repeat gets the first answer.

        Raises InvalidNumber, StoreUnavailable, and KeyUnknown where another process has the receipt's key.
        """
        app = configured_app(self._policy, app_name)
        number = None if asserted.to is None else self._people.hash_of(asserted.to, app)
        claims = self._claims(app_name, token)
        if claims is None or not _as_asserted(claims, asserted):
            return INVALID
        if claims.factor_id and not claims.verification_id:
            return INVALID if number is not None else self._spend_factor(self._operation(request_key), app_name, claims)
        ref = self._vault.ids.read(claims.verification_id)
        if ref is None or number not in (None, ref.number_hash):
            return INVALID
        return about(ref, self._spend(self._operation(request_key), app_name, ref, claims))

    def _operation(self, request_key: str) -> str:
        if not request_key:
            return self._token_bytes(12).hex()
        return self._vault.ids.digest(b"redeem\0" + request_key.encode())[:12].hex()

    def _spend_factor(self, operation_id: str, app_name: str, claims: _Claims) -> Redemption | Refusal:
        match self._redeem_factor(operation_id, app_name, claims.factor_id, claims.receipt_id, claims.ends_ms):
            case Redeemed(at_ms, first=True):
                return Redemption("", at_ms, "", str(claims.purpose), str(claims.subject), claims.factor_id)
            case Redeemed():
                return _SPENT
            case _:
                return INVALID

    def _claims(self, app_name: str, token: str) -> _Claims | None:
        kid = receipt.kid_of(token)
        if kid is not None and not self._vault.knows(kid) and self._key_ids.known(kid):
            raise KeyUnknown(kid)
        claims = receipt.decode(token, self._vault.verify)
        if claims is None or claims.get("iss") != self._issuer or claims.get("aud") != app_name:
            return None
        return _read(claims)

    def _spend(self, operation_id: str, app_name: str, ref: Reference, claims: _Claims) -> Redemption | Refusal:
        match self._store.redeem(operation_id, ref, app_name, claims.receipt_id, claims.ends_ms):
            case Redeemed(at_ms, first=True) as redeemed:
                subject = str(claims.subject)
                return Redemption(
                    ref.verification_id, at_ms, redeemed.mask, redeemed.purpose, subject, test=claims.test
                )
            case Redeemed():
                return _SPENT
            case _:
                return INVALID


def _read(claims: Mapping[str, Any]) -> _Claims | None:
    verification_id, factor_id = (claims.get(name, "") for name in ("verification_id", "factor_id"))
    receipt_id, ends = claims.get("jti"), claims.get("exp")
    if not isinstance(verification_id, str) or not isinstance(factor_id, str):
        return None
    if not isinstance(receipt_id, str) or not isinstance(ends, int):
        return None
    purpose, subject, test = claims.get("purpose"), claims.get("sub"), claims.get("test") is True
    return _Claims(verification_id, factor_id, receipt_id, ends * 1000, purpose, subject, test)


def _as_asserted(claims: _Claims, asserted: Asserted) -> bool:
    return asserted.subject in (None, claims.subject) and asserted.purpose in (None, claims.purpose)
