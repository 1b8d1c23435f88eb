"""Delivery reports: what every implementation promises."""

from collections.abc import Callable

import pytest

from otp_service.domain.delivery import DeliveryReport
from otp_service.domain.ids import Reference
from otp_service.domain.outbox import ReportOutcome

from ..storage.harness import StoreHarness, fresh_number

MOVED, SAME = ReportOutcome("moved", "pool"), ReportOutcome("same")


@pytest.fixture
def ref(stores: StoreHarness) -> Reference:
    """A verification whose message `msg-1` was accepted."""
    made = stores.start(fresh_number()).reference
    stores.send(made)
    return made


@pytest.fixture
def tell(stores: StoreHarness, ref: Reference) -> Callable[..., ReportOutcome]:
    """Applies a report on it."""

    def tell(status: str, message_id: str = "msg-1", number_hash: str = "", ordinal: int = 1) -> ReportOutcome:
        report = DeliveryReport(message_id, "+1", status)
        return stores.reports.apply_report(ref, ordinal, number_hash or ref.number_hash, report)

    return tell


def test_a_delivery_moves_up_only(tell: Callable[..., ReportOutcome]) -> None:
    """In whatever order reports come; what we do not know changes nothing."""
    told = [tell(status) for status in ("queued", "nonsense", "delivery_failed", "sent", "delivered", "read")]
    assert told == [SAME, SAME, MOVED, SAME, MOVED, SAME]
    assert tell("delivery_failed") == SAME


def test_a_report_is_applied_once(tell: Callable[..., ReportOutcome]) -> None:
    """One that comes again moves nothing."""
    assert [tell("delivered") for _ in range(3)] == [MOVED, SAME, SAME]


@pytest.mark.parametrize("changes", [{"message_id": "msg-2"}, {"number_hash": "00" * 10}, {"ordinal": 9}])
def test_a_report_on_another_message_changes_nothing(
    tell: Callable[..., ReportOutcome], changes: dict[str, str]
) -> None:
    """It moves when the right one comes."""
    assert tell("delivered", **changes) == ReportOutcome("foreign")
    assert tell("delivered") == MOVED


def test_what_is_not_known_is_foreign(stores: StoreHarness) -> None:
    """A verification that is gone."""
    ref = stores.start_command(fresh_number()).reference
    report = DeliveryReport("msg-1", "+1", "delivered")
    assert stores.reports.apply_report(ref, 1, ref.number_hash, report) == ReportOutcome("foreign")


def test_a_message_finds_its_delivery(stores: StoreHarness, ref: Reference) -> None:
    """By its id and its number. Numbers of one shard share an index of messages, so the other one is of another."""
    find = stores.reports.find_message
    other = f"{int(ref.number_hash[:8], 16) ^ 1:08x}{ref.number_hash[8:]}"
    assert find(ref.number_hash, "msg-1") == (ref, 1)
    assert (find(ref.number_hash, "msg-2"), find(other, "msg-1")) == (None, None)


def test_a_report_on_a_message_whose_answer_was_lost_names_it(stores: StoreHarness) -> None:
    """From then on other reports on it find its delivery, and others' are foreign."""
    ref = stores.start(fresh_number()).reference
    stores.must_begin(stores.take(ref))
    report = DeliveryReport("msg-7", "+1", "delivery_failed")
    assert stores.reports.apply_report(ref, 1, ref.number_hash, report) == MOVED
    assert stores.reports.find_message(ref.number_hash, "msg-7") == (ref, 1)
    other = DeliveryReport("msg-8", "+1", "delivered")
    assert stores.reports.apply_report(ref, 1, ref.number_hash, other) == ReportOutcome("foreign")


def test_a_click_is_recorded_once(stores: StoreHarness, ref: Reference) -> None:
    """Each event; of a verification that is gone, not at all."""
    click = stores.reports.record_click
    assert [click(ref, 1, "e1"), click(ref, 1, "e1"), click(ref, 1, "e2")] == ["recorded", "duplicate", "recorded"]
    assert click(stores.start_command(fresh_number()).reference, 1, "e1") == "unknown"
