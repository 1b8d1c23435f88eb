"""The pumping guard over the store: whom it counts, whom it leaves alone, and that budgets are exact."""

import json
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from subprocess import PIPE

import pytest

from otp_service.domain.addresses import KeptClientIp
from otp_service.domain.admission import OuterAnswer
from otp_service.domain.checking import Approved
from otp_service.domain.denial import Denial
from otp_service.domain.ending import Ended, NotFound
from otp_service.domain.guard.policy import DAY_MS, HOUR_MS, GuardPolicy, Mode
from otp_service.domain.guard.record import read as read_judged
from otp_service.domain.guarding import Converted
from otp_service.domain.phone import Phone
from otp_service.domain.policy import Limit
from otp_service.domain.prices import ExpectedCost
from otp_service.domain.starting import Started, StartRefused, WouldSend
from otp_service.domain.verification import Status
from otp_service.storage import safe_list
from otp_service.storage.schema.encodings import GuardBucket

from .guard import CLOCK, Clocked, GuardedApp, Request
from .harness import CODE, SHARDS, UNCAPPED, StoreHarness, word
from .test_number_caps import ROOT, in_step

ENFORCED = GuardPolicy(monitor_approvals=0)


@pytest.fixture
def app(redis_url: str, redis_server: object) -> Iterator[GuardedApp]:
    """An app whose wide budgets refuse from the first start, by a clock that the test moves."""
    harness = StoreHarness.open(redis_url, Clocked)
    harness.raw.set(CLOCK, harness.now() + DAY_MS)
    yield GuardedApp(harness, ENFORCED)
    harness.close()


def number(line: int, block: str = "2025551") -> str:
    """A number of the block of 1,000."""
    return f"+1{block}{line:03d}"


def sent(app: GuardedApp, count: int, first: int = 0, block: str = "2025551") -> int:
    """How many of so many numbers of one block are sent a code."""
    return sum(isinstance(app.start(number(line, block)), Started) for line in range(first, first + count))


def test_a_refusal_names_the_budget_and_is_on_record(app: GuardedApp) -> None:
    """Once in a while, however many starts it refuses; the start's own event stands with the number."""
    assert sent(app, 12) == 5
    refused = app.start(number(99))
    assert refused == StartRefused("guard_refused", 0, limit="block_1k")
    assert [kind for kind, _ in app.events.found] == ["guard.tripped"]
    assert app.events.found[0][1].keys() == {"budget", "country", "place"}
    assert Counter(budget for _, budget, what in app.counts if what == "refused") == {"block_1k": 8}
    number_hash = app.harness.hash_of(number(99))
    assert [event["type"] for event in app.harness.audited_of(number_hash)] == ["verification.refused"]


def test_old_buckets_are_dropped_faster_than_new_ones_come(app: GuardedApp) -> None:
    """A start adds two at most. Of 200 that are long empty, 150 starts in new blocks leave few."""
    blocks, raw = app.harness.keys.blocks("shop", "US"), app.harness.raw
    long_ago = int(raw.get(CLOCK) or 0) - 3 * DAY_MS
    old = {f"old-{number}" for number in range(200)}
    raw.hset(blocks, mapping=dict.fromkeys(old, GuardBucket.pack("1", long_ago, 0)))
    watched = GuardedApp(app.harness, GuardPolicy(mode=Mode.MONITOR))
    assert sum(sent(watched, 1, block=f"202{block:03d}1") for block in range(200, 350)) == 150
    left = set(raw.hkeys(blocks))
    assert len(left - old) == 300
    assert len(left & old) < 80


def test_the_ends_of_budgets_are_moved_when_that_is_due(app: GuardedApp) -> None:
    """Those of blocks and addresses once an hour, those of the total and the country once a day; whatever is written
    has an end."""
    raw, keys = app.harness.raw, app.harness.keys
    narrow = (keys.blocks("shop", "US"), keys.addresses("shop"))
    wide = (keys.total("shop"), keys.country("shop", "US"))
    soon = 60_000

    def moved(passed_ms: int, line: int, *, approve: bool = False) -> set[str]:
        """Which ends one start more, or its approval, moves."""
        raw.incrby(CLOCK, passed_ms)
        for key in (*narrow, *wide):
            raw.pexpire(key, soon)
        assert isinstance(app.start(number(line), address=f"192.0.2.{line}"), Started)
        if approve:
            assert app.approve(number(line))
        return {key for key in (*narrow, *wide) if raw.pttl(key) > soon}

    raw.set(CLOCK, str((int(raw.get(CLOCK)) // DAY_MS + 1) * DAY_MS))
    assert moved(0, 1) == {*narrow, *wide}
    assert moved(HOUR_MS - 1, 2, approve=True) == set()
    assert moved(1, 3) == set(narrow)
    assert moved(DAY_MS, 4) == {*narrow, *wide}
    assert moved(-DAY_MS, 5) == {*narrow, *wide}, "a clock that is set back moves them"


def test_an_approval_gives_back_in_its_own_step(app: GuardedApp) -> None:
    """The answer says so, and a repeat of it nothing; budgets that cannot be read cost nobody the approval."""
    harness, budgets = app.harness, app.harness.keys.total("shop")
    first, second = app.start(number(1)), app.start(number(2))
    assert isinstance(first, Started)
    assert isinstance(second, Started)
    guess = harness.guess(first.reference, CODE, app.app)
    answers = [harness.verifications.check(guess), harness.verifications.check(guess)]
    assert [(one.given_back, one.converted is None) for one in answers if isinstance(one, Approved)] == [
        ((), False),
        (None, True),
    ]
    assert GuardBucket.parse(harness.raw.hget(budgets, "cold"))[0] == "0.85000000000000009"
    harness.raw.rename(budgets, "aside")
    harness.raw.set(budgets, "damaged")
    answer = harness.check(second.reference, CODE, app.app)
    assert isinstance(answer, Approved)
    assert answer.given_back is None
    harness.raw.rename("aside", budgets)
    app.guard.approved(app.app, answer)
    assert GuardBucket.parse(harness.raw.hget(budgets, "cold"))[0] == "0"


def test_what_was_sent_for_a_subject_is_given_back_later(app: GuardedApp) -> None:
    """The number must be bound to the subject yet, and an approval that is refused gives nothing back."""
    started = app.start(number(1), subject="subject")
    assert isinstance(started, Started)
    answer = app.harness.check(started.reference, CODE, app.app, by_subject="subject")
    assert isinstance(answer, Approved)
    assert answer.given_back is None
    assert answer.converted is not None


def test_budgets_on_another_server_say_the_same(app: GuardedApp) -> None:
    """In a Cluster they are asked between two steps of the number: outcomes, record and budgets are the same."""
    raw, now = app.harness.raw, app.harness.raw.get(CLOCK)
    store = replace(app.harness.store, is_cluster=True)
    seen = []
    for harness in (app.harness, StoreHarness(store, app.harness.keys, app.harness.scripts, app.harness.ring)):
        raw.flushall()
        raw.set(CLOCK, str(now))
        one = GuardedApp(harness, ENFORCED)
        outcomes = lived(one)
        keys = harness.keys
        budgets = [keys.total("shop"), keys.country("shop", "US"), keys.blocks("shop", "US"), keys.addresses("shop")]
        details = [json.loads(event["detail"]) for shard in range(SHARDS) for event in harness.audited_in(shard)]
        judged = sorted((detail.get("code", ""), detail["guard"]) for detail in details if "guard" in detail)
        seen.append((outcomes, one.counts, one.events.found, one.alerts, list(map(raw.hgetall, budgets)), judged))
    assert seen[0] == seen[1]
    assert seen[0][0] == [
        *["counted"] * 5,
        *["", "block_1k", "counted", "known"],
        *["starts_per_number", "would pass", "block_1k", "block_1k"],
    ]


@pytest.mark.parametrize("is_cluster", [False, True])
def test_a_spent_day_answers_before_the_budgets(app: GuardedApp, is_cluster: bool) -> None:
    """They count no refusal that is not on record, and a dry run says the same."""
    harness, to = app.harness, number(99)
    store = replace(harness.store, is_cluster=is_cluster)
    one = GuardedApp(StoreHarness(store, harness.keys, harness.scripts, harness.ring), ENFORCED)
    assert sent(one, 6) == 5
    before = harness.raw.hgetall(harness.keys.blocks("shop", "US"))
    spent = OuterAnswer(ExpectedCost("shop", "US", 1, 1), 3_600_000)
    place = one.guard.place(one.app, Phone(to, "US", 1), Request())
    tried = replace(harness.start_command(to, one.app, spend=spent), guard_place=place)
    for outcome in (one.starts.would_start(tried), one.start(to, spend=spent)):
        assert isinstance(outcome, StartRefused)
        assert (outcome.code, outcome.limit) == ("guard_refused", "spend_limit")
    assert [json.loads(event["detail"])["limit"] for event in harness.audited_of(harness.hash_of(to))] == [
        "spend_limit"
    ]
    assert harness.raw.hgetall(harness.keys.blocks("shop", "US")) == before
    assert [what for *_, what in one.counts].count("refused") == 1


def lived(app: GuardedApp) -> list[str]:
    """Starts of all kinds: counted, paid for by a count, refused by a budget or by the number itself, known, tried."""
    open_block, full_block = "2025661", "2025551"
    once = replace(app.app, starts_per_number=(Limit(1, DAY_MS),))
    outcomes: list[Started | StartRefused | WouldSend] = [
        app.start(number(line), address="192.0.2.7", known_user=line == 1) for line in (0, 1, 2, 3, 4, 0, 7)
    ]
    outcomes.append(app.start(number(8), address="192.0.2.8", known_user=True))
    assert app.approve(number(1))
    outcomes.append(app.start(number(1)))
    app.start(number(9))
    for block in (open_block, full_block):
        to = number(10, block)
        place = app.guard.place(app.app, Phone(to, "US", 1), Request())
        app.harness.start(to, once, purpose="first", per_number=UNCAPPED)
        made = app.harness.start_command(to, once, purpose="second", per_number=UNCAPPED)
        outcomes.append(app.starts.start(replace(made, guard_place=place)))
        tried = app.harness.start_command(number(11, block), app.app, per_number=UNCAPPED)
        outcomes.append(app.starts.would_start(replace(tried, guard_place=place)))
    return [str(getattr(one, "limit", "") or getattr(one, "guarded", "would pass")) for one in outcomes]


@pytest.mark.parametrize("kept", [KeptClientIp.NONE, KeptClientIp.HASHED])
def test_events_hold_as_much_of_addresses_as_is_kept(app: GuardedApp, kept: KeptClientIp) -> None:
    """Under `none` the hash of one fills its budget, and is given back, and stands in no event."""
    one, address = GuardedApp(app.harness, ENFORCED, kept=kept), "192.0.2.9"
    spread = [number(0, f"20255{line:02d}") for line in range(7)]
    started = [isinstance(one.start(to, address=address), Started) for to in spread]
    assert started == [True] * 5 + [False] * 2
    (hashed,) = app.harness.raw.hkeys(app.harness.keys.addresses("shop"))
    budgets = {detail["budget"]: detail.get("place") for _, detail in one.events.found}
    assert budgets == {"address": None if kept is KeptClientIp.NONE else hashed}
    events = [event for to in spread for event in app.harness.audited_of(app.harness.hash_of(to))]
    judged = [read_judged("", json.loads(event["detail"])) for event in events if "guard" in event.get("detail", "")]
    assert {found.start.address for found in judged if found} == ({""} if kept is KeptClientIp.NONE else {hashed})
    assert len(judged) == 7
    assert (hashed in str(events)) is (kept is not KeptClientIp.NONE)
    assert one.approve(spread[0])
    assert isinstance(one.start(spread[5], address=address), Started)


def test_a_known_number_is_never_counted_or_refused(app: GuardedApp) -> None:
    """For 90 days after its approval; nor does it make room or take any."""
    app.start(number(0))
    assert app.approve(number(0))
    assert sent(app, 10, 1) == 5
    before = app.harness.raw.hgetall(app.harness.keys.blocks("shop", "US"))
    for _ in range(20):
        assert isinstance(app.start(number(0)), Started)
    assert app.harness.raw.hgetall(app.harness.keys.blocks("shop", "US")) == before
    app.harness.raw.incrby(CLOCK, 91 * DAY_MS)
    # Its block has become warm, and holds twice as much.
    assert sent(app, 12, 20) == 10
    assert isinstance(app.start(number(0)), StartRefused)


def test_an_approval_gives_back_what_was_taken(app: GuardedApp) -> None:
    """So traffic that converts meets no budget."""
    for line in range(40):
        assert isinstance(app.start(number(line)), Started)
        assert app.approve(number(line))


def test_a_login_that_ended_well_by_another_way_gives_back_once(app: GuardedApp) -> None:
    """Another app's verification is not found."""
    started = app.start(number(0))
    assert isinstance(started, Started)
    assert sent(app, 6, 1) == 4
    assert isinstance(app.numbers.complete(started.reference, "bank", ENFORCED), NotFound)
    found = app.numbers.complete(started.reference, "shop", ENFORCED)
    assert found is not None
    assert isinstance(found, Converted)
    app.guard.converted(app.app, found)
    assert app.numbers.complete(started.reference, "shop", ENFORCED) is None
    assert sent(app, 5, 50) == 1


def test_what_the_person_denied_makes_no_number_known(app: GuardedApp) -> None:
    """Nothing is given back either. What was completed before its person denied it stays completed."""
    app.harness.outbox.open()
    started = [app.start(number(line)) for line in range(2)]
    refs = [one.reference for one in started if isinstance(one, Started)]
    assert isinstance(app.numbers.complete(refs[1], "shop", ENFORCED), Converted)
    now = int(app.harness.raw.get(CLOCK) or 0)
    for ref in refs:
        app.harness.send(ref, ref.token)
        said = Denial(frozenset({"shop"}), frozenset({"pool"}), now, now)
        assert app.harness.verifications.deny(ref, said) == "denied"
    number_key = app.harness.keys.number(refs[0].number_hash)
    before = app.harness.raw.hgetall(number_key)
    for _ in range(2):
        assert app.numbers.complete(refs[0], "shop", ENFORCED) == Ended(Status.DENIED)
        assert app.numbers.complete(refs[1], "shop", ENFORCED) is None
    assert app.harness.raw.hgetall(number_key) == before


def test_an_unknown_number_counts_once(app: GuardedApp) -> None:
    """Two sends to it cost what one costs."""
    for line in range(5):
        assert isinstance(app.start(number(line)), Started)
        assert isinstance(app.start(number(line)), Started)
    assert isinstance(app.start(number(9)), StartRefused)


def test_a_start_that_is_refused_for_another_reason_takes_nothing(app: GuardedApp) -> None:
    """Where both refuse, the budget is the reason."""
    for line in range(30):
        refused = app.start(number(line), queue_max=0)
        assert isinstance(refused, StartRefused)
        assert refused.code == "queue_full"
    assert sent(app, 9) == 5
    refused = app.start(number(99), queue_max=0)
    assert isinstance(refused, StartRefused)
    assert refused.code == "guard_refused"


def test_a_look_says_it_and_counts_nothing(app: GuardedApp) -> None:
    """As a start with `dry_run` does."""

    def look(line: int) -> WouldSend | StartRefused:
        place = app.guard.place(app.app, Phone(number(line), "US", 1), Request())
        made = app.harness.start_command(number(line), app.app, purpose=word("p"), per_number=UNCAPPED)
        made.guard_place = place
        return app.starts.would_start(made)

    assert {type(look(line)) for line in range(20)} == {WouldSend}
    assert sent(app, 9) == 5
    assert look(50) == StartRefused("guard_refused", 0, limit="block_1k")


def test_the_safe_list_and_the_modes_leave_numbers_alone(app: GuardedApp, monkeypatch: pytest.MonkeyPatch) -> None:
    """A number, a block, a country; `off` counts nothing, `monitor` counts and refuses nothing."""
    monkeypatch.setattr(safe_list, "KNOWN_FOR_S", 0.0)
    assert sent(app, 9) == 5
    for entry in (app.safe_list.number(number(77)), app.safe_list.block("+12025553"), "country:CA"):
        assert app.safe_table.add(entry, "test")
        assert not app.safe_table.add(entry, "again")
        assert app.safe_table.all()[entry][1] == "test"
    assert isinstance(app.start(number(77)), Started)
    assert sent(app, 9, 0, "2025553") == 9
    assert all(isinstance(app.start(number(line, "4165550"), "CA"), Started) for line in range(9))
    assert app.safe_table.remove("country:CA")
    assert not all(isinstance(app.start(number(line, "4165551"), "CA"), Started) for line in range(9))
    watched = GuardedApp(app.harness, GuardPolicy(countries={"US": Mode.MONITOR}))
    assert sent(watched, 9, 100) == 9
    assert "monitored" in {what for _, _, what in watched.counts}
    absent = GuardedApp(app.harness, GuardPolicy(mode=Mode.OFF))
    assert sent(absent, 9, 200) == 9
    assert absent.counts == []


def test_with_a_sandbox_fictitious_numbers_are_not_counted(app: GuardedApp) -> None:
    """Those of the exchange 555, for examples. All others are."""
    sandbox = GuardedApp(app.harness, ENFORCED, sandbox=True)
    assert sum(isinstance(sandbox.start(f"+120255501{line:02d}"), Started) for line in range(100)) == 100
    assert sent(sandbox, 9) == 9
    assert sent(sandbox, 9, block="2023309") == 5


def test_a_known_user_costs_half(app: GuardedApp) -> None:
    """Where the app says so."""
    passed = [isinstance(app.start(number(line), known_user=True), Started) for line in range(15)]
    assert sum(passed) == 10


OFFICE = "203.0.113.7"


def at_the_office(person: int) -> str:
    """The number of one of many people, each of a block of their own."""
    return f"+1{202 + person // 90}{300 + person % 90}4000"


def test_an_office_whose_people_enter_their_codes_is_never_refused(app: GuardedApp) -> None:
    """Sixty new people behind one address, one in ten seconds, each of whom needs half a minute for the code."""
    for person in range(63):
        if person < 60:
            assert isinstance(app.start(at_the_office(person), address=OFFICE), Started), person
        if person >= 3:
            assert app.approve(at_the_office(person - 3))
        app.harness.raw.incrby(CLOCK, 10_000)


@pytest.mark.parametrize(("known_user", "sent_to"), [(False, 5), (True, 10)])
def test_an_office_that_comes_at_once_waits_for_its_codes(app: GuardedApp, *, known_user: bool, sent_to: int) -> None:
    """Of new people in one minute five get a code, ten where the app knows its users; each code makes room."""
    people = [at_the_office(person) for person in range(30)]
    outcomes = [app.start(one, address=OFFICE, known_user=known_user) for one in people]
    assert [isinstance(one, Started) for one in outcomes] == [True] * sent_to + [False] * (30 - sent_to)
    assert {one.limit for one in outcomes if isinstance(one, StartRefused)} == {"address"}
    app.harness.raw.incrby(CLOCK, 20_000)
    assert all(app.approve(one) for one in people[:sent_to])
    again = [app.start(one, address=OFFICE, known_user=known_user) for one in people[sent_to:]]
    assert sum(isinstance(one, Started) for one in again) >= sent_to


def test_many_processes_at_once_exceed_no_budget(redis_url: str, redis_server: object) -> None:
    """A hundred starts to a hundred numbers of one block, at the same moment, over three processes: five are sent."""
    program = [sys.executable, "-m", "tests.storage.guarded_process", redis_url]
    processes = [
        subprocess.Popen([*program, str(first), str(end)], cwd=ROOT, stdin=PIPE, stdout=PIPE, text=True)
        for first, end in ((0, 34), (34, 67), (67, 100))
    ]
    try:
        answers = in_step(processes)
    finally:
        for process in processes:
            process.kill()
            process.wait()
    found = Counter(word for answer in answers for word in answer)
    assert found == {"sent": 5, "block_1k": 95}
