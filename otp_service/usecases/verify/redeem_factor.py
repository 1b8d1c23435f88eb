"""Spending the receipt of an approval by a factor."""

from collections.abc import Callable

from ...domain.ending import NotFound, Redeemed
from .. import ports
from ..subjects import Subjects


class RedeemFactorReceipt:
    """Spends receipts whose signature and claims were checked before."""

    def __init__(self, *, store: ports.FactorStore, subjects: Subjects, token_bytes: Callable[[int], bytes]) -> None:
        self._store = store
        self._subjects = subjects
        self._token_bytes = token_bytes

    def __call__(self, app_name: str, factor_id: str, receipt_id: str, ends_ms: int) -> Redeemed | NotFound:
        """Spend it once; NotFound if its approval is not known. Raises StoreUnavailable."""
        found = self._subjects.of_factor(app_name, factor_id)
        if found is None:
            return NotFound()
        subject, ref = found
        return self._store.redeem(self._token_bytes(12).hex(), subject, ref, receipt_id, ends_ms)
