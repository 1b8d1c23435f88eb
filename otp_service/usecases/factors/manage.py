"""Listing, renaming and removing factors."""

from collections.abc import Callable

from ...domain.errors import Refusal
from ...domain.factors import Factor, FactorKind
from ...domain.policy import Policy
from ...domain.receipt import Change
from .. import ports
from ..subjects import Subjects
from ..verify.apps import configured_app
from ..verify.tell_numbers import TellNumbers
from . import refusals
from .change_receipts import ChangeReceipts


class ManageFactors:
    """What a person does with the factors they have."""

    def __init__(
        self,
        *,
        store: ports.FactorStore,
        subjects: Subjects,
        policy: Policy,
        token_bytes: Callable[[int], bytes],
        tell: TellNumbers,
        receipts: ChangeReceipts,
    ) -> None:
        self._store = store
        self._subjects = subjects
        self._policy = policy
        self._token_bytes = token_bytes
        self._tell = tell
        self._receipts = receipts

    def list(self, app_name: str, subject: str) -> tuple[Factor, ...]:
        """The subject's factors; none of one that is not known. Raises InvalidRequest and StoreUnavailable."""
        return self._store.read(self._subjects.of(app_name, subject)).all

    def rename(self, app_name: str, factor_id: str, label: str) -> Factor | Refusal:
        """The factor with its new label. Raises StoreUnavailable."""
        found = self._subjects.of_factor(app_name, factor_id)
        if found is None or not self._store.rename(*found, label):
            return refusals.NO_FACTOR
        subject, ref = found
        factors = self._store.read(subject).all
        return next((one for one in factors if one.reference == ref), refusals.NO_FACTOR)

    def remove(self, app_name: str, factor_id: str) -> str | Refusal:
        """Remove a factor; the receipt of that. Raises NotReady and StoreUnavailable.

        The person is told at a number that is removed.
        """
        app, found = configured_app(self._policy, app_name), self._subjects.of_factor(app_name, factor_id)
        if found is None:
            return refusals.NO_FACTOR
        subject, ref = found
        factors = self._store.read(subject)
        known = next((one for one in factors.all if one.reference == ref), None)
        if not self._store.remove(self._token_bytes(8).hex(), subject, ref):
            return refusals.NO_FACTOR
        if known is not None:
            self._tell.removed(app, subject, known)
        # What was never confirmed is shown no more once its time is over: it was an authenticator app.
        kind = FactorKind.TOTP if known is None else known.kind
        return self._receipts(subject, Change.REMOVED, ref, kind, factors.now_ms)
