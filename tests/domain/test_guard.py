"""The guard's rules: what fills a budget, what a spent one refuses, what an approval gives back."""

import copy
from dataclasses import replace

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from otp_service.domain.guard import rules, updates
from otp_service.domain.guard.counters import Counters
from otp_service.domain.guard.policy import DAY_MS, HOUR_MS, MINUTE_MS, Budget, GuardPolicy, Mode
from otp_service.domain.guard.rules import Start, Verdict
from otp_service.domain.guard.updates import Happening, Report

NOW = 20_000 * DAY_MS
ENFORCED = GuardPolicy(monitor_approvals=0)
"""Without the first days in monitor mode."""


def start(number: int, country: str = "US", address: str = "", *, known_user: bool = False) -> Start:
    """A start for a number of ten digits."""
    e164 = f"+1{number:010d}"
    return Start(e164, *rules.blocks(e164), country, address, known_user)


def spread(place: int, country: str = "US", address: str = "") -> Start:
    """A start for a number that shares no block with others."""
    return start(2_000_000_000 + place * 10_000, country, address)


class App:
    """An app's guard at a time that moves on."""

    def __init__(self, policy: GuardPolicy = ENFORCED) -> None:
        self.policy, self.now, self.counters = policy, NOW, Counters()
        self.reports: list[Report] = []

    def send(self, one: Start, times: int = 1) -> Verdict:
        """Start so often; returns the last verdict."""
        for _ in range(times):
            verdict = rules.judge(self.counters, one, self.now, self.policy)
            self.reports += updates.settle(self.counters, one, verdict, self.now, self.policy)
        return verdict

    def approve(self, one: Start) -> None:
        """Enter the code."""
        self.reports += updates.approve(self.counters, one, self.now, self.policy)

    def passed(self, starts: list[Start]) -> int:
        """How many of these are sent."""
        return sum(not self.send(one).refused for one in starts)


def test_a_block_has_its_budgets() -> None:
    """Five of a thousand numbers in six hours, ten of ten thousand in a day; time gives back evenly."""
    app = App(GuardPolicy(monitor_approvals=0, country_an_hour=100))
    assert app.passed([start(2_025_550_000 + place) for place in range(20)]) == 5
    assert app.send(start(2_025_550_900)).full[0] is Budget.BLOCK_1K
    assert app.passed([start(2_025_551_000 + place * 1_000) for place in range(8)]) == 5
    assert app.send(start(2_025_559_999)).full == (Budget.BLOCK_10K,)
    app.now += DAY_MS // 10
    assert app.passed([start(2_025_559_000 + place) for place in range(3)]) == 1


def test_an_address_has_its_budgets() -> None:
    """Five an hour, and three countries a day; a caller that names no address has neither."""
    app = App()
    assert app.passed([spread(place, address="192.0.2.1") for place in range(9)]) == 5
    assert app.send(spread(10, address="192.0.2.1")).full == (Budget.ADDRESS,)
    assert app.passed([spread(20 + place, country=f"A{place}", address="192.0.2.2") for place in range(5)]) == 3
    assert app.send(spread(30, country="A9", address="192.0.2.2")).full == (Budget.ADDRESS_COUNTRIES,)
    assert app.passed([spread(40 + place, country="XX") for place in range(8)]) == 8


def test_a_country_and_all_countries_have_theirs() -> None:
    """Eight an hour and twenty a day in a country without history, sixty a day in all of them."""
    app = App()
    assert app.passed([spread(place) for place in range(30)]) == 8
    assert app.send(spread(31)).full == (Budget.COUNTRY_HOUR,)
    other = App()
    assert other.passed([spread(place, country=f"A{place % 40}") for place in range(200)]) == 60
    assert other.send(spread(201, country="B")).full == (Budget.TOTAL,)
    assert Report(Happening.TRIPPED, Budget.TOTAL, "") in other.reports


def test_a_known_number_is_never_counted_and_never_refused() -> None:
    """Whatever is spent; for ninety days after its approval."""
    app = App()
    known = spread(0)
    app.send(known)
    app.approve(known)
    app.passed([spread(place) for place in range(1, 50)])
    before = copy.deepcopy(app.counters)
    assert app.send(known, 20) == rules.KNOWN
    assert app.counters.blocks_10k == before.blocks_10k
    assert app.counters.countries == before.countries
    app.now += 90 * DAY_MS
    assert app.send(known).counted


def test_an_approval_gives_back_what_was_taken_and_a_little_more() -> None:
    """So traffic that converts never spends a budget, however much of it there is."""
    app = App()
    for place in range(200):
        one = spread(place, address="192.0.2.7")
        assert not app.send(one).refused
        app.now += 1_000
        app.approve(one)
    assert app.counters.countries["US"].cold.level == 0
    assert app.counters.addresses["192.0.2.7"].countries == {}


def test_a_failed_delivery_gives_back_without_a_credit() -> None:
    """A failing carrier is no attack."""
    app = App()
    for place in range(7):
        app.send(spread(place))
    updates.give_back(app.counters, spread(0), app.now, app.policy)
    assert app.counters.countries["US"].cold.level == 6


def test_two_sends_to_a_number_count_once() -> None:
    """In 24 hours; a third one counts again, so that few numbers cannot take many messages."""
    app = App()
    one = spread(0)
    app.send(one)
    assert app.send(one) == rules.COVERED
    assert app.counters.countries["US"].cold.level == 1
    assert app.send(one).counted
    assert app.counters.countries["US"].cold.level == 2
    app.approve(one)
    assert app.counters.countries["US"].cold.level == 0


def test_a_known_user_costs_half() -> None:
    """The caller's word is worth something, and not everything."""
    app = App()
    assert app.passed([replace(spread(place), known_user=True) for place in range(40)]) == 16


def test_a_warm_block_is_not_refused_for_a_spent_country() -> None:
    """Somebody of it was approved three days ago: it has a budget of its own, which is bounded too."""
    app = App()
    for place in range(0, 200):
        app.approve(spread(place))
    app.now += 72 * HOUR_MS
    assert app.passed([spread(1_000 + place) for place in range(40)]) == 13
    assert app.passed([start(2_001_990_001 + place * 10) for place in range(30)]) == 10
    assert app.passed([start(2_001_990_000 + place * 1_000) for place in range(1, 10)]) == 9
    assert app.passed([start(2_001_999_001 + place) for place in range(9)]) == 1
    warm = [start(2_000_000_001 + place * 10_000) for place in range(200)]
    assert not app.send(warm[0]).full
    assert app.passed(warm[1:]) == 80
    assert app.send(warm[-2]).full == (Budget.TOTAL_WARM,)
    roomy = App(msgspec.structs.replace(app.policy, total_a_day=1_000))
    roomy.counters, roomy.now = app.counters, app.now
    assert roomy.passed(warm[90:]) == 60
    assert roomy.send(warm[-2]).full == (Budget.COUNTRY_WARM,)


def test_probes_pass_with_growing_gaps() -> None:
    """A minute, two, four … to six hours; an approved one makes the gap a quarter."""
    app = App()
    app.passed([spread(place) for place in range(9)])
    gaps: list[int] = []
    last, place = app.now, 100
    while len(gaps) < 4:
        app.now += MINUTE_MS
        app.counters.countries["US"].cold.level = 20.0
        if app.send(spread(place)).country_probe:
            gaps.append((app.now - last) // MINUTE_MS)
            last = app.now
        place += 1
    assert gaps == [1, 2, 4, 8]
    app.approve(spread(place - 1))
    assert app.counters.countries["US"].probes.gap_ms == 4 * MINUTE_MS


def test_a_pressed_budget_drains_slowly() -> None:
    """While starts are refused it gives back a quarter of what it gives back in peace."""
    app = App()
    for place in range(20):
        app.now += 8 * MINUTE_MS
        app.send(spread(place))
    quiet, pressed = copy.deepcopy(app), app
    for place in range(100, 200):
        pressed.now += 6 * MINUTE_MS
        pressed.send(spread(place))
    assert pressed.counters.countries["US"].cold.level > 18
    quiet.now += 600 * MINUTE_MS
    assert quiet.passed([spread(300 + place) for place in range(8)]) == 8


def test_the_base_takes_several_days_to_lift() -> None:
    """The third-best of fourteen whole days: two bought days change nothing, and today never does."""
    app = App()
    for day, count in enumerate((300, 300, 0, 0)):
        for place in range(count):
            app.approve(spread(day * 1_000 + place))
        app.now += DAY_MS
    days, total = app.counters.countries["US"].days, app.counters.total
    assert days.base(app.now, app.policy, young=False) == 0
    assert days.base(app.now, app.policy, young=True) == 300
    total.started_ms = NOW
    assert not total.is_young(app.now, app.policy)
    for place in range(100):
        app.approve(spread(9_000 + place))
    app.now += DAY_MS
    assert days.base(app.now, app.policy, young=False) == 100


def test_if_known_numbers_do_not_convert_either_it_is_an_outage() -> None:
    """Then sixty more pass than the usual budgets let through; when approvals come back it is over."""
    app = App()
    regulars = [spread(place) for place in range(30)]
    for one in regulars:
        app.approve(one)
    for one in regulars[:12]:
        app.send(one)
    assert Report(Happening.OUTAGE, Budget.OUTAGE, "") in app.reports
    assert app.passed([spread(100 + place) for place in range(200)]) == 60 + 8
    app.approve(regulars[0])
    assert app.send(spread(400)).way.outage is False


def test_modes() -> None:
    """Off counts nothing; monitor counts, says what is spent and refuses nothing; a country can have its own."""
    policy = GuardPolicy(mode=Mode.MONITOR, countries={"US": Mode.OFF, "CA": Mode.ENFORCE}, monitor_approvals=0)
    app = App(policy)
    assert app.send(start(1)) == rules.FREE
    verdicts = [app.send(start(1_000 + place, "MX")) for place in range(9)]
    assert not any(one.refused for one in verdicts)
    assert verdicts[-1].full == (Budget.BLOCK_1K, Budget.COUNTRY_HOUR)
    assert app.passed([start(900_000 + place, "CA") for place in range(9)]) == 5
    assert app.send(replace(start(900_100, "CA"), safe=True)) == rules.FREE


def test_an_app_begins_with_reports_for_countries_and_refusals_for_blocks() -> None:
    """For fourteen days, or until five hundred approvals."""
    app = App(GuardPolicy())
    assert app.passed([spread(place) for place in range(100)]) == 100
    assert app.passed([start(place) for place in range(9)]) == 5
    late = copy.deepcopy(app)
    late.now += 14 * DAY_MS
    assert late.passed([spread(200 + place) for place in range(100)]) == 8
    app.counters.total.approvals = 500
    assert app.passed([spread(200 + place) for place in range(100)]) == 0


def test_novelty_is_told_once_a_day() -> None:
    """More new numbers than twice the best day, and than forty."""
    app = App(GuardPolicy(mode=Mode.MONITOR))
    app.passed([spread(place) for place in range(90)])
    assert [one.what for one in app.reports].count(Happening.NOVELTY) == 1


def test_novelty_refuses_where_it_is_told_to() -> None:
    """Numbers of cold blocks, after the forty-first new number of a country without history."""
    roomy = GuardPolicy(monitor_approvals=0, country_a_day=500, country_an_hour=500, total_a_day=500)
    assert App(roomy).passed([spread(place) for place in range(90)]) == 90
    app = App(msgspec.structs.replace(roomy, novelty_refuses=True))
    assert app.passed([spread(place) for place in range(90)]) == 41
    assert app.send(spread(99)).full == (Budget.NOVELTY,)


@settings(max_examples=25)
@given(
    st.lists(
        st.tuples(
            st.integers(0, 40), st.sampled_from(["", "a", "b"]), st.booleans(), st.integers(0, HOUR_MS), st.booleans()
        ),
        max_size=30,
    )
)
def test_judging_changes_nothing_and_levels_stay_in_bounds(
    steps: list[tuple[int, str, bool, int, bool]],
) -> None:
    """Whatever comes: no level is negative or over its bound, and what is known is never refused."""
    app = App()
    for place, address, known_user, later, approves in steps:
        app.now += later
        one = replace(start(2_000_000_000 + place * 700), address=address, known_user=known_user)
        before = copy.deepcopy(app.counters)
        rules.judge(app.counters, one, app.now, app.policy)
        assert app.counters == before
        verdict = app.send(one)
        number = before.numbers.get(one.number)
        if number is not None and number.is_known(app.now, app.policy):
            assert not verdict.refused
        if approves:
            app.approve(one)
        assert all(0 <= bucket.level <= 20 for bucket in app.counters.blocks_10k.values())
        assert all(0 <= bucket.level <= 10 for bucket in app.counters.blocks_1k.values())
        for country in app.counters.countries.values():
            assert 0 <= country.cold.level <= 30
            assert 0 <= country.hour.level <= 12
