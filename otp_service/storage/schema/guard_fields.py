"""Names of fields of what the pumping guard and the watch over guesses count; scripts know them like all `fields`."""

from typing import Final


class Guesses:
    """Hash: guesses of one app."""

    WRONG: Final = "wrong:"
    """Followed by the number of a bucket of time: wrong codes in it."""
    APPROVED: Final = "approved:"
    """The same: approvals."""
    LEVEL: Final = "level"
    """How hard its codes are made to guess, as `domain.guessing.Level`."""
    HOLDS: Final = "holds_until_ms"
    """Until when the level does not fall."""


class Guard:
    """Fields of the pumping guard's hashes of an app: the total over all countries, and each country.

    The hashes of blocks and of addresses have no names: a field is a keyed hash, its value a `GuardBucket` or a
    `GuardAddress`.
    """

    COLD: Final = "cold"
    """Buckets, as `GuardBucket`: sends to cold blocks, a day."""
    HOUR: Final = "hour"
    WARM: Final = "warm"
    """Sends to warm blocks, half a day."""
    KNOWN: Final = "known_starts"
    """Starts of known numbers, emptied by their approvals."""
    OUTAGE: Final = "outage"
    """What passes while nothing converts."""
    PROBES: Final = "probes"
    """As `GuardProbes`."""
    APPROVED: Final = "newly_approved"
    """Newly approved numbers by day, `GuardDay` with commas."""
    COUNTED: Final = "counted"
    """Numbers that were counted, by day."""
    STARTED: Final = "first_start_ms"
    """The first start of the app."""
    APPROVALS: Final = "approvals"
    """How many there were."""
    TURNS: Final = "turns"
    """How many changes there were, as `GuardTurns`: their order on record."""
    WARM_BLOCK: Final = "warm_block:"
    """Followed by a block of 10,000 numbers (a keyed hash): its first and its last approval, `GuardWarmBlock`."""
    NOVELTY: Final = "novelty_ms"
    """When novelty last refused somebody, or would have; not there if it never did."""
    ADDRESSES_KEPT: Final = "addresses_kept_ms"
    """In the total: when the end of the hash of addresses was moved last."""
    BLOCKS_KEPT: Final = "blocks_kept_ms"
    """In a country: the same of its hash of blocks."""
    REGION: Final = "region:"
    """Followed by a country that was counted."""


class Spend:
    """Fields of what an app's messages cost, each followed by a UTC day (days since 1970) or more.

    Amounts are millionths of the currency.
    """

    SUM: Final = "sum:"
    """Followed by a day: what counts for the limit: expected prices, corrected by what reports say."""
    EXPECTED: Final = "expected:"
    """Followed by a `SpendPlace`: the expected prices of the messages that were not given back."""
    SETTLED: Final = "settled:"
    """Followed by a `SettledPlace`: what the carrier's reports say that messages cost."""
    MESSAGES: Final = "messages:"
    """Followed by a `SpendPlace`: how many messages those reports were about."""
    REFUSED: Final = "refused:"
    """Followed by a day: messages that the limit refused."""
    TODAY: Final = "today"
    """The day of the last change."""
