"""Canceling a pending verification."""

from collections.abc import Callable

from ...domain.ending import Canceled, Ended
from ...domain.errors import Refusal
from ...domain.policy import Policy
from ...domain.view import VerificationView
from .. import ports
from .apps import configured_app
from .people import People
from .refusals import NOT_FOUND, ended


class CancelVerification:
    """Withdraws a pending verification."""

    def __init__(
        self,
        *,
        store: ports.VerificationStore,
        vault: ports.Vault,
        people: People,
        policy: Policy,
        token_bytes: Callable[[int], bytes],
    ) -> None:
        self._people = people
        self._policy = policy
        self._store = store
        self._vault = vault
        self._token_bytes = token_bytes

    def __call__(self, app_name: str, verification_id: str) -> VerificationView | Refusal:
        """The canceled verification, or why it could not be canceled. Raises StoreUnavailable."""
        ref = self._vault.ids.read(verification_id)
        if ref is None:
            return NOT_FOUND
        match self._store.cancel(self._token_bytes(12).hex(), ref, app_name):
            case Canceled():
                return self._store.view(ref, app_name) or NOT_FOUND
            case Ended(status):
                app = configured_app(self._policy, app_name)
                return self._people.marked(ended(status), app, ref.number_hash)
            case _:
                return NOT_FOUND
