"""What follows from a verification's record at the store's time."""

from typing import Any

import pytest

from otp_service.domain.ids import Ids
from otp_service.domain.verification import Status
from tests.fakes import verification_view

IDS = Ids(bytes(32))
REF = IDS.new("00" * 10, bytes(10))


@pytest.mark.parametrize(
    ("changes", "resend", "left"),
    [
        ({}, 30, 3),
        ({"now_ms": 30_000}, 0, 3),
        ({"now_ms": 31_000}, 0, 3),
        ({"sends": 4}, None, 0),
        ({"status": Status.APPROVED}, None, 3),
    ],
)
def test_a_view_knows_when_to_send_again(changes: dict[str, Any], resend: int | None, left: int) -> None:
    """Never after the last send or the end."""
    view = verification_view(REF, **changes)
    assert view.resend_in == resend
    assert view.sends_left == left
    assert view.checks_left == 3
    assert IDS.read(view.reference.verification_id) == REF
