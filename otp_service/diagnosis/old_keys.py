"""What in the store still needs a key of the keyring that is not the active one, or that the keyring does not have."""

from collections.abc import Callable, Iterator

from ..domain.errors import ServiceError
from ..domain.key_use import KeyUse, counted
from ..keyring import Keyring
from .result import CheckResult

NAME = "old keys"


def check_old_keys(ring: Keyring, look: Callable[[], KeyUse]) -> Iterator[CheckResult]:
    """One line. `look` searches the whole store."""
    try:
        use = look()
    except ServiceError as error:
        yield CheckResult(NAME, False, error.detail)
        return
    active = ring.at(use.now_ms).active_kid
    unknown = [kid for kid in use.needs if not ring.knows(kid)]
    if unknown:
        detail = f"the keyring lacks {', '.join(unknown)}, which sealed what is in the store; bring the newest here"
        yield CheckResult(NAME, False, detail)
        return
    needed = [f"{kid} for {counted(needs)}" for kid, needs in use.needs.items() if kid != active]
    yield CheckResult(NAME, True, f"still needed: {'; '.join(needed)}" if needed else "nothing in the store needs one")
