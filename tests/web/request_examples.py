"""Valid requests of each endpoint that takes a body, to be damaged by tests."""

from typing import Any

UNKNOWN_ID = "vrf_" + "a" * 32
ENDPOINTS = ["/verify/start", "/verify/check", f"/verify/{UNKNOWN_ID}/cancel", "/receipts/redeem"]
GOOD: dict[str, dict[str, Any]] = {
    "/verify/start": {"to": "+12025550143"},
    "/verify/check": {"verification_id": UNKNOWN_ID, "code": "123456"},
    f"/verify/{UNKNOWN_ID}/cancel": {},
    "/receipts/redeem": {"receipt": "x"},
}
