"""Listing, renaming and removing factors."""

from collections.abc import Callable

from ...domain.errors import Refusal
from ...domain.factors import Factor
from ...domain.policy import Policy
from .. import ports
from ..subjects import Subjects
from ..verify.apps import configured_app
from ..verify.tell_numbers import TellNumbers
from . import refusals


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
    ) -> None:
        self._store = store
        self._subjects = subjects
        self._policy = policy
        self._token_bytes = token_bytes
        self._tell = tell

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

    def remove(self, app_name: str, factor_id: str) -> Refusal | None:
        """Remove a factor; the refusal if there is none. Raises NotReady and StoreUnavailable.

        The person is told at a number that is removed.
        """
        app, found = configured_app(self._policy, app_name), self._subjects.of_factor(app_name, factor_id)
        if found is None:
            return refusals.NO_FACTOR
        subject, ref = found
        known = [one for one in self._store.read(subject).all if one.reference == ref]
        if not self._store.remove(self._token_bytes(8).hex(), subject, ref):
            return refusals.NO_FACTOR
        for factor in known:
            self._tell.removed(app, subject, factor)
        return None
