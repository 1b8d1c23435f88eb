"""The only place where parts are put together. Every part gets what it needs through its constructor.

Nothing is built at import. All functions raise ConfigError, NotReady or StoreUnavailable, whose `detail` is for the
operator. `stores` opens what everything needs; `web`, `front`, `worker` and `commands` build what is asked for here.
"""

from .commands import (
    accept_keyring,
    build_api_keys,
    build_audit,
    build_callbacks,
    build_dead_letters,
    build_ids,
    lift_subject,
    sync_optouts,
)
from .front import build_front
from .stores import open_keyring, open_stores
from .support import open_support
from .web import build_web
from .worker import build_worker

__all__ = [
    "accept_keyring",
    "build_api_keys",
    "build_audit",
    "build_callbacks",
    "build_dead_letters",
    "build_front",
    "build_ids",
    "build_web",
    "build_worker",
    "lift_subject",
    "open_keyring",
    "open_stores",
    "open_support",
    "sync_optouts",
]
