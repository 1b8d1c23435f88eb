"""`[apps.NAME]`: the apps of the configuration. What a table leaves out is the default of `domain.policy.App`."""

from collections.abc import Mapping, Sequence
from typing import Any

from ..domain import replies
from ..domain.factors import FactorKind
from ..domain.numbering import Kind
from ..domain.policy import DEFAULT_CODE_LENGTH, App, Limit, NumberLimits, Sender
from ..domain.prices import micros
from ..domain.territories import expanded
from .callbacks import read_endpoint
from .duration import plain_ms
from .faults import Faults
from .fixed_codes import read_test_numbers
from .guard import read_guard
from .guessing import read_rule
from .risk import read_hook
from .sections import AppSection, FactorPolicy, LimitEntry, ServiceSection


def build_app(
    name: str, section: AppSection, senders: Mapping[str, Sender], environ: Mapping[str, str], faults: Faults
) -> App:
    """One app; of no use if there are faults."""
    given = {
        "code_length": section.code_length,
        "code_ttl_ms": section.code_ttl,
        "max_checks": section.max_checks,
        "resend_after_ms": section.resend_after,
        "countries": None if section.countries is None else expanded(section.countries),
        "number_types": _set(section.number_types, Kind),
        "wrong_codes_per_number": limits(section.wrong_codes_per_number),
        "starts_per_number": limits(section.starts_per_number),
        "starts_per_client_ip": limits(section.starts_per_client_ip),
        "starts_per_app": limits(section.starts_per_app),
        "strategy": section.strategy,
        "sent_within_ms": section.sent_within,
        "denial_words": _set(section.denial_words, replies.plain),
        "factors": _factors(section.factors),
        "acr": _acr(section.factors),
        "test_codes": _test_codes(name, section, faults),
        "callback": read_endpoint(name, section, environ, faults),
        "guessing": read_rule(name, section.guessing, faults),
        "risk": read_hook(name, section.risk, environ, faults),
        "guard": read_guard(name, section.guard, faults),
        "spend_limit": None if section.daily_spend_limit is None else micros(section.daily_spend_limit),
    }
    route = _route(name, section.route or [], senders, faults)
    return App(name=name, brand=section.brand or "", route=route, **given_only(given))


def _test_codes(name: str, section: AppSection, faults: Faults) -> Mapping[str, str] | None:
    length = section.code_length or DEFAULT_CODE_LENGTH
    return None if section.test_numbers is None else read_test_numbers(name, section.test_numbers, length, faults)


Policies = Mapping[str, list[FactorKind] | FactorPolicy]


def _factors(table: Policies | None) -> Mapping[str, frozenset[FactorKind]] | None:
    if table is None:
        return None
    return {name: frozenset(one if isinstance(one, list) else one.kinds) for name, one in table.items()}


def _acr(table: Policies | None) -> Mapping[str, str] | None:
    return None if table is None else {name: one.acr for name, one in table.items() if isinstance(one, FactorPolicy)}


def given_only(values: Mapping[str, Any]) -> dict[str, Any]:
    """The values that are not None: the rest keeps its default. Durations as plain milliseconds."""
    return {name: plain_ms(value) for name, value in values.items() if value is not None}


def _set(values: Sequence[str] | None, form: Any = str) -> frozenset[str] | None:
    return None if values is None else frozenset(form(value) for value in values)


def limits(entries: Sequence[LimitEntry] | None) -> tuple[Limit, ...] | None:
    """Limits as the domain has them; None if they are left out."""
    return None if entries is None else tuple(Limit(entry.limit, int(entry.per)) for entry in entries)


def _route(name: str, route: Sequence[str], senders: Mapping[str, Sender], faults: Faults) -> tuple[Sender, ...]:
    for unknown in (sender for sender in route if sender not in senders):
        known = ", ".join(senders) or "none"
        faults.add(f"apps.{name}.route", f"there is no sender {unknown!r}; the senders are: {known}")
    return tuple(senders[sender] for sender in route if sender in senders)


def number_limits(service: ServiceSection, apps: Mapping[str, App], faults: Faults) -> NumberLimits:
    """Limits of a number over all apps. The limit of wrong codes is never below that of an app."""
    widest = max((limit.limit for app in apps.values() for limit in app.wrong_codes_per_number), default=0)
    wrong = limits(service.wrong_codes_per_number)
    if wrong is None:
        defaults = NumberLimits().wrong_codes
        wrong = tuple(Limit(max(limit.limit, widest), limit.per_ms) for limit in defaults)
    elif any(limit.limit < widest for limit in wrong):
        faults.add(
            "service.wrong_codes_per_number", f"limit must be at least {widest}, which is the largest limit of an app"
        )
    return NumberLimits(wrong_codes=wrong, **given_only({"sends": limits(service.sends_per_number)}))
