"""How full the store is, as metrics and as a sentence of `doctor`."""

import math

from .. import telemetry
from ..config import Settings
from ..storage.memory import DAY_MS, Memory, days_left, fullest, oldest_event_age_ms
from .stores import Stores


def measure_memory(settings: Settings, stores: Stores) -> None:
    """Set the gauges. Raises StoreUnavailable."""
    memory = fullest(stores.store)
    if memory is not None:
        age_ms = oldest_event_age_ms(stores.store, stores.keys)
        telemetry.STORE_MEMORY.set(memory.ratio)
        telemetry.STORE_DAYS_LEFT.set(days_left(memory, age_ms, settings.audit_retention_ms))


def judge_memory(settings: Settings, stores: Stores) -> tuple[bool, str]:
    """Whether the memory is enough, and a sentence. Raises StoreUnavailable."""
    memory = fullest(stores.store)
    if memory is None:
        return True, "the store has no maxmemory: the machine alone bounds it"
    if memory.warning is not None:
        return False, memory.warning
    return _judge_growth(settings, memory, oldest_event_age_ms(stores.store, stores.keys))


def _judge_growth(settings: Settings, memory: Memory, age_ms: int) -> tuple[bool, str]:
    used = f"{memory.ratio:.0%} of the store's maxmemory ({memory.most / 1e6:.0f} MB) are in use"
    left = days_left(memory, age_ms, settings.audit_retention_ms)
    if math.isinf(left):
        return True, used
    kept = settings.audit_retention_ms / DAY_MS
    growth = f"{used}; at the present growth it is full in {left:.0f} days, before [audit] retention ({kept:.0f} days)"
    # Of a day at least: the first hours of a new store say little.
    return age_ms < DAY_MS, f"{growth}. Raise maxmemory, or shorten [audit] retention"
