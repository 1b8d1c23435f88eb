"""The configuration: a TOML file, the environment and secret files, as typed values."""

from .load import (
    DEFAULT_FILE,
    DEV_TOML,
    CarrierAccess,
    Settings,
    duration_ms,
    environment,
    load,
    load_carrier,
    load_keyring,
    require_url,
)

__all__ = [
    "DEFAULT_FILE",
    "DEV_TOML",
    "CarrierAccess",
    "Settings",
    "duration_ms",
    "environment",
    "load",
    "load_carrier",
    "load_keyring",
    "require_url",
]
