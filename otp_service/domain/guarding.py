"""What passes between a start, its number's shard and the app's budgets: where a number is, and what its sends took.

The rules are `domain.guard`. Numbers, blocks and addresses are keyed hashes: the store holds no part of a number.
"""

from collections.abc import Callable
from dataclasses import dataclass

import msgspec

from .addresses import KeptClientIp, end_user
from .guard.policy import Mode
from .guard.rules import blocks
from .phone import Phone

NO_REGION = "ZZ"
"""The country of numbers that have none."""

_HASH_BYTES = 5

ASK, LOOKED, PASS = "ask", "looked", "pass"
"""What a command says of the guard: it was not asked; it would let the start pass, and took nothing yet; it lets it
pass. Anything else is what refuses. A refusal of a start for which it was not asked is not on record yet."""


class GuardPlace(msgspec.Struct, frozen=True):
    """Where the number of a start is, for the budgets of its app. `address`: "" where the caller does not say it.

    `on_record`: whether events may hold the address. Budgets have it anyway.
    """

    region: str
    block_10k: str
    block_1k: str
    mode: Mode
    address: str = ""
    cost: float = 1.0
    on_record: bool = True


@dataclass(frozen=True, slots=True)
class Report:
    """Something happened to a budget. `what` and `budget` as in `domain.guard`; `region`: "" for the total."""

    what: str
    budget: str
    region: str


@dataclass(frozen=True, slots=True)
class GuardVerdict:
    """What the budgets say of a start. `full`: those without room; the first is the reason of a refusal.

    `taken`: what the send took, to be given back, or what it would take. `turn`: when it was counted, and its place in
    the order of the app's starts; "" for a look.
    """

    refused: bool
    full: tuple[str, ...] = ()
    taken: str = ""
    reports: tuple[Report, ...] = ()
    turn: str = ""

    @property
    def word(self) -> str:
        """What the command says of it."""
        return self.full[0] if self.refused else PASS


class GuardNeeded(msgspec.Struct, frozen=True):
    """The number of a start is neither known nor counted: the budgets must be asked. Nothing was queued.

    `quiet`: they refused this number a moment ago; another refusal changes nothing.
    """

    quiet: bool = False


@dataclass(frozen=True, slots=True)
class NumberInGuard:
    """`known_until_ms`: 0 if it is not known. `counted`: sends of it fill budgets, and nobody has used a code yet.

    `covered`: an earlier count, or a lift, pays for the next send. `blocks`: unapproved sends in its blocks and how
    many they hold if they are cold, by the budget's name.
    """

    known_until_ms: int
    counted: bool
    covered: bool
    blocks: dict[str, tuple[float, float]]


@dataclass(frozen=True, slots=True)
class Converted:
    """A number whose login ended well: where it is, whether it was known before, and what its sends took."""

    app: str
    region: str
    block_10k: str
    block_1k: str
    known: bool
    taken: str


class Places:
    """Finds where numbers are. `digest`: a keyed hash. `kept`: how much of end users' addresses events hold."""

    def __init__(self, digest: Callable[[bytes], bytes], kept: KeptClientIp = KeptClientIp.HASHED) -> None:
        self._digest = digest
        self._on_record = kept is not KeptClientIp.NONE

    def of(self, app: str, to: Phone, mode: Mode, client_ip: str | None = None, cost: float = 1.0) -> GuardPlace:
        """The place of a number, and of the end user's address."""
        # Keyed for the app, as every hash on record is: apps that compare theirs learn nothing about a person.
        block_10k, block_1k = (self._hash(f"guard_block\0{app}\0{one}") for one in blocks(to.e164))
        address = "" if client_ip is None else self._hash(f"guard_address\0{app}\0{end_user(client_ip)}")
        return GuardPlace(to.region or NO_REGION, block_10k, block_1k, mode, address, cost, self._on_record)

    def block(self, prefix: str) -> str:
        """The name of a block for all apps: the keyed hash of what its numbers begin with."""
        return self._hash(f"guard_block\0{prefix}")

    def _hash(self, text: str) -> str:
        return self._digest(text.encode())[:_HASH_BYTES].hex()
