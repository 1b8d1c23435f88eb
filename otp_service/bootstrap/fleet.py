"""What this process says of itself to the others and to `doctor`, every few seconds."""

import contextlib
import os
import secrets
import socket
from collections.abc import Callable
from dataclasses import dataclass

import msgspec

from .. import __version__
from ..clock import clock_ms
from ..config import Settings
from ..domain.errors import StoreUnavailable
from ..domain.fleet import EVERY_S, ProcessRecord
from ..domain.ids import Ids
from ..keyring_reload import ReloadedKeyring
from ..storage.fleet import Fleet


def configuration_hash(settings: Settings, ids: Ids) -> str:
    """Names what must be the same in every process, by a keyed hash: no secret can be guessed from it."""
    shared = (
        dict(settings.policy.apps),
        dict(settings.policy.senders),
        settings.policy.per_number,
        str(settings.policy.audit_addresses),
        (settings.public_url, settings.issuer, settings.telnyx_base_url),
        (settings.shards, settings.queue_max, settings.audit_retention_ms, settings.optout_sync_ms),
        settings.on_call,
    )
    return ids.digest(b"configuration\0" + msgspec.json.encode(shared, order="deterministic"))[:6].hex()


@dataclass(frozen=True, slots=True)
class Announcer:
    """Says what this process is. `role` as in `domain.fleet`; `more` adds what changes while it runs."""

    fleet: Fleet
    settings: Settings
    keyring: ReloadedKeyring
    role: str
    process_id: str
    more: Callable[[], dict[str, object]]

    def announce(self) -> None:
        """Say it now. Raises StoreUnavailable."""
        self.fleet.write(self.process_id, self._record())

    def keep_announcing(self, pause: Callable[[float], bool]) -> None:
        """Say it again and again until `pause`, which waits so many seconds, says that the process ends."""
        while True:
            with contextlib.suppress(StoreUnavailable):
                self.announce()
            if pause(EVERY_S):
                break
        self.forget()

    def forget(self) -> None:
        """At the end: the others need not wait for the record's end."""
        with contextlib.suppress(StoreUnavailable):
            self.fleet.forget(self.process_id)

    def _record(self) -> ProcessRecord:
        ring = self.keyring.current()
        changing: dict[str, object] = self.more()
        return msgspec.convert(
            {
                "role": self.role,
                "host": socket.gethostname(),
                "pid": os.getpid(),
                "version": __version__,
                "configuration": configuration_hash(self.settings, self.keyring.ids),
                "keyring": ring.fingerprint,
                "active_key": ring.active_kid,
                "clock_ms": clock_ms(),
                **changing,
            },
            ProcessRecord,
        )


def announcer(
    fleet: Fleet,
    settings: Settings,
    keyring: ReloadedKeyring,
    role: str,
    more: Callable[[], dict[str, object]] = dict,
) -> Announcer:
    """For one process; what was killed before is forgotten."""
    with contextlib.suppress(StoreUnavailable):
        fleet.forget_gone()
    return Announcer(fleet, settings, keyring, role, secrets.token_hex(6), more)
