"""What the naive services share: one hash for a verification, and one round trip for each request.

A start makes a code and stores it with its time; a check counts the try and compares. No digest, no lock, no limits,
no audit, no metrics, and nobody sends the code: the start tells it.
"""

import hmac
import os
import secrets
from typing import Any

KEY = "Bearer naive"
TTL_S, TRIES = 600, 20


def store_url() -> str:
    """Where the store is."""
    return os.environ["BENCH_STORE"]


def new() -> tuple[str, str]:
    """An id and a code."""
    return secrets.token_hex(16), f"{secrets.randbelow(10**6):06d}"


def fill_start(pipeline: Any, verification_id: str, number: str, code: str) -> None:
    """The commands of a start."""
    pipeline.hset(f"v:{verification_id}", mapping={"to": number, "code": code, "tries": 0})
    pipeline.expire(f"v:{verification_id}", TTL_S)
    pipeline.lpush("queue", verification_id)


def fill_check(pipeline: Any, verification_id: str) -> None:
    """The commands of a check."""
    pipeline.hincrby(f"v:{verification_id}", "tries", 1)
    pipeline.hget(f"v:{verification_id}", "code")


def judge(tries: int, wanted: str | None, code: str) -> tuple[int, dict[str, Any]]:
    """Status and body of a check."""
    if wanted is None or tries > TRIES:
        return 410, {"code": "ended"}
    if not hmac.compare_digest(wanted, code):
        return 422, {"code": "code_incorrect", "checks_left": TRIES - tries}
    return 200, {"status": "approved"}
