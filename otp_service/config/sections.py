"""The tables of the configuration file: their keys, types and bounds. None means that a key is left out.

Defaults are not here: they belong to `domain.policy` and to `Settings`. `required` has an example for each key that
must be there, `checks` what msgspec cannot express.
"""

from collections.abc import Callable, Mapping
from enum import StrEnum
from typing import Annotated, Any, ClassVar

import msgspec
from msgspec import Meta

from ..domain.addresses import KeptAddress, KeptClientIp
from ..domain.factors import FactorKind
from ..domain.guard.policy import Mode
from ..domain.guessing import GuessingMode
from ..domain.policy import MAX_ON_CALL, LimitEvent, LimitMode, SenderKind, Strategy
from ..domain.risk import Decision, SentNumber
from . import checks
from .duration import Duration
from .limit_keys import LimitKeys

MAX_SHARDS = 256
MAX_QUEUE = 10_000_000

Check = Callable[[Any], object]
"""Raises ValueError with what is wrong and what to write instead."""


class LimitEntry(msgspec.Struct, forbid_unknown_fields=True):
    """One of `[{limit = 20, per = "24h"}]`."""

    limit: Annotated[int, Meta(ge=1, le=1_000_000)]
    per: Duration


class TestNumberEntry(msgspec.Struct, forbid_unknown_fields=True):
    """One of `[[apps.NAME.test_numbers]]`. `real`: it is not one of the fictitious numbers."""

    number: str
    code: str
    real: bool = False


FactorKinds = Annotated[list[FactorKind], Meta(min_length=1)]


class FactorPolicy(msgspec.Struct, forbid_unknown_fields=True):
    """`{kinds = ["totp"], acr = "urn:example:two-factors"}`: what counts for a purpose, and what receipts call that."""

    kinds: FactorKinds
    acr: Annotated[str, Meta(min_length=1, max_length=200)]


class Section(msgspec.Struct):
    """A table of the file."""

    required: ClassVar[Mapping[str, str]] = {}
    checks: ClassVar[Mapping[str, Check]] = {}


class SenderSection(Section):
    """`[senders.NAME]`."""

    required: ClassVar[Mapping[str, str]] = {"kind": '"long_code"', "messaging_profile_id": '"…"'}
    checks: ClassVar[Mapping[str, Check]] = {"messaging_profile_id": checks.profile_id}

    kind: SenderKind | None = None
    messaging_profile_id: str | None = None
    from_: str | None = msgspec.field(default=None, name="from")
    rate_per_s: Annotated[float, Meta(gt=0, le=100_000)] | None = None
    template: Annotated[str, Meta(min_length=1, max_length=512)] | None = None
    template_language: Annotated[str, Meta(min_length=2, max_length=10)] | None = None


class AppSection(Section):
    """`[apps.NAME]`."""

    required: ClassVar[Mapping[str, str]] = {"brand": '"Acme"', "route": '["pool", "backup"]'}
    checks: ClassVar[Mapping[str, Check]] = {
        "brand": checks.brand,
        "route": checks.no_repeats,
        "code_length": checks.code_length,
        "code_ttl": checks.lifetime,
        "sent_within": checks.lifetime,
        "countries": checks.countries,
        "number_types": checks.number_types,
        "denial_words": checks.denial_words,
        "wrong_codes_per_number": checks.wrong_codes,
        "starts_per_number": checks.windows,
        "starts_per_client_ip": checks.windows,
        "starts_per_app": checks.windows,
        "factors": checks.purposes,
        "daily_spend_limit": checks.spend_limit,
    }

    brand: Annotated[str, Meta(min_length=1, max_length=40)] | None = None
    route: Annotated[list[str], Meta(min_length=1, max_length=16)] | None = None
    code_length: int | None = None
    code_ttl: Duration | None = None
    max_checks: Annotated[int, Meta(ge=1, le=20)] | None = None
    resend_after: Annotated[tuple[Duration, ...], Meta(max_length=16)] | None = None
    countries: Annotated[list[str], Meta(min_length=1)] | None = None
    number_types: Annotated[list[str], Meta(min_length=1)] | None = None
    wrong_codes_per_number: list[LimitEntry] | None = None
    starts_per_number: list[LimitEntry] | None = None
    starts_per_client_ip: list[LimitEntry] | None = None
    starts_per_app: list[LimitEntry] | None = None
    strategy: Strategy | None = None
    sent_within: Duration | None = None
    denial_words: Annotated[list[str], Meta(max_length=32)] | None = None
    factors: dict[str, FactorKinds | FactorPolicy] | None = None
    test_numbers: Annotated[list[TestNumberEntry], Meta(max_length=32)] | None = None
    callback_url: str | None = None
    callback_secret_file: Annotated[str, Meta(min_length=1)] | None = None
    callback_allow_private: bool | None = None
    risk: dict[str, Any] | None = None
    guessing: dict[str, Any] | None = None
    guard: dict[str, Any] | None = None
    daily_spend_limit: Annotated[float, Meta(gt=0, le=10_000_000)] | None = None


BudgetSize = Annotated[float, Meta(ge=1, le=1_000_000)]


class GuardSection(Section):
    """`[apps.NAME.guard]`."""

    checks: ClassVar[Mapping[str, Check]] = {"known_for": checks.days(1, 400)}

    mode: Mode | None = None
    countries: dict[str, Mode] | None = None
    block_10k_a_day: BudgetSize | None = None
    block_1k_in_6h: BudgetSize | None = None
    address_an_hour: BudgetSize | None = None
    address_countries: Annotated[int, Meta(ge=1, le=250)] | None = None
    country_a_day: BudgetSize | None = None
    country_an_hour: BudgetSize | None = None
    total_a_day: BudgetSize | None = None
    known_for: Duration | None = None
    monitor: Duration | None = None
    novelty_refuses: bool | None = None


class RiskSection(Section):
    """`[apps.NAME.risk]`."""

    required: ClassVar[Mapping[str, str]] = {"url": '"https://risk.example.com/otp"'}

    url: str | None = None
    secret_file: Annotated[str, Meta(min_length=1)] | None = None
    allow_private: bool | None = None
    timeout_ms: Annotated[int, Meta(ge=50, le=2_000)] | None = None
    on_failure: Decision | None = None
    number: SentNumber | None = None
    client_ip: KeptClientIp | None = None


class GuessingSection(Section):
    """`[apps.NAME.guessing]`."""

    mode: GuessingMode | None = None
    wrong_codes: Annotated[int, Meta(ge=10, le=1_000_000)] | None = None
    per_approval: Annotated[float, Meta(ge=0.1, le=100)] | None = None
    longer_codes: bool | None = None


class ServiceSection(Section):
    """`[service]`."""

    checks: ClassVar[Mapping[str, Check]] = {
        "optout_sync": checks.interval,
        "sends_per_number": checks.windows,
        "wrong_codes_per_number": checks.wrong_codes,
    }

    public_url: str | None = None
    issuer: Annotated[str, Meta(min_length=1, max_length=200)] | None = None
    shards: Annotated[int, Meta(ge=1, le=MAX_SHARDS)] | None = None
    queue_max: Annotated[int, Meta(ge=1, le=MAX_QUEUE)] | None = None
    audit_addresses: KeptAddress | None = None
    audit_client_ips: KeptClientIp | None = None
    optout_sync: Duration | None = None
    sends_per_number: list[LimitEntry] | None = None
    wrong_codes_per_number: list[LimitEntry] | None = None


class AfterRestart(StrEnum):
    """What becomes of codes when the store was restarted."""

    END_CODES = "end_codes"
    KEEP_CODES = "keep_codes"


class StoreSection(Section):
    """`[store]`."""

    after_restart: AfterRestart | None = None
    replicas: Annotated[int, Meta(ge=0, le=8)] | None = None


class WitnessEntry(msgspec.Struct, forbid_unknown_fields=True):
    """One of `witnesses = [{url = "https://…", key = "…"}]`."""

    url: str
    key: str


class AuditSection(Section):
    """`[audit]`."""

    checks: ClassVar[Mapping[str, Check]] = {
        "retention": checks.retention,
        "webhook_retention": checks.days(1, 3_660),
        "checkpoint_every": checks.interval,
    }

    retention: Duration | None = None
    backlog_max: Annotated[int, Meta(ge=1_000, le=100_000_000)] | None = None
    keep_webhooks: bool | None = None
    webhook_retention: Duration | None = None
    checkpoint_url: str | None = None
    checkpoint_every: Duration | None = None
    timestamp_url: str | None = None
    timestamp_ca_file: Annotated[str, Meta(min_length=1)] | None = None
    witnesses: Annotated[list[WitnessEntry], Meta(max_length=16)] | None = None
    allow_private: bool | None = None


class RetentionSection(Section):
    """`[retention]`."""

    checks: ClassVar[Mapping[str, Check]] = {
        "verifications": checks.days(1, 30),
        "dead_letters": checks.days(1, 30),
        "last_senders": checks.days(1, 90),
    }

    verifications: Duration | None = None
    dead_letters: Duration | None = None
    last_senders: Duration | None = None


Price = Annotated[float, Meta(ge=0, le=100)]


class PricesSection(Section):
    """`[prices]`."""

    checks: ClassVar[Mapping[str, Check]] = {"segments": checks.priced, "whatsapp": checks.priced}

    currency: Annotated[str, Meta(pattern="^[A-Z]{3}$")] | None = None
    segments: dict[str, Price] | None = None
    whatsapp: dict[str, Price] | None = None
    default: Price | None = None


class AlertsSection(Section):
    """`[alerts]`."""

    required: ClassVar[Mapping[str, str]] = {"from": '"+18445550001"', "to": '["+14165550123"]'}
    checks: ClassVar[Mapping[str, Check]] = {"from": checks.e164, "to": checks.people_on_call}

    from_: str | None = msgspec.field(default=None, name="from")
    to: Annotated[list[str], Meta(min_length=1, max_length=MAX_ON_CALL)] | None = None


class LimitSection(Section):
    """`[[limits]]`."""

    required: ClassVar[Mapping[str, str]] = {
        "name": '"offices"',
        "key": '"client_ip"',
        "rules": '[{limit = 300, per = "1h"}]',
    }
    checks: ClassVar[Mapping[str, Check]] = {
        "name": checks.limit_name,
        "rules": checks.rules,
        "apps": checks.no_repeats,
    }

    name: str | None = None
    key: LimitKeys | None = None
    event: LimitEvent | None = None
    rules: list[LimitEntry] | None = None
    mode: LimitMode | None = None
    apps: Annotated[list[str], Meta(min_length=1)] | None = None
