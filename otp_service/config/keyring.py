"""Reading the keyring file that OTP_KEYRING names."""

from pathlib import Path

from .. import keyring
from ..domain.errors import ConfigError
from .settings import Settings

_HINT = "make one with: otp-service keyring create PATH"


def load_keyring(settings: Settings) -> keyring.Keyring:
    """Read the keyring file. Raises ConfigError, also when other users of the machine can read the file.

    A key with a time of its own is not active in what is returned; see `keyring_reload`.
    """
    path = settings.keyring_path
    if path is None:
        raise ConfigError(f"OTP_KEYRING is not set: it names the keyring file ({_HINT})")
    try:
        return keyring.parse(_read_private(path))
    except keyring.KeyringError as error:
        raise ConfigError(f"OTP_KEYRING: {path}: {error}") from error


def _read_private(path: Path) -> bytes:
    try:
        mode = path.stat().st_mode
        raw = path.read_bytes()
    except OSError as error:
        raise ConfigError(f"OTP_KEYRING: cannot read {path}: {error.strerror} ({_HINT})") from error
    if mode & 0o077:
        raise ConfigError(f"OTP_KEYRING: {path} can be read by others; run: chmod 600 {path}")
    return raw
