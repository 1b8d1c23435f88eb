"""What the pumping guard tells: every budget that is spent, once in a while, and what it forgets."""

import json
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest

from otp_service.diagnosis.guard import check_guard
from otp_service.domain.guard.policy import DAY_MS, HOUR_MS, GuardPolicy
from otp_service.domain.guarding import NumberInGuard
from otp_service.domain.phone import Phone
from otp_service.domain.policy import Policy
from otp_service.domain.starting import Started, StartRefused
from otp_service.storage.guard_of_number import GuardOfNumber
from otp_service.storage.guard_states import GuardStates

from .guard import CLOCK, Clocked, GuardedApp, Request
from .harness import StoreHarness

POLICY = GuardPolicy(monitor_approvals=0, novelty_refuses=True, novelty_floor=6, novelty_factor=1, warm_after_ms=0)


@pytest.fixture
def app(redis_url: str, redis_server: object) -> Iterator[GuardedApp]:
    """An app whose guard refuses from the first start, by a clock that the test moves."""
    harness = StoreHarness.open(redis_url, Clocked)
    harness.raw.set(CLOCK, (harness.now() // DAY_MS + 1) * DAY_MS)
    yield GuardedApp(harness, POLICY)
    harness.close()


def wait(app: GuardedApp, ms: int) -> None:
    """Move the clock."""
    app.harness.raw.incrby(CLOCK, ms)


def tripped(app: GuardedApp) -> Counter[str]:
    """How often which budget was reported as spent."""
    return Counter(detail["budget"] for kind, detail in app.events.found if kind == "guard.tripped")


def test_an_address_of_many_countries_and_novelty_are_told(app: GuardedApp) -> None:
    """Once in an hour each, as any other budget."""
    for line, region in enumerate(("AA", "BB", "CC")):
        assert isinstance(app.start(f"+1202555{line}000", region, "192.0.2.1"), Started)
    for line in range(3):
        refused = app.start(f"+1202556{line}000", "DD", "192.0.2.1")
        assert isinstance(refused, StartRefused)
        assert refused.limit == "address_countries"
    assert tripped(app) == {"address_countries": 1}
    for line in range(9):
        app.start(f"+120256{line}0000", "EE")
        wait(app, HOUR_MS // 6)
    assert isinstance(app.start("+12025699999", "EE"), StartRefused)
    assert tripped(app)["novelty"] == 1
    assert [trouble for trouble, _ in app.alerts].count("guard:tripped:shop") == 2


def test_every_budget_without_room_is_counted(app: GuardedApp) -> None:
    """Not only the one that the caller is told."""
    narrow = GuardedApp(app.harness, GuardPolicy(block_1k_in_6h=1, block_10k_a_day=1))
    for line in range(2):
        narrow.start(f"+1202555100{line}")
    refused = {budget for _, budget, what in narrow.counts if what == "refused"}
    assert refused == {"block_1k", "block_10k"}


@pytest.mark.parametrize(("known_user", "sent"), [(False, 5), (True, 10)])
def test_new_people_at_one_address_wait_for_each_other(app: GuardedApp, known_user: bool, sent: int) -> None:
    """In a new app, in one minute, each from a block of their own: a code that is entered lets one more in."""
    office = GuardedApp(app.harness, GuardPolicy())

    def start(line: int) -> bool:
        outcome = office.start(f"+1202{line:03d}1000", address="192.0.2.1", known_user=known_user)
        return isinstance(outcome, Started)

    assert [start(line) for line in range(200, 230)] == [True] * sent + [False] * (30 - sent)
    assert office.approve("+12022001000")
    assert [start(line) for line in (228, 229)] == [True, False]


def test_progress_is_read_from_the_store(app: GuardedApp) -> None:
    """When the first start was, how many were approved, and whether budgets of countries refuse yet."""
    new, states = GuardedApp(app.harness, GuardPolicy()), GuardStates(app.harness.store, app.harness.keys)
    for policy, only_reports in ((GuardPolicy(), True), (GuardPolicy(monitor_approvals=0), False)):
        unused = states.read("shop", policy)
        assert (unused.started_ms, unused.only_reports) == (0, only_reports)
    assert isinstance(new.start("+12025551000"), Started)
    assert new.approve("+12025551000")
    found = states.progress("shop", GuardPolicy())
    assert (found.only_reports, found.approvals, found.started_ms) == (True, 1, int(app.harness.raw.get(CLOCK)))
    (line,) = check_guard(Policy(apps={"shop": new.app}), states)
    assert (line.name, line.ok, line.detail[:39]) == ("guard of shop", True, "budgets of countries only monitor until")


def test_a_number_is_explained(app: GuardedApp) -> None:
    """Known until when, counted or not, and how full its blocks are."""
    to, states = "+12025551000", GuardOfNumber(app.harness.store, app.harness.keys)
    place = app.guard.place(app.app, Phone(to, "US", 1), Request())
    assert place is not None

    def seen() -> NumberInGuard:
        return states.read(app.harness.hash_of(to), "shop", place, POLICY)

    assert seen() == NumberInGuard(0, False, False, {"block_1k": (0, 5), "block_10k": (0, 10)})
    assert isinstance(app.start(to), Started)
    assert (seen().known_until_ms, seen().counted) == (0, True)
    assert app.approve(to)
    assert (seen().known_until_ms - int(app.harness.raw.get(CLOCK)), seen().counted) == (90 * DAY_MS, False)


def test_what_is_on_record_is_what_answers(app: GuardedApp) -> None:
    """Also where the number's own limits refuse, too: the budget is named in both and counted, and takes nothing."""

    def codes(to: str) -> list[str]:
        events = [event for event in app.harness.audited_of(app.harness.hash_of(to)) if "code" in event["detail"]]
        return [json.loads(event["detail"])["code"] for event in events]

    limited: dict[str, Any] = {"outer_wait_ms": 5_000, "outer_limit": "client_ip"}
    first, last = "+12025551900", "+12025551901"
    refused = app.start(first, **limited)
    assert isinstance(refused, StartRefused)
    assert (refused.code, codes(first)) == ("rate_limited", ["rate_limited"])
    assert app.counts == []
    for line in range(5):
        assert isinstance(app.start(f"+1202555100{line}"), Started)
    refused = app.start(last, **limited)
    assert isinstance(refused, StartRefused)
    assert (refused.code, codes(last)) == ("guard_refused", ["guard_refused"])
    assert [what for what in app.counts if what[2] == "refused"] == [("shop", "block_1k", "refused")]


def test_blocks_without_approvals_for_long_are_forgotten(app: GuardedApp) -> None:
    """Approvals look at some others; a block that comes back begins as a new one."""
    old, other = "+12025551000", "+12025661000"
    assert isinstance(app.start(old), Started)
    assert app.approve(old)
    key = app.harness.keys.country("shop", "US")
    (first,) = [name for name in app.harness.raw.hkeys(key) if name.startswith("warm_block:")]
    wait(app, 181 * DAY_MS)
    for _ in range(200):
        assert isinstance(app.start(other), Started)
        assert app.approve(other)
        wait(app, DAY_MS // 10)
        if not app.harness.raw.hexists(key, first):
            break
    assert not app.harness.raw.hexists(key, first)
