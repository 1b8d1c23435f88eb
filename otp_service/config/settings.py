"""The settings of a process, as typed values. The defaults of apps and senders are those of `domain.policy`."""

import ipaddress
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from ..domain.errors import ConfigError
from ..domain.outlets import Outlets
from ..domain.policy import OnCall, Policy
from ..domain.prices import Prices
from ..telnyx import BASE_URL

LEDGER_FILE = "ledger.db"


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Everything that is configured. Its repr shows no secret.

    `queue_max` is the most deliveries that wait on one shard; `audit_retention_ms` how long events stay in the store
    once they are in the ledger; `audit_backlog_max`: so many may wait for that; `keep_webhooks`: what the carrier
    signed stands beside the records that it caused, for `webhook_retention_ms` (None: for ever); `outlets`: who gets
    checkpoints of the signed log; `optout_sync_ms` the time between two reads of the carrier's list of opt-outs;
    `on_call` None alerts nobody; `keeps_codes`: whether codes may outlive a restart of the store, None for what suits
    the kind of store; `replicas`: so many at least have to have what was written before a caller is told, None as
    `keeps_codes`. `data_dir` and `ledger_url`: see `ledger`.
    """

    policy: Policy
    redis_url: str = field(default="redis://127.0.0.1:6379/0", repr=False)
    public_url: str
    issuer: str
    shards: int = 16
    queue_max: int = 10_000
    audit_retention_ms: int = 2 * 86_400_000
    audit_backlog_max: int = 1_000_000
    keep_webhooks: bool = True
    webhook_retention_ms: int | None = None
    outlets: Outlets = field(default_factory=Outlets)
    optout_sync_ms: int = 15 * 60_000
    on_call: OnCall | None = None
    prices: Prices = field(default_factory=Prices)
    keeps_codes: bool | None = None
    replicas: int | None = None
    telnyx_base_url: str = BASE_URL
    telnyx_api_key: str | None = field(default=None, repr=False)
    telnyx_public_key: str | None = None
    keyring_path: Path | None = None
    metrics_dir: Path | None = None
    data_dir: Path | None = None
    ledger_url: str | None = field(default=None, repr=False)
    log_level: str = "INFO"
    config_path: Path | None = None

    @property
    def ledger(self) -> str | None:
        """The URL of the ledger's database: by default a file in the data directory, which is that of the keyring.

        None if there is neither.
        """
        directory = self.data_dir or (self.keyring_path.parent if self.keyring_path else None)
        if self.ledger_url or directory is None:
            return self.ledger_url
        return f"sqlite:///{directory.absolute() / LEDGER_FILE}"

    @property
    def after_restart(self) -> str:
        """What becomes of codes when the store was restarted: by default they end where replicas may take over."""
        keeps = self.keeps_codes
        if keeps is None:
            keeps = not self.expected_replicas and self._kind != "cluster"
        return "keep_codes" if keeps else "end_codes"

    @property
    def expected_replicas(self) -> int | None:
        """How many replicas at least must have what was written, 0: nobody waits for them; None: all that follow.

        By default one where sentinels watch, and in a Cluster all that follow.
        """
        if self.replicas is not None or self._kind == "cluster":
            return self.replicas
        return int(self._kind == "sentinel")

    @property
    def _kind(self) -> str:
        return urlsplit(self.redis_url).scheme.partition("+")[2]

    @property
    def carrier_on_loopback(self) -> bool:
        """Whether the carrier is on this machine, so the sandbox: only there fictitious numbers get codes."""
        host = urlsplit(self.telnyx_base_url).hostname or ""
        try:
            return ipaddress.ip_address(host).is_loopback
        except ValueError:  # a name
            return host == "localhost"

    def require_apps(self) -> None:
        """Raise ConfigError if no app is configured."""
        if not self.policy.apps:
            raise ConfigError("no app is configured: name a file by OTP_CONFIG with at least [senders.X] and [apps.X]")


@dataclass(frozen=True, slots=True)
class CarrierAccess:
    """The carrier's address and our key: all that a command of the carrier needs."""

    base_url: str
    api_key: str = field(repr=False)
