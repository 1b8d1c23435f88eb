"""Spending the receipt of an approval by a factor."""

from ...domain.ending import NotFound, Redeemed
from .. import ports
from ..subjects import Subjects


class RedeemFactorReceipt:
    """Spends receipts whose signature and claims were checked before."""

    def __init__(self, *, store: ports.FactorStore, subjects: Subjects) -> None:
        self._store = store
        self._subjects = subjects

    def __call__(
        self, operation_id: str, app_name: str, factor_id: str, receipt_id: str, ends_ms: int
    ) -> Redeemed | NotFound:
        """Spend it once; NotFound if its approval is not known. Raises StoreUnavailable."""
        found = self._subjects.of_factor(app_name, factor_id)
        if found is None:
            return NotFound()
        subject, ref = found
        return self._store.redeem(operation_id, subject, ref, receipt_id, ends_ms)
