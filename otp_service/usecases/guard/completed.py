"""A login that ended well by another way than its code: the guard counts it as an approval."""

from ...domain.ending import Ended, NotFound
from ...domain.errors import Refusal
from ...domain.ids import Ids
from ...domain.policy import Policy
from ...domain.view import VerificationView
from .. import ports
from ..verify.apps import configured_app
from ..verify.refusals import NOT_FOUND, about, ended
from .guard import Guard


class CompleteLogin:
    """Takes note of logins that ended well. Safe for many threads."""

    def __init__(
        self,
        *,
        numbers: ports.GuardedNumbers,
        store: ports.VerificationStore,
        guard: Guard,
        ids: Ids,
        policy: Policy,
    ) -> None:
        self._numbers = numbers
        self._store = store
        self._guard = guard
        self._ids = ids
        self._policy = policy

    def __call__(self, app_name: str, verification_id: str) -> VerificationView | Refusal:
        """The verification as it is. A repeat changes nothing. Raises NotReady and StoreUnavailable.

        One that its person denied is refused: it must not make the number known. Any other may be completed, a canceled
        one too: an app cancels the code when somebody was let in by another way.
        """
        app = configured_app(self._policy, app_name)
        ref = self._ids.read(verification_id)
        if ref is None:
            return NOT_FOUND
        found = self._numbers.complete(ref, app.name, app.guard)
        if isinstance(found, NotFound):
            return NOT_FOUND
        if isinstance(found, Ended):
            return about(ref, ended(found.status))
        if found is not None:
            self._guard.converted(app, found)
        return self._store.view(ref, app.name) or NOT_FOUND
