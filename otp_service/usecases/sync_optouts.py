"""Keeping the opt-out registry complete: the carrier's own list, written into it profile by profile.

A webhook reports a STOP at once, but a webhook can be lost, and people opted out before the service was there. So what
is new on the list is read at every pass (`sync_profile_optouts`). The registry learns of a START by its webhook, which
can be lost too. Therefore the whole list is read at a worker's start, once a day and on command, and opt-outs that it
does not hold any more are lifted. What only we read as an opt-out is never lifted so: the carrier's list does not have
it.

One process at a time makes a pass, by a lease in the store. A shard of the store that does not answer costs its own
entries only: a pass that could not write some writes the others, moves no cursor and counts as failed.
"""

from collections.abc import Callable
from functools import partial

from ..domain.errors import CarrierUnavailable, NotReady, StoreUnavailable
from ..domain.policy import Policy
from . import ports
from .optout_list import OptoutList, Progress
from .sync_profile_optouts import Interrupted, Lease, SyncProfileOptouts, SyncResult, shifted

RETRY_MS = 60_000
"""After a pass that failed, the next one comes so soon."""

PATIENCE_MS = 120_000
"""How long a person at a shell waits for another process's pass to end."""

LEASE_POLL_MS = 500
WHOLE_MS, WHOLE_AGAIN_MS = 86_400_000, 3_600_000
"""How often the whole list is read, and how soon again if it changed meanwhile."""


class SyncOptouts:
    """The passes of one process.

    `now_ms` is Unix milliseconds; `token` gives a fresh name for each pass; `count` is called with how it ended:
    `done`, `failed` or `interrupted`; `sleep` takes seconds.
    """

    def __init__(
        self,
        *,
        source: ports.BlockList,
        registry: ports.OptOutRegistry,
        cursors: ports.Cursors,
        vault: ports.Vault,
        policy: Policy,
        interval_ms: int,
        now_ms: Callable[[], int],
        token: Callable[[], str],
        count: Callable[[str], None],
        sleep: Callable[[float], object],
    ) -> None:
        self._registry = registry
        self._cursors = cursors
        self._profiles = sorted({sender.messaging_profile_id for sender in policy.senders.values()})
        self._interval_ms = interval_ms
        self._now_ms = now_ms
        self._token = token
        self._count = count
        self._sleep = sleep
        self._whole_due_ms = 0
        self._optout_list = partial(OptoutList, source=source, registry=registry, ids=vault.ids, now_ms=now_ms)

    def run_if_due(self, *, starting: bool, stopped: Callable[[], bool]) -> list[SyncResult] | None:
        """Make a pass if one is due (`starting`: or the process has just begun) and no other process makes one.

        None if there was nothing to do. `stopped` is asked between pages. Raises CarrierUnavailable and
        StoreUnavailable; the next pass goes on where this one ended.
        """
        owner = self._token()
        if self._cursors.acquire_lease(owner, force=starting) > 0:
            return None
        whole = starting or self._now_ms() >= self._whole_due_ms
        return self._pass(Lease(self._cursors, owner, stopped), lambda *_: None, whole=whole)

    def run_now(self, progress: Progress, sleep: Callable[[float], object]) -> list[SyncResult]:
        """Make a pass, after the one that may be under way.

        Raises CarrierUnavailable, StoreUnavailable, and NotReady if another process does not come to an end.
        """
        owner = self._token()
        self._await_lease(owner, sleep)
        done = self._pass(Lease(self._cursors, owner, lambda: False), progress, whole=True)
        if done is None:
            raise NotReady("another process took over the reading of the list; try again later")
        return done

    def _await_lease(self, owner: str, sleep: Callable[[float], object]) -> None:
        waited_ms = 0
        while (wait_ms := self._cursors.acquire_lease(owner, force=True)) > 0:
            if waited_ms >= PATIENCE_MS:
                raise NotReady("another process is reading the list and has not finished; try again later")
            wait_ms = min(wait_ms, LEASE_POLL_MS)
            sleep(wait_ms / 1000)
            waited_ms += wait_ms

    def _pass(self, lease: Lease, progress: Progress, *, whole: bool) -> list[SyncResult] | None:
        due_ms = self._whole_due_ms
        if whole:
            self._whole_due_ms = self._now_ms() + WHOLE_MS
        try:
            done = self._sync_profiles(lease, progress, whole=whole)
        except Interrupted:
            self._give_up(lease, "interrupted", 0, due_ms)
            return None
        except (CarrierUnavailable, StoreUnavailable):
            self._give_up(lease, "failed", min(RETRY_MS, self._interval_ms), due_ms)
            raise
        self._cursors.release_lease(lease.owner, self._interval_ms)
        self._count("done")
        return done

    def _give_up(self, lease: Lease, outcome: str, pause_ms: int, whole_due_ms: int) -> None:
        self._whole_due_ms = whole_due_ms
        self._count(outcome)
        self._cursors.release_lease(lease.owner, pause_ms)

    def _sync_profiles(self, lease: Lease, progress: Progress, *, whole: bool) -> list[SyncResult]:
        done: list[SyncResult] = []
        failure: StoreUnavailable | None = None
        for profile in self._profiles:
            before = sum(one.read for one in done)
            try:
                done.append(self._sync_profile(profile, lease, shifted(progress, before), whole=whole))
            except StoreUnavailable as error:
                failure = error  # what this one could not write means nothing for the next
        if failure is not None:
            raise failure
        return done

    def _sync_profile(self, profile: str, lease: Lease, progress: Progress, *, whole: bool) -> SyncResult:
        sync = SyncProfileOptouts(
            profile,
            lease,
            registry=self._registry,
            read_list=lambda progress: self._optout_list(profile, progress=progress),
            progress=progress,
            now_ms=self._now_ms,
            sleep=self._sleep,
        )
        result = sync.run(whole=whole)
        if sync.incomplete:
            self._whole_due_ms = self._now_ms() + WHOLE_AGAIN_MS
        return result
