"""Variables whose names are one slip of the keyboard away from ours: they would be ignored, and a default be used."""

from collections.abc import Iterable, Iterator
from itertools import takewhile

NAMES = (
    "OTP_API_KEY",
    "OTP_CONFIG",
    "OTP_DATA_DIR",
    "OTP_ISSUER",
    "OTP_KEYRING",
    "OTP_LEDGER_URL",
    "OTP_LOG_LEVEL",
    "OTP_METRICS_DIR",
    "OTP_PUBLIC_URL",
    "OTP_QUEUE_MAX",
    "OTP_REDIS_URL",
    "OTP_SHARDS",
    "OTP_URL",
    "TELNYX_API_KEY",
    "TELNYX_BASE_URL",
    "TELNYX_PUBLIC_KEY",
    "TELNYX_WEBHOOK_SIGNING_SEED",
)
"""Every variable that is read, here or by a command. Secrets may also be in the file that `NAME_FILE` names."""

FAMILIES = ("OTP_CALLBACK_SECRET_", "OTP_RISK_SECRET_", "OTP_SERVICE_")
"""How further variables begin."""


def misspelled(names: Iterable[str]) -> Iterator[tuple[str, str]]:
    """Each of the names that is one slip away from a variable of ours, and that variable."""
    known = {*NAMES, *(f"{name}_FILE" for name in NAMES)}
    for name in sorted({name for name in names if not name.startswith(FAMILIES)} - known):
        yield from ((name, meant) for meant in sorted(known) if is_one_slip(name, meant))


def is_one_slip(written: str, meant: str) -> bool:
    """Whether one character is missing, too many or another one, or two neighbours are exchanged.

    Not where a name begins otherwise: `TOTP_ISSUER` and `FTP_URL` are no slips but variables of other programs.
    """
    start = _alike(written, meant)
    end = _alike(written[start:][::-1], meant[start:][::-1])
    left, right = (text[start : len(text) - end] for text in (written, meant))
    if len(left) == 2:
        return left == right[::-1]
    return max(len(left), len(right)) == 1 and (start > 0 or not left)


def _alike(one: str, other: str) -> int:
    return sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(one, other, strict=False)))
