"""Base32 of ids and tokens (RFC 4648, lower case), in less than half of the time that `base64.b32encode` takes."""

import binascii

SIZE = 20
"""Bytes: they make 32 digits."""

_DIGITS = bytes.maketrans(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdef", b"abcdefghijklmnopqrstuvwxyz234567")
"""From the first half of the digits of base64 to those of base32."""


def _halving(groups: int) -> tuple[int, int, int]:
    """The upper half of each run of so many groups of five bits, the lower half, and by how much the upper one moves.

    Each run has a place of six bits for a group.
    """
    half = groups * 5 // 2
    lower = sum(((1 << half) - 1) << start for start in range(0, 32 * 6, groups * 6))
    return lower << half, lower, groups // 2


_STEPS = [_halving(groups) for groups in (32, 16, 8, 4, 2)]


def encoded(raw: bytes) -> str:
    """The 32 digits of 20 bytes. Raises ValueError for another number.

    A zero bit is put before each five bits. Base64, which the interpreter has in C, then gives a digit for each.
    """
    if len(raw) != SIZE:
        raise ValueError(f"{SIZE} bytes are needed")
    value = int.from_bytes(raw, "big")
    for upper, lower, places in _STEPS:
        value = (value & upper) << places | value & lower
    return binascii.b2a_base64(value.to_bytes(24, "big"), newline=False).translate(_DIGITS).decode()
