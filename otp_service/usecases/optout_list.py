"""Reading the carrier's list of opt-outs for one messaging profile, and recording its entries in our registry.

Pages are asked for by number, from the last to the first. When a person opts in again meanwhile, the entries behind
theirs move towards the front, to pages that are still to be read, so none is missed. Recording an entry again changes
nothing, and an entry only ever blocks.
"""

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from ..domain import optout, phone
from ..domain.errors import CarrierUnavailable, InvalidNumber, StoreUnavailable
from ..domain.ids import Ids
from ..domain.optout_list import Block, BlockPage, OptOut
from . import ports

Progress = Callable[[int, int], None]
"""Called after each page: how many entries were read, of how many."""


@dataclass(slots=True)
class Counts:
    """Entries read, those that changed the registry, those without a possible number, those the store did not take."""

    read: int = 0
    changed: int = 0
    skipped: int = 0
    failed: int = 0

    def require_recorded(self) -> None:
        """Raises StoreUnavailable if an entry could not be recorded."""
        if self.failed:
            raise StoreUnavailable(f"{self.failed} opt-outs could not be written; they are read again.")


@dataclass(slots=True)
class WholeList:
    """What one reading of a whole list saw: the numbers' hashes, entries by page, and the totals that pages gave."""

    number_hashes: set[str] = field(default_factory=set)
    entries: dict[int, int] = field(default_factory=dict)
    totals: set[int] = field(default_factory=set)
    usable: bool = True

    def is_complete(self) -> bool:
        """Whether the reading saw every entry, unchanged meanwhile and with its number."""
        return self.usable and self.totals == {sum(self.entries.values())}

    def add(self, page: BlockPage, number: int, ids: Ids) -> None:
        """Add the page that was asked for as `number`."""
        self.totals.add(page.total_results)
        self.entries[number] = len(page.blocks)
        # A redacted number may be anybody's.
        whole_numbers = all(phone.is_e164(block.to) for block in page.blocks)
        self.usable = self.usable and page.number == number and whole_numbers
        if whole_numbers:
            self.number_hashes |= {_number_hash(ids, block.to) for block in page.blocks}


class OptoutList:
    """One profile's list, as one pass reads it. `now_ms` is Unix milliseconds. `counts` grows with every page."""

    def __init__(
        self,
        profile: str,
        *,
        source: ports.BlockList,
        registry: ports.OptOutRegistry,
        ids: Ids,
        now_ms: Callable[[], int],
        progress: Progress,
    ) -> None:
        self._profile = profile
        self._source = source
        self._registry = registry
        self._ids = ids
        self._now_ms = now_ms
        self._progress = progress
        self.counts = Counts()

    def pages(
        self, since_ms: int, until_ms: int | None = None, *, resume: int = 0, whole: WholeList | None = None
    ) -> Iterator[int]:
        """Read and record what was created in a window of time; before each page but the first, its number.

        `until_ms` None: up to now. `resume`: the highest page that is still to be read; 0 for all. `whole` is given
        every page. Raises CarrierUnavailable. What the store does not take is counted.
        """
        read_before = self.counts.read

        def read(number: int, *, numbered: bool) -> BlockPage:
            page = self._source.blocks(self._profile, since_ms=since_ms, until_ms=until_ms, page=number)
            if numbered and page.number != number:
                raise CarrierUnavailable("The carrier's pages of opt-outs are not those that were asked for.")
            self._record_page(page)
            if whole is not None:
                whole.add(page, number, self._ids)
            self._progress(self.counts.read, max(self.counts.read, read_before + page.total_results))
            return page

        # The first page says how many there are. If it is not the only one it is read again at the end, for what
        # moves to it meanwhile.
        first = read(1, numbered=False)
        total = first.total_pages
        left = min(resume or total, total) if total > 1 else 0
        while left > 0:
            yield left
            # Where the first page already gives itself another number, as in a static mock, numbers mean nothing.
            read(left, numbered=first.number == 1)
            left -= 1

    def _record_page(self, page: BlockPage) -> None:
        for block in page.blocks:
            self.counts.read += 1
            try:
                person = phone.parse(block.to)
            except InvalidNumber:
                self.counts.skipped += 1
            else:
                self._record(person, block)

    def _record(self, person: phone.Phone, block: Block) -> None:
        try:
            outcome = self._registry.record(
                self._ids.number_hash(person.e164), person.mask, self._entry(block), event_id=None
            )
        except StoreUnavailable:
            self.counts.failed += 1
        else:
            self.counts.changed += outcome == "changed"

    def _entry(self, block: Block) -> OptOut:
        return OptOut(
            messaging_profile_id=block.messaging_profile_id or self._profile,
            opted_out=True,
            # A carrier's clock that is ahead of ours must not outdo the person's next keyword.
            at_ms=min(block.created_ms, self._now_ms()),
            keyword=block.keyword,
            source=optout.Source.LIST,
        )


def _number_hash(ids: Ids, number: str) -> str:
    with contextlib.suppress(InvalidNumber):  # a number that no plan holds any more stands for itself
        number = phone.parse(number).e164
    return ids.number_hash(number)
