"""What the audit record keeps of a start that the guard judged, so that another policy can be tried on it.

`verification.started`, `verification.resent` and a `verification.refused` by the guard have it in `detail.guard`:
`country|block_10k|block_1k|address:cost:flags`. Blocks and address are keyed hashes, `-` for no address. Flags are
those of the store: `n`, then `w` for a warm block, `o` in an outage, `a` if it took from the total, `c` and `t` for
probes. A start without it was of a known number, or paid for by an earlier count.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from .rules import Start

FIELD = "guard"


@dataclass(frozen=True, slots=True)
class JudgedStart:
    """A start that the guard judged, and whether its block was warm."""

    start: Start
    warm: bool


def read(number: str, detail: Mapping[str, Any]) -> JudgedStart | None:
    """What an event's detail keeps of a start; None where it keeps nothing, or nothing of this form."""
    parts = str(detail.get(FIELD, "")).split("|")
    taken = parts[-1].split(":")
    if len(parts) != 4 or len(taken) != 3:
        return None
    country, block_10k, block_1k, _ = parts
    address, cost, flags = taken
    known_user = cost not in ("1", "1.0")
    address = "" if address == "-" else address
    return JudgedStart(Start(number, block_10k, block_1k, country, address, known_user), "w" in flags)
