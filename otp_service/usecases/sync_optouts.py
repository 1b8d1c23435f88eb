"""Keeping the opt-out registry complete: the carrier's own list, written into it profile by profile.

Webhooks tell of a STOP at once, but a webhook can be lost, and people opted out before the service was there.

A profile's list is read in two windows of time. What is older than an hour is read between the cursor and that edge:
nothing new can appear in there, and only the end of this window moves the cursor. What is younger is read at every
pass, so an entry that the carrier shows late is found by a later pass.

Pages are asked for by number, from the last to the first: when somebody opts in again meanwhile, the entries behind
move towards the front, to pages that are still to be read, and none slips through. After each page the cursor says
which ones are left, so whoever goes on after a crash begins there. Writing an entry again changes nothing.

An entry only ever blocks; the registry learns of a START by its webhook, which can be lost too. Therefore the whole
list is read at a worker's start, once a day and on command, and opt-outs of which the carrier would hold a block, and
which its list does not hold, are lifted. Only if one reading saw the list to its end, unchanged and not redacted; only
what stood in the registry before the reading began and has not changed since. What the carrier did not understand (a
phrase that only we read as an opt-out) is never lifted so: its list says nothing about it.

A shard of the store that is away costs its own entries only. They are read again: a pass that could not write some
writes the others, moves no cursor and counts as failed.
"""

import contextlib
import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from ..domain import optout, phone
from ..domain.errors import CarrierUnavailable, InvalidNumber, NotReady, StoreUnavailable
from ..domain.operation import Block, BlockPage, Cursor, OptOut, Standing
from ..domain.policy import Policy
from . import ports

SETTLED_MS = 3_600_000
"""Nothing older than this can newly appear in the carrier's list, and no two clocks are so far apart."""

RETRY_MS = 60_000
"""After a pass that failed, the next one comes so soon."""

PATIENCE_MS = 120_000
"""How long a person at a shell waits for another process's pass to end."""

LIST_LAG_MS = 2_000
"""The whole list is read so long after the youngest opt-out it is compared with: it may show an entry late."""

WHOLE_MS, WHOLE_AGAIN_MS = 86_400_000, 3_600_000
"""How often the whole list is read, and how soon again if it changed meanwhile."""

RENEW_EVERY = 200
"""After so many lifted entries the right to read is renewed."""

Tell = Callable[[int, int], None]
"""Hears how many entries were read, of how many."""

_log = logging.getLogger("otp.reconcile")


@dataclass(frozen=True, slots=True)
class SyncResult:
    """What a pass did for one profile: entries read, wishes that were news, entries that name no possible number,
    and opt-outs that were lifted because the carrier's list does not hold them.
    """

    profile: str
    read: int
    changed: int
    skipped: int
    lifted: int = 0


@dataclass(slots=True)
class _Whole:
    """What one reading of a whole list saw: hashes of the numbers, entries by page, totals; whether it may be used."""

    listed: set[str] = field(default_factory=set)
    entries: dict[int, int] = field(default_factory=dict)
    totals: set[int] = field(default_factory=set)
    usable: bool = True

    def complete(self) -> bool:
        return self.usable and self.totals == {sum(self.entries.values())}


@dataclass(slots=True)
class _Tally:
    profile: str
    read: int = 0
    changed: int = 0
    skipped: int = 0
    lifted: int = 0
    missed: int = 0
    whole: _Whole | None = None


class _Interrupted(Exception):
    """The pass ends before its end: the process stops, or another one has taken over."""


def _require_written(tally: _Tally) -> None:
    if tally.missed:
        raise StoreUnavailable(f"{tally.missed} opt-outs could not be written; they are read again.")


def _after(before: int, tell: Tell) -> Tell:
    return lambda read, of: tell(before + read, before + of)


class SyncOptouts:
    """The story of one process. `now_ms` is Unix milliseconds, `token` gives a fresh word for each pass."""

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
        self._source = source
        self._registry = registry
        self._cursors = cursors
        self._ids = vault.ids
        self._profiles = sorted({sender.messaging_profile_id for sender in policy.senders.values()})
        self._interval_ms = interval_ms
        self._now_ms = now_ms
        self._token = token
        self._count = count
        self._sleep = sleep
        self._whole_due_ms = 0

    def on_timer(self, *, starting: bool, stopped: Callable[[], bool]) -> list[SyncResult] | None:
        """Make a pass if one is due (`starting`: or the process has just begun) and nobody else is at it.

        None if there was nothing to do. `stopped` is asked between pages. Raises CarrierUnavailable and
        StoreUnavailable; the next pass goes on where this one ended.
        """
        owner = self._token()
        if self._cursors.acquire_lease(owner, force=starting) > 0:
            return None
        whole = starting or self._now_ms() >= self._whole_due_ms
        return self._pass(owner, lambda *_: None, stopped, whole=whole)

    def now(self, tell: Tell, sleep: Callable[[float], object]) -> list[SyncResult]:
        """Make a pass, after the one that may be under way. `tell` hears how many entries were read, of how many.

        Raises CarrierUnavailable, StoreUnavailable, and NotReady if another process does not come to an end.
        """
        owner, waited_ms = self._token(), 0
        while (wait_ms := self._cursors.acquire_lease(owner, force=True)) > 0:
            if waited_ms >= PATIENCE_MS:
                raise NotReady("another process is reading the list and has not finished; try again later")
            sleep(min(wait_ms, 500) / 1000)
            waited_ms += min(wait_ms, 500)
        done = self._pass(owner, tell, lambda: False, whole=True)
        if done is None:
            raise NotReady("another process took over the reading of the list; try again later")
        return done

    def _pass(self, owner: str, tell: Tell, stopped: Callable[[], bool], *, whole: bool) -> list[SyncResult] | None:
        done: list[SyncResult] = []
        due_ms = self._whole_due_ms
        if whole:
            self._whole_due_ms = self._now_ms() + WHOLE_MS
        try:
            self._profiles_in_turn(done, owner, tell, stopped, whole=whole)
        except _Interrupted:
            self._whole_due_ms = due_ms
            self._count("interrupted")
            self._cursors.release_lease(owner, 0)
            return None
        except (CarrierUnavailable, StoreUnavailable):
            self._whole_due_ms = due_ms
            self._count("failed")
            self._cursors.release_lease(owner, min(RETRY_MS, self._interval_ms))
            raise
        self._cursors.release_lease(owner, self._interval_ms)
        self._count("done")
        return done

    def _profiles_in_turn(
        self, done: list[SyncResult], owner: str, tell: Tell, stopped: Callable[[], bool], *, whole: bool
    ) -> None:
        failure: StoreUnavailable | None = None
        for profile in self._profiles:
            before = sum(one.read for one in done)
            try:
                done.append(self._profile(owner, profile, _after(before, tell), stopped, whole=whole))
            except StoreUnavailable as error:
                failure = error  # what this one could not write says nothing of the next
        if failure is not None:
            raise failure

    def _profile(self, owner: str, profile: str, tell: Tell, stopped: Callable[[], bool], *, whole: bool) -> SyncResult:
        tally = _Tally(profile)
        standing: list[Standing] = []
        failure: StoreUnavailable | None = None
        try:
            standing = self._liftable(profile) if whole else []
        except StoreUnavailable as error:
            failure = error  # nothing can be compared, but what is new blocks
        self._read_news(owner, tally, tell, stopped)
        if failure is not None:
            raise failure
        if standing:
            self._lift(owner, tally, standing, tell, stopped)
        result = SyncResult(profile, tally.read, tally.changed, tally.skipped, tally.lifted)
        extra = {"messaging_profile_id": profile, "read": tally.read, "changed": tally.changed}
        _log.info("opt-outs read", extra={**extra, "skipped": tally.skipped, "lifted": tally.lifted})
        return result

    def _read_news(self, owner: str, tally: _Tally, tell: Tell, stopped: Callable[[], bool]) -> None:
        before = self._cursors.load(tally.profile)
        cursor = before
        if cursor.page == 0:
            cursor = Cursor(cursor.done_ms, max(cursor.done_ms, self._now_ms() - SETTLED_MS))

        def keep(reached: Cursor) -> None:
            self._keep(owner, tally.profile, before if tally.missed else reached, stopped)

        if cursor.edge_ms > cursor.done_ms:
            for left in self._pages(tally, cursor.done_ms, cursor.edge_ms, cursor.page, tell):
                keep(Cursor(cursor.done_ms, cursor.edge_ms, left))
        settled = Cursor(done_ms=cursor.edge_ms)
        keep(settled)
        for _ in self._pages(tally, settled.done_ms, None, 0, tell):
            keep(settled)
        _require_written(tally)

    def _liftable(self, profile: str) -> list[Standing]:
        """The profile's opt-outs, as they stand now, of which the carrier would hold a block."""
        return [one for one in self._registry.standing(profile) if one.entry.source in optout.CARRIER_HOLDS]

    def _lift(
        self, owner: str, tally: _Tally, standing: list[Standing], tell: Tell, stopped: Callable[[], bool]
    ) -> None:
        """Read the whole list and lift those of `standing` that it does not hold."""
        again = _Tally(tally.profile)
        whole = self._read_whole(owner, again, standing, _after(tally.read, tell), stopped)
        tally.changed += again.changed
        _require_written(again)
        if not whole.complete():
            self._whole_due_ms = self._now_ms() + WHOLE_AGAIN_MS
            _log.warning("the whole list of opt-outs cannot be compared", extra={"messaging_profile_id": tally.profile})
            return
        gone = [one for one in standing if one.number_hash not in whole.listed]
        for number, one in enumerate(gone):
            if number % RENEW_EVERY == 0:
                self._keep(owner, tally.profile, self._cursors.load(tally.profile), stopped)
            tally.lifted += self._registry.lift(tally.profile, one)

    def _read_whole(
        self, owner: str, tally: _Tally, standing: list[Standing], tell: Tell, stopped: Callable[[], bool]
    ) -> _Whole:
        if any(one.entry.at_ms > self._now_ms() - LIST_LAG_MS for one in standing):
            self._sleep(LIST_LAG_MS / 1000)
        tally.whole = whole = _Whole()
        for _ in self._pages(tally, 0, None, 0, tell):
            self._keep(owner, tally.profile, self._cursors.load(tally.profile), stopped)
        return whole

    def _keep(self, owner: str, profile: str, cursor: Cursor, stopped: Callable[[], bool]) -> None:
        if not self._cursors.advance(owner, profile, cursor) or stopped():
            raise _Interrupted

    def _pages(self, tally: _Tally, since_ms: int, until_ms: int | None, resume: int, tell: Tell) -> Iterator[int]:
        """Read and write a window's pages; after each, the number of the highest that is still to be read."""
        read_before = tally.read

        def ask(number: int, *, numbered: bool) -> BlockPage:
            page = self._source.blocks(tally.profile, since_ms=since_ms, until_ms=until_ms, page=number)
            if numbered and page.number != number:
                raise CarrierUnavailable("The carrier's pages of opt-outs are not those that were asked for.")
            for block in page.blocks:
                self._write(block, tally)
            if tally.whole is not None:
                self._see(page, number, tally.whole)
            tell(tally.read, max(tally.read, read_before + page.total_results))
            return page

        # The first page tells how many there are. If it is not the only one it is read again at the end, for what
        # moves to it meanwhile.
        first = ask(1, numbered=False)
        total = first.total_pages
        left = min(resume or total, total) if total > 1 else 0
        while left > 0:
            yield left
            # Where the first page already calls itself another one, as in a static mock, the numbers mean nothing.
            ask(left, numbered=first.number == 1)
            left -= 1

    def _see(self, page: BlockPage, number: int, whole: _Whole) -> None:
        whole.totals.add(page.total_results)
        whole.entries[number] = len(page.blocks)
        whole.usable = whole.usable and page.number == number
        for block in page.blocks:
            if not phone.is_e164(block.to):
                whole.usable = False  # redacted: anybody may be behind it
                return
            whole.listed.add(self._hash(block.to))

    def _hash(self, number: str) -> str:
        with contextlib.suppress(InvalidNumber):  # a number that no plan holds any more stands for itself
            number = phone.parse(number).e164
        return self._ids.number_hash(number)

    def _write(self, block: Block, tally: _Tally) -> None:
        tally.read += 1
        try:
            person = phone.parse(block.to)
        except InvalidNumber:
            tally.skipped += 1
            return
        entry = OptOut(
            messaging_profile_id=block.messaging_profile_id or tally.profile,
            opted_out=True,
            # A carrier's clock that is ahead of ours must not outdo the person's next word.
            at_ms=min(block.created_ms, self._now_ms()),
            keyword=block.keyword,
            source=optout.Source.LIST,
        )
        try:
            outcome = self._registry.record(self._ids.number_hash(person.e164), person.mask, entry, None)
        except StoreUnavailable:
            tally.missed += 1
        else:
            tally.changed += outcome == "changed"
