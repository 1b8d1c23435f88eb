"""Signing what has changed of a person's factors, so that a backend can check it offline as it checks an approval."""

from collections.abc import Callable

from ...domain import receipt
from ...domain.factors import FactorKind, Subject, factor_id
from ...domain.ids import Reference
from ...domain.receipt import Change, ChangeClaims
from .. import ports


class ChangeReceipts:
    """Signs receipts of changes. They cannot be spent: the change has been made."""

    def __init__(self, vault: ports.Vault, issuer: str, token_bytes: Callable[[int], bytes]) -> None:
        self._vault = vault
        self._issuer = issuer
        self._token_bytes = token_bytes

    def __call__(self, subject: Subject, change: Change, ref: Reference, kind: FactorKind, at_ms: int) -> str:
        """The receipt of a change that was made at `at_ms`."""
        ring = self._vault.current()
        claims = ChangeClaims(
            iss=self._issuer,
            aud=subject.app,
            sub=subject.sub,
            jti=self._token_bytes(16).hex(),
            changed_s=at_ms // 1000,
            change=change,
            factor_id=factor_id(ref),
            kind=kind,
        )
        return receipt.encode(claims, ring.active_kid, ring.sign)
