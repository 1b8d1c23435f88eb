"""Finding the configuration file and reading it as TOML."""

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..domain.errors import ConfigError

DEFAULT_FILE = "otp-service.toml"


def config_path(environ: Mapping[str, str], directory: Path) -> Path | None:
    """The file that OTP_CONFIG names, else the default file of the directory, else None."""
    named = environ.get("OTP_CONFIG")
    if named:
        return Path(named)
    default = directory / DEFAULT_FILE
    return default if default.is_file() else None


def read_toml(path: Path) -> dict[str, Any]:
    """The content of the file. Raises ConfigError."""
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(f"OTP_CONFIG: cannot read {path}: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: not valid TOML: {error}") from error
