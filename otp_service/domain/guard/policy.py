"""The numbers of the guard's rules, as data. Limits count unapproved sends, windows are milliseconds."""

from collections.abc import Mapping
from enum import StrEnum

import msgspec

MINUTE_MS = 60_000
HOUR_MS = 60 * MINUTE_MS
DAY_MS = 24 * HOUR_MS


class Mode(StrEnum):
    """What a spent budget does: nothing is counted; it is counted and reported; it refuses."""

    OFF = "off"
    MONITOR = "monitor"
    ENFORCE = "enforce"


class Budget(StrEnum):
    """Every budget, by the name that refusals, metrics and events use."""

    BLOCK_10K = "block_10k"
    BLOCK_1K = "block_1k"
    ADDRESS = "address"
    ADDRESS_COUNTRIES = "address_countries"
    COUNTRY = "country"
    COUNTRY_HOUR = "country_hour"
    COUNTRY_WARM = "country_warm"
    TOTAL = "total"
    TOTAL_WARM = "total_warm"
    OUTAGE = "outage"
    NOVELTY = "novelty"


WIDE = frozenset(Budget) - {Budget.BLOCK_10K, Budget.BLOCK_1K, Budget.ADDRESS, Budget.ADDRESS_COUNTRIES}
"""Budgets of a country and of all countries: they begin in monitor mode."""

PROBED = frozenset({Budget.COUNTRY, Budget.COUNTRY_HOUR, Budget.TOTAL})
"""Budgets that let a probe through now and then while they are spent."""


class GuardPolicy(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How many unapproved sends an app lets pass. The defaults are tuned with `otp-service guard simulate`.

    Blocks: `block_10k_a_day` and `block_1k_in_6h` for numbers that differ in their last four or three digits only. Warm
    blocks hold `block_warm_factor` times as much, and drain as fast.

    Addresses: `address_an_hour`, times `address_warm_factor` for numbers of warm blocks; `address_countries` in a day.

    A country's limit is the larger of `country_a_day` and `share` of its base; an hour has the larger of
    `country_an_hour` and `hour_share` of that. All countries together: the larger of `total_a_day` and `share` of
    their base. The base is the `base_rank`-th best of the last 14 whole days, in newly approved numbers: to lift it, an
    attacker must buy that many days. In an app younger than `young_ms` it is the best day, today included.

    A block is warm if a number was approved there `warm_after_ms` ago or earlier, and one within `warm_for_ms`. Numbers
    of warm blocks have budgets of their own, so that an attack on cold blocks refuses nobody whose block is warm: a
    country's of `warm_factor` times its limit, and the larger of twice `total_a_day` and `total_warm_share` of the base
    in all countries. A country whose base carries its limit needs no room in the total for cold ones.

    `credit`: what an approval gives back on top of what its number took, so that traffic that converts may grow.
    `pressed_drain`, `pressed_warm_drain`: how fast a cold or warm budget drains, as a factor, shortly after it refused
    somebody (`counters.PRESSED_MS`).

    Probes: the first after `probe_first_ms`, each gap twice the last up to `probe_last_ms`, a quarter of it when a
    probe converts; they take a spent budget to `overdraft` times its limit at most.

    `sends_per_count`: so many sends to a number in `counted_for_ms` count once. `known_for_ms` after its approval a
    number is known: never counted, never refused. `known_user_cost`: what a start costs whose caller knows the user.

    Outage: if approvals stop among known numbers too, `outage_known` starts of them more than twice their approvals,
    the integration or the carrier is broken. Then the wide budgets are passed by, until `outage_share` of the base
    (`outage_floor` at least) has passed in a day.

    `monitor_ms` and `monitor_approvals`: in an app's first such time, or until so many approvals, the wide budgets
    only report. Novelty is an alert: a country's new numbers today over `novelty_floor` and `novelty_factor` times the
    best of the last 14 days. It refuses numbers of cold blocks if `novelty_refuses`.
    """

    mode: Mode = Mode.ENFORCE
    countries: Mapping[str, Mode] = {}
    block_10k_a_day: float = 10
    block_1k_in_6h: float = 5
    block_warm_factor: float = 2
    address_an_hour: float = 5
    address_warm_factor: float = 3
    address_countries: int = 3
    country_a_day: float = 20
    country_an_hour: float = 8
    share: float = 0.2
    hour_share: float = 1 / 3
    total_a_day: float = 60
    base_rank: int = 3
    young_ms: int = 4 * DAY_MS
    warm_after_ms: int = 72 * HOUR_MS
    warm_for_ms: int = 180 * DAY_MS
    warm_factor: float = 8
    total_warm_share: float = 1.0
    credit: float = 0.15
    pressed_drain: float = 0.25
    pressed_warm_drain: float = 0.5
    probe_first_ms: int = MINUTE_MS
    probe_last_ms: int = 6 * HOUR_MS
    overdraft: float = 1.5
    sends_per_count: int = 2
    counted_for_ms: int = DAY_MS
    known_for_ms: int = 90 * DAY_MS
    known_user_cost: float = 0.5
    outage_known: float = 12
    outage_floor: float = 60
    outage_share: float = 0.5
    monitor_ms: int = 14 * DAY_MS
    monitor_approvals: int = 500
    novelty_floor: float = 40
    novelty_factor: float = 2
    novelty_refuses: bool = False

    def mode_in(self, country: str) -> Mode:
        """The mode for numbers of this ISO 3166 country; `ZZ` where a number has none."""
        return self.countries.get(country, self.mode)
