"""What an operator decides about how long things are kept is what the store does."""

from otp_service.domain.callback import Callback
from otp_service.domain.delivery import Accepted, DeliveryReport
from otp_service.domain.policy import TOMBSTONE_MS
from otp_service.domain.retention import DAY_MS
from otp_service.storage.callbacks import Callbacks
from otp_service.storage.delivery_reports import DeliveryReports

from .harness import CODE, SENDERS, SHOP, StoreHarness, fresh_number, word


def test_an_ended_verification_is_kept_for_as_long_as_wanted(harness: StoreHarness) -> None:
    """After its code's end; the secrets go at once as ever. A resend keeps that."""
    number = fresh_number()
    ref = harness.start(number, tombstone_ms=3 * DAY_MS).reference
    most = 3 * DAY_MS + SHOP.code_ttl_ms
    assert most - 5_000 < harness.raw.pttl(harness.keys.record(ref)) <= most
    harness.cool(ref)
    harness.start(number, tombstone_ms=3 * DAY_MS)
    assert harness.raw.pttl(harness.keys.record(ref)) > 3 * DAY_MS
    harness.check(ref, CODE)
    assert harness.raw.pttl(harness.keys.record(ref)) > 3 * DAY_MS
    assert not harness.raw.exists(harness.keys.secrets(ref))
    usual = harness.start(fresh_number()).reference
    assert harness.raw.pttl(harness.keys.record(usual)) <= TOMBSTONE_MS + SHOP.code_ttl_ms


def test_the_last_sender_is_remembered_for_as_long_as_wanted(harness: StoreHarness) -> None:
    """From the delivery on."""
    ref = harness.start(fresh_number()).reference
    job = harness.take(ref)
    harness.must_begin(job)
    harness.deliveries.record_accepted(job, Accepted("msg-1", "queued"))
    reports = DeliveryReports(
        harness.store, harness.scripts, harness.keys, harness.ring.ids, SENDERS, last_senders_ms=2 * DAY_MS
    )
    reports.apply_report(ref, 1, ref.number_hash, DeliveryReport("msg-1", "+1", "delivered"))
    assert DAY_MS < harness.raw.pttl(harness.keys.sticky(ref.number_hash)) <= 2 * DAY_MS


def test_dead_letters_are_kept_for_as_long_as_wanted(harness: StoreHarness) -> None:
    """Their hash lives a day longer than they do."""
    app = word("app")
    queue = Callbacks(harness.store, harness.scripts, harness.keys, dead_kept_ms=2 * DAY_MS)
    queue.put(Callback("evt_1", app, "verification.approved", "vrf_x", "{}"))
    claimed = queue.claim(app)
    assert claimed is not None
    queue.dead_letter(claimed, 0, "no answer")
    assert queue.counts([app]) == {app: (0, 1)}
    assert 2 * DAY_MS < harness.raw.pttl(harness.keys.callbacks(app)) <= 3 * DAY_MS
