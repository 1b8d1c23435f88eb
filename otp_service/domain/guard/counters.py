"""What the guard remembers of one app: few fields per block, address, country and number, and one record for all.

Each class here is one hash of the store, or a few fields of one. All times are Unix milliseconds of the store's clock;
0 is never. Levels are numbers of unapproved sends and may be fractions: a store keeps them with 17 digits, so that
Python and Lua, which both reckon in doubles, agree to the last bit.
"""

from dataclasses import dataclass, field
from typing import NamedTuple

from .policy import DAY_MS, HOUR_MS, GuardPolicy

KEPT_DAYS = 14
PRESSED_MS = HOUR_MS
"""So long after a refusal for want of room a budget is pressed: it drains more slowly."""


class Rate(NamedTuple):
    """A bucket's limits: it holds `most` and drains `drained` in `window_ms`, times `pressed` while it is pressed."""

    most: float
    drained: float
    window_ms: int
    pressed: float = 1.0


@dataclass(slots=True)
class Bucket:
    """A leaky bucket: `level` at `at_ms`. `refused_at_ms`: when it last refused for want of room."""

    level: float = 0.0
    at_ms: int = 0
    refused_at_ms: int = 0

    def now(self, now_ms: int, rate: Rate) -> float:
        """The level now. A clock that stepped back drains nothing."""
        if self.level <= 0.0:
            return 0.0
        drained = rate.drained * max(0, now_ms - self.at_ms) / rate.window_ms
        if rate.pressed != 1.0 and self.is_pressed(now_ms):
            drained *= rate.pressed
        return max(0.0, self.level - drained)

    def is_pressed(self, now_ms: int) -> bool:
        """Whether it refused somebody a short while ago."""
        return self.refused_at_ms > 0 and now_ms < self.refused_at_ms + PRESSED_MS

    def has_room(self, cost: float, now_ms: int, rate: Rate) -> bool:
        """Whether so much more fits in."""
        return self.now(now_ms, rate) + cost <= rate.most

    def fill(self, cost: float, now_ms: int, rate: Rate, overdraft: float) -> None:
        """Add to it, up to `overdraft` times what it holds: in monitor mode everything passes, and a level without
        bound would refuse for ever after that."""
        level = self.now(now_ms, rate)
        self.level, self.at_ms = max(level, min(level + cost, rate.most * overdraft)), now_ms

    def lower(self, amount: float, now_ms: int, rate: Rate) -> None:
        """Take from it."""
        self.level, self.at_ms = max(0.0, self.now(now_ms, rate) - amount), now_ms

    def press(self, now_ms: int, rate: Rate) -> bool:
        """Note a refusal. Returns whether it is the first for a while. The level is written down at the old rate."""
        begins = not self.is_pressed(now_ms)
        self.level, self.at_ms, self.refused_at_ms = self.now(now_ms, rate), now_ms, now_ms
        return begins


@dataclass(slots=True)
class Probes:
    """When a spent budget lets the next start through: at `next_ms`, and twice `gap_ms` after that.

    `refused_at_ms`: the last start for which there was no room. A long time after it a new row of probes begins.
    """

    next_ms: int = 0
    gap_ms: int = 0
    refused_at_ms: int = 0

    def in_row(self, now_ms: int, policy: GuardPolicy) -> bool:
        """Whether a row of probes has begun and is not over."""
        return self.refused_at_ms > 0 and now_ms < self.refused_at_ms + policy.probe_last_ms

    def press(self, now_ms: int, policy: GuardPolicy) -> None:
        """There was no room for a start: the first such begins a row."""
        if not self.in_row(now_ms, policy):
            self.gap_ms, self.next_ms = policy.probe_first_ms, now_ms + policy.probe_first_ms
        self.refused_at_ms = now_ms

    def passed(self, now_ms: int, policy: GuardPolicy) -> None:
        """A probe was sent: the next one comes later."""
        self.gap_ms = min(2 * self.gap_ms, policy.probe_last_ms)
        self.next_ms = now_ms + self.gap_ms

    def converted(self, now_ms: int, policy: GuardPolicy) -> None:
        """A probe was approved: the next one comes sooner."""
        self.gap_ms = max(policy.probe_first_ms, self.gap_ms // 4)
        self.next_ms = min(self.next_ms, now_ms + self.gap_ms)


@dataclass(slots=True)
class Days:
    """Counts by UTC day (days since 1970): numbers that were counted, and numbers newly approved.

    `whole_days` keeps (day, rank, base) of the last reckoning: whole days change no more.
    """

    counted: dict[int, int] = field(default_factory=dict)
    approved: dict[int, int] = field(default_factory=dict)
    whole_days: tuple[int, int, int] = field(default=(0, 0, 0), compare=False)

    def base(self, now_ms: int, policy: GuardPolicy, *, young: bool) -> int:
        """The newly approved numbers of a good day, see `GuardPolicy`."""
        today, rank = now_ms // DAY_MS, policy.base_rank
        if young:
            return max((count for day, count in self.approved.items() if day > today - KEPT_DAYS), default=0)
        if self.whole_days[:2] != (today, rank):
            last = [count for day, count in self.approved.items() if today - KEPT_DAYS <= day < today]
            self.whole_days = (today, rank, sorted(last)[-rank] if len(last) >= rank else 0)
        return self.whole_days[2]

    def add(self, counts: dict[int, int], now_ms: int) -> None:
        """Count one today, in one of the two tables; days out of reach are dropped."""
        today = now_ms // DAY_MS
        if today not in counts:
            for day in [day for day in counts if day < today - KEPT_DAYS]:
                del counts[day]
        counts[today] = counts.get(today, 0) + 1


@dataclass(slots=True)
class Address:
    """One end user's address, see `domain.addresses.end_user`.

    `bucket` is filled by each counted send and emptied by its approval. `countries`: countries of such sends, with the
    time of the last; an approval takes its country out.
    """

    bucket: Bucket = field(default_factory=Bucket)
    countries: dict[str, int] = field(default_factory=dict)

    def others(self, country: str, now_ms: int) -> int:
        """How many other countries it asked for in a day."""
        return sum(1 for one, at_ms in self.countries.items() if one != country and at_ms > now_ms - DAY_MS)


@dataclass(slots=True)
class WarmBlock:
    """A block of 10,000 numbers with approvals: the first and the last one's time."""

    first_ms: int
    last_ms: int


@dataclass(slots=True)
class Country:
    """One country.

    `cold` and `hour` are filled by counted sends to cold blocks, `warm` by those to warm blocks; approvals give back.
    `probes` are those of `cold` and `hour`. `blocks`: its blocks of 10,000 numbers with approvals.
    `novelty_ms`: when novelty last refused somebody, or would have.
    """

    cold: Bucket = field(default_factory=Bucket)
    hour: Bucket = field(default_factory=Bucket)
    warm: Bucket = field(default_factory=Bucket)
    probes: Probes = field(default_factory=Probes)
    days: Days = field(default_factory=Days)
    blocks: dict[str, WarmBlock] = field(default_factory=dict)
    novelty_ms: int = 0

    def is_warm(self, block_10k: str, now_ms: int, policy: GuardPolicy) -> bool:
        """Whether people of this block have used the app for a while."""
        block = self.blocks.get(block_10k)
        if block is None:
            return False
        return block.first_ms <= now_ms - policy.warm_after_ms and block.last_ms >= now_ms - policy.warm_for_ms

    def warm_up(self, block_10k: str, now_ms: int, policy: GuardPolicy) -> None:
        """Somebody of this block was approved. What was long ago is forgotten."""
        block = self.blocks.get(block_10k)
        if block is None or block.last_ms < now_ms - policy.warm_for_ms:
            self.blocks[block_10k] = WarmBlock(now_ms, now_ms)
        else:
            block.last_ms = now_ms


@dataclass(slots=True)
class Total:
    """All countries of the app together.

    `cold` and `warm` are filled and given back as a country's; `cold` not by countries whose base carries their limit.
    `known` is filled by each start of a known number, and each of their approvals takes two: it is full when nobody
    converts. `outage` counts what passes meanwhile. `started_ms`: the app's first start. `approvals`: all there were.
    """

    cold: Bucket = field(default_factory=Bucket)
    warm: Bucket = field(default_factory=Bucket)
    known: Bucket = field(default_factory=Bucket)
    outage: Bucket = field(default_factory=Bucket)
    probes: Probes = field(default_factory=Probes)
    days: Days = field(default_factory=Days)
    started_ms: int = 0
    approvals: int = 0

    def is_young(self, now_ms: int, policy: GuardPolicy) -> bool:
        """Whether the app has too few whole days behind it for a base."""
        return now_ms < self.started_ms + policy.young_ms

    def only_reports(self, now_ms: int, policy: GuardPolicy) -> bool:
        """Whether the wide budgets are still in monitor mode."""
        return self.approvals < policy.monitor_approvals and now_ms < self.started_ms + policy.monitor_ms


@dataclass(frozen=True, slots=True)
class Taken:
    """What a send took beside its blocks and its country, so that an approval gives back exactly that.

    `total`: whether it took from the total. `address`: "" for none.
    """

    address: str
    cost: float
    warm: bool
    outage: bool = False
    total: bool = True
    country_probe: bool = False
    total_probe: bool = False


@dataclass(slots=True)
class Number:
    """One number of the app. Kept with the number, as long as it is known or counted.

    `approved_ms`: the last approval by any factor. `counted_ms`: when its count began, `sends` how many it covers yet,
    `taken` what they took. `started_ms`: the last start of a known number.
    """

    approved_ms: int = 0
    counted_ms: int = 0
    sends: int = 0
    taken: tuple[Taken, ...] = ()
    started_ms: int = 0

    def is_known(self, now_ms: int, policy: GuardPolicy) -> bool:
        """Whether it was approved within the time of the policy."""
        return self.approved_ms > 0 and now_ms < self.approved_ms + policy.known_for_ms

    def is_covered(self, now_ms: int, policy: GuardPolicy) -> bool:
        """Whether a send is part of a count that was taken already."""
        in_time = self.counted_ms > 0 and now_ms < self.counted_ms + policy.counted_for_ms
        return in_time and self.sends < policy.sends_per_count


@dataclass(slots=True)
class Counters:
    """Everything the guard counts for one app."""

    total: Total = field(default_factory=Total)
    countries: dict[str, Country] = field(default_factory=dict)
    blocks_10k: dict[str, Bucket] = field(default_factory=dict)
    blocks_1k: dict[str, Bucket] = field(default_factory=dict)
    addresses: dict[str, Address] = field(default_factory=dict)
    numbers: dict[str, Number] = field(default_factory=dict)

    def country(self, name: str) -> Country:
        """The country's record, begun if there is none."""
        return self.countries.setdefault(name, Country())
