"""The files of one directory of `otp-service dev`: secrets, keyring, configuration, and the environment of children."""

import base64
import json
import secrets
import shutil
from collections.abc import Mapping
from pathlib import Path

from ... import config, keyring
from ...clock import clock_ms, rfc3339
from ...config import LEDGER_FILE, dev_environment
from ...domain.errors import ConfigError
from ...files import private_directory, write_private
from .. import parent

HOST = "127.0.0.1"

_REPLACED = frozenset(
    f"{name}{suffix}"
    for name in (
        "OTP_REDIS_URL",
        "OTP_LEDGER_URL",
        "OTP_DATA_DIR",
        "TELNYX_API_KEY",
        "TELNYX_PUBLIC_KEY",
        "TELNYX_WEBHOOK_SIGNING_SEED",
    )
    for suffix in ("", "_FILE")
)
"""Variables that are never taken from outside: carrier, store and seed are those of this directory."""


class State:
    """The files of one directory. Secrets and keyring stay the same after a restart."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.logs = directory / "logs"
        self.store = directory / "store"
        self.metrics = directory / "metrics"
        self.keyring = directory / "keyring.json"
        self.env = directory / dev_environment.FILE
        self._toml = directory / config.DEFAULT_FILE
        self._secrets_path = directory / "secrets.json"
        self.env.unlink(missing_ok=True)
        # Metrics of ended processes would be added to ours.
        shutil.rmtree(self.metrics, ignore_errors=True)
        for path in (self.logs, self.metrics):
            private_directory(path)
        if not self.keyring.exists():
            write_private(self.keyring, keyring.create(secrets.token_bytes, rfc3339(clock_ms())))
        self.secrets = self._read_secrets()

    def _read_secrets(self) -> dict[str, str]:
        try:
            found: dict[str, str] = json.loads(self._secrets_path.read_bytes())
        except FileNotFoundError:
            seed = base64.b64encode(secrets.token_bytes(32)).decode()
            found = {"carrier_key": "KEY" + secrets.token_hex(24), "signing_seed": seed}
        except ValueError as error:
            raise ConfigError(f"{self._secrets_path} is damaged; remove it to have a new one made") from error
        self.remember(found)
        return found

    def remember(self, values: dict[str, str]) -> None:
        """Keep the secrets for the next run in this directory."""
        self.secrets = values
        write_private(self._secrets_path, json.dumps(values, indent=2).encode() + b"\n")

    def environ(self, given: Mapping[str, str], api_port: int, sandbox_port: int) -> dict[str, str]:
        """The children's environment, without the store's address. Writes the configuration if there is none."""
        kept = {name: value for name, value in given.items() if name not in _REPLACED}
        kept["OTP_CONFIG"] = str(Path(kept["OTP_CONFIG"]).absolute() if kept.get("OTP_CONFIG") else self._config_path())
        url = f"http://{HOST}:{api_port}"
        return kept | {
            "OTP_KEYRING": str(self.keyring),
            "OTP_METRICS_DIR": str(self.metrics),
            "OTP_DATA_DIR": str(self.directory),
            "OTP_LEDGER_URL": f"sqlite:///{self.directory / LEDGER_FILE}",
            "OTP_PUBLIC_URL": url,
            "TELNYX_BASE_URL": f"http://{HOST}:{sandbox_port}/v2",
            "TELNYX_API_KEY": self.secrets["carrier_key"],
            "TELNYX_PUBLIC_KEY": _public_key(self.secrets["signing_seed"]),
            "TELNYX_WEBHOOK_SIGNING_SEED": self.secrets["signing_seed"],
            parent.LEFTOVER_VARIABLE: str(self.env),
        }

    def _config_path(self) -> Path:
        here = Path.cwd() / config.DEFAULT_FILE
        if here.is_file():
            return here
        if not self._toml.exists():
            self._toml.write_text(config.DEV_TOML, encoding="utf-8")
        return self._toml


def _public_key(seed: str) -> str:
    from nacl.signing import SigningKey  # noqa: PLC0415 - this command only

    return base64.b64encode(bytes(SigningKey(base64.b64decode(seed)).verify_key)).decode()
