"""Base32 of ids, beside Python's own."""

import base64

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from otp_service.domain import base32


@given(st.binary(min_size=base32.SIZE, max_size=base32.SIZE))
@example(bytes(base32.SIZE))
@example(b"\xff" * base32.SIZE)
def test_the_digits_are_those_of_rfc_4648(raw: bytes) -> None:
    """As Python's own function makes them."""
    assert base32.encoded(raw) == base64.b32encode(raw).decode().lower()


@pytest.mark.parametrize("size", [0, base32.SIZE - 1, base32.SIZE + 1])
def test_another_number_of_bytes_is_refused(size: int) -> None:
    """Nothing is cut off or padded."""
    with pytest.raises(ValueError, match="20 bytes"):
        base32.encoded(bytes(size))
