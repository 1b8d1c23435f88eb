"""What a start takes that does not lie on its number's shard: slots in limits.

Each is taken before the step of the number, and given back if that refuses.
"""

from dataclasses import dataclass
from typing import Protocol


class Wanted(Protocol):
    """One thing to take. `name`: the limit, as the configuration has it."""

    @property
    def name(self) -> str: ...


@dataclass(frozen=True, slots=True)
class OuterAnswer:
    """What the store says of one thing that is wanted.

    `wait_ms` is 0 if it was taken (or is free, where the store was only asked), else the milliseconds until one is
    free. `mark`: by what the store finds it again to give it back.
    """

    wanted: Wanted
    wait_ms: int = 0
    mark: str = ""
