"""The starts that the store recorded, under the policy that judged them and under others."""

from random import Random

import msgspec

from otp_service.domain.audit import ZERO, Event
from otp_service.domain.guard.policy import GuardPolicy
from otp_service.domain.starting import StartRefused
from otp_service.guard_simulation.replay import replay

from .guard import GuardedApp
from .harness import StoreHarness

POLICY = GuardPolicy(monitor_approvals=4, country_a_day=9, country_an_hour=9, total_a_day=14)


def recorded(harness: StoreHarness) -> list[Event]:
    """Every event in order of time."""
    page = harness.audit.read(
        [ZERO] * harness.audit.shards, shards=range(harness.audit.shards), until_ms=None, limit=5_000, wanted={}
    )
    assert page.at_end
    return page.events


def next_millisecond(harness: StoreHarness) -> None:
    """Events of one millisecond have no order over shards."""
    before = harness.now()
    while harness.now() == before:
        pass


def test_the_record_replays_to_identical_outcomes(harness: StoreHarness) -> None:
    """Every start that was judged is on record, sent or refused, and the same policy judges it alike."""
    app, chance, refused, sent = GuardedApp(harness, POLICY), Random(6), 0, 0
    for place in range(90):
        next_millisecond(harness)
        # Of a number that is refused twice only one refusal is on record.
        number = f"+1202{300 + place // 3}{1_000 + place % 3 // 2 * 6_000}"
        region = "US" if number[6] != "1" else "CA"
        address = chance.choice([None, "192.0.2.1", "192.0.2.2"])
        outcome = app.start(number, region, address, known_user=chance.random() < 0.2)
        refused, sent = refused + isinstance(outcome, StartRefused), sent + (not isinstance(outcome, StartRefused))
        if chance.random() < 0.3:
            next_millisecond(harness)
            app.approve(number)
    events = recorded(harness)
    one = replay(events, {"shop": POLICY})["shop"]
    assert one.starts >= 70
    assert refused > 5
    assert sent > 30
    assert refused >= one.refused_before == one.refused_now > 5
    assert one.newly_refused == one.newly_sent == one.approved_of_those == 0
    wider = msgspec.structs.replace(POLICY, country_a_day=90, country_an_hour=90, total_a_day=90)
    assert replay(events, {"shop": wider})["shop"].newly_sent > 0
