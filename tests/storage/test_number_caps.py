"""How often a number may be sent to over all apps and purposes: sliding windows, exact under a race."""

import json
import subprocess
import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from itertools import chain
from pathlib import Path
from subprocess import PIPE
from typing import Any

import pytest

from otp_service.domain.policy import TOMBSTONE_MS, App, Limit, NumberLimits
from otp_service.domain.starting import Started, StartRefused

from .harness import BANK, EVERYWHERE, SHOP, StoreHarness, at_once, fresh_number
from .sends import cancel

ROOT = Path(__file__).parents[2]
HOUR_MS = 3_600_000
DAY_MS = 86_400_000
TEN_MINUTES_MS = 600_000


def test_parallel_starts_of_many_apps_and_purposes_reach_the_cap_exactly(harness: StoreHarness, store_url: str) -> None:
    """Sixty starts at once over connections of their own, apps and purposes: five pass, the others learn when."""
    number = fresh_number()
    harnesses = [StoreHarness.open(store_url) for _ in range(6)]
    apps = [replace(SHOP, name=f"app{n}") for n in range(3)]
    commands = [harness.start_command(number, apps[n % 3], purpose=f"p{n // 3}") for n in range(60)]
    jobs = [partial(harnesses[n % len(harnesses)].verifications.start, command) for n, command in enumerate(commands)]
    answers = at_once(jobs)
    assert sum(isinstance(answer, Started) for answer in answers) == 5
    refused = [answer for answer in answers if isinstance(answer, StartRefused)]
    assert {(answer.code, answer.limit) for answer in refused} == {("rate_limited", "service.sends_per_number")}
    assert all(TEN_MINUTES_MS - 60_000 < answer.wait_ms <= TEN_MINUTES_MS for answer in refused)
    assert len(harness.sends(harness.hash_of(number))) == 5
    for other in harnesses:
        other.close()


def test_starts_of_several_processes_reach_cap_and_ladder_exactly(redis_url: str, redis_server: object) -> None:
    """Three processes with connections of their own: of sixty subjects five pass, of one subject's sixty starts one."""
    many, one = fresh_number(), fresh_number()
    subjects = [f"{many}:app{n % 3}:p{n // 3}" for n in range(60)] + [f"{one}:shop:login"] * 60
    command = [sys.executable, "-m", "tests.storage.starting_process", redis_url]
    processes = [
        subprocess.Popen([*command, *subjects[n::3]], cwd=ROOT, stdin=PIPE, stdout=PIPE, text=True) for n in range(3)
    ]
    try:
        outcomes = list(zip(subjects, chain.from_iterable(zip(*in_step(processes), strict=True)), strict=True))
    finally:
        for process in processes:
            process.kill()
            process.wait()
    assert Counter(word for subject, word in outcomes if many in subject) == {"started": 5, "rate_limited": 55}
    assert Counter(word for subject, word in outcomes if one in subject) == {"started": 1, "resend_too_soon": 59}


def in_step(processes: Sequence["subprocess.Popen[str]"]) -> list[list[str]]:
    """Let them all begin when the last one is ready; what each wrote then."""
    for process in processes:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
    for process in processes:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    return [json.loads(process.communicate(timeout=300)[0]) for process in processes]


def test_parallel_starts_after_the_cool_down_are_one(harness: StoreHarness) -> None:
    """Of twenty starts at once after a cancellation one passes, before the cool-down is over none."""
    number = fresh_number()
    ref = harness.start(number).reference
    cancel(harness, ref)
    answers = at_once([partial(harness.verifications.start, harness.start_command(number)) for _ in range(20)])
    assert {getattr(answer, "code", None) for answer in answers} == {"resend_too_soon"}
    harness.cool(ref)
    answers = at_once([partial(harness.verifications.start, harness.start_command(number)) for _ in range(20)])
    assert sum(isinstance(answer, Started) for answer in answers) == 1


def test_the_caps_are_sliding_windows(harness: StoreHarness) -> None:
    """Five in ten minutes, ten an hour, twenty a day: each send counts for the window's length from its own moment."""
    number, app = fresh_number(), replace(SHOP, resend_after_ms=())
    now = harness.now()

    def wait_after(*ages_ms: int) -> int:
        harness.set_sends(harness.hash_of(number), [f"{now - age}\x1fbank\x1fx" for age in ages_ms])
        refused = harness.refused(number, app)
        assert (refused.code, refused.limit) == ("rate_limited", "service.sends_per_number")
        return refused.wait_ms

    assert wait_after(1, 2, 3, 4, 590_000) == pytest.approx(10_000, abs=5_000)
    ten = [660_000 + n for n in range(9)]
    assert wait_after(*ten, HOUR_MS - 20_000) == pytest.approx(20_000, abs=5_000)
    twenty = [HOUR_MS + n for n in range(19)]
    assert wait_after(*twenty, DAY_MS - 60_000) == pytest.approx(60_000, abs=5_000)
    # Of two that refuse the longer wait is reported.
    assert wait_after(1, 2, 3, 4, 590_000, *ten) == pytest.approx(HOUR_MS - 660_004, abs=5_000)
    harness.set_sends(harness.hash_of(number), [f"{now - age}\x1fbank\x1fx" for age in (1, 2, 3, 4, 600_001)])
    harness.start(number, app)
    assert harness.refused(number, app, purpose="b").wait_ms == pytest.approx(TEN_MINUTES_MS, abs=5_000)


def test_the_cap_names_the_first_moment_that_passes(harness: StoreHarness) -> None:
    """A caller who obeys the wait is let through."""
    number, limits = fresh_number(), NumberLimits(sends=(Limit(2, 60_000),))
    for purpose in "ab":
        harness.start(number, purpose=purpose, per_number=limits)
    wait_ms = harness.refused(number, purpose="c", per_number=limits).wait_ms
    latest = harness.latest(harness.hash_of(number), "shop", "b")
    assert latest is not None
    harness.age(latest, wait_ms)
    harness.start(number, purpose="c", per_number=limits)


def test_the_callers_own_refusal_comes_before_the_cap(harness: StoreHarness) -> None:
    """Of several refusals the contract's first answers: `resend_too_soon`, then `rate_limited`."""
    number, one = fresh_number(), NumberLimits(sends=(Limit(1, 60_000),))
    harness.start(number, per_number=one)
    assert harness.refused(number, per_number=one).code == "resend_too_soon"
    assert harness.refused(number, BANK, per_number=one).code == "rate_limited"
    assert harness.refused(number, BANK, per_number=one, queue_max=1).code == "rate_limited"


def refusals(harness: StoreHarness, number: str) -> list[dict[str, object]]:
    """The details of the refused starts on record."""
    events = harness.audited_of(harness.hash_of(number))
    return [json.loads(event["detail"]) for event in events if event["type"] == "verification.refused"]


# ---- on record ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "limits", "code", "limit"),
    [
        ({}, EVERYWHERE, "resend_too_soon", "resend_after"),
        ({"purpose": "x"}, NumberLimits(sends=(Limit(1, 60_000),)), "rate_limited", "service.sends_per_number"),
        (
            {"purpose": "x", "outer_wait_ms": 9, "outer_limit": "starts_per_app"},
            EVERYWHERE,
            "rate_limited",
            "starts_per_app",
        ),
    ],
)
def test_a_refusal_says_which_limit_and_for_how_long(
    harness: StoreHarness, changes: dict[str, Any], limits: NumberLimits, code: str, limit: str
) -> None:
    """The event names the limit and the wait; a hundred refusals in a loop are one event."""
    number = fresh_number()
    cancel(harness, harness.start(number).reference)
    for _ in range(10):
        assert harness.refused(number, per_number=limits, **changes).limit == limit
    detail = refusals(harness, number)[0]
    assert (detail["code"], detail["limit"], detail["skipped"]) == (code, limit, 0)
    assert isinstance(detail["wait_ms"], int)
    assert detail["wait_ms"] > 0


def test_what_is_remembered_of_a_number_ends(harness: StoreHarness) -> None:
    """It lives as long as the longest cap and the tombstones, with an hour's slack, and holds no more than it needs."""
    number, app = fresh_number(), replace(SHOP, resend_after_ms=())
    key = harness.keys.number(harness.hash_of(number))

    def ttl_after(limits: NumberLimits, app: App = app) -> int:
        ref = harness.start(number, app, per_number=limits).reference
        cancel(harness, ref)
        return int(harness.raw.pttl(key))

    tombstone_ms = TOMBSTONE_MS + SHOP.code_ttl_ms
    assert tombstone_ms - 60_000 < ttl_after(NumberLimits(sends=(Limit(3, 60_000),))) <= tombstone_ms + HOUR_MS
    week_ms = 7 * DAY_MS
    assert week_ms - 60_000 < ttl_after(NumberLimits(sends=(Limit(3, week_ms),))) <= week_ms + HOUR_MS
    old = [f"{harness.now() - 2 * HOUR_MS - n}\x1fshop\x1fx" for n in range(30)]
    harness.set_sends(harness.hash_of(number), old)
    ttl_after(NumberLimits(sends=(Limit(3, 60_000),)))
    assert len(harness.sends(harness.hash_of(number))) == 1


@pytest.mark.parametrize("window_ms", [60_000, 2 * HOUR_MS])
def test_a_large_limit_does_not_make_the_lists_grow_for_ever(harness: StoreHarness, window_ms: int) -> None:
    """A send or a start that is older than every window, and than the ladder's hour, is taken out by the next one."""
    number, many = fresh_number(), (Limit(1_000_000, window_ms),)
    app, limits = replace(SHOP, resend_after_ms=(), starts_per_number=many), NumberLimits(sends=many)
    ref = harness.start(number, app, per_number=limits).reference
    cancel(harness, ref)
    now = harness.now()
    ages = range(0, 4 * HOUR_MS, 10_000)
    harness.set_sends(ref.number_hash, [f"{now - age}\x1fbank\x1fx" for age in ages])
    harness.set_starts(ref.number_hash, "shop", [now - age for age in ages])
    harness.start(number, app, per_number=limits)
    # A test may take a few steps of ten seconds.
    most = max(window_ms, HOUR_MS) // 10_000 + 1
    assert most - 3 <= len(harness.sends(ref.number_hash)) <= most
    most = window_ms // 10_000 + 1
    assert most - 3 <= len(harness.starts(ref.number_hash, "shop")) <= most
