"""The end of verifications, and of their receipts: what every implementation promises."""

from dataclasses import replace
from typing import Any

from otp_service.domain.checking import Approved
from otp_service.domain.denial import Denial
from otp_service.domain.ending import Canceled, Ended, NotFound, Redeemed
from otp_service.domain.verification import Status

from ..storage.harness import CODE, WRONG, StoreHarness, fresh_number, word
from .memory import status


def test_a_verification_is_canceled_once(stores: StoreHarness, number: str) -> None:
    """A repeat of the operation is told the same, another one that it had ended; another app finds nothing."""
    ref, operation, cancel = stores.start(number).reference, word(), stores.verifications.cancel
    assert cancel(operation, ref, "bank") == NotFound()
    assert [cancel(operation, ref, "shop") for _ in range(2)] == [Canceled()] * 2
    assert cancel(word(), ref, "shop") == Ended(Status.CANCELED)
    assert stores.check(ref, CODE) == Ended(Status.CANCELED)
    assert stores.events(ref)[2:] == ["verification.canceled"]
    assert cancel(word(), stores.start_command(number).reference, "shop") == NotFound()


def test_time_ends_a_verification_once(stores: StoreHarness, number: str) -> None:
    """Not before it is over."""
    ref, expire = stores.start(number).reference, stores.verifications.expire
    assert not expire(ref)
    stores.age(ref, 300_000)
    assert status(stores, ref) is Status.EXPIRED
    assert [expire(ref), expire(ref)] == [True, False]
    assert not expire(stores.start_command(number).reference)
    assert stores.events(ref)[2:] == ["verification.expired"]


def test_what_time_has_ended_is_over_for_everybody(stores: StoreHarness, number: str) -> None:
    """Before its timer was run: whoever touches it ends it."""
    for touch in (
        lambda ref: stores.check(ref, CODE),
        lambda ref: stores.verifications.cancel(word(), ref, "shop"),
    ):
        ref = stores.start(number).reference
        stores.age(ref, 300_000)
        assert touch(ref) == Ended(Status.EXPIRED)
        assert stores.events(ref)[2:] == ["verification.expired"]
        assert not stores.verifications.expire(ref)
    assert stores.start(number).reference != ref


def test_a_receipt_is_redeemed_once(stores: StoreHarness, number: str) -> None:
    """Only the one that the approval gave, in its app and in its time; a repeat of the operation is told the same."""
    ref, redeem = stores.start(number).reference, stores.verifications.redeem
    answer, ends_ms = stores.check(ref, CODE, receipt_id="receipt"), stores.now() + 60_000
    assert isinstance(answer, Approved)
    for operation, app, receipt_id, until_ms in (
        ("a", "bank", "receipt", ends_ms),
        ("b", "shop", "other", ends_ms),
        ("c", "shop", "receipt", stores.now() - 1),
    ):
        assert redeem(operation, ref, app, receipt_id, until_ms) == NotFound()
    first = redeem("d", ref, "shop", "receipt", ends_ms)
    assert isinstance(first, Redeemed)
    assert first == Redeemed(first.at_ms, True, answer.approval.to, "login")
    assert redeem("d", ref, "shop", "receipt", ends_ms) == first
    assert redeem("e", ref, "shop", "receipt", ends_ms) == replace(first, first=False)
    assert stores.events(ref)[-1] == "receipt.redeemed"


def test_without_an_approval_there_is_no_receipt(stores: StoreHarness, number: str) -> None:
    """Pending, or never there."""
    for ref in (stores.start(number).reference, stores.start_command(number).reference):
        assert stores.verifications.redeem(word(), ref, "shop", "receipt", stores.now() + 60_000) == NotFound()


def denial(stores: StoreHarness, **changes: Any) -> Denial:
    """A reply that was written now."""
    now_ms = stores.now()
    return replace(Denial(frozenset({"shop"}), frozenset({"pool"}), now_ms, now_ms), **changes)


def test_that_was_not_me_ends_a_code_that_was_sent(stores: StoreHarness, number: str) -> None:
    """By one of these senders, before it was written, for one of these apps; otherwise nothing changes."""
    ref, deny = stores.start(number).reference, stores.verifications.deny
    assert deny(ref, denial(stores)) == "no"
    stores.send(ref)
    for changes in (
        {"apps": frozenset({"bank"})},
        {"senders": frozenset({"backup"})},
        {"at_ms": stores.now() - 60_000},
        {"received_ms": stores.now() - 60_000},
    ):
        assert deny(ref, denial(stores, **changes)) == "no"
    assert status(stores, ref) is Status.PENDING
    assert [deny(ref, denial(stores)) for _ in range(2)] == ["denied", "no"]
    assert stores.check(ref, CODE) == Ended(Status.DENIED)
    assert stores.events(ref)[-1] == "verification.denied"
    assert deny(stores.start_command(number).reference, denial(stores)) == "no"


def test_a_reply_after_the_codes_end_changes_nothing(stores: StoreHarness, number: str) -> None:
    """Time ends the verification, not the reply."""
    ref = stores.start(number).reference
    stores.send(ref)
    stores.age(ref, 300_000)
    assert stores.verifications.deny(ref, denial(stores)) == "no"
    assert stores.verifications.expire(ref)
    assert stores.events(ref)[-1] == "verification.expired"


def test_an_event_is_first_received_once(stores: StoreHarness, number: str) -> None:
    """Whenever it comes again; another number's has its own time."""
    first_received, number_hash = stores.verifications.first_received, stores.hash_of(number)
    first = first_received(number_hash, "evt")
    assert abs(first - stores.now()) < 10_000
    stores.age(stores.start(number).reference, 5)
    assert first_received(number_hash, "evt") == first
    assert first_received(stores.hash_of(fresh_number()), "evt") >= first


def test_the_version_grows_with_every_change(stores: StoreHarness, number: str) -> None:
    """By which whoever waits sees that there is something new."""
    ref = stores.start(number).reference
    seen = [stores.verifications.versions([ref])[0]]
    for change in (
        lambda: stores.check(ref, WRONG),
        lambda: stores.verifications.cancel(word(), ref, "shop"),
    ):
        change()
        seen.append(stores.verifications.versions([ref])[0])
    assert [version for version in seen if version is not None] == sorted({*seen}, key=lambda one: one or 0)
