"""Reading the carrier's list of opt-outs: nobody on it is missed, whatever happens while it is read."""

from collections.abc import Callable
from dataclasses import dataclass, field
from types import MappingProxyType

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from otp_service.domain.errors import CarrierUnavailable, NotReady, StoreUnavailable
from otp_service.domain.operation import Block, BlockPage, Cursor, OptOut, Standing
from otp_service.domain.policy import Policy, Sender, SenderKind
from otp_service.domain.verification import number_hash
from otp_service.keyring import create, parse
from otp_service.usecases.reconcile import (
    LIST_LAG_MS,
    PATIENCE_MS,
    RETRY_MS,
    SETTLED_MS,
    WHOLE_AGAIN_MS,
    WHOLE_MS,
    Reconcile,
)

NOW = 1_800_000_000_000
DAY = 86_400_000
VAULT = parse(create(lambda n: bytes(range(n)), "2026-01-01T00:00:00Z"))
A, B = "profile-a", "profile-b"


def person(n: int) -> str:
    """The n-th person's number."""
    return f"+1202{2_000_000 + n}"


def hashed(n: int) -> str:
    """The n-th person's keyed hash."""
    return number_hash(VAULT.index_key, person(n))


class Killed(BaseException):
    """The process ends here and now."""


@dataclass
class FakeList:
    """The carrier's list, three entries a page. `before` runs before each answer and may change the list or raise."""

    blocks_: dict[str, list[Block]] = field(default_factory=lambda: {A: [], B: []})
    before: Callable[[int], None] = lambda _: None
    newest_first: bool = False
    asked: list[tuple[str, int, int | None, int]] = field(default_factory=list)

    def add(self, profile: str, *people: int, at_ms: int = NOW - DAY) -> None:
        """Have people opt out."""
        self.blocks_[profile] += [Block(person(n), profile, "STOP", at_ms + n) for n in people]

    def blocks(self, profile: str, *, since_ms: int, until_ms: int | None, page: int) -> BlockPage:
        """One page, as the carrier would answer now."""
        self.before(len(self.asked))
        self.asked.append((profile, since_ms, until_ms, page))
        found = sorted(
            (b for b in self.blocks_[profile] if since_ms <= b.created_ms <= (until_ms or b.created_ms)),
            key=lambda block: block.created_ms,
            reverse=self.newest_first,
        )
        return BlockPage(tuple(found[(page - 1) * 3 : page * 3]), page, -(-len(found) // 3), len(found))


@dataclass
class FakeRegistry:
    """Keeps the latest wish, as the real one does."""

    known: dict[tuple[str, str], OptOut] = field(default_factory=dict)
    puts: int = 0
    down: bool = False
    away: set[str] = field(default_factory=set)
    """Hashes of numbers whose shard does not answer."""

    def put(self, number_hash: str, mask: str, entry: OptOut, event_id: str | None) -> str:
        """Write a wish down."""
        assert event_id is None
        assert "*" in mask
        if self.down or number_hash in self.away:
            raise StoreUnavailable("The store does not answer.")
        self.puts += 1
        was = self.known.get((entry.messaging_profile_id, number_hash))
        if was is not None and was.at_ms > entry.at_ms:
            return "older"
        self.known[entry.messaging_profile_id, number_hash] = entry
        return "same" if was is not None and was.opted_out == entry.opted_out else "changed"

    def of(self, number_hash: str) -> list[OptOut]:
        """Everything known of one number."""
        return [entry for (_, number), entry in self.known.items() if number == number_hash]

    def standing(self, profile: str) -> list[Standing]:
        """Every opt-out of a profile."""
        if self.away:
            raise StoreUnavailable("The store does not answer.")
        return [
            Standing(number, "+1******0001", entry, repr(entry))
            for (of, number), entry in self.known.items()
            if of == profile and entry.opted_out
        ]

    def lift(self, profile: str, standing: Standing) -> bool:
        """Forget an entry that has not changed."""
        if repr(self.known.get((profile, standing.number_hash))) != standing.value:
            return False
        del self.known[profile, standing.number_hash]
        return True

    def note_unclear(self, number_hash: str, mask: str, profile: str | None) -> None:
        """Nobody replies here."""

    def blocked(self, profile: str) -> set[str]:
        """The hashes of those who are opted out."""
        return {number for (of, number), entry in self.known.items() if of == profile and entry.opted_out}


@dataclass
class FakeCursors:
    """A lease without a clock: it is there or not."""

    kept: dict[str, Cursor] = field(default_factory=dict)
    holder: str | None = None
    rest_ms: int | None = None
    wait_ms: int = 1_000

    def take(self, owner: str, *, force: bool) -> int:
        """Become the reader."""
        if self.holder is not None:
            return self.wait_ms
        if self.rest_ms and not force:
            return self.rest_ms
        self.holder = owner
        return 0

    def load(self, profile: str) -> Cursor:
        """How far it is read."""
        return self.kept.get(profile, Cursor())

    def save(self, owner: str, profile: str, cursor: Cursor) -> bool:
        """Write it down."""
        if self.holder != owner:
            return False
        self.kept[profile] = cursor
        return True

    def end(self, owner: str, rest_ms: int) -> None:
        """Stop being the reader."""
        if self.holder == owner:
            self.holder, self.rest_ms = None, rest_ms


@dataclass
class World:
    """One installation: what is behind the ports, and the story."""

    source: FakeList = field(default_factory=FakeList)
    registry: FakeRegistry = field(default_factory=FakeRegistry)
    cursors: FakeCursors = field(default_factory=FakeCursors)
    now_ms: int = NOW
    counted: list[str] = field(default_factory=list)
    slept: list[float] = field(default_factory=list)
    passes: int = 0

    def story(self) -> Reconcile:
        """The story of a fresh process."""
        senders = {
            "pool": Sender("pool", SenderKind.NUMBER_POOL, A, None, 20.0),
            "backup": Sender("backup", SenderKind.LONG_CODE, A, "+18445550001", 20.0),
            "other": Sender("other", SenderKind.LONG_CODE, B, "+18445550002", 20.0),
        }
        self.passes += 1
        return Reconcile(
            source=self.source,
            registry=self.registry,
            cursors=self.cursors,
            vault=VAULT,
            policy=Policy(MappingProxyType({}), MappingProxyType(senders)),
            interval_ms=900_000,
            now_ms=lambda: self.now_ms,
            token=lambda: f"pass-{self.passes}",
            count=self.counted.append,
            sleep=self.slept.append,
        )

    def run(self) -> None:
        """A pass of a process that has just started, from its beginning to its end."""
        assert self.story().on_timer(starting=True, stopped=lambda: False) is not None

    def sync(self) -> dict[str, int]:
        """The command; how many opt-outs it lifted, by profile."""
        return {one.profile: one.lifted for one in self.story().now(lambda *_: None, lambda _: None)}

    def heard(self, *people: int, out: bool = True, at_ms: int = NOW - DAY, source: str = "inbound") -> None:
        """People wrote to profile A."""
        for n in people:
            self.registry.known[A, hashed(n)] = OptOut(A, out, at_ms, "STOP" if out else "START", source)


@pytest.fixture
def world() -> World:
    """An empty installation."""
    return World()


def test_everybody_on_the_list_is_blocked_in_their_profile(world: World) -> None:
    """All pages of all profiles, each profile once, and each block as old as the carrier says."""
    world.source.add(A, *range(10))
    world.source.add(B, *range(5, 7))
    done = world.story().on_timer(starting=True, stopped=lambda: False)
    assert done is not None
    assert [(one.profile, one.changed, one.skipped) for one in done] == [(A, 10, 0), (B, 2, 0)]
    assert world.registry.blocked(A) == {hashed(n) for n in range(10)}
    assert world.registry.blocked(B) == {hashed(5), hashed(6)}
    entry = world.registry.known[A, hashed(3)]
    assert (entry.at_ms, entry.keyword, entry.source) == (NOW - DAY + 3, "STOP", "list")
    assert world.counted == ["done"]


def test_the_second_pass_reads_the_new_only(world: World) -> None:
    """What is older than an hour is read once; what is younger is read again, in case it showed late."""
    world.source.add(A, *range(10))
    process = world.story()

    def turn(*, starting: bool = False) -> None:
        world.cursors.rest_ms = None
        assert process.on_timer(starting=starting, stopped=lambda: False) is not None

    turn(starting=True)
    world.source.add(A, 20, at_ms=NOW - 60_000)
    before = world.registry.puts
    turn()
    assert world.registry.puts - before == 1
    world.now_ms += SETTLED_MS * 2
    turn()
    turn()
    assert world.registry.puts - before == 2
    assert hashed(20) in world.registry.blocked(A)


@pytest.mark.parametrize("newest_first", [False, True])
@given(
    blocks=st.integers(0, 20),
    gone=st.lists(st.tuples(st.integers(0, 15), st.integers(0, 19)), max_size=8),
    killed=st.lists(st.integers(0, 12), max_size=3),
)
@settings(max_examples=150, deadline=None)
def test_nobody_is_missed_while_others_opt_in_and_processes_are_killed(
    newest_first: bool, blocks: int, gone: list[tuple[int, int]], killed: list[int]
) -> None:
    """Entries vanish before any page, processes die before any page: all who stayed on the list are blocked."""
    world = World(source=FakeList(newest_first=newest_first))
    world.source.add(A, *range(blocks))
    steps = iter(range(1_000))
    deaths = set(killed)

    def before(_: int) -> None:
        step = next(steps)
        for when, who in gone:
            if when == step:
                world.source.blocks_[A] = [b for b in world.source.blocks_[A] if b.to != person(who)]
        if step in deaths:
            raise Killed

    world.source.before = before
    for _ in range(len(deaths) + 1):
        try:
            world.run()
        except Killed:
            world.cursors.holder = None  # the lease has run out
    stayed = {hashed(n) for n in range(blocks)} - {hashed(who) for _, who in gone}
    assert stayed <= world.registry.blocked(A)


def test_who_goes_on_after_a_crash_begins_where_it_happened(world: World) -> None:
    """Pages that were read before a kill are not read again, but for the first, which tells how many there are."""
    world.source.add(A, *range(30))

    def die(asked: int) -> None:
        if asked == 6:
            raise Killed

    world.source.before = die
    with pytest.raises(Killed):
        world.run()
    assert [page for *_, page in world.source.asked] == [1, 10, 9, 8, 7, 6]
    assert world.cursors.kept[A].page == 5
    world.cursors.holder, world.source.before = None, lambda _: None
    world.now_ms += 10 * DAY
    world.run()
    assert [page for profile, *_, page in world.source.asked[6:] if profile == A][:6] == [1, 5, 4, 3, 2, 1]
    assert world.registry.blocked(A) == {hashed(n) for n in range(30)}
    # The window is that of the pass which was killed, whatever time it is by now.
    assert {until for profile, _, until, _ in world.source.asked if profile == A} == {NOW - SETTLED_MS, None}


def test_who_came_back_stays_opted_in(world: World) -> None:
    """An entry older than the person's START changes nothing."""
    world.source.add(A, 1)
    start = OptOut(A, False, NOW - 60_000, "START", "inbound")
    world.registry.put(hashed(1), "+1******0001", start, None)
    world.run()
    assert world.registry.blocked(A) == set()


def test_a_clock_ahead_does_not_outdo_the_next_word(world: World) -> None:
    """A block dated in the future counts from when we learned of it, so that a START after it is heard."""
    world.source.add(A, 1, at_ms=NOW + DAY)
    world.run()
    assert world.registry.known[A, hashed(1)].at_ms == NOW


def test_entries_that_name_nobody_are_counted_and_passed_over(world: World) -> None:
    """A masked number or a name blocks nobody and stops nothing."""
    world.source.blocks_[A] = [Block("+1202555****", A, "STOP", NOW - DAY), Block("ACME", None, None, 0)]
    world.source.add(A, 7)
    done = world.story().on_timer(starting=True, stopped=lambda: False)
    assert done is not None
    assert (done[0].skipped, done[0].changed) == (2, 1)


def test_an_entry_without_a_profile_belongs_to_the_one_that_was_asked_for(world: World) -> None:
    """The carrier may leave it out."""
    world.source.blocks_[A] = [Block(person(1), None, None, 0)]
    world.run()
    assert world.registry.blocked(A) == {hashed(1)}


def test_a_carrier_that_fails_is_asked_again_soon(world: World) -> None:
    """The pass ends, its place is kept, the right to read is free, and the next one comes after a minute."""
    world.source.add(A, *range(9))

    def fail(asked: int) -> None:
        if asked == 2:
            raise CarrierUnavailable("The carrier does not answer.")

    world.source.before = fail
    with pytest.raises(CarrierUnavailable):
        world.run()
    assert (world.cursors.holder, world.cursors.rest_ms, world.counted) == (None, RETRY_MS, ["failed"])
    assert world.cursors.kept[A].page == 2


def test_a_carrier_that_does_not_turn_its_pages_is_found_out(world: World) -> None:
    """A list whose every page is the first does not pass for read."""
    world.source.add(A, *range(9))
    turn = world.source.blocks
    world.source.blocks = lambda profile, **asked: turn(profile, **(asked | {"page": 1}))  # type: ignore[method-assign]
    with pytest.raises(CarrierUnavailable, match="pages"):
        world.run()
    assert world.cursors.load(A).done_ms == 0


def test_a_store_that_fails_ends_the_pass(world: World) -> None:
    """Nothing is called read that could not be written."""
    world.source.add(A, *range(9))
    world.registry.down = True
    with pytest.raises(StoreUnavailable):
        world.run()
    assert world.cursors.load(A).done_ms == 0


@pytest.mark.parametrize("old", [True, False])
def test_a_shard_that_is_away_costs_its_own_entries_only(world: World, old: bool) -> None:
    """The others are blocked, in all profiles; the pass counts as failed and is made again, from where it began."""
    at = {} if old else {"at_ms": NOW}
    world.source.add(A, *range(9), **at)
    world.source.add(B, *range(3), **at)
    world.registry.away = {hashed(0), hashed(7)}
    with pytest.raises(StoreUnavailable):
        world.run()
    assert world.registry.blocked(A) == {hashed(n) for n in range(9) if n not in (0, 7)}
    assert world.registry.blocked(B) == {hashed(1), hashed(2)}
    assert world.cursors.load(A).done_ms == 0
    assert world.counted == ["failed"]
    world.registry.away = set()
    world.run()
    assert world.registry.blocked(A) == {hashed(n) for n in range(9)}
    assert world.registry.blocked(B) == {hashed(n) for n in range(3)}


def test_a_worker_that_ends_leaves_at_the_next_page(world: World) -> None:
    """It gives the right to read back, so that another worker goes on at once."""
    world.source.add(A, *range(9))
    assert world.story().on_timer(starting=True, stopped=lambda: True) is None
    assert (world.cursors.holder, world.cursors.rest_ms, len(world.source.asked)) == (None, 0, 1)
    assert world.counted == ["interrupted"]


def test_a_reader_that_was_overtaken_stops(world: World) -> None:
    """It writes no cursor any more and does not take the list from its new reader."""
    world.source.add(A, *range(9))

    def overtake(asked: int) -> None:
        if asked == 1:
            world.cursors.holder = "another"

    world.source.before = overtake
    assert world.story().on_timer(starting=True, stopped=lambda: False) is None
    assert world.cursors.holder == "another"
    assert world.cursors.load(A).page == 3


def test_the_timer_leaves_a_list_that_rests(world: World) -> None:
    """Many workers with many timers read it once in an interval; each reads it when it starts."""
    world.run()
    asked = len(world.source.asked)
    assert world.story().on_timer(starting=False, stopped=lambda: False) is None
    assert len(world.source.asked) == asked
    assert world.cursors.rest_ms == 900_000
    world.run()
    assert len(world.source.asked) > asked


def test_a_person_waits_for_the_pass_that_is_under_way(world: World) -> None:
    """`now` begins when the other one has ended, and tells how far it is."""
    world.source.add(A, *range(4))
    world.cursors.holder = "another"
    slept: list[float] = []

    def sleep(seconds: float) -> None:
        slept.append(seconds)
        world.cursors.holder = None

    told: list[tuple[int, int]] = []
    done = world.story().now(lambda read, of: told.append((read, of)), sleep)
    assert slept == [0.5]
    assert sum(one.changed for one in done) == 4
    assert told[0] == (3, 4)
    assert all(read <= of for read, of in told)


def test_a_person_does_not_wait_for_ever(world: World) -> None:
    """If the other pass does not end, the command says so."""
    world.cursors.holder = "another"
    slept: list[float] = []
    with pytest.raises(NotReady, match="another process"):
        world.story().now(lambda *_: None, slept.append)
    assert sum(slept) >= PATIENCE_MS / 1000


# ---- the whole list lifts -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("source", ["inbound", "carrier", "list"])
@pytest.mark.parametrize("listed", [0, 1, 3, 10])
def test_a_start_that_never_reached_us_is_made_up_for(world: World, source: str, listed: int) -> None:
    """STOP was heard, START was lost: the list, read to its end, does not hold the person any more."""
    world.source.add(A, *range(listed))
    world.heard(99, source=source)
    world.heard(*range(listed))
    assert world.sync() == {A: 1, B: 0}
    assert world.registry.blocked(A) == {hashed(n) for n in range(listed)}
    assert world.sync() == {A: 0, B: 0}


def test_what_only_we_understood_is_not_lifted(world: World) -> None:
    """The carrier does not know the word ARRET, so its list says nothing about it."""
    world.heard(1, source="reply")
    assert world.sync() == {A: 0, B: 0}
    assert world.registry.blocked(A) == {hashed(1)}


def test_another_profiles_list_lifts_nothing_here(world: World) -> None:
    """Each profile's registry is compared with its own list."""
    world.source.add(A, 1)
    world.heard(1)
    world.registry.known[B, hashed(1)] = OptOut(B, True, NOW - DAY, "STOP", "inbound")
    assert world.sync() == {A: 0, B: 1}
    assert world.registry.blocked(A) == {hashed(1)}


@pytest.mark.parametrize("to", ["+447766****", "+1202555****", "ACME", "+1 202 555 0143"])
def test_a_redacted_list_lifts_nothing(world: World, to: str) -> None:
    """Anybody may be behind a number that is not told."""
    world.source.blocks_[A] = [Block(to, A, "STOP", NOW - DAY)]
    world.heard(1)
    assert world.sync() == {A: 0, B: 0}
    assert world.registry.blocked(A) == {hashed(1)}


def test_a_number_that_no_plan_holds_does_not_stop_the_comparison(world: World) -> None:
    """It can be compared as it stands."""
    world.source.blocks_[A] = [Block("+9999999999", A, "STOP", NOW - DAY)]
    world.heard(1)
    assert world.sync() == {A: 1, B: 0}


@pytest.mark.parametrize("newest_first", [False, True])
@pytest.mark.parametrize("change", ["more", "fewer"])
@given(when=st.integers(0, 12))
@settings(max_examples=30, deadline=None)
def test_a_list_that_changes_while_it_is_read_lifts_nobody_on_it(newest_first: bool, change: str, when: int) -> None:
    """Whoever stands on the list from beginning to end stays blocked."""
    world = World(source=FakeList(newest_first=newest_first))
    world.source.add(A, *range(11))
    world.heard(*range(11), 99)

    def before(asked: int) -> None:
        if asked == when and change == "more":
            world.source.add(A, 50, at_ms=NOW)
        elif asked == when:
            world.source.blocks_[A] = [block for block in world.source.blocks_[A] if block.to != person(4)]

    world.source.before = before
    world.sync()
    assert {hashed(n) for n in range(11) if n != 4} <= world.registry.blocked(A)


@pytest.mark.parametrize("page_size", [2, 4])
def test_a_list_that_tells_more_than_it_shows_lifts_nothing(world: World, page_size: int) -> None:
    """Entries that the carrier counts and does not show may be anybody's."""
    world.source.add(A, *range(7))
    world.heard(*range(7), 99)
    turn = world.source.blocks

    def short(profile: str, *, since_ms: int, until_ms: int | None, page: int) -> BlockPage:
        full = turn(profile, since_ms=since_ms, until_ms=until_ms, page=page)
        return BlockPage(full.blocks[:page_size][:2], full.number, full.total_pages, full.total_results)

    world.source.blocks = short  # type: ignore[method-assign]
    assert world.sync() == {A: 0, B: 0}


def test_who_stops_while_the_list_is_read_stays_blocked(world: World) -> None:
    """A STOP, a new one of somebody known too, that comes after the reading began is not on the pages read before."""
    world.heard(1, 2)

    def before(asked: int) -> None:
        if asked == 0:
            world.heard(2, 3, at_ms=NOW)

    world.source.before = before
    assert world.sync() == {A: 1, B: 0}
    assert world.registry.blocked(A) == {hashed(2), hashed(3)}


def test_a_fresh_stop_is_given_time_to_show_on_the_list(world: World) -> None:
    """The list is read two seconds after the youngest opt-out that it is compared with."""
    world.heard(1, at_ms=NOW - 100)
    world.sync()
    assert world.slept == [LIST_LAG_MS / 1000]
    world.heard(1, at_ms=NOW - LIST_LAG_MS)
    world.sync()
    assert len(world.slept) == 1


def test_a_reading_that_fails_lifts_nothing(world: World) -> None:
    """Neither when the carrier stops answering nor when another process takes over."""
    world.source.add(A, *range(9))
    world.heard(99)

    def fail(asked: int) -> None:
        if asked == 8:
            raise CarrierUnavailable("The carrier does not answer.")

    world.source.before = fail
    with pytest.raises(CarrierUnavailable):
        world.sync()
    assert hashed(99) in world.registry.blocked(A)


def test_the_whole_list_is_read_at_the_start_and_once_a_day(world: World) -> None:
    """Between them only news is read; a list that could not be compared is tried again after an hour."""
    process = world.story()

    def turn(after_ms: int, *, starting: bool = False) -> bool:
        world.now_ms += after_ms
        world.heard(1, at_ms=NOW - DAY)
        world.cursors.rest_ms = None
        process.on_timer(starting=starting, stopped=lambda: False)
        return hashed(1) not in world.registry.blocked(A)

    assert turn(0, starting=True)
    assert not turn(WHOLE_MS - 1)
    assert turn(1)
    world.source.blocks_[A] = [Block("+447766****", A, "STOP", NOW - DAY)]
    assert not turn(WHOLE_MS)
    world.source.blocks_[A] = []
    assert not turn(WHOLE_AGAIN_MS - 1)
    assert turn(1)
