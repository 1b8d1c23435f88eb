"""Which scripts write a key, read from their headers, and the few methods in which Python writes one itself.

A header names a key as the method of `Keys` that builds it, or with something in front (`known_record`, `all_wrong`).
"""

from collections.abc import Mapping

from ..script_files import load, names
from .keys import Keys

PYTHON: Mapping[str, tuple[str, ...]] = {
    "alerts": ("Alerts.acknowledge",),
    "api_key_events": ("ApiKeys.record_events",),
    "erased": ("keep_erased",),
    "exported": ("AuditSource.tell",),
    "health_pause": ("SenderStats.claim_health_poll",),
    "index_keys": ("Keyrings.claim",),
    "key_ids": ("Keyrings.register",),
    "processes": ("Fleet.forget",),
    "live_processes": ("StoreRuns._is_on_replicas",),
    "run": ("AuditConsumer.acknowledge", "AuditSource._is_on_replicas", "Callbacks.claim"),
    "opted_out": ("Erasure.forget_optouts",),
    "optouts": ("Erasure.forget_optouts",),
    "probe": ("dead_shards",),
    "carrier_refusals": ("Circuits._forget_reports",),
    "sender_health": ("SenderStats.record_health",),
    "safe_list": ("SafeListTable.add", "SafeListTable.remove"),
    "shard_count": ("fix_shards",),
    "timers": ("Timers.put_off",),
    "webhooks": ("WaitingWebhooks.forget", "WaitingWebhooks.forget_until"),
}
"""Key to what writes it without a script. A test compares it with the code."""

OTHER_NAMES: Mapping[str, tuple[str, ...]] = {
    "api_keys_run": ("api_key/create", "api_key/revoke", "store/count_replicas"),
    "subject": ("sealed/replace",),
    "unclear": ("audit/append",),
}
"""Keys that a script writes where its header has another name: the caller chooses which mark is set.

`sealed/replace` may write every key of `sealed.SEALED` whose values last; the others of them belong here.
"""


def method_of(name: str) -> str:
    """The method of `Keys` that builds a key of this name in a header. Raises LookupError if there is none."""
    words = name.split("_")
    for first in range(len(words)):
        method = "_".join(words[first:])
        if method in vars(Keys):
            return method
    raise LookupError(name)


def writers() -> dict[str, list[str]]:
    """Each method of `Keys` with the scripts and functions that may write such a key."""
    found: dict[str, list[str]] = {name: [] for name in vars(Keys) if not name.startswith("_") and name != "shard"}
    for script in map(load, names()):
        for method in sorted({method_of(name) for name in script.written}):
            found[method].append(script.name)
    for more in (OTHER_NAMES, PYTHON):
        for method, functions in more.items():
            found[method] += functions
    return found
