"""The keyring as a running process holds it: the file is looked at again, and a new key becomes active in its time.

Guaranteed here: what a caller reads through `current()` is of one moment; a file that became unreadable, or that has
another index key, changes nothing and is reported by `fault`. The file is looked at on access, at most every `LOOK_S`
seconds, sooner where somebody meets a key that is not in the ring. When a key's time has come is judged by the store's
clock once it is known. A clock that is wrong loses nothing: whichever key makes new things, all processes open them.
"""

import logging
import os
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from .domain.errors import KeyUnknown, ServiceError
from .keyring import Keyring

LOOK_S = 1.0
LOOK_AGAIN_S = 1.0
"""How often the file is looked at for the sake of a key that is not in the ring."""

_log = logging.getLogger("otp.keyring")


class KeyringFile:
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
        # The mark before the content: a file that changes in between is read once more.
        self._mark = _mark(path)
        self._ring = load().at(now_ms())
        self._looked = monotonic()
        self._clock: tuple[float, int] | None = None
        self._fault: str | None = None
        self._register: Callable[[frozenset[str]], object] | None = None
        self._registered: frozenset[str] = frozenset()
        self.ids = self._ring.ids
        self.watch_tokens = self._ring.watch_tokens

    def __repr__(self) -> str:
        return f"KeyringFile({self._ring!r})"

    def register(self, register: Callable[[frozenset[str]], object]) -> None:
        """Call `register` with the ids of the keys, now and at every change. Raises what `register` raises now."""
        register(self._ring.kids)
        self._register, self._registered = register, self._ring.kids

    def set_clock(self, now_ms: int) -> None:
        """Go by a better clock from here on: it shows these Unix milliseconds now."""
        with self._lock:
            self._clock = (self._monotonic(), now_ms)
            self._ring = self._ring.at(now_ms)

    def _now(self) -> int:
        if self._clock is None:
            return self._now_ms()
        at_s, now_ms = self._clock
        return now_ms + int((self._monotonic() - at_s) * 1000)

    @property
    def fault(self) -> str | None:
        """Why the file cannot be used as it is now; None if it can. The keys read before are used meanwhile."""
        self.current()
        return self._fault

    # ---- the ring of the moment ------------------------------------------------------------------------------------

    def current(self) -> Keyring:
        """The keyring of this moment; it does not change any more."""
        if self._monotonic() - self._looked >= LOOK_S and self._lock.acquire(blocking=False):
            try:
                self._look()
            finally:
                self._lock.release()
        ring = self._ring
        changes_ms = ring.changes_ms
        if changes_ms is None or self._now() < changes_ms:
            return ring
        return self._advance()

    def look(self) -> None:
        """Look at the file now, unless that was done within the last second."""
        with self._lock:
            if self._monotonic() - self._looked >= LOOK_AGAIN_S:
                self._look()

    def knows(self, kid: str) -> bool:
        """Whether a key of this id is in the ring, or in the file by now."""
        if not self.current().knows(kid):
            self.look()
        return self._ring.knows(kid)

    def _advance(self) -> Keyring:
        with self._lock:
            self._ring = self._ring.at(self._now())
            _log.info("another key makes new things now", extra={"key_id": self._ring.active_kid})
            return self._ring

    def _look(self) -> None:
        self._looked = self._monotonic()
        mark = _mark(self._path)
        if mark != self._mark:
            self._mark = mark
            self._read()
        if self._register is not None and self._registered != self._ring.kids:
            self._register_kids()

    def _read(self) -> None:
        try:
            ring = self._load().at(self._now())
        except ServiceError as error:
            self._keep(error.detail)
            return
        if ring.fingerprint != self.ids.fingerprint:
            self._keep("The keyring file has another index key than this process was started with.")
            return
        self._ring, self._fault = ring, None
        _log.info("the keyring file was read again", extra={"key_id": ring.active_kid})

    def _keep(self, fault: str) -> None:
        # Logged once: the mark of the file is remembered.
        self._fault = fault
        _log.error("the keyring file cannot be used; the keys read before are used", extra={"reason": fault})

    def _register_kids(self) -> None:
        kids = self._ring.kids
        try:
            if self._register is not None:
                self._register(kids)
        except ServiceError as error:
            _log.warning("the ids of the keys could not be registered; trying again", extra={"reason": error.detail})
        else:
            self._registered = kids

    # ---- as a keyring ----------------------------------------------------------------------------------------------

    @property
    def peppers(self) -> Mapping[str, bytes]:
        """The pepper of every key."""
        return self.current().peppers

    @property
    def active_kid(self) -> str:
        """The key that makes new things now."""
        return self.current().active_kid

    def seal(self, plain: bytes) -> str:
        """Encrypt and authenticate for the worker."""
        return self.current().seal(plain)

    def open(self, sealed: str) -> bytes:
        """Undo `seal`. Raises KeyUnknown (the file was looked at again) and SealBroken."""
        try:
            return self.current().open(sealed)
        except KeyUnknown:
            self.look()
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


def _mark(path: Path) -> tuple[int, ...] | None:
    """What changes whenever the file does, or another takes its place."""
    try:
        stat = os.stat(path)
    except OSError:
        return None
    return stat.st_dev, stat.st_ino, stat.st_mtime_ns, stat.st_ctime_ns, stat.st_size
