"""Listing, renaming and removing factors."""

from collections.abc import Callable

from ...domain.errors import Refusal
from ...domain.factors import Factor
from .. import ports
from ..subjects import Subjects
from . import refusals


class ManageFactors:
    """What a person does with the factors they have."""

    def __init__(self, *, store: ports.FactorStore, subjects: Subjects, token_bytes: Callable[[int], bytes]) -> None:
        self._store = store
        self._subjects = subjects
        self._token_bytes = token_bytes

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
        """Remove a factor; the refusal if there is none. Raises StoreUnavailable."""
        found = self._subjects.of_factor(app_name, factor_id)
        if found is None or not self._store.remove(self._token_bytes(8).hex(), *found):
            return refusals.NO_FACTOR
        return None
