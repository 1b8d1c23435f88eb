"""Opt-outs: the entries of the service's own registry, and the pages of the carrier's list."""

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class OptOut:
    """What the registry knows of one person and one messaging profile."""

    messaging_profile_id: str
    opted_out: bool
    at_ms: int
    keyword: str | None
    source: str


@dataclass(frozen=True, slots=True)
class Standing:
    """An opt-out as it stood at one moment. `value` is the stored entry, by which a later change is noticed."""

    number_hash: str
    mask: str
    entry: OptOut
    value: str


@dataclass(frozen=True, slots=True)
class Block:
    """An entry of the carrier's list of opt-outs: the person `to` gets nothing more from the profile.

    `to` is as the carrier wrote it; `created_ms` is 0 if it gave no time.
    """

    to: str = field(repr=False)
    messaging_profile_id: str | None
    keyword: str | None
    created_ms: int


@dataclass(frozen=True, slots=True)
class BlockPage:
    """A page of that list, the number it gives itself, and how long the whole list is now."""

    blocks: tuple[Block, ...]
    number: int
    total_pages: int
    total_results: int


@dataclass(frozen=True, slots=True)
class Cursor:
    """How far the reading of a profile's list has come.

    Everything created up to `done_ms` has been written. If `page` is not 0, a pass from there up to `edge_ms` is under
    way, and its pages up to `page` are still to be read.
    """

    done_ms: int = 0
    edge_ms: int = 0
    page: int = 0
