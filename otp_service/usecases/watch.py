"""Waiting for news of a verification: a request sleeps here until its version grows.

One thread of a process (in an event loop, one greenlet) looks, for all who wait, at the versions of all watched
verifications, many in one round trip, and only while somebody waits. So what it costs the store grows neither with the
number of those who wait for the same verification nor with how long they wait, and it is the same on a single server,
under Sentinel and in a Cluster.

Guaranteed: a version beyond the one the caller has seen ends the wait, also if it came before the wait began; a store
that does not answer ends all waits with StoreUnavailable; a process that is to end ends them too; there are never more
than `slots` waits, and never more than `share` of them, or a quarter, for one verification where the caller asks for
that. While slots are free, anybody gets one. Then whoever has most of them loses the oldest to whoever has fewer.

Not here: what is new. The request that was woken reads it.
"""

import logging
import threading
from collections.abc import Callable, Iterator, Sequence
from enum import StrEnum
from typing import Protocol

from ..domain.errors import StoreUnavailable
from ..domain.ids import Reference
from . import ports

EVERY_S = 0.15
"""How often the thread looks: what is new is noticed this much later, at most, unless thousands are watched."""

WATCHED_AT_ONCE = 256
"""Verifications in one round trip."""

PAUSES = 20
"""The thread pauses for at least so many times as long as its last look took: watching takes 5 % of a core at most."""

_log = logging.getLogger("otp.watch")


class News(StrEnum):
    """How a wait ended."""

    CHANGED = "changed"
    UNCHANGED = "unchanged"
    FULL = "full"
    """All slots were taken: there was no wait."""

    ENDING = "ending"
    """The process is about to end."""

    LEFT = "left"
    """Who waited has gone. Nobody gets this."""

    UNAVAILABLE = "unavailable"
    """The store does not answer. Callers get StoreUnavailable instead."""


class Woken(Protocol):
    """What a request waits for, as `threading.Event`."""

    def wait(self, timeout: float) -> bool:
        """Wait until it is set, at most so many seconds."""
        ...

    def set(self) -> None:
        """End the wait."""
        ...


def _in_thread(work: Callable[[], None]) -> None:
    threading.Thread(target=work, name="watch", daemon=True).start()


class _Waiter:
    __slots__ = ("after", "news", "owner", "ref", "woken")

    def __init__(self, ref: Reference, after: int, owner: str, woken: Woken) -> None:
        self.ref = ref
        self.after = after
        self.owner = owner
        self.news = News.UNCHANGED
        self.woken = woken

    def wake(self, news: News) -> None:
        self.news = news
        self.woken.set()


class Watch:
    """The waits of one process. Safe for many threads; has one of its own while somebody waits.

    `pause` waits that many seconds, or less if the process is to end, and says whether it is. `count` is called with
    how each wait ended. `monotonic` gives seconds. In an event loop `new_woken` and `begin` are the loop's: then there
    is no thread.
    """

    def __init__(
        self,
        *,
        store: ports.VerificationStore,
        slots: int,
        pause: Callable[[float], bool],
        count: Callable[[News], None],
        monotonic: Callable[[], float],
        new_woken: Callable[[], Woken] = threading.Event,
        begin: Callable[[Callable[[], None]], None] = _in_thread,
    ) -> None:
        self._store = store
        self._slots = slots
        self._pause = pause
        self._count = count
        self._monotonic = monotonic
        self._new_woken = new_woken
        self._begin = begin
        self._pause_s = EVERY_S
        self._lock = threading.Lock()
        self._waiting: dict[Reference, dict[_Waiter, None]] = {}
        self._owned: dict[str, dict[_Waiter, None]] = {}
        self._taken = 0
        self._looking = False
        self._ending = False

    def wait(self, ref: Reference, after: int, timeout_s: float, owner: str = "", share: int | None = None) -> News:
        """Wait until the version is greater than `after`, at most so long. Raises StoreUnavailable.

        `owner`: the app that waits, or whose verification is watched.
        """
        waiter = _Waiter(ref, after, owner, self._new_woken())
        refused = self._enter(waiter, share)
        if refused is None:
            try:
                waiter.woken.wait(timeout_s)
            except BaseException:
                self._count(News.LEFT)
                raise
            finally:
                self._leave(waiter)
        news = refused or waiter.news
        self._count(news)
        if news is News.UNAVAILABLE:
            raise StoreUnavailable("The store does not answer.")
        return news

    def _enter(self, waiter: _Waiter, share: int | None) -> News | None:
        with self._lock:
            if self._ending:
                return News.ENDING
            same = len(self._waiting.get(waiter.ref, ()))
            if (share is not None and same >= min(share, max(1, self._slots // 4))) or not self._has_room(waiter.owner):
                return News.FULL
            if not self._looking:
                self._begin(self._look)
                self._looking = True
            self._waiting.setdefault(waiter.ref, {})[waiter] = None
            self._owned.setdefault(waiter.owner, {})[waiter] = None
            self._taken += 1
        return None

    def _has_room(self, owner: str) -> bool:
        """Whether there is a slot for this owner, perhaps by ending the oldest wait of the one who has most."""
        if self._taken < self._slots:
            return True
        largest = max(self._owned.values(), key=len, default={})
        if len(largest) <= len(self._owned.get(owner, ())) + 1:
            return False
        oldest = next(iter(largest))
        self._remove(oldest)
        oldest.wake(News.FULL)
        return True

    def _leave(self, waiter: _Waiter) -> None:
        with self._lock:
            if waiter in self._owned.get(waiter.owner, ()):
                self._remove(waiter)

    def _remove(self, waiter: _Waiter) -> None:
        self._taken -= 1
        owned, waiting = self._owned[waiter.owner], self._waiting[waiter.ref]
        del owned[waiter]
        del waiting[waiter]
        if not owned:
            del self._owned[waiter.owner]
        if not waiting:
            del self._waiting[waiter.ref]

    # ---- the thread that looks -------------------------------------------------------------------------------------

    def _look(self) -> None:
        try:
            while watched := self._watched(ending=self._pause(self._pause_s)):
                self._look_at(watched)
        except Exception:  # noqa: BLE001 - whatever it is, nobody may wait for news that nobody looks for
            _log.error("unexpected", exc_info=True)
            with self._lock:
                self._looking = False
                self._wake_all(News.UNAVAILABLE)

    def _watched(self, *, ending: bool) -> list[Reference]:
        """The verifications to look at; none, and this thread's end, if nobody waits."""
        with self._lock:
            if ending:
                self._ending = True
                self._wake_all(News.ENDING)
            self._looking = bool(self._waiting) and not ending
            return list(self._waiting) if self._looking else []

    def _look_at(self, watched: Sequence[Reference]) -> None:
        began = self._monotonic()
        for some in _parts(watched):
            if not self._look_at_some(some):
                break
        self._pause_s = max(EVERY_S, PAUSES * (self._monotonic() - began))

    def _look_at_some(self, watched: Sequence[Reference]) -> bool:
        """Wake whose verification has changed; False if the store does not answer, and then all are woken."""
        try:
            versions = self._store.versions(watched)
        except StoreUnavailable:
            with self._lock:
                self._wake_all(News.UNAVAILABLE)
            return False
        with self._lock:
            for ref, version in zip(watched, versions, strict=True):
                for waiter in self._waiting.get(ref, ()):
                    # One that is there no more has changed, too.
                    if version is None or version > waiter.after:
                        waiter.wake(News.CHANGED)
        return True

    def _wake_all(self, news: News) -> None:
        for waiters in self._waiting.values():
            for waiter in waiters:
                waiter.wake(news)


def _parts(watched: Sequence[Reference]) -> Iterator[Sequence[Reference]]:
    for at in range(0, len(watched), WATCHED_AT_ONCE):
        yield watched[at : at + WATCHED_AT_ONCE]
