"""What an operator decides: senders, apps and limits, as typed values that cannot be inconsistent.

Reading them from a file is `config`; enforcing them atomically is `storage`. Durations are integer milliseconds.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from types import MappingProxyType

import msgspec

from .addresses import KeptAddress, KeptClientIp
from .callback import Endpoint
from .codes import MAX_LENGTH
from .factors import FactorKind
from .guard.policy import GuardPolicy
from .guessing import MAX_CHECKS, GuessingMode, GuessingRule, Level
from .numbering import EITHER, USUAL_KINDS, Kind
from .retention import DAY_MS, Retention
from .risk import RiskHook

_EVERY_KIND = frozenset(FactorKind)
_FIXED_LINE_OR_MOBILE = EITHER | {Kind.FIXED_LINE_OR_MOBILE}

MAX_LIFETIME_MS = 600_000
"""No code is accepted later than ten minutes after issue (NIST SP 800-63B-4, section 3.1.3.2)."""

MAX_CONSECUTIVE_WRONG = 100
"""The hard ceiling of consecutive wrong codes for one number and app (NIST SP 800-63B-4, section 3.2.2)."""

TOMBSTONE_MS = DAY_MS
"""How long an ended verification stays explainable, unless the configuration says longer."""


DEFAULT_CODE_LENGTH = 6


class SenderKind(StrEnum):
    """The carrier's ways to send. The value is the word used in the configuration and in responses."""

    LONG_CODE = "long_code"
    NUMBER_POOL = "number_pool"
    SHORT_CODE = "short_code"
    ALPHANUMERIC = "alphanumeric"
    WHATSAPP = "whatsapp"


class Channel(StrEnum):
    """What a caller may ask for."""

    SMS = "sms"
    WHATSAPP = "whatsapp"


class Strategy(StrEnum):
    """How the senders of a route are ordered."""

    IN_ORDER = "in_order"
    HEALTHIEST = "healthiest"


DEFAULT_RATE_PER_S = {SenderKind.SHORT_CODE: 1000.0}
FALLBACK_RATE_PER_S = 20.0


@dataclass(frozen=True, slots=True)
class Template:
    """A WhatsApp authentication template: its name and language as approved by Meta."""

    name: str
    language: str = "en_US"


@dataclass(frozen=True, slots=True)
class Sender:
    """A way out. Senders with the same profile share one opt-out list. `rate_per_s` bounds messages a second."""

    name: str
    kind: SenderKind
    messaging_profile_id: str
    address: str | None
    rate_per_s: float
    template: Template | None = None

    @property
    def channel(self) -> Channel:
        """The channel this sender serves."""
        return Channel.WHATSAPP if self.kind is SenderKind.WHATSAPP else Channel.SMS

    @property
    def two_way(self) -> bool:
        """Whether a person's reply reaches us. An alphanumeric sender id is a name and receives nothing."""
        return self.kind is not SenderKind.ALPHANUMERIC


MAX_ON_CALL = 8
"""The carrier's group messages reach so many people."""


@dataclass(frozen=True, slots=True)
class OnCall:
    """Who is alerted if sending itself is in trouble: people `to` (E.164, US and Canada), from our number `sender`."""

    sender: str
    to: tuple[str, ...] = field(repr=False)


class Limit(msgspec.Struct, frozen=True):
    """At most `limit` events in any window of `per_ms` milliseconds.

    A struct: tuples of limits are looked up in every request, and those of a dataclass are hashed in Python.
    """

    limit: int
    per_ms: int


class LimitKey(StrEnum):
    """By what a limit counts. The value is the word of the configuration.

    `prefix`: the number without its last four digits. `country`: ISO 3166, or the country code of what belongs to none.
    `sender`: the one that is asked first. `device` and `custom` are words of the app's own, and count in the app alone.
    """

    APP = "app"
    NUMBER = "number"
    CLIENT_IP = "client_ip"
    DEVICE = "device"
    PREFIX = "prefix"
    COUNTRY = "country"
    SENDER = "sender"
    CUSTOM = "custom"


class LimitEvent(StrEnum):
    """What a limit counts: starts that pass; sends, given back if never accepted; wrong codes."""

    START = "start"
    SEND = "send"
    WRONG_CODE = "wrong_code"


class LimitMode(StrEnum):
    """Whether a limit refuses, or only says that it would have."""

    ENFORCE = "enforce"
    MONITOR = "monitor"


@dataclass(frozen=True, slots=True)
class CountedBy:
    """One key of a limit. `member` names the member of `limit_keys` for `custom`; empty for each of them alone."""

    key: LimitKey
    member: str = ""


@dataclass(frozen=True, slots=True)
class NamedLimit:
    """A limit of the configuration: all of its `rules` hold for each combination of what it counts by.

    `apps`: those that it is for; None for all.
    """

    name: str
    keys: tuple[CountedBy, ...]
    event: LimitEvent
    rules: tuple[Limit, ...]
    mode: LimitMode = LimitMode.ENFORCE
    apps: frozenset[str] | None = None

    @property
    def is_monitored(self) -> bool:
        """Whether it refuses nothing."""
        return self.mode is LimitMode.MONITOR

    def is_for(self, app: str) -> bool:
        """Whether it is a limit of this app."""
        return self.apps is None or app in self.apps


@dataclass(frozen=True, slots=True)
class Slot:
    """One slot in one rule of a limit: `name` says which limit, `subject` whose.

    `is_monitored`: the limit refuses nothing. `of_send`: it is given back if the send is never accepted. `of_caller`:
    it counts the number together with what a caller says, so that it cannot be found for the number alone.
    """

    name: str
    subject: str
    limit: Limit
    is_monitored: bool = False
    of_send: bool = False
    of_caller: bool = False


@dataclass(frozen=True, slots=True)
class NumberLimits:
    """What all apps and purposes together may do to one number.

    `sends`: messages queued for it, each with its failovers counted once. What an approval followed counts in the
    longest of their windows alone. `wrong_codes`: guesses judged wrong; never
    tighter than what one app allows, so that an app's own limit keeps its meaning.
    """

    sends: tuple[Limit, ...] = (Limit(5, 600_000), Limit(10, 3_600_000), Limit(20, 86_400_000))
    wrong_codes: tuple[Limit, ...] = (Limit(40, 86_400_000),)


@dataclass(frozen=True, slots=True)
class App:
    """A tenant: one product, brand or login flow.

    `number_types`: the kinds of numbers that it sends to.

    `resend_after_ms`: the ladder, the wait before the 2nd, 3rd … send to (app, number, purpose) within an hour. A
    verification has one send more than the ladder has steps; for the next verification the last step repeats.
    `sent_within_ms`: a message that has not been sent by then goes to the next sender of the route. `denial_words`:
    what a person answers to say "that wasn't me", as `replies.plain` writes it; "no" stands for all phrases
    that mean it. `factors`: which kinds of factors count for a purpose; all, for a purpose that is not in it.
    `risk`: whom to ask before a code is sent. `guessing`: when codes are made harder to guess.
    `acr`: what receipts say of the policy of a purpose, where it names something.
    `test_codes`: the code of each test number (E.164); nothing is ever sent to those.
    `spend_limit`: what its messages may cost in a UTC day, in millionths of the currency of `[prices]`; None for any.
    """

    name: str
    brand: str
    route: tuple[Sender, ...]
    code_length: int = DEFAULT_CODE_LENGTH
    code_ttl_ms: int = 300_000
    max_checks: int = 5
    resend_after_ms: tuple[int, ...] = (30_000, 60_000, 120_000)
    countries: frozenset[str] = frozenset({"US", "CA"})
    number_types: frozenset[Kind] = USUAL_KINDS
    wrong_codes_per_number: tuple[Limit, ...] = (Limit(20, 86_400_000),)
    starts_per_number: tuple[Limit, ...] = (Limit(50, 3_600_000),)
    starts_per_client_ip: tuple[Limit, ...] = (Limit(1_000, 60_000),)
    starts_per_app: tuple[Limit, ...] = ()
    strategy: Strategy = Strategy.IN_ORDER
    sent_within_ms: int = 20_000
    denial_words: frozenset[str] = frozenset({"no"})
    callback: Endpoint | None = None
    factors: Mapping[str, frozenset[FactorKind]] = field(default_factory=dict)
    guard: GuardPolicy = field(default_factory=GuardPolicy)
    risk: RiskHook | None = None
    guessing: GuessingRule = field(default_factory=GuessingRule)
    acr: Mapping[str, str] = field(default_factory=dict)
    test_codes: Mapping[str, str] = field(default_factory=dict, repr=False)
    spend_limit: int | None = None

    def counts(self, purpose: str) -> frozenset[FactorKind]:
        """The kinds of factors that count for a purpose: all, where nothing is said of it."""
        return self.factors.get(purpose, _EVERY_KIND)

    def may_send_to(self, region: str | None) -> bool:
        """Whether the app's country list lets a number of this ISO 3166 region through."""
        return "*" in self.countries or (region is not None and region in self.countries)

    def hardened(self, level: Level) -> "App":
        """The app as new verifications see it while so much is guessed."""
        if level is Level.USUAL or self.guessing.mode is not GuessingMode.ENFORCE:
            return self
        longer = level is Level.FEWEST_TRIES and self.guessing.longer_codes
        length = min(self.code_length + longer, MAX_LENGTH)
        return replace(self, max_checks=min(self.max_checks, MAX_CHECKS[level]), code_length=length)

    def may_have_sent(self, code: str) -> bool:
        """Whether a code of this length can be one that was sent."""
        return self.code_length <= len(code) <= self.code_length + self.guessing.longer_codes

    def takes(self, kind: Kind) -> bool:
        """Whether the app sends to numbers of this kind. What may be one of two kinds is taken as either of them."""
        if kind is Kind.FIXED_LINE_OR_MOBILE:
            return not self.number_types.isdisjoint(_FIXED_LINE_OR_MOBILE)
        return kind in self.number_types


@dataclass(frozen=True, slots=True)
class Policy:
    """All apps and senders of one installation. `audit_addresses` and `audit_client_ips`: how much the audit
    record keeps of the addresses that requests come from, and of the end users' addresses. `limits`: those that are
    written as `[[limits]]`. `retention`: how long the store keeps what may be decided about."""

    apps: Mapping[str, App] = field(default_factory=lambda: MappingProxyType({}))
    senders: Mapping[str, Sender] = field(default_factory=lambda: MappingProxyType({}))
    per_number: NumberLimits = field(default_factory=NumberLimits)
    audit_addresses: KeptAddress = KeptAddress.FULL
    audit_client_ips: KeptClientIp = KeptClientIp.HASHED
    limits: tuple[NamedLimit, ...] = ()
    retention: Retention = field(default_factory=Retention)

    @property
    def endpoints(self) -> Mapping[str, Endpoint]:
        """The callback endpoint of each app that has one, by app."""
        return {name: app.callback for name, app in self.apps.items() if app.callback is not None}

    @property
    def risk_hooks(self) -> Mapping[str, RiskHook]:
        """The risk hook of each app that has one, by app."""
        return {name: app.risk for name, app in self.apps.items() if app.risk is not None}
