"""A record or a number's hash that lost a field: nothing is answered that is not so, and no budget is forgotten."""

import pytest

from otp_service.domain.checking import Approved
from otp_service.domain.ending import Canceled, Ended, NotFound
from otp_service.domain.starting import Started
from otp_service.domain.verification import Status

from .harness import BANK, CODE, WRONG, StoreHarness, fresh_number, word


def test_a_record_without_a_version_ends_as_any_other(harness: StoreHarness) -> None:
    """It is canceled and expired, and says so once more to a repeat."""
    number = fresh_number()
    canceled, old = harness.start(number).reference, harness.start(fresh_number()).reference
    for ref in (canceled, old):
        harness.raw.hdel(harness.keys.record(ref), "version")
    operation = word()
    for _ in range(2):
        assert harness.verifications.cancel(operation, canceled, "shop") == Canceled()
    assert harness.check(canceled, CODE) == Ended(Status.CANCELED)
    harness.age(old, 700_000)
    assert harness.verifications.expire(old)


def test_a_record_without_a_version_does_not_keep_its_number_from_starting_again(harness: StoreHarness) -> None:
    """Neither a resend nor a new start needs it."""
    number = fresh_number()
    ref = harness.start(number).reference
    harness.raw.hdel(harness.keys.record(ref), "version")
    harness.cool(ref)
    assert harness.start(number).reference == ref
    harness.raw.hdel(harness.keys.record(ref), "version")
    harness.age(ref, 4_000_000)
    assert harness.start(number).reference != ref


@pytest.mark.parametrize("end", [None, "", "nonsense"])
@pytest.mark.parametrize("guesses", [(CODE,), (WRONG, CODE)])
def test_an_approval_forgets_no_sends_whose_end_is_unknown(
    harness: StoreHarness, end: str | None, guesses: tuple[str, ...]
) -> None:
    """The hash of a number is never deleted by an approval that cannot read how long it is needed."""
    ref = harness.start(fresh_number()).reference
    key = harness.keys.number(ref.number_hash)
    for guess in guesses:
        if end is None:
            harness.raw.hdel(key, "ends")
        else:
            harness.raw.hset(key, "ends", end)
        answer = harness.check(ref, guess)
    assert isinstance(answer, Approved)
    assert len(harness.sends(ref.number_hash)) == 1
    assert harness.raw.ttl(key) > 0


def test_another_apps_unreadable_wrong_codes_do_not_break_an_approval(harness: StoreHarness) -> None:
    """The attempt is counted, and the other app's field stays as it is."""
    ref = harness.start(fresh_number()).reference
    harness.check(ref, WRONG)
    harness.raw.hset(harness.keys.number(ref.number_hash), f"wrong:{BANK.name}", "nonsense")
    assert isinstance(harness.check(ref, CODE), Approved)
    assert harness.record(ref)["attempts"] == "2"


def test_a_code_whose_secrets_are_gone_is_never_judged(harness: StoreHarness) -> None:
    """So it is when nobody noticed the end of its time, and the clock was set back afterwards."""
    ref = harness.start(fresh_number()).reference
    harness.raw.delete(harness.keys.secrets(ref))
    assert harness.check(ref, CODE) == NotFound()
    assert harness.wrong_codes(ref.number_hash) == []


def test_a_number_that_lost_its_latest_verification_starts_again(harness: StoreHarness) -> None:
    """Also under the operation that had started it: nothing says any more what that one did."""
    number = fresh_number()
    first = harness.start_command(number)
    assert isinstance(harness.verifications.start(first), Started)
    for command in (harness.start_command(number), harness.start_command(number, operation_id=first.operation_id)):
        harness.raw.hdel(harness.keys.number(command.reference.number_hash), "latest:shop:login")
        harness.set_sends(command.reference.number_hash, [])
        started = harness.verifications.start(command)
        assert isinstance(started, Started)
        assert (started.reference, started.replayed) == (command.reference, False)
