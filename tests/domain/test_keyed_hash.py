"""The keyed hash against the standard library's HMAC and the published vectors."""

import hmac

import pytest
from hypothesis import given
from hypothesis import strategies as st

from otp_service.domain.keyed_hash import BLOCK_BYTES, KeyedHash


@pytest.mark.parametrize(
    ("key", "message", "expected"),
    [
        (b"\x0b" * 20, b"Hi There", "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7"),
        (b"Jefe", b"what do ya want for nothing?", "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"),
        (b"\xaa" * 20, b"\xdd" * 50, "773ea91e36800e46854db8ebd09181a72959098b3ef8c122d9635514ced565fe"),
    ],
)
def test_it_gives_what_the_standard_publishes(key: bytes, message: bytes, expected: str) -> None:
    """Test cases 1 to 3 of RFC 4231."""
    assert KeyedHash(key).digest(message).hex() == expected


@given(key=st.binary(max_size=BLOCK_BYTES), messages=st.lists(st.binary(max_size=200), max_size=4))
def test_it_is_hmac_of_every_message(key: bytes, messages: list[bytes]) -> None:
    """For any key and message as the standard library computes it; one message leaves nothing for the next."""
    keyed = KeyedHash(key)
    assert [keyed.digest(each) for each in messages] == [hmac.digest(key, each, "sha256") for each in messages]


def test_it_takes_no_key_that_hmac_would_hash_first() -> None:
    """A longer key has another beginning, which is not made here."""
    with pytest.raises(ValueError, match="64 bytes"):
        KeyedHash(bytes(BLOCK_BYTES + 1))


def test_it_does_not_show_its_key() -> None:
    """A repr may stand in a log by accident."""
    assert repr(KeyedHash(b"secret")) == "KeyedHash()"
