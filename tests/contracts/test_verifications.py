"""Verifications: what every implementation promises of starting and checking them."""

from dataclasses import fields, replace
from typing import Any

import pytest

from otp_service.clock import rfc3339
from otp_service.domain.checking import Approval, Approved, LatestAnswer, Limited, Wrong
from otp_service.domain.ending import Ended, NotFound
from otp_service.domain.errors import KeyUnknown
from otp_service.domain.optout_list import OptOut
from otp_service.domain.policy import App, Limit, NumberLimits
from otp_service.domain.starting import Started, StartRefused
from otp_service.domain.verification import Status
from otp_service.domain.view import VerificationView

from ..storage.harness import BANK, CODE, RESEND_MS, SHOP, WRONG, StoreHarness, fresh_number, limited, word
from .memory import MemoryHarness, status

HOUR_MS = 3_600_000
FREE = replace(SHOP, resend_after_ms=())
"""Its codes are sent once, and the next verification need not wait."""


def as_view(started: Started) -> VerificationView:
    """What a start shows of the verification."""
    return VerificationView(**{one.name: getattr(started, one.name) for one in fields(VerificationView)})


# ---- starting -----------------------------------------------------------------------------------------------------


def test_a_new_verification_is_pending_and_its_message_queued(stores: StoreHarness, number: str) -> None:
    """The reply is the verification as everybody of its app can read it from then on."""
    command = stores.start_command(number, metadata='{"a":1}')
    started = stores.verifications.start(command)
    assert isinstance(started, Started)
    assert (started.resent, started.replayed, started.reference) == (False, False, command.reference)
    view = as_view(started)
    assert (view.app, view.purpose, view.channel, view.mask) == ("shop", "login", "sms", command.mask)
    assert (view.status, view.attempts, view.max_checks, view.sends, view.max_sends) == ("pending", 0, 5, 1, 4)
    assert (view.expires_ms - view.created_ms, view.next_send_ms - view.created_ms) == (300_000, RESEND_MS[0])
    assert [(one.ordinal, one.sender, one.kind, one.status) for one in view.deliveries] == [
        (1, "pool", "number_pool", "queued")
    ]
    assert (view.metadata, view.version) == ('{"a":1}', 2)
    assert stores.events(view.reference) == ["verification.started", "delivery.queued"]
    assert_readable(stores, started)


def assert_readable(stores: StoreHarness, started: Started) -> None:
    """By its app and by nobody else's; as the latest, as a pending one, and its version."""
    ref, view, verifications = started.reference, as_view(started), stores.verifications
    for app in ("shop", None):
        seen = verifications.view(ref, app)
        assert seen is not None
        assert replace(seen, now_ms=view.now_ms) == view
        both = verifications.view_with_timeline(ref, app)
        assert both is not None
        assert (replace(both[0], now_ms=view.now_ms), both[1]) == (view, verifications.timeline(ref))
    assert verifications.view(ref, "bank") is None
    assert verifications.view_with_timeline(ref, "bank") is None
    assert stores.latest(ref.number_hash, "shop", "login") == ref
    assert stores.latest(ref.number_hash, "shop", "pay") is None
    assert stores.latest(ref.number_hash, "bank", "login") is None
    assert verifications.pending(ref.number_hash) == [ref]
    unknown = stores.start_command(fresh_number()).reference
    assert verifications.versions([ref, unknown]) == [view.version, None]
    assert (verifications.view(unknown, None), verifications.pending(unknown.number_hash)) == (None, [])
    assert verifications.timeline(unknown) == []


def test_a_repeat_of_an_operation_starts_nothing(stores: StoreHarness, number: str) -> None:
    """It gets the first one's verification as it is now."""
    command = stores.start_command(number)
    first = stores.verifications.start(command)
    assert isinstance(first, Started)
    stores.check(first.reference, WRONG)
    again = stores.verifications.start(replace(command, reference=stores.start_command(number).reference))
    assert isinstance(again, Started)
    assert (again.reference, again.resent, again.replayed) == (first.reference, False, True)
    assert (again.sends, again.attempts) == (1, 1)


def test_a_code_is_sent_again_when_its_wait_is_over(stores: StoreHarness, number: str) -> None:
    """The waits grow; after the last send the next one is a new verification's."""
    ref = stores.start(number).reference
    for send, wait_ms in enumerate(RESEND_MS, 1):
        refused = stores.refused(number)
        assert (refused.code, refused.sends_left, refused.limit) == ("resend_too_soon", 4 - send, "resend_after")
        assert wait_ms / 2 < refused.wait_ms <= wait_ms
        stores.age(ref, wait_ms)
        again = stores.start(number)
        assert (again.reference, again.resent) == (ref, True)
        assert (again.sends, len(again.deliveries), again.sends_left) == (send + 1, send + 1, 3 - send)
    refused = stores.refused(number)
    assert (refused.code, refused.sends_left, refused.limit) == ("resend_too_soon", 0, "resend_after")
    assert stores.events(ref).count("verification.resent") == 3
    assert status(stores, ref) is Status.PENDING


def test_an_approval_gives_back_to_all_caps_but_the_longest(stores: StoreHarness, number: str) -> None:
    """Whoever is approved bombs nobody: the short windows count what no approval followed, the longest counts all."""
    limits = NumberLimits(sends=(Limit(2, 60_000), Limit(5, HOUR_MS)))
    stores.start(number, FREE, purpose="pay", per_number=limits)
    for _ in range(3):
        ref = stores.start(number, FREE, per_number=limits).reference
        assert isinstance(stores.check(ref, CODE, FREE), Approved)
    stores.start(number, FREE, per_number=limits)
    refused = stores.refused(number, FREE, purpose="other", per_number=limits)
    assert (refused.code, refused.limit) == ("rate_limited", "service.sends_per_number")
    assert refused.wait_ms > HOUR_MS - 60_000
    shorter = NumberLimits(sends=(Limit(2, 60_000), Limit(6, HOUR_MS)))
    refused = stores.refused(number, FREE, purpose="other", per_number=shorter)
    assert refused.wait_ms <= 60_000


def opt_out(stores: StoreHarness, number_hash: str, *profiles: str) -> None:
    """The person wrote STOP to senders of these messaging profiles."""
    for profile in profiles:
        if isinstance(stores, MemoryHarness):
            stores.memory.opted_out.add((number_hash, profile))
        else:
            stores.optouts.record(number_hash, "+1", OptOut(profile, True, stores.now(), "STOP", "inbound"), None)


def test_an_opted_out_person_is_sent_nothing(stores: StoreHarness, number: str) -> None:
    """By a sender of another profile, as long as there is one."""
    number_hash = stores.hash_of(number)
    opt_out(stores, number_hash, "profile-a")
    started = stores.start(number)
    assert [one.sender for one in started.deliveries] == ["backup"]
    opt_out(stores, number_hash, "profile-b")
    assert stores.refused(number, purpose="pay") == StartRefused("opted_out", 0)


def test_another_context_is_another_code(stores: StoreHarness, number: str) -> None:
    """It needs the end of the pending one."""
    ref = stores.start(number, context={"payee": "X"}).reference
    assert stores.refused(number, context={"payee": "Y"}) == StartRefused("context_conflict", 0)
    assert stores.refused(number, context={"payee": "X"}).code == "resend_too_soon"
    stores.verifications.cancel(word(), ref, "shop")
    assert stores.refused(number, context={"payee": "Y"}).code == "resend_too_soon"


NARROW = replace(FREE, starts_per_number=(Limit(1, HOUR_MS),))
ONE_SEND = NumberLimits(sends=(Limit(1, HOUR_MS),))


@pytest.mark.parametrize(
    ("app", "changes", "limit"),
    [
        (NARROW, {}, "starts_per_number"),
        (replace(BANK, resend_after_ms=()), {"per_number": ONE_SEND}, "service.sends_per_number"),
        (FREE, {"outer_wait_ms": 700, "outer_limit": "starts_per_app"}, "starts_per_app"),
    ],
)
def test_a_limit_that_refuses_is_named(
    stores: StoreHarness, number: str, app: App, changes: dict[str, Any], limit: str
) -> None:
    """With the wait after which it passes; nothing is started."""
    stores.start(number, FREE)
    command = stores.start_command(number, app, purpose="pay", **changes)
    refused = stores.verifications.start(command)
    assert isinstance(refused, StartRefused)
    assert (refused.code, refused.sends_left, refused.limit) == ("rate_limited", None, limit)
    assert 0 < refused.wait_ms <= HOUR_MS
    assert stores.verifications.view(command.reference, None) is None
    assert stores.latest(command.reference.number_hash, app.name, "pay") is None


def test_a_full_queue_refuses(stores: StoreHarness, number: str) -> None:
    """For a moment, and without a limit's name."""
    assert stores.refused(number, queue_max=0) == StartRefused("queue_full", 1_000)


# ---- checking -----------------------------------------------------------------------------------------------------


def test_a_right_code_approves_once(stores: StoreHarness, number: str) -> None:
    """Whoever gives it again is told that it was used; the approval names the person and the receipt."""
    command = stores.start_command(number, context={"payee": "X"}, purpose="pay")
    stores.verifications.start(command)
    guess = stores.guess(command.reference, CODE, context={"payee": "X"})
    answer = stores.verifications.check(guess)
    assert isinstance(answer, Approved)
    assert abs(answer.at_ms - stores.now()) < 10_000
    subject = stores.ring.ids.subject("shop", command.reference.number_hash)
    assert answer.approval == Approval(
        command.reference.verification_id, "approved", rfc3339(answer.at_ms), command.mask, "pay", "sms", subject, ""
    )
    assert answer == Approved(answer.approval, answer.at_ms, command.context_hash, guess.receipt_id)
    again = stores.guess(command.reference, CODE, context={"payee": "X"})
    assert stores.verifications.check(again) == Ended(Status.APPROVED)
    assert status(stores, command.reference) is Status.APPROVED


def test_a_code_is_right_in_its_context_only(stores: StoreHarness, number: str) -> None:
    """With another one it is as wrong as any."""
    ref = stores.start(number, context={"payee": "X"}).reference
    assert stores.check(ref, CODE) == Wrong(4)
    assert isinstance(stores.check(ref, CODE, context={"payee": "X"}), Approved)


def test_every_guess_counts_and_the_last_ends_it(stores: StoreHarness, number: str) -> None:
    """Also the right one counts, and comes too late after the last wrong one."""
    ref = stores.start(number).reference
    answers = [stores.check(ref, WRONG) for _ in range(5)]
    assert answers == [Wrong(4), Wrong(3), Wrong(2), Wrong(1), Ended(Status.EXHAUSTED)]
    assert stores.check(ref, CODE) == Ended(Status.EXHAUSTED)
    assert stores.events(ref)[2:] == ["check.failed"] * 5 + ["verification.exhausted"]
    other = stores.start(number, FREE, purpose="pay").reference
    stores.check(other, CODE, FREE)
    view = stores.verifications.view(other, "shop")
    assert view is not None
    assert (view.attempts, view.checks_left) == (1, 4)


def test_a_repeat_of_a_check_is_not_counted(stores: StoreHarness, number: str) -> None:
    """The same operation gets the same answer, whatever has become of the verification."""
    ref = stores.start(number).reference
    wrong, right = stores.guess(ref, WRONG), stores.guess(ref, CODE)
    assert [stores.verifications.check(wrong) for _ in range(2)] == [Wrong(4)] * 2
    assert stores.verifications.check(right) == stores.verifications.check(right)
    assert stores.verifications.check(wrong) == Wrong(4)


def test_the_request_that_was_approved_is_approved_again(stores: StoreHarness, number: str) -> None:
    """As another operation too: with the first one's receipt. Another request is not."""
    ref = stores.start(number).reference
    first = stores.check(ref, CODE, request_key="k")
    assert isinstance(first, Approved)
    assert (first.replayed, first.approval.receipt) == (False, "")
    first.approval.receipt = "signed"
    again = stores.check(ref, CODE, request_key="k")
    assert isinstance(again, Approved)
    assert (again.replayed, again.receipt_id, again.approval.receipt) == (True, first.receipt_id, "")
    assert (again.at_ms, again.approval.to) == (first.at_ms, first.approval.to)
    assert stores.check(ref, CODE, request_key="other") == Ended(Status.APPROVED)
    assert stores.check(ref, CODE) == Ended(Status.APPROVED)


@pytest.mark.parametrize("changes", [{"asserted_number": "00" * 10}, {"asserted_purpose": "pay"}, {"app": BANK}])
def test_what_is_not_as_asserted_is_not_found_and_not_counted(
    stores: StoreHarness, number: str, changes: dict[str, Any]
) -> None:
    """Another number, purpose or app; as asserted, it is judged."""
    ref = stores.start(number).reference
    assert stores.verifications.check(replace(stores.guess(ref, CODE), **changes)) == NotFound()
    assert stores.check(stores.start_command(number).reference, CODE) == NotFound()
    assert stores.check(ref, WRONG, asserted_number=ref.number_hash, asserted_purpose="login") == Wrong(4)


def test_a_code_of_a_key_that_is_missing_is_not_judged(stores: StoreHarness, number: str) -> None:
    """Nothing is counted."""
    ref = stores.start(number).reference
    with pytest.raises(KeyUnknown) as caught:
        stores.verifications.check(replace(stores.guess(ref, CODE), digests={"other": "00"}))
    assert caught.value.kid == stores.ring.active_kid
    assert stores.check(ref, WRONG) == Wrong(4)


def test_a_spent_budget_of_wrong_codes_stops_right_ones_and_starts(stores: StoreHarness, number: str) -> None:
    """Of this number in this app; a right code costs none of it."""
    app = replace(limited((2, HOUR_MS)), resend_after_ms=())
    assert isinstance(stores.check(stores.start(number, app).reference, CODE, app), Approved)
    ref = stores.start(number, app).reference
    assert [stores.check(ref, WRONG, app) for _ in range(2)] == [Wrong(4), Wrong(3)]
    answer = stores.check(ref, CODE, app)
    assert isinstance(answer, Limited)
    assert 0 < answer.wait_ms <= HOUR_MS
    refused = stores.refused(number, app, purpose="pay")
    assert (refused.code, refused.limit) == ("too_many_wrong_codes", "wrong_codes_per_number")
    assert 0 < refused.wait_ms <= HOUR_MS
    assert isinstance(stores.check(stores.start(number, BANK).reference, CODE, BANK), Approved)


def test_wrong_codes_over_all_apps_have_a_limit_too(stores: StoreHarness, number: str) -> None:
    """Whichever app they were given in."""
    everywhere = NumberLimits(wrong_codes=(Limit(2, HOUR_MS),))
    for app in (SHOP, BANK):
        ref = stores.start(number, app).reference
        assert stores.check(ref, WRONG, app) == Wrong(4)
    assert isinstance(stores.check(ref, CODE, BANK, per_number=everywhere), Limited)
    refused = stores.refused(number, purpose="pay", per_number=everywhere)
    assert (refused.code, refused.limit) == ("too_many_wrong_codes", "service.wrong_codes_per_number")


def test_only_the_latest_is_checked_by_number(stores: StoreHarness, number: str) -> None:
    """An older one is judged by its id alone."""
    old = stores.start(number, FREE).reference
    stores.verifications.cancel(word(), old, "shop")
    new = stores.start(number, FREE).reference
    assert stores.check_latest(old.number_hash, WRONG, FREE) == LatestAnswer(new, Wrong(4))
    assert stores.check(old, CODE, FREE) == Ended(Status.CANCELED)
    judged = stores.check_latest(old.number_hash, CODE, FREE)
    assert judged is not None
    assert judged.reference == new
    assert isinstance(judged.answer, Approved)


def test_an_approval_ends_the_wait_for_the_next_code(stores: StoreHarness, number: str) -> None:
    """Of its purpose; another purpose has its own."""
    ref = stores.start(number).reference
    stores.start(number, purpose="pay")
    stores.check(ref, CODE)
    next_ = stores.start(number)
    assert (next_.resent, next_.reference != ref) == (False, True)
    assert stores.refused(number, purpose="pay").code == "resend_too_soon"
