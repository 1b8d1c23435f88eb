"""What the pumping guard took for sends that no carrier accepted: it is given back, once."""

from collections.abc import Iterator

import pytest

from otp_service.domain.delivery import Accepted, Action, Refused
from otp_service.domain.guard.policy import DAY_MS, GuardPolicy
from otp_service.domain.outbox import Job, Timer
from otp_service.domain.starting import Started, StartRefused

from .guard import CLOCK, Clocked, GuardedApp
from .harness import StoreHarness, word

STOP = Refused("40310", "Invalid number", Action.STOP_PERSON)


@pytest.fixture
def app(redis_url: str, redis_server: object) -> Iterator[GuardedApp]:
    """An app whose guard refuses from the first start; workers read the outbox."""
    harness = StoreHarness.open(redis_url, Clocked)
    harness.raw.set(CLOCK, harness.now() + DAY_MS)
    harness.outbox.open()
    yield GuardedApp(harness, GuardPolicy(monitor_approvals=0))
    harness.close()


def number(line: int) -> str:
    """A number of one block of 1,000."""
    return f"+12025551{line:03d}"


def level(app: GuardedApp) -> float:
    """What the two blocks of these numbers hold."""
    (found,) = {float(text.split("|")[0]) for text in app.harness.raw.hvals(app.harness.keys.blocks("shop", "US"))}
    return found


def started(app: GuardedApp, line: int) -> Job:
    """The entry of a start that passes."""
    outcome = app.start(number(line))
    assert isinstance(outcome, Started)
    return app.harness.take(outcome.reference)


def end(app: GuardedApp, job: Job, *, accepted: bool = False) -> None:
    """What the carrier says of it, and what a worker does after that; twice, as after a crash."""
    harness, ref = app.harness, job.reference
    harness.must_begin(job, app.app)
    if accepted:
        harness.deliveries.record_accepted(job, Accepted(word("m"), "queued"))
    else:
        harness.deliveries.record_refused(job, STOP)
    for _ in range(2):
        found = harness.due_deliveries.claim_guarded(Timer(harness.keys.shard(ref.number_hash), "return", ref, 1))
        if found is not None:
            app.guard.unsent(found)


def test_starts_whose_messages_fail_leave_room(app: GuardedApp) -> None:
    """Five of a block fail, and the sixth passes; what was accepted stays, whatever becomes of it."""
    for line in range(5):
        end(app, started(app, line))
    for line in range(5, 10):
        end(app, started(app, line), accepted=True)
    assert isinstance(app.start(number(10)), StartRefused)


def test_a_count_ends_with_the_last_send_that_it_pays_for(app: GuardedApp) -> None:
    """It pays for two sends. One of them was accepted: it stays, and pays for one more."""
    first, second = started(app, 0), started(app, 0)
    end(app, first)
    assert level(app) == 1
    end(app, second, accepted=True)
    end(app, started(app, 0), accepted=True)
    assert level(app) == 1
    end(app, started(app, 0))
    assert level(app) == 1
    started(app, 0)
    assert level(app) == 2


def test_what_was_approved_meanwhile_is_given_back_once(app: GuardedApp) -> None:
    """An approval has given it back already; the next number's count stays as it is."""
    first, second = started(app, 0), started(app, 0)
    end(app, second, accepted=True)
    assert app.approve(number(0))
    end(app, started(app, 1), accepted=True)
    end(app, first)
    assert level(app) == 1
