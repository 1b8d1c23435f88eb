"""Reading the keyring file that OTP_KEYRING names."""

from .. import keyring
from ..domain.errors import ConfigError
from .private_files import read_private
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
        return keyring.parse(read_private(path, "OTP_KEYRING", f" ({_HINT})"))
    except keyring.KeyringError as error:
        raise ConfigError(f"OTP_KEYRING: {path}: {error}") from error
