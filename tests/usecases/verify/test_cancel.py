"""Canceling a verification."""

from otp_service.domain.ids import Reference
from otp_service.domain.verification import Status
from otp_service.domain.view import VerificationView
from tests.fakes import FakeVerifications

from .parts import REF, RIGHT, begun, guess, refused, use_cases


def test_cancel_shows_what_became_of_it() -> None:
    """The view after the end, or why it had ended before."""
    store = FakeVerifications()
    verify = use_cases(store)
    ref = begun(verify)
    canceled = verify.cancel("shop", ref.verification_id)
    assert isinstance(canceled, VerificationView)
    assert (canceled.reference, canceled.status) == (ref, Status.CANCELED)
    assert refused(verify.cancel("shop", ref.verification_id)).code == "verification_canceled"
    assert refused(verify.cancel("bank", ref.verification_id)).code == "verification_not_found"
    assert refused(verify.cancel("shop", REF.verification_id)).code == "verification_not_found"


def test_an_approved_one_is_not_canceled() -> None:
    """It says so."""
    verify = use_cases()
    ref = begun(verify)
    verify.check("shop", guess(ref, RIGHT))
    assert refused(verify.cancel("shop", ref.verification_id)).code == "already_approved"


def test_one_that_is_gone_by_the_time_it_is_read_is_not_found() -> None:
    """Canceled, and forgotten at once."""

    class Forgetful(FakeVerifications):
        def view(self, ref: Reference, app: str | None) -> VerificationView | None:
            return None

    verify = use_cases(Forgetful())
    assert refused(verify.cancel("shop", begun(verify).verification_id)).code == "verification_not_found"
