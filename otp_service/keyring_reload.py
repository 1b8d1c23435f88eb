"""The keyring of a running process: it follows changes of the file, and a new key becomes active at its time.

Guaranteed here: a keyring from `current()` never changes. A file that became unreadable, or that has another index key,
changes nothing and is reported by `fault`. The file is checked on access, at most every `CHECK_S` seconds, and when a
key is unknown. In an event loop, where no request may wait for a file or the store, a thread checks it instead
(`follow`). While the store belongs to another keyring, nothing is made or opened (`refuse`). The store's clock decides
when a key becomes active, as soon as that clock is known. A wrong clock loses nothing: all processes can open what any
key of the keyring sealed.
"""

import logging
import os
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from .domain.errors import KeyUnknown, NotReady, ServiceError
from .domain.keyed_hash import KeyedHash
from .keyring import Keyring

CHECK_S = 1.0
UNKNOWN_KEY_CHECK_S = 1.0
"""How often the file is checked because a key is unknown."""

_log = logging.getLogger("otp.keyring")


class ReloadedKeyring:
    """The keyring of one process; the methods are those of `Keyring`. Safe for many threads.

    `load` reads the file (raises ServiceError, and then none is made), `monotonic` gives seconds, `now_ms` Unix
    milliseconds.
    """

    def __init__(
        self,
        path: Path,
        load: Callable[[], Keyring],
        *,
        monotonic: Callable[[], float],
        now_ms: Callable[[], int],
    ) -> None:
        self._path = path
        self._load = load
        self._monotonic = monotonic
        self._now_ms = now_ms
        self._lock = threading.Lock()
        # The stamp is taken before the content: a file that changes in between is read again.
        self._stamp = _stamp(path)
        self._ring = load().at(now_ms())
        self._checked_at = monotonic()
        self._clock: tuple[float, int] | None = None
        self._fault: str | None = None
        self._refusal: str | None = None
        self._register: Callable[[frozenset[str]], object] | None = None
        self._registered: frozenset[str] = frozenset()
        self._is_followed = False
        self._run: Callable[[Callable[[], None]], None] = lambda check: check()
        self.ids = self._ring.ids
        self.watch_tokens = self._ring.watch_tokens

    def __repr__(self) -> str:
        return f"ReloadedKeyring({self._ring!r})"

    def register(self, register: Callable[[frozenset[str]], object]) -> None:
        """Call `register` with the ids of the keys, now and at every change. Raises what it raises now."""
        register(self._ring.kids)
        self._register, self._registered = register, self._ring.kids

    def refuse(self, reason: str | None) -> None:
        """Serve nobody from now on: `current` raises NotReady with this reason. None ends it."""
        self._refusal = reason

    def set_clock(self, now_ms: int) -> None:
        """Use another clock from now on, which shows these Unix milliseconds now."""
        with self._lock:
            self._clock = (self._monotonic(), now_ms)
            self._ring = self._ring.at(now_ms)

    def follow(self, run: Callable[[Callable[[], None]], None]) -> None:
        """From now on a thread calls `check` often, and access checks nothing.

        Where a request needs a check, because a key is unknown, `run` runs it so that nobody else waits.
        """
        self._is_followed, self._run = True, run

    def clock_ms(self) -> int:
        """Unix milliseconds of the clock that was set last: a worker's and an API process's is the store's."""
        if self._clock is None:
            return self._now_ms()
        at_s, now_ms = self._clock
        return now_ms + int((self._monotonic() - at_s) * 1000)

    @property
    def fault(self) -> str | None:
        """Why the file cannot be used as it is now; None if it can. The keys read before are used meanwhile."""
        self.current()
        return self._fault

    # ---- the keyring of this moment --------------------------------------------------------------------------------

    def current(self) -> Keyring:
        """The keyring of this moment; it never changes. Raises NotReady while it is not the store's, see `refuse`."""
        if self._refusal is not None:
            raise NotReady(self._refusal)
        if not self._is_followed and self._monotonic() - self._checked_at >= CHECK_S:
            self._check_if_nobody_does()
        ring = self._ring
        changes_ms = ring.changes_ms
        if changes_ms is None or self.clock_ms() < changes_ms:
            return ring
        return self._advance()

    def _check_if_nobody_does(self) -> None:
        if self._lock.acquire(blocking=False):
            try:
                self._check()
            finally:
                self._lock.release()

    def check(self) -> None:
        """Check the file now, unless that was done within the last second."""
        with self._lock:
            if self._monotonic() - self._checked_at >= UNKNOWN_KEY_CHECK_S:
                self._check()

    def knows(self, kid: str) -> bool:
        """Whether a key of this id is in the ring, or in the file by now."""
        if not self.current().knows(kid):
            self._run(self.check)
        return self._ring.knows(kid)

    def _advance(self) -> Keyring:
        if not self._lock.acquire(blocking=False):
            # Somebody checks the file, which can take a while.
            return self._ring.at(self.clock_ms())
        try:
            self._ring = self._ring.at(self.clock_ms())
            _log.info("another key is used for new data now", extra={"key_id": self._ring.active_kid})
            return self._ring
        finally:
            self._lock.release()

    def _check(self) -> None:
        self._checked_at = self._monotonic()
        stamp = _stamp(self._path)
        if stamp != self._stamp:
            self._stamp = stamp
            self._read()
        if self._register is not None and self._registered != self._ring.kids:
            self._register_keys()

    def _read(self) -> None:
        try:
            ring = self._load().at(self.clock_ms())
        except ServiceError as error:
            self._keep(error.detail)
            return
        if ring.fingerprint != self.ids.fingerprint:
            self._keep("The keyring file has another index key than this process was started with.")
            return
        self._ring, self._fault = ring, None
        _log.info("the keyring file was read again", extra={"key_id": ring.active_kid})

    def _keep(self, fault: str) -> None:
        # Logged once: the stamp of the file is kept.
        self._fault = fault
        _log.error("the keyring file cannot be used; the keys read before are used", extra={"reason": fault})

    def _register_keys(self) -> None:
        kids = self._ring.kids
        try:
            if self._register is not None:
                self._register(kids)
        except ServiceError as error:
            _log.warning("the keys were not registered in the store; trying again", extra={"reason": error.detail})
        else:
            self._registered = kids

    # ---- as a keyring ----------------------------------------------------------------------------------------------

    @property
    def peppers(self) -> Mapping[str, KeyedHash]:
        """The pepper of every key."""
        return self.current().peppers

    @property
    def active_kid(self) -> str:
        """The key that is used for new data now."""
        return self.current().active_kid

    def seal(self, plain: bytes) -> str:
        """Encrypt and authenticate for the worker."""
        return self.current().seal(plain)

    def seal_alike(self, plain: bytes) -> str:
        """The same, with equal seals of equal values."""
        return self.current().seal_alike(plain)

    def open(self, sealed: str) -> bytes:
        """Undo `seal`. Raises KeyUnknown (the file was checked again) and SealBroken."""
        try:
            return self.current().open(sealed)
        except KeyUnknown:
            self._run(self.check)
            return self._ring.open(sealed)

    def sign(self, message: bytes) -> bytes:
        """Ed25519 signature by the active key; take it and the key's id from one `current()`."""
        return self.current().sign(message)

    def verify(self, kid: str, signature: bytes, message: bytes) -> bool:
        """Whether the key `kid` made the signature."""
        return self.knows(kid) and self._ring.verify(kid, signature, message)

    def jwks(self) -> dict[str, Any]:
        """The public keys of the receipts."""
        return self.current().jwks()


def _stamp(path: Path) -> tuple[int, ...] | None:
    """Values that change whenever the file changes or is replaced."""
    try:
        stat = os.stat(path)
    except OSError:
        return None
    return stat.st_dev, stat.st_ino, stat.st_mtime_ns, stat.st_ctime_ns, stat.st_size
