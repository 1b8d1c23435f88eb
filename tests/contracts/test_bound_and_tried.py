"""Verifications bound to whoever started them, and starts that are only tried: what every implementation promises."""

from dataclasses import replace

import pytest

from otp_service.domain.binding import challenge_of
from otp_service.domain.checking import Approved, Limited, Wrong
from otp_service.domain.ending import Ended
from otp_service.domain.policy import Limit, NumberLimits
from otp_service.domain.starting import StartRefused, WouldSend
from otp_service.domain.verification import Status

from ..storage.harness import CODE, RESEND_MS, WRONG, StoreHarness, fresh_number

UNBOUND = [Wrong(1, unbound=True), Wrong(0, unbound=True)]
OWN, OTHERS = challenge_of("o" * 43), challenge_of("x" * 43)


@pytest.mark.parametrize("code", [CODE, WRONG])
@pytest.mark.parametrize("proof", ["", OTHERS])
def test_who_lacks_the_verifier_spends_nothing(stores: StoreHarness, number: str, code: str, proof: str) -> None:
    """Two checks look like wrong codes, the right code too; then nothing more is judged until the code's end."""
    ref = stores.start(number, challenge=OWN).reference
    answers = [stores.check(ref, code, challenge=proof) for _ in range(5)]
    assert answers[:2] == UNBOUND
    assert all(isinstance(answer, Limited) and 0 < answer.wait_ms <= 300_000 for answer in answers[2:])
    view = stores.verifications.view(ref, "shop")
    assert view is not None
    assert (view.attempts, view.status) == (0, Status.PENDING)
    assert stores.events(ref) == ["verification.started", "delivery.queued", "check.failed", "check.failed"]
    assert [stores.check(ref, WRONG, challenge=OWN) for _ in range(4)] == [Wrong(4), Wrong(3), Wrong(2), Wrong(1)]
    assert isinstance(stores.check(ref, CODE, challenge=OWN), Approved)


def test_a_repeated_check_without_the_verifier_is_one(stores: StoreHarness, number: str) -> None:
    """The same operation gets the same answer; an ended verification says how it ended."""
    ref = stores.start(number, challenge=OWN).reference
    guess = stores.guess(ref, CODE)
    assert [stores.verifications.check(guess) for _ in range(3)] == UNBOUND[:1] * 3
    for _ in range(5):
        stores.check(ref, WRONG, challenge=OWN)
    assert stores.check(ref, CODE) == Ended(Status.EXHAUSTED)


def test_a_verifier_that_no_start_asked_for_proves_nothing(stores: StoreHarness, number: str) -> None:
    """Otherwise a start without a challenge would take the binding away unseen (RFC 9700, downgrade)."""
    ref = stores.start(number).reference
    assert stores.check(ref, CODE, challenge=OWN) == UNBOUND[0]
    assert isinstance(stores.check(ref, CODE), Approved)


@pytest.mark.parametrize(("first", "second"), [(OTHERS, OWN), (OWN, OTHERS), ("", OWN), (OWN, ""), (OWN, OWN)])
def test_each_who_asked_for_the_code_can_prove_it(stores: StoreHarness, number: str, first: str, second: str) -> None:
    """A second session that gets the same code sent again keeps its own verifier; the first one's stays good."""
    ref = stores.start(number, challenge=first).reference
    stores.age(ref, RESEND_MS[0])
    assert stores.start(number, challenge=second).resent
    assert stores.check(ref, CODE) == UNBOUND[0]
    assert stores.check(ref, WRONG, challenge=OWN) == Wrong(4)
    assert isinstance(stores.check(ref, CODE, challenge=second or first), Approved)


@pytest.mark.parametrize("before", ["nothing", "pending", "expired", "capped"])
def test_a_dry_run_says_what_a_start_would_do_and_changes_nothing(
    stores: StoreHarness, number: str, before: str
) -> None:
    """Sent by the first sender, or refused with limit and wait; neither a verification, a count nor an event."""
    limits = NumberLimits(sends=(Limit(1 if before == "capped" else 9, 60_000),))
    if before != "nothing":
        ref = stores.start(number, purpose="pay" if before == "capped" else "login").reference
        if before == "expired":
            stores.age(ref, 400_000)
    command = stores.start_command(number, per_number=limits)
    answers = [stores.verifications.would_start(command) for _ in range(3)]
    if before in ("nothing", "expired"):
        assert answers == [WouldSend("pool")] * 3
    else:
        refused = stores.refused(number, per_number=limits)
        assert all(isinstance(one, StartRefused) and one.limit == refused.limit for one in answers)
    if before != "nothing":
        assert stores.events(ref) == ["verification.started", "delivery.queued"]
    if before in ("nothing", "expired"):
        assert stores.start(number, per_number=limits).sends == 1


def test_the_next_verification_asks_for_nothing_of_before(stores: StoreHarness) -> None:
    """A challenge belongs to one verification."""
    number = fresh_number()
    ref = stores.start(number, challenge=OWN).reference
    assert isinstance(stores.check(ref, CODE, challenge=OWN), Approved)
    again = stores.start(number).reference
    assert isinstance(stores.verifications.check(replace(stores.guess(again, CODE), challenge="")), Approved)
