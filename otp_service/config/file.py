"""Finding the configuration file and reading it as TOML."""

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..domain.errors import ConfigError
from .faults import Faults
from .toml_faults import toml_faults

DEFAULT_FILE = "otp-service.toml"


def config_path(environ: Mapping[str, str], directory: Path) -> Path | None:
    """The file that OTP_CONFIG names, else the default file of the directory, else None."""
    named = environ.get("OTP_CONFIG")
    if named:
        return Path(named)
    default = directory / DEFAULT_FILE
    return default if default.is_file() else None


def read_toml(path: Path, faults: Faults) -> dict[str, Any]:
    """The content of the file; empty if it cannot be read, with a fault for each place that is wrong."""
    text = faults.attempt(lambda: _read(path), "")
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError:
        for place, problem in toml_faults(text):
            faults.add(f"{path}, {place}", f"{problem} (the file is not valid TOML)")
    return {}


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except OSError as error:
        raise ConfigError(f"OTP_CONFIG: cannot read {path}: {error.strerror}") from error
    except UnicodeDecodeError:
        raise ConfigError(f"OTP_CONFIG: {path} is not UTF-8 text, so it is not valid TOML") from None
