"""Where the API is, and the key for it, as commands that use it need them."""

import os
from dataclasses import dataclass, field
from pathlib import Path

from ..domain.errors import ConfigError
from . import dev_environment
from .variables import require_url, secret


@dataclass(frozen=True, slots=True)
class ApiAccess:
    """The API's address, without a slash at its end, and an API key."""

    url: str
    key: str = field(repr=False)


def load_api() -> ApiAccess:
    """From OTP_URL and OTP_API_KEY (or OTP_API_KEY_FILE). Where none is set: those of the `dev` that runs here, and a
    line on stderr says so.

    Raises ConfigError.
    """
    environ = dict(os.environ)
    if not any(environ.get(name) for name in ("OTP_URL", "OTP_API_KEY", "OTP_API_KEY_FILE")):
        path = Path(dev_environment.DIRECTORY, dev_environment.FILE).absolute()
        values = dev_environment.read(path)
        found: dict[str, str] = {name: values[name] for name in ("OTP_URL", "OTP_API_KEY") if name in values}
        if found:
            dev_environment.say_used(path, found)
        environ |= found
    url, key = environ.get("OTP_URL"), secret(environ, "OTP_API_KEY")
    if not url or not key:
        raise ConfigError("OTP_URL and OTP_API_KEY (or OTP_API_KEY_FILE) say where the API is; one is not set")
    return ApiAccess(require_url(url, "OTP_URL"), key)
