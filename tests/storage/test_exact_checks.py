"""Checks of factors to the last count: which steps are good, what a use after the first costs, what is on record."""

import pytest

from otp_service.domain.factor_checking import CodeUsed, FactorAnswer, FactorApproved, TriesSpent, TryTaken
from otp_service.domain.factors import Subject
from otp_service.storage.schema.fields import Factor, StoreRun

from .factors import active, codes, guess, in_one_step, new_subject, set_tries, step_of, tries
from .harness import StoreHarness


def kinds(harness: StoreHarness, subject: Subject) -> list[str]:
    """The events of the subject in order."""
    found = harness.audited_in(harness.keys.shard(subject.hash))
    return [event["type"] for event in found if subject.sub in event["detail"]]


@pytest.mark.parametrize(("drift", "counts"), [(-2, False), (-1, True), (0, True), (1, True), (2, False)])
def test_the_step_before_and_the_next_one_are_good(server_harness: StoreHarness, drift: int, counts: bool) -> None:
    """And none farther away, however long ago the last one was."""
    harness = server_harness

    def judge(here: int) -> FactorAnswer:
        subject = new_subject(harness)
        app = active(harness, subject)
        harness.raw.hset(harness.keys.subject(subject.hash), f"{app.token}{Factor.STEP}", here - 9)
        return guess(harness, subject, steps=[(app.token, here + drift)])

    assert isinstance(in_one_step(harness, judge), FactorApproved) is counts


@pytest.mark.parametrize(("ahead", "counts"), [(0, False), (1, True)])
def test_the_first_step_after_a_restart(server_harness: StoreHarness, ahead: int, counts: bool) -> None:
    """The second one after the step in which the store's run began: the one before could be used before it."""
    harness = server_harness

    def judge(here: int) -> FactorAnswer:
        subject = new_subject(harness)
        app = active(harness, subject)
        names = {f"{app.token}{Factor.RUN}": "another", f"{app.token}{Factor.STEP}": here - 9}
        harness.raw.hset(harness.keys.subject(subject.hash), mapping=names)
        present = harness.raw.info("replication")["master_replid"][:12]
        noted = {StoreRun.RUN: present, StoreRun.AFTER_RESTART: "end_codes", StoreRun.KEPT: ""}
        began = {StoreRun.SINCE: (here - 1) * 30_000}
        harness.raw.hset(harness.keys.run(harness.keys.shard(subject.hash)), mapping={**noted, **began})
        return guess(harness, subject, steps=[(app.token, here + ahead)])

    answer = in_one_step(harness, judge)
    assert (isinstance(answer, FactorApproved), answer == CodeUsed()) == (counts, not counts)


def test_a_second_use_is_on_record_once(server_harness: StoreHarness) -> None:
    """Of each step and each recovery code, however often it is tried; the tries before it stay as they were."""
    harness, subject = server_harness, new_subject(server_harness)
    app = active(harness, subject)
    recovery, digests = codes(harness, subject)
    used: list[dict[str, object]] = [
        {"steps": [(app.token, step_of(harness) + 1)]},
        {"recovery": (recovery.token, digests[0])},
    ]
    before = len(kinds(harness, subject))
    for members in used:
        assert isinstance(guess(harness, subject, **members), FactorApproved)
        guess(harness, subject)
        assert [guess(harness, subject, **members) for _ in range(3)] == [CodeUsed()] * 3
        assert tries(harness, subject) == 1
    each = ["factor.approved", "factor.check_failed", "factor.code_used"]
    assert kinds(harness, subject)[before:] == each * 2


def test_few_recovery_codes_are_on_record_once(server_harness: StoreHarness) -> None:
    """With the approval that leaves three."""
    harness, subject = server_harness, new_subject(server_harness)
    recovery, digests = codes(harness, subject)
    for left, digest in zip(range(9, 0, -1), digests, strict=False):
        assert isinstance(guess(harness, subject, recovery=(recovery.token, digest)), FactorApproved)
        assert kinds(harness, subject).count("factor.codes_low") == (left <= 3)
    found = kinds(harness, subject)
    assert found[found.index("factor.codes_low") - 1] == "factor.approved"


def test_an_approval_begins_the_next_row(server_harness: StoreHarness) -> None:
    """So that a try of before is not given back into it."""
    harness, subject = server_harness, new_subject(server_harness)
    recovery, digests = codes(harness, subject)

    def row() -> int:
        found = guess(harness, subject, more=True)
        assert isinstance(found, TryTaken)
        return found.row

    first = row()
    assert isinstance(guess(harness, subject, recovery=(recovery.token, digests[0])), FactorApproved)
    assert row() == first + 1


def test_a_wait_grows_shorter(server_harness: StoreHarness) -> None:
    """It is what is left of it, not the whole."""
    harness, subject = server_harness, new_subject(server_harness)
    set_tries(harness, subject, 6, 20_000)
    waits = guess(harness, subject)
    assert isinstance(waits, TriesSpent)
    assert 0 < waits.wait_ms <= 40_000
