"""What still needs a key of the keyring, and why a key must not be retired yet."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from .fleet import ProcessRecord
from .receipt import LIFETIME_S

GRACE_MS = 60_000
"""A process notices within seconds that another key is active; clocks may differ by a little."""


@dataclass(frozen=True, slots=True)
class KeyUse:
    """As of one moment (`now_ms`, of the store). `needs`: by key id, how many values of each kind it has sealed.

    `opted_out`: how many numbers stand in the registry of opt-outs, whose names only the index key finds again.
    """

    now_ms: int
    needs: Mapping[str, Mapping[str, int]]
    processes: Sequence[ProcessRecord] = field(default_factory=tuple)
    opted_out: int = 0

    def without(self, kid: str) -> list[str]:
        """The running processes that do not have the key."""
        return [one.name for one in self.processes if kid not in one.key_ids]


def counted(needs: Mapping[str, int]) -> str:
    """For people: `12 pending codes, 3 answers of checks`."""
    return ", ".join(f"{count} {kind}" for kind, count in sorted(needs.items()))


def objections(use: KeyUse, kid: str, active_kid: str, superseded_ms: int) -> Iterator[str]:
    """Why the key must not be retired now, a sentence each. `superseded_ms`: when another took its place."""
    if use.needs.get(kid):
        yield f"the store still holds {counted(use.needs[kid])} that it sealed"
    wait_s = (superseded_ms + LIFETIME_S * 1000 + GRACE_MS - use.now_ms) // 1000
    if wait_s >= 0:
        yield f"receipts that it signed may be good for {wait_s + 1} s more"
    if behind := use.without(active_kid):
        yield f"not every process has the active key {active_kid} yet ({', '.join(behind)})"
