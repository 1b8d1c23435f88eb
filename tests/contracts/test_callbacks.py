"""The queues of callbacks: what every implementation promises."""

import pytest

from otp_service.domain.callback import Callback
from otp_service.storage.callbacks import Callbacks
from otp_service.usecases.ports import CallbackQueue

from ..fakes import FakeCallbackQueue
from ..storage.harness import StoreHarness


@pytest.fixture
def queue(real: StoreHarness | None) -> CallbackQueue:
    """Empty queues that hold three callbacks each."""
    if real is None:
        return FakeCallbackQueue(most_waiting=3)
    return Callbacks(real.store, real.scripts, real.keys, most_waiting=3)


def callback(name: str = "evt_1", app: str = "shop") -> Callback:
    """One that was not tried yet."""
    return Callback(name, app, "check.failed", "vrf_x", "{}")


def claimed(queue: CallbackQueue, app: str = "shop") -> Callback:
    """The next one, which has to be there."""
    found = queue.claim(app)
    assert found is not None
    return found


def test_an_event_is_queued_once_for_its_app(queue: CallbackQueue) -> None:
    """Also after it was sent; another app has its own."""
    assert queue.put(callback()) == "queued"
    assert queue.put(callback()) == "known"
    assert queue.put(callback(app="bank")) == "queued"
    assert queue.due(["bank", "shop", "none"]) == {"bank": 1, "shop": 1}
    assert queue.record_sent(claimed(queue))
    assert queue.put(callback()) == "known"
    assert queue.due(["bank", "shop"]) == {"bank": 1}


def test_a_claimed_callback_is_in_one_workers_lease(queue: CallbackQueue) -> None:
    """It is not due meanwhile, and counts its attempts."""
    queue.put(callback())
    one = claimed(queue)
    assert (one.id, one.attempt, one.body) == ("evt_1", 1, "{}")
    assert queue.claim("shop") is None
    assert queue.due(["shop"]) == {}


def test_a_failed_one_comes_again(queue: CallbackQueue) -> None:
    """With one more attempt; the report of an older attempt changes nothing then."""
    queue.put(callback())
    first = claimed(queue)
    assert queue.schedule_retry(first, 0, 0, "status 500")
    second = claimed(queue)
    assert second.attempt == 2
    assert not queue.schedule_retry(first, 0, 0, "late")
    assert not queue.dead_letter(first, 0, "late")
    assert queue.record_sent(first)
    assert not queue.record_sent(second)
    assert not queue.schedule_retry(second, 0, 0, "late")
    assert queue.claim("shop") is None


def test_the_apps_of_all_processes_are_known(queue: CallbackQueue) -> None:
    """Each is told of its own and of those that others have announced."""
    assert queue.announce(["shop"]) == {"shop"}
    assert queue.announce(["bank", "mail"]) == {"shop", "bank", "mail"}
    assert queue.announce([]) == {"shop", "bank", "mail"}


@pytest.mark.parametrize("dead", [True, False])
def test_an_app_that_asks_for_a_pause_gets_nothing(queue: CallbackQueue, *, dead: bool) -> None:
    """Whatever waits for it; other apps go on."""
    for one in (callback("evt_1"), callback("evt_2"), callback("evt_3", app="bank")):
        queue.put(one)
    first = claimed(queue)
    settled = queue.dead_letter(first, 60_000, "x") if dead else queue.schedule_retry(first, 60_000, 60_000, "x")
    assert settled
    assert queue.claim("shop") is None
    assert queue.due(["shop", "bank"]) == {"bank": 1}


def test_a_dead_letter_is_not_sent_again_by_itself(queue: CallbackQueue) -> None:
    """Nor settled twice."""
    queue.put(callback())
    one = claimed(queue)
    assert queue.dead_letter(one, 0, "status 410")
    assert not queue.dead_letter(one, 0, "status 410")
    assert queue.claim("shop") is None
    assert queue.due(["shop"]) == {}


def test_where_too_many_wait_the_latest_is_dropped(queue: CallbackQueue) -> None:
    """The new one is queued; what was to be tried last is a dead letter."""
    for number in (1, 2, 3):
        queue.put(callback(f"evt_{number}"))
    last = claimed(queue)
    assert queue.put(callback("evt_4")) == "full"
    assert not queue.schedule_retry(last, 0, 0, "x")
    assert {claimed(queue).id for _ in range(3)} == {"evt_2", "evt_3", "evt_4"}
