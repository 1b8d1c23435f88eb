"""Where checkpoints of the signed log are sent to, as it is configured."""

from dataclasses import dataclass

EVERY_MS = 60_000
"""The least time between two checkpoints at the same address, unless another is configured."""


@dataclass(frozen=True, slots=True)
class WitnessAddress:
    """Where a witness listens, and its verifier key: no other cosignature is taken from there."""

    url: str
    key: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Outlets:
    """None and empty: nothing is sent. `timestamp_ca_file`: certificates (PEM) of whose timestamps are trusted.

    `allow_private`: whether addresses may lead into a private network.
    """

    checkpoint_url: str | None = None
    checkpoint_every_ms: int = EVERY_MS
    timestamp_url: str | None = None
    timestamp_ca_file: str | None = None
    witnesses: tuple[WitnessAddress, ...] = ()
    allow_private: bool = False

    @property
    def targets(self) -> frozenset[str]:
        """The names of those that get something, as logs and `doctor` have them."""
        named = {"checkpoint_url": self.checkpoint_url, "timestamp_url": self.timestamp_url}
        witnesses = {f"witness {one.key.partition('+')[0]}" for one in self.witnesses}
        return frozenset(witnesses | {name for name, url in named.items() if url})

    @property
    def any(self) -> bool:
        """Whether anything is sent."""
        return bool(self.targets)
