"""The only place where parts are put together. Every part gets what it needs through its constructor.

Nothing is built at import, and only what is asked for is imported. All functions raise ConfigError, NotReady or
StoreUnavailable, whose `detail` is for the operator. `stores` opens what everything needs; `web`, `front`,
`worker` and `commands` build what is asked for here, and the others a part each.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .commands import (
        accept_keyring,
        build_api_keys,
        build_audit,
        build_callbacks,
        build_dead_letters,
        build_ids,
        build_replicas,
        lift_subject,
    )
    from .erasing import erase_person
    from .front import build_front
    from .guard import first_starts, open_guard
    from .ledger import accept_gaps, back_up_ledger, build_noted_record, build_record, export_records, run_exporter
    from .optouts import sync_optouts
    from .spending import open_spending
    from .stores import open_keyring, open_stores
    from .support import open_support
    from .web import build_web
    from .worker import build_worker

__all__ = [
    "accept_gaps",
    "accept_keyring",
    "back_up_ledger",
    "build_api_keys",
    "build_audit",
    "build_callbacks",
    "build_dead_letters",
    "build_front",
    "build_ids",
    "build_noted_record",
    "build_record",
    "build_replicas",
    "build_web",
    "build_worker",
    "erase_person",
    "export_records",
    "first_starts",
    "lift_subject",
    "open_guard",
    "open_keyring",
    "open_spending",
    "open_stores",
    "open_support",
    "run_exporter",
    "sync_optouts",
]

_PLACES = {
    "accept_gaps": "ledger",
    "back_up_ledger": "ledger",
    "run_exporter": "ledger",
    "build_front": "front",
    "build_noted_record": "ledger",
    "build_record": "ledger",
    "export_records": "ledger",
    "erase_person": "erasing",
    "build_web": "web",
    "build_worker": "worker",
    "first_starts": "guard",
    "open_guard": "guard",
    "open_keyring": "stores",
    "open_spending": "spending",
    "open_stores": "stores",
    "open_support": "support",
    "sync_optouts": "optouts",
}
"""The modules of these; the others are in `commands`."""


def __getattr__(name: str) -> Any:
    # A command that lists keys imports neither the API nor the carrier: it takes half the time.
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f".{_PLACES.get(name, 'commands')}", __name__), name)
