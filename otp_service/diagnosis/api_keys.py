"""Whether each API key belongs to an app of the configuration."""

from collections.abc import Callable, Iterator, Sequence

from ..domain.errors import StoreUnavailable
from ..domain.policy import Policy
from ..storage.api_keys import KeyInfo
from .result import CheckResult

NAME = "API keys"


def check_api_keys(policy: Policy, find: Callable[[], Sequence[KeyInfo]], now_ms: int) -> Iterator[CheckResult]:
    """One line. `find` gives all keys; those that were revoked or have expired do not count. `now_ms`: Unix time."""
    try:
        keys = [key for key in find() if key.revoked_at_ms is None and (key.expires_at_ms or now_ms + 1) > now_ms]
    except StoreUnavailable as error:
        yield CheckResult(NAME, False, error.detail)
        return
    lost = sorted((key.app, key.id) for key in keys if key.app not in policy.apps)
    if not lost:
        yield CheckResult(NAME, True, f"each of {len(keys)} belongs to an app of the configuration")
        return
    named = ", ".join(f"{key_id} of {app}" for app, key_id in lost[:5]) + (" and others" if len(lost) > 5 else "")
    detail = (
        f"no such app is in the configuration: {named}; requests with such a key are 503. Bring the app back into the "
        "configuration, or revoke the key: otp-service keys revoke KEY_ID"
    )
    yield CheckResult(NAME, False, detail)
