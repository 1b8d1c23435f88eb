"""What a process cannot start without. All that is missing or unusable is reported at once, as one ConfigError."""

from collections.abc import Callable

from ..config import Faults, Settings, load_keyring
from .carrier import telnyx_client, webhook_key


def require_for_web(settings: Settings) -> None:
    """Apps, keyring and the carrier's webhook key."""
    _require(settings.require_apps, lambda: load_keyring(settings), lambda: webhook_key(settings))


def require_for_worker(settings: Settings) -> None:
    """Apps, keyring and access to the carrier."""
    _require(settings.require_apps, lambda: load_keyring(settings), lambda: telnyx_client(settings).close())


def _require(*checks: Callable[[], object]) -> None:
    faults = Faults()
    faults.check(*checks)
    faults.raise_any()
