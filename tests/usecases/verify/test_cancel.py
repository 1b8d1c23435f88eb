"""Canceling a verification."""

from otp_service.domain.ending import Canceled, Ended, NotFound
from otp_service.domain.errors import Refusal
from otp_service.domain.verification import Status
from otp_service.domain.view import VerificationView
from tests.fakes import FakeVerifications

from .parts import REF, VIEW, refused, replying, use_cases


def test_cancel_shows_what_became_of_it() -> None:
    """The view after the end, or why it had ended before."""

    def cancel(store: FakeVerifications) -> VerificationView | Refusal:
        return use_cases(store).cancel("shop", REF.verification_id)

    assert cancel(replying(Canceled())) == VIEW
    assert refused(cancel(replying(Ended(Status.APPROVED)))).code == "already_approved"
    assert refused(cancel(replying(NotFound()))).code == "verification_not_found"
    assert refused(cancel(replying(Canceled(), view=None))).code == "verification_not_found"
