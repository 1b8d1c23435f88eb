"""The only reader of TOML, environment and secret files. Hands out typed values; refuses what it does not understand.

The environment wins over the file. Secrets come from the environment or from files (`NAME_FILE` names a file that
holds the value of `NAME`), never from the store. Every refusal is a `ConfigError` whose sentence names the key.
"""

import contextlib
import ipaddress
import os
import re
import sys
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import MappingProxyType
from typing import Annotated, Any
from urllib.parse import urlsplit

import msgspec
from msgspec import Meta

from .. import keyring
from ..domain import callback, codes, message, replies
from ..domain.callback import Endpoint
from ..domain.errors import ConfigError, InvalidNumber
from ..domain.phone import REGIONS, is_e164
from ..domain.phone import parse as parse_phone
from ..domain.policy import (
    DEFAULT_RATE_PER_S,
    FALLBACK_RATE_PER_S,
    MAX_CONSECUTIVE_WRONG,
    MAX_LIFETIME_MS,
    MAX_ON_CALL,
    TOMBSTONE_MS,
    App,
    Limit,
    NumberLimits,
    OnCall,
    Policy,
    Sender,
    SenderKind,
    Strategy,
    Template,
)
from ..receivers import signatures
from . import dev_environment

DEFAULT_FILE = "otp-service.toml"
TELNYX_BASE_URL = "https://api.telnyx.com/v2"
STORE_SCHEMES = ("redis", "rediss", "redis+sentinel", "redis+cluster", "rediss+cluster", "unix")

DEV_TOML = """\
# The configuration `otp-service dev` runs with when there is none: two senders of one profile, one app.
[senders.pool]
kind = "number_pool"
messaging_profile_id = "abc85f64-5717-4562-b3fc-2c9600000000"
rate_per_s = 50

[senders.backup]
kind = "long_code"
from = "+18445550001"
messaging_profile_id = "abc85f64-5717-4562-b3fc-2c9600000000"
rate_per_s = 50

[apps.default]
brand = "Acme"
route = ["pool", "backup"]
"""

_DURATION = re.compile(r"([0-9]{1,7})(s|m|h|d)", re.ASCII)
_UNIT_MS = {"s": 1000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,31}", re.ASCII)
_ALPHANUMERIC = re.compile(r"(?=.*[A-Za-z])[A-Za-z0-9 ]{1,11}", re.ASCII)
_SHORT_CODE = re.compile(r"[0-9]{3,8}", re.ASCII)


class _Limit(msgspec.Struct, forbid_unknown_fields=True):
    limit: Annotated[int, Meta(ge=1, le=1_000_000)]
    per: str | int


class _Sender(msgspec.Struct, forbid_unknown_fields=True):
    kind: SenderKind
    messaging_profile_id: Annotated[str, Meta(pattern=r"^[A-Za-z0-9_-]{1,64}\Z")]
    from_: str | None = msgspec.field(default=None, name="from")
    rate_per_s: Annotated[float, Meta(gt=0, le=100_000)] | None = None
    template: Annotated[str, Meta(min_length=1, max_length=512)] | None = None
    template_language: Annotated[str, Meta(min_length=2, max_length=10)] = "en_US"


class _App(msgspec.Struct, forbid_unknown_fields=True):
    brand: Annotated[str, Meta(min_length=1, max_length=40)]
    route: Annotated[list[str], Meta(min_length=1, max_length=16)]
    code_length: int = 6
    code_ttl: str | int = "5m"
    max_checks: Annotated[int, Meta(ge=1, le=20)] = 5
    resend_after: Annotated[list[str | int], Meta(max_length=16)] = msgspec.field(
        default_factory=lambda: ["30s", "60s", "120s"]
    )
    countries: Annotated[list[str], Meta(min_length=1)] = msgspec.field(default_factory=lambda: ["US", "CA"])
    wrong_codes_per_number: list[_Limit] = msgspec.field(default_factory=lambda: [_Limit(20, "24h")])
    starts_per_number: list[_Limit] = msgspec.field(default_factory=lambda: [_Limit(50, "1h")])
    starts_per_client_ip: list[_Limit] = msgspec.field(default_factory=lambda: [_Limit(1000, "1m")])
    starts_per_app: list[_Limit] = msgspec.field(default_factory=list)
    strategy: Strategy = Strategy.IN_ORDER
    sent_within: str | int = "20s"
    denial_words: Annotated[list[str], Meta(max_length=32)] = msgspec.field(default_factory=lambda: ["NO"])
    callback_url: str | None = None
    callback_secret_file: Annotated[str, Meta(min_length=1)] | None = None
    callback_allow_private: bool = False


class _Service(msgspec.Struct, forbid_unknown_fields=True):
    public_url: str | None = None
    issuer: Annotated[str, Meta(min_length=1, max_length=200)] | None = None
    shards: Annotated[int, Meta(ge=1, le=256)] = 16
    queue_max: Annotated[int, Meta(ge=1, le=10_000_000)] = 10_000
    audit_retention: str | int = "90d"
    optout_sync: str | int = "15m"
    sends_per_number: list[_Limit] | None = None
    wrong_codes_per_number: list[_Limit] | None = None


class _Alerts(msgspec.Struct, forbid_unknown_fields=True):
    from_: str = msgspec.field(name="from")
    to: Annotated[list[str], Meta(min_length=1, max_length=MAX_ON_CALL)]


@dataclass(frozen=True, slots=True)
class Settings:
    """Everything the service is told from outside. Its repr shows no secret.

    `queue_max` bounds the deliveries waiting on one shard; `audit_retention_ms` how long events stay in the store;
    `optout_sync_ms` lies between two readings of the carrier's list of opt-outs; `on_call` None alerts nobody.
    """

    policy: Policy
    redis_url: str = field(repr=False)
    public_url: str
    issuer: str
    shards: int
    queue_max: int
    audit_retention_ms: int
    optout_sync_ms: int
    on_call: OnCall | None
    telnyx_base_url: str
    telnyx_api_key: str | None = field(repr=False)
    telnyx_public_key: str | None
    keyring_path: Path | None
    metrics_dir: Path | None
    log_level: str
    config_path: Path | None

    @property
    def carrier_on_loopback(self) -> bool:
        """Whether the carrier is on this machine, which means the sandbox: fictitious numbers get codes there only."""
        host = urlsplit(self.telnyx_base_url).hostname or ""
        try:
            return ipaddress.ip_address(host).is_loopback
        except ValueError:  # a name
            return host == "localhost"

    def require_apps(self) -> None:
        """Raise ConfigError if no app is configured."""
        if not self.policy.apps:
            raise ConfigError("no app is configured: name a file by OTP_CONFIG with at least [senders.X] and [apps.X]")


def load(environ: Mapping[str, str], directory: Path | None = None) -> Settings:
    """Read file and environment. `directory` is where the default file is looked for. Raises ConfigError."""
    path = _config_path(environ, directory or Path.cwd())
    document = _read_toml(path) if path is not None else {}
    unknown = sorted(set(document) - {"senders", "apps", "service", "alerts"})
    if unknown:
        raise ConfigError(f"{path}: unknown key {unknown[0]!r}; the tables are senders, apps, service and alerts")
    service = _convert(document.get("service", {}), _Service, "service")
    senders = {name: _sender(name, raw) for name, raw in _table(document, "senders").items()}
    apps = {name: _app(name, raw, senders, environ) for name, raw in _table(document, "apps").items()}
    _require_own_secrets(apps)
    own_url = environ.get("OTP_PUBLIC_URL") or service.public_url or "http://127.0.0.1:8080"
    public_url = require_url(own_url, "OTP_PUBLIC_URL" if environ.get("OTP_PUBLIC_URL") else "service.public_url")
    return Settings(
        policy=Policy(MappingProxyType(apps), MappingProxyType(senders), _per_number(service, apps)),
        redis_url=_store_url(_secret(environ, "OTP_REDIS_URL") or "redis://127.0.0.1:6379/0"),
        public_url=public_url,
        issuer=environ.get("OTP_ISSUER") or service.issuer or public_url,
        shards=_integer(environ, "OTP_SHARDS", service.shards, 1, 256),
        queue_max=_integer(environ, "OTP_QUEUE_MAX", service.queue_max, 1, 10_000_000),
        audit_retention_ms=_retention_ms(service.audit_retention, "service.audit_retention"),
        optout_sync_ms=_interval_ms(service.optout_sync, "service.optout_sync"),
        on_call=_on_call(document["alerts"]) if "alerts" in document else None,
        telnyx_base_url=require_url(environ.get("TELNYX_BASE_URL") or TELNYX_BASE_URL, "TELNYX_BASE_URL"),
        telnyx_api_key=_secret(environ, "TELNYX_API_KEY"),
        telnyx_public_key=_secret(environ, "TELNYX_PUBLIC_KEY"),
        keyring_path=Path(environ["OTP_KEYRING"]) if environ.get("OTP_KEYRING") else None,
        metrics_dir=Path(environ["OTP_METRICS_DIR"]) if environ.get("OTP_METRICS_DIR") else None,
        log_level=_log_level(environ.get("OTP_LOG_LEVEL") or "info"),
        config_path=path,
    )


@dataclass(frozen=True, slots=True)
class CarrierAccess:
    """Where the carrier is and the key that opens it: all that a command of the carrier's needs."""

    base_url: str
    api_key: str = field(repr=False)


def load_carrier(environ: Mapping[str, str]) -> CarrierAccess:
    """Read the carrier's variables and nothing else: no file, no keyring, no store. Raises ConfigError."""
    api_key = _secret(environ, "TELNYX_API_KEY")
    if not api_key:
        raise ConfigError("TELNYX_API_KEY is not set (nor TELNYX_API_KEY_FILE): the carrier asks for it")
    return CarrierAccess(require_url(environ.get("TELNYX_BASE_URL") or TELNYX_BASE_URL, "TELNYX_BASE_URL"), api_key)


def load_keyring(settings: Settings) -> keyring.Keyring:
    """Read the keyring file. Raises ConfigError, also when other users of the machine can read the file.

    A key with a time of its own is not active in what is returned; see `keyring_file`.
    """
    path = settings.keyring_path
    hint = "make one with: otp-service keyring create PATH"
    if path is None:
        raise ConfigError(f"OTP_KEYRING is not set: it names the keyring file ({hint})")
    try:
        mode = path.stat().st_mode
        raw = path.read_bytes()
    except OSError as error:
        raise ConfigError(f"OTP_KEYRING: cannot read {path}: {error.strerror} ({hint})") from error
    if mode & 0o077:
        raise ConfigError(f"OTP_KEYRING: {path} can be read by others; run: chmod 600 {path}")
    try:
        return keyring.parse(raw)
    except keyring.KeyringError as error:
        raise ConfigError(f"OTP_KEYRING: {path}: {error}") from error


def duration_ms(value: str | int, key: str) -> int:
    """`"30s"`, `"5m"`, `"24h"`, `"90d"` or whole seconds, as milliseconds. Raises ConfigError naming the key."""
    if isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= 10**9:
        return value * 1000
    match = _DURATION.fullmatch(value) if isinstance(value, str) else None
    if match is None:
        raise ConfigError(f'{key}: {value!r} is not a duration such as "30s", "5m", "24h" or "90d"')
    return int(match[1]) * _UNIT_MS[match[2]]


def _config_path(environ: Mapping[str, str], directory: Path) -> Path | None:
    named = environ.get("OTP_CONFIG")
    if named:
        return Path(named)
    default = directory / DEFAULT_FILE
    return default if default.is_file() else None


def _read_toml(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(f"OTP_CONFIG: cannot read {path}: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: not valid TOML: {error}") from error


def _table(document: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    table = document.get(key, {})
    if not isinstance(table, dict):
        raise ConfigError(f"{key}: must be a table")
    for name in table:
        if not _NAME.fullmatch(name):
            raise ConfigError(f"{key}.{name}: a name has 1 to 32 letters, digits, - and _")
    return table


def _convert(raw: Any, kind: type[Any], key: str) -> Any:
    try:
        return msgspec.convert(raw, kind)
    except msgspec.ValidationError as error:
        raise ConfigError(f"{key}: {error}") from error


def _sender(name: str, raw: Any) -> Sender:
    key = f"senders.{name}"
    given: _Sender = _convert(raw, _Sender, key)
    _check_address(given, key)
    template = None
    if given.kind is SenderKind.WHATSAPP:
        if given.template is None:
            raise ConfigError(f"{key}.template: a whatsapp sender names its approved authentication template")
        template = Template(given.template, given.template_language)
    elif given.template is not None:
        raise ConfigError(f"{key}.template: only a whatsapp sender has a template")
    rate = given.rate_per_s or DEFAULT_RATE_PER_S.get(given.kind, FALLBACK_RATE_PER_S)
    return Sender(name, given.kind, given.messaging_profile_id, given.from_, rate, template)


def _check_address(given: _Sender, key: str) -> None:
    if given.kind is SenderKind.NUMBER_POOL:
        if given.from_ is not None:
            raise ConfigError(f"{key}.from: a number pool chooses its own number; leave it out")
        return
    if given.from_ is None:
        raise ConfigError(f"{key}.from: missing; a {given.kind} sender needs it")
    if given.kind is SenderKind.ALPHANUMERIC:
        if not _ALPHANUMERIC.fullmatch(given.from_):
            raise ConfigError(f"{key}.from: 1 to 11 letters, digits and spaces, at least one letter")
    elif given.kind is SenderKind.SHORT_CODE:
        if not _SHORT_CODE.fullmatch(given.from_):
            raise ConfigError(f"{key}.from: a short code has 3 to 8 digits")
    else:
        _require_e164(given.from_, f"{key}.from")


def _require_e164(text: str, key: str) -> None:
    # The shape is enough for our own numbers: the carrier knows whether it gave us this one.
    if not is_e164(text):
        try:
            parse_phone(text)
        except InvalidNumber as error:
            raise ConfigError(f"{key}: {error.detail}") from error


def _app(name: str, raw: Any, senders: Mapping[str, Sender], environ: Mapping[str, str]) -> App:
    key = f"apps.{name}"
    given: _App = _convert(raw, _App, key)
    for sender in given.route:
        if sender not in senders:
            raise ConfigError(f"{key}.route: there is no sender {sender!r}")
    if len(set(given.route)) != len(given.route):
        raise ConfigError(f"{key}.route: a sender stands in it twice")
    if not codes.MIN_LENGTH <= given.code_length <= codes.MAX_LENGTH:
        raise ConfigError(f"{key}.code_length: must be {codes.MIN_LENGTH} to {codes.MAX_LENGTH}")
    ttl_ms = duration_ms(given.code_ttl, f"{key}.code_ttl")
    if not 1000 <= ttl_ms <= MAX_LIFETIME_MS:
        raise ConfigError(f"{key}.code_ttl: must be 1s to 10m")
    if not message.printable(given.brand) or message.hides_code(given.brand):
        raise ConfigError(f"{key}.brand: printable characters, and no run of four digits that looks like a code")
    return App(
        name=name,
        brand=given.brand,
        route=tuple(senders[sender] for sender in given.route),
        code_length=given.code_length,
        code_ttl_ms=ttl_ms,
        max_checks=given.max_checks,
        resend_after_ms=tuple(duration_ms(wait, f"{key}.resend_after") for wait in given.resend_after),
        countries=_countries(given.countries, f"{key}.countries"),
        wrong_codes_per_number=_wrong_limits(given.wrong_codes_per_number, f"{key}.wrong_codes_per_number"),
        starts_per_number=_limits(given.starts_per_number, f"{key}.starts_per_number"),
        starts_per_client_ip=_limits(given.starts_per_client_ip, f"{key}.starts_per_client_ip"),
        starts_per_app=_limits(given.starts_per_app, f"{key}.starts_per_app"),
        strategy=given.strategy,
        sent_within_ms=_sent_within_ms(given.sent_within, f"{key}.sent_within"),
        denial_words=_denial_words(given.denial_words, f"{key}.denial_words"),
        callback=_callback(name, given, environ),
    )


def _callback(name: str, given: _App, environ: Mapping[str, str]) -> Endpoint | None:
    key = f"apps.{name}"
    if given.callback_url is None:
        if given.callback_secret_file is not None or given.callback_allow_private:
            raise ConfigError(f"{key}.callback_url: missing; without it there are no callbacks to sign or to allow")
        return None
    objection = callback.objection(given.callback_url, allow_private=given.callback_allow_private)
    if objection is not None:
        raise ConfigError(f"{key}.callback_url: {objection}")
    secrets = _callback_secrets(_secret_variable(name), f"{key}.callback_secret_file", given, environ)
    return Endpoint(given.callback_url, secrets, given.callback_allow_private)


def _callback_secrets(variable: str, key: str, given: _App, environ: Mapping[str, str]) -> tuple[str, ...]:
    text, source = _secret(environ, variable), variable
    if text is None and given.callback_secret_file is not None:
        text, source = _read_secret(given.callback_secret_file, key), key
    if text is None:
        hint = f"set {variable}, {variable}_FILE or {key} (make one with: otp-service callbacks keygen)"
        raise ConfigError(
            f"{key.rpartition('.')[0]}.callback_url: callbacks are signed, and there is no secret; {hint}"
        )
    try:
        return signatures.parse_all(text)
    except ValueError as error:
        raise ConfigError(f"{source}: {error}") from None


def _secret_variable(app: str) -> str:
    return "OTP_CALLBACK_SECRET_" + app.upper().replace("-", "_")


def _require_own_secrets(apps: Mapping[str, App]) -> None:
    # The variable of app `a` may be that of app `A`, and `a`'s file variable that of an app `a_file`.
    owners: dict[str, str] = {}
    for name in (name for name, app in apps.items() if app.callback is not None):
        for variable in (_secret_variable(name), f"{_secret_variable(name)}_FILE"):
            if variable in owners:
                raise ConfigError(
                    f"apps.{name}.callback_url: {variable} would also belong to the app {owners[variable]!r}; "
                    "give one of the two apps another name"
                )
            owners[variable] = name


def _sent_within_ms(value: str | int, key: str) -> int:
    within_ms = duration_ms(value, key)
    if not 1000 <= within_ms <= MAX_LIFETIME_MS:
        raise ConfigError(f"{key}: must be 1s to 10m")
    return within_ms


def _denial_words(given: list[str], key: str) -> frozenset[str]:
    for word in given:
        if not replies.plain(word) or len(word) > 40:
            raise ConfigError(f"{key}: {word!r} has no letters or digits, or more than 40")
        if replies.read(word).wish is not None:
            raise ConfigError(
                f"{key}: {word!r} opts a person out or in, or asks for help; it cannot mean anything else"
            )
    return frozenset(replies.plain(word) for word in given)


def _retention_ms(value: str | int, key: str) -> int:
    # Less would trim a verification's events before the verification itself is forgotten.
    if (kept_ms := duration_ms(value, key)) < TOMBSTONE_MS:
        raise ConfigError(f"{key}: at least 24h, as long as an ended verification is remembered")
    return kept_ms


def _interval_ms(value: str | int, key: str) -> int:
    interval = duration_ms(value, key)
    if interval < 1000:
        raise ConfigError(f"{key}: at least 1s")
    return interval


def _on_call(raw: Any) -> OnCall:
    given: _Alerts = _convert(raw, _Alerts, "alerts")
    _require_e164(given.from_, "alerts.from")
    for number in given.to:
        try:
            region = parse_phone(number).region
        except InvalidNumber as error:
            raise ConfigError(f"alerts.to: {error.detail}") from error
        if region not in ("US", "CA"):
            raise ConfigError("alerts.to: group messages reach numbers of the US and Canada only")
    if len(set(given.to)) != len(given.to):
        raise ConfigError("alerts.to: a number stands in it twice")
    return OnCall(given.from_, tuple(given.to))


def _countries(given: list[str], key: str) -> frozenset[str]:
    for country in given:
        if country != "*" and country not in REGIONS:
            hint = " (the United Kingdom is GB)" if country == "UK" else ""
            raise ConfigError(f'{key}: {country!r} is no country by ISO 3166 that has numbers, nor "*"{hint}')
    return frozenset(given)


def _limits(given: list[_Limit], key: str) -> tuple[Limit, ...]:
    limits = tuple(Limit(item.limit, duration_ms(item.per, f"{key}.per")) for item in given)
    if any(limit.per_ms < 1000 for limit in limits):
        raise ConfigError(f"{key}.per: at least 1s")
    return limits


def _per_number(service: _Service, apps: Mapping[str, App]) -> NumberLimits:
    limits = NumberLimits()
    widest = max((limit.limit for app in apps.values() for limit in app.wrong_codes_per_number), default=0)
    if service.sends_per_number is not None:
        limits = replace(limits, sends=_limits(service.sends_per_number, "service.sends_per_number"))
    if service.wrong_codes_per_number is None:
        wrong = tuple(replace(limit, limit=max(limit.limit, widest)) for limit in limits.wrong_codes)
        return replace(limits, wrong_codes=wrong)
    wrong = _wrong_limits(service.wrong_codes_per_number, "service.wrong_codes_per_number")
    if any(limit.limit < widest for limit in wrong):
        raise ConfigError(f"service.wrong_codes_per_number.limit: at least {widest}, the largest limit of an app")
    return replace(limits, wrong_codes=wrong)


def _wrong_limits(given: list[_Limit], key: str) -> tuple[Limit, ...]:
    limits = _limits(given, key)
    if not limits:
        raise ConfigError(f"{key}: at least one limit must stand (guessing is never unlimited)")
    if any(limit.limit > MAX_CONSECUTIVE_WRONG for limit in limits):
        raise ConfigError(f"{key}.limit: at most {MAX_CONSECUTIVE_WRONG} (NIST SP 800-63B)")
    return limits


def _secret(environ: Mapping[str, str], name: str) -> str | None:
    if environ.get(name):
        return environ[name]
    path = environ.get(f"{name}_FILE")
    return _read_secret(path, f"{name}_FILE") if path else None


def _read_secret(path: str, key: str) -> str:
    try:
        value = Path(path).read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{key}: cannot read {path}") from error
    if not value:
        raise ConfigError(f"{key}: {path} is empty")
    return value


def _integer(environ: Mapping[str, str], name: str, default: int, low: int, high: int) -> int:
    text = environ.get(name)
    if not text:
        return default
    if not (text.isascii() and text.isdigit() and len(text) < 10 and low <= int(text) <= high):
        raise ConfigError(f"{name}: must be a whole number from {low} to {high}")
    return int(text)


def require_url(text: str, key: str) -> str:
    """An http or https URL without query and without a slash at its end. Raises ConfigError naming the key."""
    try:
        parts = urlsplit(text)
        good = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
    except ValueError:  # brackets that do not match, a port that is no number
        good = False
    if not good or not re.fullmatch(r"[!-~]+", text) or "?" in text or "#" in text:
        raise ConfigError(f"{key}: must be an http or https URL without query")
    return text.rstrip("/")


def _store_url(text: str) -> str:
    # The URL may hold a password, so the sentence does not repeat it.
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


def _log_level(text: str) -> str:
    if text.lower() not in ("debug", "info", "warning", "error"):
        raise ConfigError("OTP_LOG_LEVEL: must be debug, info, warning or error")
    return text.upper()


def environment(*, find: bool = True) -> Mapping[str, str]:
    """The process's environment, for the commands to hand to `load`.

    `find`: where it says nothing, the file of an `otp-service dev` that runs in this directory does; a line on stderr
    says so. What was found is put into the process's environment, so that its children agree with it.
    """
    if find:
        path = Path(dev_environment.DIRECTORY, dev_environment.FILE).absolute()
        found = dev_environment.missing(os.environ, dev_environment.read(path))
        if "OTP_PUBLIC_URL" in found and _states_public_url({**os.environ, **found}):
            del found["OTP_PUBLIC_URL"]
        if found:
            os.environ.update(found)
            with contextlib.suppress(OSError):
                sys.stderr.write(f"otp-service: using {path} for {', '.join(found)}\n")
    return os.environ


def _states_public_url(environ: Mapping[str, str]) -> bool:
    try:
        path = _config_path(environ, Path.cwd())
        return path is not None and "public_url" in _read_toml(path).get("service", {})
    except (ConfigError, TypeError):
        return False  # `load` says what is wrong with it
