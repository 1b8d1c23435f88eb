"""The carrier's client and webhook keys, from the settings. Raises ConfigError if one is missing or unusable."""

from ..config import Settings
from ..domain.errors import ConfigError
from ..telnyx.client import TelnyxClient
from ..telnyx.connection import Network
from ..telnyx.signatures import parse_public_keys


def webhook_keys(settings: Settings) -> tuple[bytes, ...]:
    """The Ed25519 keys that the carrier may sign webhooks with."""
    if not settings.telnyx_public_key:
        raise ConfigError("TELNYX_PUBLIC_KEY is not set: without it no webhook can be verified (Portal > Public Key)")
    try:
        return parse_public_keys(settings.telnyx_public_key)
    except ValueError as error:
        raise ConfigError(f"TELNYX_PUBLIC_KEY: {error}") from error


def telnyx_client(settings: Settings, network: Network | None = None) -> TelnyxClient:
    """A client of the carrier, in threads if no network is given; the caller closes it."""
    if not settings.telnyx_api_key:
        raise ConfigError("TELNYX_API_KEY is not set: the worker cannot send without it")
    try:
        return TelnyxClient(settings.telnyx_api_key, settings.telnyx_base_url, network=network)
    except ValueError as error:
        raise ConfigError(f"TELNYX_API_KEY or TELNYX_BASE_URL: {error}") from error
