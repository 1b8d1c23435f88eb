"""Of several refusals, which one answers."""

import time
from collections.abc import Callable
from dataclasses import replace

import pytest

from otp_service import bootstrap

from .conftest import ApiHarness, make_settings
from .request_examples import UNKNOWN_ID


def test_the_order_of_forms(api: ApiHarness) -> None:
    """401 before 403 before 413 before 415 before 400 before 422, on start, check, redeem and cancel."""
    narrow = api.key("default", "metrics")
    big, text, broken = b"x" * 65537, {"Content-Type": "text/plain"}, b"{"
    for path in ("/verify/start", "/verify/check", "/receipts/redeem", f"/verify/{UNKNOWN_ID}/cancel"):
        for keyed in ({}, {"Idempotency-Key": "k-1"}):
            api.call("POST", path, big, key=None, headers=text | keyed).problem(401, "unauthorized")
            api.call("POST", path, big, key=narrow, headers=text | keyed).problem(403, "forbidden")
            api.call("POST", path, broken, key=narrow, headers=keyed).problem(403, "forbidden")
            api.call("POST", path, big, headers=text | keyed).problem(413, "payload_too_large")
            api.call("POST", path, big, headers=text | keyed, chunked=True).problem(413, "payload_too_large")
            api.call("POST", path, broken, headers=text | keyed).problem(415, "unsupported_media_type")
            api.call("POST", path, broken, headers=keyed).problem(400, "invalid_request")
    both = {**text, "Idempotency-Key": "not allowed"}
    api.call("POST", "/verify/start", broken, headers=both).problem(415, "unsupported_media_type")
    api.start("nonsense", nonsense=1).problem(400, "invalid_request")


def test_the_order_of_start_refusals(api: ApiHarness) -> None:
    """Of several refusals the first of the contract's list answers; each step takes the one above it away."""
    number, abroad = api.number(), "+447400123456"
    api.opt_out(abroad)
    api.start(abroad, "strict").problem(403, "country_not_allowed")
    verification = api.started(number, "strict", context={"a": "b"})
    for _ in range(2):
        api.check(verification, api.wrong(verification), "strict").problem(422, "code_incorrect")
    api.opt_out(number)
    api.start(number, "strict").problem(403, "opted_out")
    api.opt_out(number, text="START")
    # The budget is spent, another context is pending, and two starts are all that an hour has.
    api.start(number, "strict").problem(429, "too_many_wrong_codes")


def set_starts(api: ApiHarness, count: int) -> None:
    """Let every number have so many starts of just now, in the app `default`."""
    for name in api.store.keys("*:number:*"):
        api.store.hset(name, "starts:default", ",".join([str(time.time_ns() // 1_000_000)] * count))


def test_cool_down_before_limits_before_the_queue(api: ApiHarness, tmp_path_factory: pytest.TempPathFactory) -> None:
    """429 resend_too_soon, then 429 rate_limited, then 503."""
    number = api.number()
    api.started(number)
    set_starts(api, 50)
    api.start(number).problem(429, "resend_too_soon")
    small = make_settings(tmp_path_factory.mktemp("small"), api.settings.redis_url, api.seed, OTP_QUEUE_MAX="1")
    small = replace(small, keyring_path=api.settings.keyring_path)
    bootstrap.accept_keyring(small)  # the store of each test is empty at first, and says nothing of its keyring
    crowded = ApiHarness(bootstrap.build_web(small), small, api.vault, api.seed, api.store)
    # Another person; and what waits on their number's shard would fill its queue of one.
    number = api.number()
    if waiting := api.store.keys("*:outbox"):
        api.store.delete(*waiting)
    assert crowded.start(number).status == 201
    set_starts(api, 50)
    crowded.start(number, purpose="b").problem(429, "rate_limited")
    set_starts(api, 0)
    crowded.start(number, purpose="b").problem(503, "queue_full")


def test_the_order_of_check_refusals(api: ApiHarness) -> None:
    """404, then 410 (expired before the rest), then 429, then 422 or 200."""
    number = api.number()
    spent = api.started(number, "strict")
    wrong = api.wrong(spent)
    for _ in range(2):
        api.check(spent, wrong, "strict").problem(422, "code_incorrect")
    api.check(UNKNOWN_ID, wrong, "strict").problem(404, "verification_not_found")
    api.check(spent, api.code(spent), "strict").problem(429, "too_many_wrong_codes")
    assert api.call("POST", f"/verify/{spent}/cancel", key="strict").status == 200
    api.check(spent, wrong, "strict").problem(410, "verification_canceled")


def test_a_refused_start_leaves_nothing_behind(api: ApiHarness) -> None:
    """No outbox entry, no verification and no place in a limit is taken by a refusal."""

    def entries() -> int:
        return sum(int(str(api.store.xlen(name))) for name in api.store.keys("*:outbox"))

    number = api.number()
    api.started(number, "capped")
    before = entries()
    refused: list[Callable[[], object]] = [
        lambda: api.start(number),
        lambda: api.start("+447400123456"),
        lambda: api.start(api.number(), "capped"),
        lambda: api.start(number, context={"a": "b"}),
    ]
    api.started(number)
    for call in refused:
        call()
    assert entries() == before + 1
