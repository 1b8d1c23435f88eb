"""Reading file and environment into `Settings`. What is not understood is refused, and all faults are reported at once.

The environment wins over the file. Secrets come from the environment or from files, never from the store.
"""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

from ..domain.addresses import KeptAddress, KeptClientIp
from ..domain.errors import ConfigError
from ..domain.policy import OnCall, Policy
from ..telnyx import BASE_URL
from . import file, variables
from .apps import build_app, given_only, number_limits
from .audit import read_outlets
from .callbacks import check_variables, secret_variable
from .faults import Faults
from .limits import read_limits
from .misspelled import misspelled
from .prices import read_prices, require_prices
from .retention import read_retention
from .risk import risk_variable
from .sections import (
    MAX_QUEUE,
    MAX_SHARDS,
    AfterRestart,
    AlertsSection,
    AppSection,
    AuditSection,
    ServiceSection,
    StoreSection,
)
from .senders import read_sender
from .settings import CarrierAccess, Settings
from .tables import named_tables, read_section
from .variables import secret, whole_number

TABLES = ("senders", "apps", "service", "limits", "store", "audit", "retention", "prices", "alerts")
DEFAULT_PUBLIC_URL = "http://127.0.0.1:8080"


def load(environ: Mapping[str, str], directory: Path | None = None) -> Settings:
    """The settings. `directory` is where the default file is looked for. Raises ConfigError with all faults."""
    faults = Faults()
    for name, meant in misspelled(environ):
        faults.add(name, f"is not a variable of this service; write {meant}, or unset it")
    path = file.config_path(environ, directory or Path.cwd())
    document = _document(path, faults)
    service = read_section(document.get("service", {}), ServiceSection, "service", faults)
    store = read_section(document.get("store", {}), StoreSection, "store", faults)
    audit = read_section(document.get("audit", {}), AuditSection, "audit", faults)
    prices = read_prices(document.get("prices", {}), faults)
    retention = read_retention(document.get("retention", {}), faults)
    policy = replace(_policy(document, service, environ, faults), retention=retention)
    require_prices(policy, prices, faults)
    public_url = faults.attempt(lambda: _public_url(environ, service), "")
    given = {
        "shards": service.shards,
        "queue_max": service.queue_max,
        "audit_retention_ms": audit.retention,
        "audit_backlog_max": audit.backlog_max,
        "keep_webhooks": audit.keep_webhooks,
        "webhook_retention_ms": audit.webhook_retention,
        "outlets": read_outlets(audit, faults),
        "optout_sync_ms": service.optout_sync,
        "on_call": _on_call(document, faults),
        "prices": prices,
        "keeps_codes": None if store.after_restart is None else store.after_restart is AfterRestart.KEEP_CODES,
        "replicas": store.replicas,
        "config_path": path,
        **given_only(_from_environment(environ, faults)),
    }
    issuer = environ.get("OTP_ISSUER") or service.issuer or public_url
    faults.raise_any()
    return Settings(policy=policy, public_url=public_url, issuer=issuer, **given_only(given))


def _document(path: Path | None, faults: Faults) -> dict[str, Any]:
    if path is None:
        return {}
    document: dict[str, Any] = file.read_toml(path, faults)
    for name in sorted(set(document) - set(TABLES)):
        faults.add(str(path), f"unknown key {name!r}; the tables are {', '.join(TABLES)}")
    return document


def _policy(document: Mapping[str, Any], service: ServiceSection, environ: Mapping[str, str], faults: Faults) -> Policy:
    tables = named_tables(document, "senders", faults)
    senders = {name: read_sender(name, raw, faults) for name, raw in tables.items()}
    tables = named_tables(document, "apps", faults)
    sections = {name: read_section(raw, AppSection, f"apps.{name}", faults) for name, raw in tables.items()}
    with_callbacks = [name for name, section in sections.items() if section.callback_url is not None]
    check_variables(with_callbacks, secret_variable, "callback_url", faults)
    with_risk = [name for name, section in sections.items() if section.risk is not None]
    check_variables(with_risk, risk_variable, "risk", faults)
    apps = {name: build_app(name, section, senders, environ, faults) for name, section in sections.items()}
    limits, addresses = number_limits(service, apps, faults), service.audit_addresses or KeptAddress.FULL
    # Who wants no address on record wants none of end users either.
    unsaid = KeptClientIp.NONE if addresses is KeptAddress.NONE else KeptClientIp.HASHED
    client_ips = service.audit_client_ips or unsaid
    further = read_limits(document, apps, faults)
    return Policy(MappingProxyType(apps), MappingProxyType(senders), limits, addresses, client_ips, further)


def _on_call(document: Mapping[str, Any], faults: Faults) -> OnCall | None:
    if "alerts" not in document:
        return None
    section = read_section(document["alerts"], AlertsSection, "alerts", faults)
    return OnCall(section.from_ or "", tuple(section.to or ()))


def _public_url(environ: Mapping[str, str], service: ServiceSection) -> str:
    # That of the file is looked at also where the environment has another: a fault must not wait for that to go.
    in_file = variables.require_url(service.public_url or DEFAULT_PUBLIC_URL, "service.public_url")
    given = environ.get("OTP_PUBLIC_URL")
    return variables.require_url(given, "OTP_PUBLIC_URL") if given else in_file


def _from_environment(environ: Mapping[str, str], faults: Faults) -> dict[str, object]:
    """The settings that only the environment has, or that it overrides; None where it has none."""
    level = environ.get("OTP_LOG_LEVEL")
    return {
        "redis_url": faults.attempt(lambda: _store_url(environ), None),
        "shards": faults.attempt(lambda: whole_number(environ, "OTP_SHARDS", MAX_SHARDS), None),
        "queue_max": faults.attempt(lambda: whole_number(environ, "OTP_QUEUE_MAX", MAX_QUEUE), None),
        "telnyx_base_url": faults.attempt(lambda: _telnyx_base_url(environ), None),
        "telnyx_api_key": faults.attempt(lambda: secret(environ, "TELNYX_API_KEY"), None),
        "telnyx_public_key": faults.attempt(lambda: secret(environ, "TELNYX_PUBLIC_KEY"), None),
        "keyring_path": variables.path(environ, "OTP_KEYRING"),
        "metrics_dir": variables.path(environ, "OTP_METRICS_DIR"),
        "data_dir": variables.path(environ, "OTP_DATA_DIR"),
        "ledger_url": faults.attempt(lambda: _ledger_url(environ), None),
        "log_level": faults.attempt(lambda: variables.log_level(level) if level else None, None),
    }


def _store_url(environ: Mapping[str, str]) -> str | None:
    url = secret(environ, "OTP_REDIS_URL")
    return variables.store_url(url) if url else None


def _ledger_url(environ: Mapping[str, str]) -> str | None:
    url = secret(environ, "OTP_LEDGER_URL")
    return variables.ledger_url(url) if url else None


def _telnyx_base_url(environ: Mapping[str, str]) -> str:
    return variables.require_url(environ.get("TELNYX_BASE_URL") or BASE_URL, "TELNYX_BASE_URL")


def load_carrier(environ: Mapping[str, str]) -> CarrierAccess:
    """Read the carrier's variables and nothing else: no file, no keyring, no store. Raises ConfigError."""
    faults = Faults()
    base_url = faults.attempt(lambda: _telnyx_base_url(environ), "")
    api_key = faults.attempt(lambda: _carrier_key(environ), "")
    faults.raise_any()
    return CarrierAccess(base_url, api_key)


def _carrier_key(environ: Mapping[str, str]) -> str:
    api_key = secret(environ, "TELNYX_API_KEY")
    if not api_key:
        raise ConfigError("TELNYX_API_KEY is not set (nor TELNYX_API_KEY_FILE): the carrier needs it")
    return api_key
