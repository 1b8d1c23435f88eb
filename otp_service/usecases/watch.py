"""Waiting for news of a verification: a request sleeps here until its version grows.

One thread of a process looks, for all who wait, at the versions of all watched verifications in one round trip, and
only while somebody waits. So what it costs the store grows neither with the number of those who wait for the same
verification nor with how long they wait, and it is the same on a single server, under Sentinel and in a Cluster.

Guaranteed: a version beyond the one the caller has seen ends the wait, also if it came before the wait began; a store
that does not answer ends all waits with StoreUnavailable; a process that is to end ends them too; there are never more
than `slots` waits, and never more than `share` of them for one verification where the caller asks for that.

Not here: what is new. The request that was woken reads it.
"""

import logging
import threading
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from enum import StrEnum

from ..domain.errors import StoreUnavailable
from ..domain.ids import Reference
from . import ports

EVERY_S = 0.15
"""How often the thread looks: what is new is noticed this much later, at most."""

_log = logging.getLogger("otp.watch")


class News(StrEnum):
    """How a wait ended."""

    CHANGED = "changed"
    UNCHANGED = "unchanged"
    FULL = "full"
    """All slots were taken: there was no wait."""

    ENDING = "ending"
    """The process is about to end."""

    UNAVAILABLE = "unavailable"
    """The store does not answer. Callers get StoreUnavailable instead."""


class _Waiter:
    __slots__ = ("after", "news", "woken")

    def __init__(self, after: int) -> None:
        self.after = after
        self.news = News.UNCHANGED
        self.woken = threading.Event()

    def wake(self, news: News) -> None:
        self.news = news
        self.woken.set()


class Watch:
    """The waits of one process. Safe for many threads; has one of its own while somebody waits.

    `pause` waits that many seconds, or less if the process is to end, and says whether it is. Whoever waits does so
    inside `released`, where a thread holds up no others. `count` is called with how each wait ended.
    """

    def __init__(
        self,
        *,
        store: ports.VerificationStore,
        slots: int,
        pause: Callable[[float], bool],
        released: AbstractContextManager[None],
        count: Callable[[News], None],
    ) -> None:
        self._store = store
        self._slots = slots
        self._pause = pause
        self._released = released
        self._count = count
        self._lock = threading.Lock()
        self._waiting: dict[Reference, list[_Waiter]] = {}
        self._looking = False
        self._ending = False

    def wait(self, ref: Reference, after: int, timeout_s: float, share: int | None = None) -> News:
        """Wait until the version is greater than `after`, at most so long. Raises StoreUnavailable."""
        waiter = _Waiter(after)
        refused = self._enter(ref, waiter, share)
        if refused is None:
            with self._released:
                waiter.woken.wait(timeout_s)
                self._leave(ref, waiter)
        news = refused or waiter.news
        self._count(news)
        if news is News.UNAVAILABLE:
            raise StoreUnavailable("The store does not answer.")
        return news

    def _enter(self, ref: Reference, waiter: _Waiter, share: int | None) -> News | None:
        with self._lock:
            if self._ending:
                return News.ENDING
            same = len(self._waiting.get(ref, ()))
            taken = sum(map(len, self._waiting.values()))
            if taken >= self._slots or (share is not None and same >= share):
                return News.FULL
            if not self._looking:
                threading.Thread(target=self._look, name="watch", daemon=True).start()
                self._looking = True
            self._waiting.setdefault(ref, []).append(waiter)
        return None

    def _leave(self, ref: Reference, waiter: _Waiter) -> None:
        with self._lock:
            self._waiting[ref].remove(waiter)
            if not self._waiting[ref]:
                del self._waiting[ref]

    # ---- the thread that looks -------------------------------------------------------------------------------------

    def _look(self) -> None:
        try:
            while watched := self._watched(ending=self._pause(EVERY_S)):
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
        try:
            versions = self._store.versions(watched)
        except StoreUnavailable:
            with self._lock:
                self._wake_all(News.UNAVAILABLE)
            return
        with self._lock:
            for ref, version in zip(watched, versions, strict=True):
                for waiter in self._waiting.get(ref, ()):
                    # One that is there no more has changed, too.
                    if version is None or version > waiter.after:
                        waiter.wake(News.CHANGED)

    def _wake_all(self, news: News) -> None:
        for waiters in self._waiting.values():
            for waiter in waiters:
                waiter.wake(news)
