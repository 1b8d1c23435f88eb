"""What a process cannot start without. All that is missing or unusable is reported at once, as one ConfigError."""

from collections.abc import Callable

from ..config import Faults, Settings, load_keyring
from ..domain.errors import ConfigError
from ..telnyx.client import TelnyxClient
from .carrier import telnyx_client, webhook_keys


def require_for_web(settings: Settings) -> None:
    """Apps, keyring and the carrier's webhook keys."""
    _require(settings.require_apps, lambda: load_keyring(settings), lambda: webhook_keys(settings))


def require_for_worker(settings: Settings) -> TelnyxClient:
    """Apps, keyring and access to the carrier; returns its client, which the caller closes."""
    clients: list[TelnyxClient] = []
    try:
        _require(
            settings.require_apps,
            lambda: load_keyring(settings),
            lambda: clients.append(telnyx_client(settings)),
        )
    except ConfigError:
        for client in clients:
            client.close()
        raise
    return clients[0]


def _require(*checks: Callable[[], object]) -> None:
    faults = Faults()
    faults.check(*checks)
    faults.raise_any()
