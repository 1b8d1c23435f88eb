"""Prints the dictionary of the store: each key with its type, its TTL, its fields and what writes it."""

import argparse
import inspect
from collections.abc import Iterator
from typing import Any

from ...domain.ids import Reference
from . import fields, guard_fields
from .keys import PREFIX, Keys
from .unguarded import UNGUARDED
from .writers import writers

FIELDS: dict[str, tuple[type, ...]] = {
    "alerts": (),
    "api_key": (fields.ApiKey,),
    "api_key_events": (fields.KeyEvent,),
    "audit": (fields.AuditEntry,),
    "callbacks": (fields.QueuedCallback,),
    "circuit": (fields.Breaker,),
    "country": (guard_fields.Guard,),
    "dead": (fields.DeadLetter,),
    "idempotency": (fields.IdempotencyKey,),
    "number": (fields.Number,),
    "outbox": (fields.Outbox,),
    "record": (fields.Record, fields.Delivery),
    "enrollment": (fields.PendingSecret,),
    "subject": (fields.Subject, fields.Factor),
    "live_processes": (fields.LiveProcesses,),
    "run": (fields.StoreRun,),
    "api_keys_run": (fields.StoreRun,),
    "start_refusals": (fields.Refused,),
    "secrets": (fields.Secrets,),
    "sync_cursor": (fields.SyncCursor,),
    "sender_stats": (fields.SenderResult,),
    "timers": (fields.TimerKind,),
    "total": (guard_fields.Guard,),
    "spend": (guard_fields.Spend,),
}
"""The names that stand in a key: fields of a hash or stream entry, or the beginnings of the members of a set."""


class _Pattern(Keys):
    """Builds keys in which placeholders stand."""

    def __init__(self) -> None:
        super().__init__(1)
        self._tags = [f"{PREFIX}:{{s<shard>}}"]

    def shard(self, number_hash: str) -> int:
        return 0

    def _of(self, number_hash: str) -> str:
        return self._tags[0]


def lines() -> Iterator[str]:
    """The dictionary as text."""
    for name, written_by in sorted(writers().items()):
        method = getattr(_Pattern(), name)
        yield f"{name}  {method(*map(_placeholder, inspect.signature(method).parameters))}"
        yield from (f"    {line}" for line in (inspect.getdoc(method) or "").split("\n") if line)
        shown = [value for group in FIELDS.get(name, ()) for key, value in vars(group).items() if key.isupper()]
        if shown:
            yield f"    Names: {', '.join(shown)}"
        yield f"    Written by: {', '.join(written_by) or 'nothing'}"
        yield ""
    yield "Scripts that do not wait for replicas, and what a failover costs that forgets what they wrote:"
    yield from (f"    {name}: {reason}" for name, reason in sorted(UNGUARDED.items()))


def _placeholder(parameter: str) -> Any:
    if parameter == "ref":
        return Reference("<token>", "<number_hash>")
    return 0 if parameter == "shard" else f"<{parameter}>"


def main() -> None:
    """Print it."""
    parser = argparse.ArgumentParser(prog="python -m otp_service.storage.schema", description=__doc__)
    parser.parse_args()
    print("\n".join(lines()))  # noqa: T201 - this is what it is for


if __name__ == "__main__":
    main()
