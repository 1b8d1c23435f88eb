"""Records hold names of senders, and their messaging profiles stand in the configuration: what a process does that does
not know a sender, because it was started with an older or a newer file."""

from typing import Any

import pytest

from otp_service.domain.delivery import Action, DeliveryReport, Refused
from otp_service.domain.optout_list import OptOut
from otp_service.storage.deliveries import Deliveries
from otp_service.storage.delivery_reports import DeliveryReports
from otp_service.storage.schema.encodings import DeliveryFacts

from .deliveries import deliveries
from .harness import BACKUP, POOL, StoreHarness, fresh_number, word

NEXT = Refused("40002", "Spam", Action.NEXT_SENDER)
STOPPED = Refused("40300", "Blocked due to STOP message", Action.STOP_PERSON, opted_out=True)


def knowing(harness: StoreHarness, *senders: Any) -> Deliveries:
    """The deliveries as a process with these senders sees them."""
    return Deliveries(harness.store, harness.scripts, harness.keys, senders)


def opt_out(harness: StoreHarness, number: str, profile: str) -> None:
    """The person sends STOP to a sender of this profile."""
    harness.optouts.record(harness.hash_of(number), "+1", OptOut(profile, True, 1, "STOP", "inbound"), word("evt"))


def test_no_messaging_profile_stands_in_a_record(harness: StoreHarness) -> None:
    """Neither that of the first sender nor those of the next."""
    ref = harness.start(fresh_number()).reference
    assert "profile" not in repr(harness.raw.hgetall(harness.keys.record(ref)))
    facts = DeliveryFacts.named(harness.raw.hget(harness.keys.record(ref), "1:facts"))
    assert (facts["sender"], facts["next_senders"]) == ("pool", "backup|long_code")


@pytest.mark.parametrize("known", [(), (POOL,), (POOL, BACKUP)])
def test_an_unknown_next_sender_is_queued_and_judged_by_who_sends(
    harness: StoreHarness, known: tuple[Any, ...]
) -> None:
    """The failover is not lost. Whether the person has opted out says a process that knows the sender's profile."""
    number = fresh_number()
    ref = harness.start(number).reference
    job = harness.take(ref)
    harness.must_begin(job)
    opt_out(harness, number, BACKUP.messaging_profile_id)
    outcome = knowing(harness, *known).record_refused(job, NEXT)
    assert outcome == ("failed" if BACKUP in known else "failed_over")
    if BACKUP not in known:
        assert deliveries(harness, ref) == [("pool", "failed"), ("backup", "queued")]
        assert harness.begin(harness.take(ref)) is None
        assert harness.status(ref, 2) == "suppressed"
        assert harness.record(ref)["2:error_code"] == "opted_out"


def test_a_stop_is_recorded_for_known_profiles_only(harness: StoreHarness) -> None:
    """The delivery ends all the same; the carrier's own list knows the person."""
    by_refusal = harness.start(fresh_number()).reference
    job = harness.take(by_refusal)
    harness.must_begin(job)
    knowing(harness).record_refused(job, STOPPED)
    assert harness.status(by_refusal) == "suppressed"
    # Not before: a take brings all that waits on a shard, and both may be on one.
    by_report = harness.start(fresh_number()).reference
    harness.send(by_report, "msg-stop")
    reports = DeliveryReports(harness.store, harness.scripts, harness.keys, harness.ring.ids, ())
    report = DeliveryReport("msg-stop", "+1", "delivery_failed", error=STOPPED)
    assert reports.apply_report(by_report, 1, by_report.number_hash, report).outcome == "moved"
    assert harness.status(by_report) == "failed"
    for ref in (by_refusal, by_report):
        assert harness.optouts.of_number(ref.number_hash) == []
