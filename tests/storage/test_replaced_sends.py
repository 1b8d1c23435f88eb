"""A person who asks again while the first message still waits gets one message: the newest."""

import pytest

from otp_service.domain.delivery import Accepted, Action, NotSent, Refused, Unknown
from otp_service.domain.ids import Reference

from .deliveries import deliveries, wait_on
from .delivery_service import Service
from .harness import StoreHarness, fresh_number


@pytest.fixture
def service(harness: StoreHarness) -> Service:
    """Worker and carrier."""
    return Service(harness)


def thrice(harness: StoreHarness, number: str) -> Reference:
    """Started, and asked for twice more, while no worker is there."""
    ref = harness.start(number).reference
    for _ in range(2):
        harness.cool(ref)
        assert harness.start(number).reference == ref
    return ref


def test_only_the_newest_of_those_that_waited_goes_out(service: Service) -> None:
    """The older ones end with the reason, without a request and off the ladder."""
    number, harness = fresh_number(), service.harness
    ref = thrice(harness, number)
    service.work(ref)
    assert [body["to"] for body in service.sent] == [number]
    assert deliveries(harness, ref) == [("pool", "suppressed")] * 2 + [("pool", "sent")]
    record = harness.record(ref)
    assert [record[f"{n}:error_code"] for n in (1, 2)] == ["replaced"] * 2
    assert record["sends"] == "3"
    assert len(harness.sends(ref.number_hash)) == 1


def test_one_that_may_have_been_sent_is_not_sent_again(harness: StoreHarness) -> None:
    """Its answer is lost, and the newer message says the same."""
    number = fresh_number()
    ref = harness.start(number).reference
    job = harness.take(ref)
    harness.must_begin(job)
    harness.deliveries.record_unknown(job, 1, Unknown("read timeout"))
    harness.cool(ref)
    harness.start(number)
    newest = harness.take(ref)
    again = harness.requeue(ref)
    assert harness.pending_delivery(again).replaced
    assert not harness.pending_delivery(newest).replaced
    assert harness.begin(again) is None
    assert deliveries(harness, ref) == [("pool", "unknown"), ("pool", "queued")]
    assert wait_on(harness, ref, "retry") is None
    harness.must_begin(newest)
    harness.deliveries.record_accepted(newest, Accepted("msg-1", "queued"))
    assert len(harness.sends(ref.number_hash)) == 2


@pytest.mark.parametrize("code", ["40310", "40002"])
def test_the_older_one_goes_out_where_the_newest_came_to_nothing(harness: StoreHarness, code: str) -> None:
    """The newest was refused by every sender: it counts as never asked for."""
    number = fresh_number()
    ref = harness.start(number).reference
    first = harness.take(ref)
    harness.must_begin(first)
    harness.deliveries.record_retry(first, 60_000, NotSent("connect"))
    harness.cool(ref)
    harness.start(number)
    action = Action.STOP_PERSON if code == "40310" else Action.NEXT_SENDER
    while jobs := [job for job in harness.jobs(ref) if job.reference == ref]:
        for job in jobs:
            harness.must_begin(job)
            harness.deliveries.record_refused(job, Refused(code, "Refused", action))
    assert harness.record(ref)["sends"] == "1"
    assert harness.must_begin(harness.requeue(ref)).attempt == 2
