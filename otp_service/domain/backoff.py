"""Retry schedules: how long to wait before the next attempt, by how many there were."""

from dataclasses import dataclass

_EXACT = (1.0, 1.0)


@dataclass(frozen=True, slots=True)
class Backoff:
    """Waits that grow step by step.

    `steps_ms`: the wait after the first, second, … attempt, milliseconds; the last one repeats. `jitter`: the lowest
    and the highest factor that chance puts on a wait, so that attempts that failed together are not repeated together.
    """

    steps_ms: tuple[int, ...]
    jitter: tuple[float, float] = _EXACT

    def wait_ms(self, attempt: int, random: float) -> int:
        """Milliseconds to wait after this attempt, counted from 1. `random` is in [0, 1)."""
        step_ms = self.steps_ms[min(attempt, len(self.steps_ms)) - 1]
        lowest, highest = self.jitter
        return int(step_ms * (lowest + (highest - lowest) * random))
