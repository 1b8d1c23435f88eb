"""Valid requests of each endpoint that takes a body, to be damaged by tests."""

from typing import Any

UNKNOWN_ID = "vrf_" + "a" * 32
UNKNOWN_FACTOR = "fac_" + "a" * 32
GOOD: dict[str, dict[str, Any]] = {
    "/verify/start": {"to": "+12025550143"},
    "/verify/check": {"verification_id": UNKNOWN_ID, "code": "123456"},
    f"/verify/{UNKNOWN_ID}/cancel": {},
    "/receipts/redeem": {"receipt": "x"},
    "/factors/totp": {"subject": "user-1"},
    f"/factors/totp/{UNKNOWN_FACTOR}/confirm": {"code": "123456"},
    f"/factors/{UNKNOWN_FACTOR}/check": {"code": "123456"},
    "/factors/recovery-codes": {"subject": "user-1"},
}
ENDPOINTS = list(GOOD)
