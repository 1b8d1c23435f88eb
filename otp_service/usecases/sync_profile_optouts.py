"""Synchronizing one messaging profile: what is new on the carrier's list is recorded, what is gone from it is lifted.

The list is read in two windows of time. What is older than an hour is read between the cursor and that edge: nothing
new can appear in there, and only the end of this window moves the cursor. What is younger is read at every pass, so an
entry that the carrier shows late is found by a later pass. After each page the cursor has the number of the next one,
so another process goes on there after a crash.

Opt-outs are lifted only if one reading saw the whole list, unchanged and not redacted; only those that stood in the
registry before the reading and have not changed since; and only those of which the carrier would hold a block.
"""

import logging
from collections.abc import Callable
from dataclasses import dataclass

from ..domain import optout
from ..domain.errors import StoreUnavailable
from ..domain.optout_list import Cursor, Standing
from . import ports
from .optout_list import OptoutList, Progress, WholeList

SETTLED_MS = 3_600_000
"""Nothing older than this can newly appear in the carrier's list, and no two clocks are so far apart."""

LIST_LAG_MS = 2_000
"""The whole list is read so long after the youngest opt-out it is compared with: it may show an entry late."""

RENEW_EVERY = 200
"""After so many lifted entries the lease is renewed."""

_log = logging.getLogger("otp.sync_optouts")


class Interrupted(Exception):
    """The pass ends early: the process stops, or another one has taken the lease."""


@dataclass(frozen=True, slots=True)
class SyncResult:
    """What a pass did for one profile.

    `read`: entries read. `changed`: those that were news. `skipped`: those without a possible number. `lifted`:
    opt-outs that ended because the carrier's list does not hold them.
    """

    profile: str
    read: int
    changed: int
    skipped: int
    lifted: int = 0


@dataclass(frozen=True, slots=True)
class Lease:
    """The right of `owner` to read the lists. `stopped` says whether the process is to end."""

    cursors: ports.Cursors
    owner: str
    stopped: Callable[[], bool]

    def advance(self, profile: str, cursor: Cursor) -> None:
        """Write the cursor and renew the lease. Raises Interrupted and StoreUnavailable."""
        if not self.cursors.advance(self.owner, profile, cursor) or self.stopped():
            raise Interrupted

    def renew(self, profile: str) -> None:
        """Renew the lease, with the cursor as it is. Raises Interrupted and StoreUnavailable."""
        self.advance(profile, self.cursors.load(profile))


class SyncProfileOptouts:
    """One profile in one pass. `read_list` makes a reader of its list. `now_ms` is Unix milliseconds."""

    def __init__(
        self,
        profile: str,
        lease: Lease,
        *,
        registry: ports.OptOutRegistry,
        read_list: Callable[[Progress], OptoutList],
        progress: Progress,
        now_ms: Callable[[], int],
        sleep: Callable[[float], object],
    ) -> None:
        self._profile = profile
        self._lease = lease
        self._registry = registry
        self._read_list = read_list
        self._progress = progress
        self._now_ms = now_ms
        self._sleep = sleep
        self.incomplete = False
        """The whole list was read and could not be compared."""

    def run(self, *, whole: bool) -> SyncResult:
        """Read what is new, and with `whole` everything. Raises CarrierUnavailable, StoreUnavailable, Interrupted."""
        standing: list[Standing] = []
        failure: StoreUnavailable | None = None
        try:
            standing = self._liftable() if whole else []
        except StoreUnavailable as error:
            failure = error  # nothing can be compared, but what is new blocks
        news = self._read_list(self._progress)
        self._read_news(news)
        if failure is not None:
            raise failure
        changed, lifted = self._lift(standing, news.counts.read) if standing else (0, 0)
        counts = news.counts
        return self._logged(SyncResult(self._profile, counts.read, counts.changed + changed, counts.skipped, lifted))

    def _logged(self, result: SyncResult) -> SyncResult:
        extra = {"messaging_profile_id": result.profile, "read": result.read, "changed": result.changed}
        _log.info("opt-outs read", extra={**extra, "skipped": result.skipped, "lifted": result.lifted})
        return result

    # ---- recording what is new -------------------------------------------------------------------------------------

    def _cursor(self) -> Cursor:
        """How far the list was read. A cursor in the future was written by a wrong clock: then all is read again."""
        cursor = self._lease.cursors.load(self._profile)
        return Cursor() if max(cursor.done_ms, cursor.edge_ms) > self._now_ms() else cursor

    def _read_news(self, news: OptoutList) -> None:
        before = self._cursor()
        cursor = before
        if cursor.page == 0:
            cursor = Cursor(cursor.done_ms, max(cursor.done_ms, self._now_ms() - SETTLED_MS))

        def advance(reached: Cursor) -> None:
            # The cursor does not pass an entry that could not be recorded: it is read again.
            self._lease.advance(self._profile, before if news.counts.failed else reached)

        if cursor.edge_ms > cursor.done_ms:
            for left in news.pages(cursor.done_ms, cursor.edge_ms, resume=cursor.page):
                advance(Cursor(cursor.done_ms, cursor.edge_ms, left))
        settled = Cursor(done_ms=cursor.edge_ms)
        advance(settled)
        for _ in news.pages(settled.done_ms):
            advance(settled)
        news.counts.require_recorded()

    # ---- lifting what is gone --------------------------------------------------------------------------------------

    def _liftable(self) -> list[Standing]:
        """The profile's opt-outs, as they stand now, of which the carrier would hold a block."""
        return [one for one in self._registry.standing(self._profile) if one.entry.source in optout.CARRIER_HOLDS]

    def _lift(self, standing: list[Standing], read_before: int) -> tuple[int, int]:
        """Read the whole list and lift those of `standing` that it does not hold; how many were news, and lifted."""
        reading = self._read_list(shifted(self._progress, read_before))
        whole = self._read_whole(reading, standing)
        reading.counts.require_recorded()
        if not whole.is_complete():
            self.incomplete = True
            extra = {"messaging_profile_id": self._profile}
            _log.warning("the whole list of opt-outs cannot be compared", extra=extra)
            return reading.counts.changed, 0
        gone = [one for one in standing if one.number_hash not in whole.number_hashes]
        return reading.counts.changed, self._lift_each(gone)

    def _read_whole(self, reading: OptoutList, standing: list[Standing]) -> WholeList:
        if any(one.entry.at_ms > self._now_ms() - LIST_LAG_MS for one in standing):
            self._sleep(LIST_LAG_MS / 1000)
        whole = WholeList()
        for _ in reading.pages(0, whole=whole):
            self._lease.renew(self._profile)
        return whole

    def _lift_each(self, gone: list[Standing]) -> int:
        lifted = 0
        for number, one in enumerate(gone):
            if number % RENEW_EVERY == 0:
                self._lease.renew(self._profile)
            lifted += self._registry.lift(self._profile, one)
        return lifted


def shifted(progress: Progress, before: int) -> Progress:
    """The same progress, after so many entries that were read before."""
    return lambda read, of: progress(before + read, before + of)
