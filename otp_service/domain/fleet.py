"""What the processes of an installation say of themselves, and how they differ."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

TTL_MS = 30_000
"""A process that has said nothing for so long is gone."""

EVERY_S = 10.0
"""How often a process says what it is."""

MAX_SKEW_MS = 5_000
"""More difference than this between the clock of a process and the store's is wrong."""

API, WORKER = "api", "worker"


@dataclass(frozen=True, slots=True, kw_only=True)
class ProcessRecord:
    """What one process says. `configuration` and `keyring` are keyed hashes; `clock_ms` is its own time.

    `webhook_key` names the carrier's public key; None where it verifies nothing. `webhooks_refused` counts bad
    signatures since the last good one, which `webhooks_good` counts.
    """

    role: str
    host: str
    pid: int
    version: str
    configuration: str
    keyring: str
    active_key: str
    clock_ms: int
    webhook_key: str | None = None
    webhooks_good: int = 0
    webhooks_refused: int = 0

    @property
    def name(self) -> str:
        """For people."""
        return f"{self.role} {self.pid} on {self.host}"


@dataclass(frozen=True, slots=True)
class LiveProcess:
    """A process that has said something lately. `skew_ms`: how far its clock is ahead of the store's."""

    record: ProcessRecord
    skew_ms: int


def differences(processes: Sequence[LiveProcess]) -> list[str]:
    """What is not the same everywhere, one sentence each; and clocks that are wrong."""
    return [
        *_differ(processes, "version", lambda record: record.version),
        *_differ(processes, "configuration", lambda record: record.configuration),
        *_differ(processes, "keyring", lambda record: record.keyring),
        *(
            f"the clock of {one.record.name} is {one.skew_ms / 1000:+.1f} s off the store's; set both by NTP"
            for one in processes
            if abs(one.skew_ms) > MAX_SKEW_MS
        ),
    ]


def _differ(processes: Sequence[LiveProcess], what: str, value_of: Callable[[ProcessRecord], str]) -> list[str]:
    groups: dict[str, list[str]] = {}
    for one in processes:
        groups.setdefault(value_of(one.record), []).append(one.record.name)
    if len(groups) < 2:
        return []
    listed = "; ".join(f"{value}: {', '.join(sorted(names))}" for value, names in sorted(groups.items()))
    return [f"the {what} differs ({listed}); restart those that are behind"]
