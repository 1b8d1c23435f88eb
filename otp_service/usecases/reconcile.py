"""Keeping the opt-out registry complete: the carrier's own list, written into it profile by profile.

Webhooks tell of a STOP at once, but a webhook can be lost, and people opted out before the service was there.

A profile's list is read in two windows of time. What is older than an hour is read between the cursor and that edge:
nothing new can appear in there, and only the end of this window moves the cursor. What is younger is read at every
pass, so an entry that the carrier shows late is found by a later pass.

Pages are asked for by number, from the last to the first: when somebody opts in again meanwhile, the entries behind
move towards the front, to pages that are still to be read, and none slips through. After each page the cursor says
which ones are left, so whoever goes on after a crash begins there. Writing an entry again changes nothing.

An entry only ever blocks. That somebody is no longer on the list says nothing that could not be a hiccup: the registry
hears of a START by its webhook.
"""

import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from ..domain import phone
from ..domain.errors import CarrierUnavailable, InvalidNumber, NotReady, StoreUnavailable
from ..domain.operation import Block, BlockPage, Cursor, OptOut
from ..domain.policy import Policy
from ..domain.verification import number_hash
from . import ports

SETTLED_MS = 3_600_000
"""Nothing older than this can newly appear in the carrier's list, and no two clocks are so far apart."""

RETRY_MS = 60_000
"""After a pass that failed, the next one comes so soon."""

PATIENCE_MS = 120_000
"""How long a person at a shell waits for another process's pass to end."""

Tell = Callable[[int, int], None]
"""Hears how many entries were read, of how many."""

_log = logging.getLogger("otp.reconcile")


@dataclass(frozen=True, slots=True)
class Reconciled:
    """What a pass did for one profile: entries read, wishes that were news, entries that name no possible number."""

    profile: str
    read: int
    changed: int
    skipped: int


@dataclass(slots=True)
class _Tally:
    profile: str
    read: int = 0
    changed: int = 0
    skipped: int = 0


class _Interrupted(Exception):
    """The pass ends before its end: the process stops, or another one has taken over."""


def _after(before: int, tell: Tell) -> Tell:
    return lambda read, of: tell(before + read, before + of)


class Reconcile:
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
    ) -> None:
        self._source = source
        self._registry = registry
        self._cursors = cursors
        self._key = vault.index_key
        self._profiles = sorted({sender.messaging_profile_id for sender in policy.senders.values()})
        self._interval_ms = interval_ms
        self._now_ms = now_ms
        self._token = token
        self._count = count

    def on_timer(self, *, starting: bool, stopped: Callable[[], bool]) -> list[Reconciled] | None:
        """Make a pass if one is due (`starting`: or the process has just begun) and nobody else is at it.

        None if there was nothing to do. `stopped` is asked between pages. Raises CarrierUnavailable and
        StoreUnavailable; the next pass goes on where this one ended.
        """
        owner = self._token()
        if self._cursors.take(owner, force=starting) > 0:
            return None
        return self._pass(owner, lambda *_: None, stopped)

    def now(self, tell: Tell, sleep: Callable[[float], object]) -> list[Reconciled]:
        """Make a pass, after the one that may be under way. `tell` hears how many entries were read, of how many.

        Raises CarrierUnavailable, StoreUnavailable, and NotReady if another process does not come to an end.
        """
        owner, waited_ms = self._token(), 0
        while (wait_ms := self._cursors.take(owner, force=True)) > 0:
            if waited_ms >= PATIENCE_MS:
                raise NotReady("another process is reading the list and has not finished; try again later")
            sleep(min(wait_ms, 500) / 1000)
            waited_ms += min(wait_ms, 500)
        done = self._pass(owner, tell, lambda: False)
        if done is None:
            raise NotReady("another process took over the reading of the list; try again later")
        return done

    def _pass(self, owner: str, tell: Tell, stopped: Callable[[], bool]) -> list[Reconciled] | None:
        done: list[Reconciled] = []
        try:
            for profile in self._profiles:
                before = sum(one.read for one in done)
                done.append(self._profile(owner, profile, _after(before, tell), stopped))
        except _Interrupted:
            self._count("interrupted")
            self._cursors.end(owner, 0)
            return None
        except (CarrierUnavailable, StoreUnavailable):
            self._count("failed")
            self._cursors.end(owner, min(RETRY_MS, self._interval_ms))
            raise
        self._cursors.end(owner, self._interval_ms)
        self._count("done")
        return done

    def _profile(self, owner: str, profile: str, tell: Tell, stopped: Callable[[], bool]) -> Reconciled:
        tally = _Tally(profile)
        cursor = self._cursors.load(profile)
        if cursor.page == 0:
            cursor = Cursor(cursor.done_ms, max(cursor.done_ms, self._now_ms() - SETTLED_MS))
        if cursor.edge_ms > cursor.done_ms:
            for left in self._pages(tally, cursor.done_ms, cursor.edge_ms, cursor.page, tell):
                self._keep(owner, profile, Cursor(cursor.done_ms, cursor.edge_ms, left), stopped)
        settled = Cursor(done_ms=cursor.edge_ms)
        self._keep(owner, profile, settled, stopped)
        for _ in self._pages(tally, settled.done_ms, None, 0, tell):
            self._keep(owner, profile, settled, stopped)
        result = Reconciled(profile, tally.read, tally.changed, tally.skipped)
        extra = {"messaging_profile_id": profile, "read": tally.read, "changed": tally.changed}
        _log.info("opt-outs read", extra={**extra, "skipped": tally.skipped})
        return result

    def _keep(self, owner: str, profile: str, cursor: Cursor, stopped: Callable[[], bool]) -> None:
        if not self._cursors.save(owner, profile, cursor) or stopped():
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
            source="list",
        )
        if self._registry.put(number_hash(self._key, person.e164), person.mask, entry, None) == "changed":
            tally.changed += 1
