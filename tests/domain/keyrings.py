"""A keyring with known bytes, for tests."""

from otp_service import keyring


def ring_file(seed: int = 0) -> bytes:
    """A keyring file without chance."""
    return keyring.create(lambda size: bytes((seed + place) % 256 for place in range(size)), "2026-01-01T00:00:00Z")


RING = keyring.parse(ring_file())
