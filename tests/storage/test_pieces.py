"""Values in pieces: what permits in comes out, whatever bytes it has, and hashes stay compact."""

import base64
import json

from hypothesis import given
from hypothesis import strategies as st

from otp_service.storage.pieces import as_bytes, joined, pack_sealed, unpack_sealed

from .harness import StoreHarness, fresh_number


@given(st.binary(max_size=200), st.from_regex(r"k[0-9a-f]{8}", fullmatch=True))
def test_a_sealed_value_comes_back_as_it_was(raw: bytes, kid: str) -> None:
    """Its bytes are kept, which are not longer than its text."""
    sealed = f"{kid}:{base64.b64encode(raw).decode()}"
    stored = pack_sealed(sealed)
    assert unpack_sealed(stored) == sealed
    assert len(stored) <= len(sealed) + 1


@given(st.text(max_size=50))
def test_a_text_of_another_form_comes_back_too(text: str) -> None:
    """Damage is found where the seal is opened, not here."""
    sealed = text.replace("\x00", "")
    assert unpack_sealed(pack_sealed(sealed)) == sealed


@given(st.binary(max_size=300), st.integers(1, 64))
def test_pieces_are_joined_in_order(value: bytes, length: int) -> None:
    """Also where a piece ends within a character."""
    parts = [value[at : at + length].decode("utf-8", "surrogateescape") for at in range(0, max(len(value), 1), length)]
    fields = {"x" if n == 0 else f"x:{n + 1}": part for n, part in enumerate(parts)}
    assert joined(fields, "x") == value
    assert joined(fields, "y") is None
    assert as_bytes(parts[0]) == value[:length]


def test_a_long_detail_keeps_the_record_compact(server_harness: StoreHarness) -> None:
    """An IPv6 address and letters that are not ASCII: the hash has no value that makes it twice as large."""
    detail = {
        "purpose": "login",
        "channel": "sms",
        "client_ip": "2001:db8:aaaa:bbbb:cccc:dddd:eeee:ffff",
        "x": "ü" * 70,
    }
    ref = server_harness.start(fresh_number(), detail=json.dumps(detail, ensure_ascii=False)).reference
    assert server_harness.verifications.timeline(ref)[0].detail == detail
    for key in (server_harness.keys.record(ref), server_harness.keys.secrets(ref)):
        assert server_harness.raw.object("encoding", key) in ("listpack", "ziplist")
