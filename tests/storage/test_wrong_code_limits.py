"""Wrong codes are limited over all apps."""

from dataclasses import replace
from functools import partial

from otp_service.domain.checking import Approved, Limited, Wrong
from otp_service.domain.policy import Limit, NumberLimits

from .harness import BANK, CODE, POOL, SHOP, WRONG, StoreHarness, at_once, fresh_number


def test_wrong_codes_are_limited_over_all_apps(harness: StoreHarness) -> None:
    """An app's own budget is not reached, the installation's is: start, check and sending are refused in every app."""
    number, limits = fresh_number(), NumberLimits(sends=(), wrong_codes=(Limit(6, 60_000),))
    apps = [replace(SHOP, name=f"app{n}", route=(POOL,)) for n in range(3)]
    refs = [harness.start(number, app, per_number=limits).reference for app in apps]
    for ref, app in zip(refs[:2], apps, strict=False):
        for left in (4, 3, 2):
            assert harness.check(ref, WRONG, app, per_number=limits) == Wrong(left)
    for ref, app in zip(refs, apps, strict=True):
        answer = harness.check(ref, CODE, app, per_number=limits)
        assert isinstance(answer, Limited)
        assert 0 < answer.wait_ms <= 60_000
        refused = harness.refused(number, app, purpose="x", per_number=limits)
        assert (refused.code, refused.limit) == ("too_many_wrong_codes", "service.wrong_codes_per_number")
    job = next(each for each in harness.jobs(refs[2]) if each.reference == refs[2])
    assert (
        harness.deliveries.begin_send(job, apps[2].name, "x", apps[2].wrong_codes_per_number, limits.wrong_codes)
        is None
    )
    assert harness.record(refs[2])["1:error_code"] == "too_many_wrong_codes"
    harness.age_wrong_codes(refs[0].number_hash, 60_001)
    assert isinstance(harness.check(refs[2], CODE, apps[2], per_number=limits), Approved)


def test_the_budget_over_all_apps_is_exact_under_a_race(harness: StoreHarness) -> None:
    """Guesses at once in many apps: as many are judged as the limit says, and the right ones are not counted."""
    number, limits = fresh_number(), NumberLimits(sends=(), wrong_codes=(Limit(7, 60_000),))
    apps = [replace(SHOP, name=f"app{n}") for n in range(4)]
    refs = [harness.start(number, app, per_number=limits).reference for app in apps]
    jobs = [
        partial(harness.check, ref, WRONG, app, per_number=limits)
        for ref, app in zip(refs, apps, strict=True)
        for _ in range(5)
    ]
    at_once(jobs)
    assert sum(int(harness.record(ref)["attempts"]) for ref in refs) == 7
    assert len(harness.wrong_codes(harness.hash_of(number))) == 7


def test_an_approval_in_one_app_leaves_anothers_streak(harness: StoreHarness) -> None:
    """Who may log in at one app vouches for nothing at another; the budget over all apps loses no wrong code by it."""
    number = fresh_number()
    mine, theirs = harness.start(number).reference, harness.start(number, BANK).reference
    for _ in range(3):
        harness.check(theirs, WRONG, BANK)
    assert isinstance(harness.check(mine, CODE), Approved)
    assert harness.in_a_row(mine.number_hash, "bank") == 3
    assert len(harness.wrong_codes(mine.number_hash)) == 3
