"""Environment variables and secret files. `NAME_FILE` names a file that holds the value of `NAME`."""

import re
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import urlsplit

from ..domain.errors import ConfigError
from .private_files import read_private

STORE_SCHEMES = ("redis", "rediss", "redis+sentinel", "rediss+sentinel", "redis+cluster", "rediss+cluster", "unix")
LOG_LEVELS = ("debug", "info", "warning", "error")


def secret(environ: Mapping[str, str], name: str) -> str | None:
    """The value of `NAME`, or the content of the file that `NAME_FILE` names. Raises ConfigError."""
    if environ.get(name):
        return environ[name]
    path = environ.get(f"{name}_FILE")
    return read_secret(path, f"{name}_FILE") if path else None


def read_secret(path: str, where: str) -> str:
    """The content of a secret file without its line end. Raises ConfigError naming `where`.

    Also when other users of the machine have rights on the file.
    """
    try:
        value = read_private(Path(path), where).decode().strip()
    except UnicodeDecodeError as error:
        raise ConfigError(f"{where}: {path} is not UTF-8") from error
    if not value:
        raise ConfigError(f"{where}: {path} is empty")
    return value


def whole_number(environ: Mapping[str, str], name: str, high: int) -> int | None:
    """A variable that holds 1 to `high`; None if it is not set. Raises ConfigError."""
    text = environ.get(name)
    if not text:
        return None
    if not (text.isascii() and text.isdigit() and len(text) < 10 and 1 <= int(text) <= high):
        raise ConfigError(f"{name}: must be a whole number from 1 to {high}")
    return int(text)


def path(environ: Mapping[str, str], name: str) -> Path | None:
    """A variable that holds a path; None if it is not set."""
    return Path(environ[name]) if environ.get(name) else None


def require_url(text: str, where: str) -> str:
    """An http or https URL without query and without a slash at its end. Raises ConfigError naming `where`."""
    try:
        parts = urlsplit(text)
        good = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
    except ValueError:  # brackets that do not match, a port that is no number
        good = False
    if not good or not re.fullmatch(r"[!-~]+", text) or "?" in text or "#" in text:
        raise ConfigError(f"{where}: must be an http or https URL without query")
    return text.rstrip("/")


def store_url(text: str) -> str:
    """The URL of the store. Raises ConfigError, which never repeats the URL: it may hold a password."""
    if not text.startswith(tuple(f"{scheme}://" for scheme in STORE_SCHEMES)):
        raise ConfigError(f"OTP_REDIS_URL: must begin with one of {', '.join(s + '://' for s in STORE_SCHEMES)}")
    try:
        hosts = urlsplit(text).netloc
    except ValueError:
        raise ConfigError("OTP_REDIS_URL: the brackets of an IPv6 address do not match") from None
    try:
        hosts.rpartition("@")[2].replace(",", ".").encode("idna")
    except UnicodeError:
        raise ConfigError("OTP_REDIS_URL: the host is no name that could be looked up") from None
    return text


def ledger_url(text: str) -> str:
    """The URL of the ledger's database. Raises ConfigError, which never repeats the URL: it may hold a password."""
    if not re.fullmatch(r"sqlite:////[^\n?#]+|postgresql://[!-~]+", text):
        raise ConfigError("OTP_LEDGER_URL: must be sqlite:////absolute/path or postgresql://user@host/database")
    return text


def log_level(text: str) -> str:
    """The level in capitals. Raises ConfigError."""
    if text.lower() not in LOG_LEVELS:
        raise ConfigError(f"OTP_LOG_LEVEL: must be one of {', '.join(LOG_LEVELS)}")
    return text.upper()
