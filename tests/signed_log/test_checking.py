"""The promises as queries: a record that keeps them, and one for each that does not."""

import json
from typing import Any

import pytest
from sqlalchemy import insert

from otp_service.ledger.tables import CONFIGURATIONS
from otp_service.signed_log.checking import check_promises
from otp_service.signed_log.promises import LIFETIME_MS, Judge, Promise, Told

from .harness import BEGAN_MS, SignedHarness

POLICY = "sha256:" + "ab" * 32
DAY = [{"limit": 6, "per_ms": 86_400_000}]
CONTENT = {
    "senders": {"pool": {"messaging_profile_id": "p1"}, "name": {"messaging_profile_id": "p2"}},
    "apps": {"shop": {"max_checks": 5, "wrong_codes_per_number": DAY}},
    "per_number": {"wrong_codes": [{"limit": 8, "per_ms": 86_400_000}]},
}
STOP = {"type": "optout.added", "detail": {"messaging_profile_id": "p1", "keyword": "STOP"}}
START = {"type": "optout.removed", "detail": {"messaging_profile_id": "p1", "keyword": "START"}}


@pytest.fixture
def log(signed: SignedHarness) -> SignedHarness:
    """A ledger that knows the configuration."""
    with signed.database.writing() as connection:
        connection.execute(insert(CONFIGURATIONS).values(hash=POLICY, content=json.dumps(CONTENT)))
    return signed


def tell(log: SignedHarness, *kinds: str | dict[str, Any], of: str = "v1", sender: str = "pool") -> None:
    """Append events of one verification and number, one millisecond after the other."""
    details: dict[str, dict[str, Any]] = {"delivery.queued": {"sender": sender}}
    for kind in kinds:
        told: dict[str, Any] = {"type": kind, "detail": details.get(kind, {})} if isinstance(kind, str) else kind
        log.now_ms += 1
        about = {"verification": of, "delivery": f"dlv_{of}-1" if told["type"].startswith("delivery") else None}
        common = {"values": {"number_hash": "aa", "mask": "+1"}, "policy": POLICY, "at_ms": log.now_ms, "app": "shop"}
        log.append({**about, **common, **told})


def wrong(left: int) -> dict[str, Any]:
    """A wrong code, with so many tries left."""
    return {"type": "check.failed", "detail": {"checks_left": left}}


SENT = ("verification.started", "delivery.queued", "delivery.sending", "delivery.sent")


def broken(log: SignedHarness, since_ms: int = 0, until_ms: int | None = None) -> list[tuple[Promise, int]]:
    """The promises that were not kept, and the records that show it."""
    return [(one.promise, one.seq) for one in check_promises(log.database, since_ms, until_ms).breaches]


def test_a_record_that_keeps_every_promise(log: SignedHarness) -> None:
    """Approved, exhausted, expired, canceled; STOP and START; a sender of another profile; a test number."""
    tell(log, *SENT, wrong(4), wrong(3), "delivery.delivered", "verification.approved")
    tell(log, STOP, of="")
    tell(log, *SENT, "verification.expired", of="v2", sender="name")
    tell(log, "verification.started", "delivery.queued", "delivery.suppressed", "verification.expired", of="v3")
    tell(log, START, of="")
    tell(log, *SENT, wrong(1), wrong(0), "verification.exhausted", of="v4")
    tell(log, "verification.started", {"type": "verification.approved", "detail": {"test": True}}, of="v5")
    tell(log, "verification.started", of="v6")
    report = check_promises(log.database, 0, None)
    assert (report.breaches, report.started, report.records) == ([], 6, log.size)


@pytest.mark.parametrize(
    ("events", "promise", "seq"),
    [
        ((*SENT[:2], STOP, *SENT[2:], "verification.expired"), Promise.STOP, 4),
        ((*SENT[:3], STOP, "delivery.retried", "verification.expired"), Promise.STOP, 5),
        (("verification.started", "delivery.queued", "verification.approved"), Promise.SENT, 3),
        ((*SENT, "verification.approved", "verification.approved"), Promise.ONCE, 6),
        ((*SENT, wrong(1), wrong(0), wrong(0), "verification.exhausted"), Promise.BUDGET, 7),
        ((*SENT, wrong(1), "verification.exhausted", wrong(0)), Promise.BUDGET, 7),
        ((*SENT, wrong(0), "verification.approved"), Promise.BUDGET, 6),
        ((*SENT, "verification.canceled", "verification.approved"), Promise.BUDGET, 6),
        (SENT, Promise.ENDED, 1),
        ((*SENT, wrong(5), "verification.expired"), Promise.BUDGET, 5),
        ((*SENT, wrong(-1), "verification.expired"), Promise.BUDGET, 5),
        ((STOP, START, STOP, *SENT, "verification.expired"), Promise.STOP, 6),
        ((*SENT, "verification.approved", "receipt.redeemed", "receipt.redeemed"), Promise.ONCE, 7),
        ((*SENT, "receipt.redeemed", "verification.expired"), Promise.SENT, 5),
        ((wrong(4),), Promise.BUDGET, 1),
        (("delivery.sending",), Promise.ENDED, 1),
        (("verification.approved",), Promise.SENT, 1),
    ],
)
def test_a_promise_that_was_not_kept(
    log: SignedHarness, events: tuple[str | dict[str, Any], ...], promise: Promise, seq: int
) -> None:
    """Each is named, with the record that shows it."""
    tell(log, *events)
    log.now_ms += LIFETIME_MS
    tell(log, "verification.started", of="later")
    assert broken(log) == [(promise, seq)]


def test_a_period(log: SignedHarness) -> None:
    """A STOP of before counts, also for a send of what began before, which is no start without an end.

    What comes later is not judged.
    """
    tell(log, STOP, of="")
    tell(log, "verification.started", "delivery.queued", of="before")
    since_ms = log.now_ms + 1
    tell(log, "delivery.sending", of="before")
    tell(log, *SENT)
    until_ms = log.now_ms + 1
    log.now_ms += LIFETIME_MS
    tell(log, "verification.started", of="later")
    assert broken(log, since_ms, until_ms) == [(Promise.STOP, 4), (Promise.STOP, 7)]
    report = check_promises(log.database, since_ms, until_ms)
    assert (report.started, report.records) == (1, 5)
    assert broken(log, BEGAN_MS + LIFETIME_MS) == []


def test_what_began_before_the_period_is_known(log: SignedHarness) -> None:
    """Its code was sent before: approving it is right. Approving it again is not. What was wrong before is not told."""
    tell(log, *SENT, wrong(1))
    tell(log, "verification.started", "verification.approved", of="v2")
    since_ms = log.now_ms + 1
    tell(log, "verification.approved", "verification.approved")
    assert broken(log, since_ms) == [(Promise.ONCE, 9)]
    assert broken(log) == [(Promise.SENT, 7), (Promise.ONCE, 9)]


def test_memory_does_not_grow_with_the_period() -> None:
    """What has ended is forgotten in time; what never ended is told."""
    judge = Judge(lambda _policy: None)
    seen = []
    for number in range(2_000):
        at_ms = number * LIFETIME_MS // 10
        for kind in ("verification.started", "delivery.sending", *(["verification.approved"] if number else [])):
            told = Told(number + 1, at_ms, kind, f"v{number}", "d", None, None, {})
            assert list(judge.see(told)) == []
        seen.append(judge.followed)
    assert max(seen) <= 13
    assert [(one.promise, one.seq) for one in judge.end()] == [(Promise.ENDED, 1)]


def test_what_cannot_be_read_is_named(log: SignedHarness) -> None:
    """A detail of another form, a record that is none, a configuration that is none; the others are judged."""
    tell(log, *SENT, wrong(4), {"type": "check.failed", "detail": {"checks_left": [3]}}, "verification.approved")
    tell(log, {"type": "verification.started", "detail": {"max_checks": "5"}}, wrong(4), of="v2")
    tell(log, {"type": "verification.approved", "detail": {"test": True}}, of="v2")
    assert broken(log) == [(Promise.BUDGET, 6)]
    log.run("UPDATE records SET leaf = :leaf WHERE seq = 6", leaf=b'{"type": "check.failed"}')
    log.run("UPDATE records SET leaf = :leaf WHERE seq = 5", leaf=b"[" * 9)
    assert broken(log) == [(Promise.READ, 5), (Promise.READ, 6)]
    assert broken(log, log.now_ms) == []
    log.run("UPDATE configurations SET content = '[]'")
    assert broken(log) == [(Promise.READ, 1), (Promise.READ, 5), (Promise.READ, 6)]


def test_a_configuration_that_was_removed_is_named(log: SignedHarness) -> None:
    """Without it no send is judged by STOP. Those that name its first digits came before it, and are only counted."""
    tell(log, STOP, of="")
    tell(log, {"type": "verification.started", "policy": POLICY[:23]}, *SENT[1:], "verification.expired")
    assert broken(log) == [(Promise.STOP, 4)]
    log.run("DELETE FROM configurations")
    assert broken(log) == [(Promise.READ, 1)]
    assert broken(log, log.now_ms) == [(Promise.READ, log.size)], "the first of the period"


def test_a_receipt_without_its_verification(log: SignedHarness) -> None:
    """Before the start, or long after it; that of a factor names none."""
    tell(log, "receipt.redeemed", *SENT, "verification.approved", "receipt.redeemed")
    log.now_ms += 3_600_000
    tell(log, "receipt.redeemed", {"type": "receipt.redeemed", "verification": None})
    assert broken(log) == [(Promise.SENT, 1), (Promise.SENT, 8)]


def test_wrong_codes_of_long_before_the_period_count(log: SignedHarness) -> None:
    """Those in a row do for thirty days."""
    for n in range(20):
        guessed(log, f"a{n}", 4, 3, 2, 1, 0)
        log.now_ms += 30 * 3_600_000
    began = log.now_ms
    guessed(log, "b", 4)
    assert broken(log, began) == [(Promise.BUDGET, log.size - 1)]


def test_who_was_erased_is_passed_over(log: SignedHarness) -> None:
    """Whose STOP it was is not known any more."""
    tell(log, *SENT[:2], STOP, *SENT[2:], "verification.expired")
    log.run("UPDATE records SET number_hash = NULL")
    assert broken(log) == []


def guessed(log: SignedHarness, of: str, *lefts: int, app: str = "shop", subject: bool = False) -> None:
    """A verification that was sent, with wrong codes; it expires."""
    told = [{"type": kind, "app": app, "detail": {"sender": "pool"}} for kind in SENT]
    if subject:
        told[0]["detail"] = {"sub": "somebody"}
    tell(log, *told, *({**wrong(left), "app": app} for left in lefts), {"type": "verification.expired"}, of=of)


def test_the_budgets_of_a_number(log: SignedHarness) -> None:
    """Over its verifications in an app, and over all apps; a right code must not be compared either, once one is spent.

    What was lifted counts no longer, a subject's guesses have a budget of their own, and a day later all is over.
    """
    guessed(log, "v1", 4, 3, 2, 1)
    guessed(log, "v2", 4, 3)
    guessed(log, "v3", 4, subject=True)
    assert broken(log) == []
    guessed(log, "v4", 4)
    over = log.size - 1
    assert broken(log) == [(Promise.BUDGET, over)]
    tell(log, *SENT, "verification.approved", of="v5")
    assert broken(log) == [(Promise.BUDGET, over), (Promise.BUDGET, log.size)]
    guessed(log, "v6", 4, app="other")
    assert [seq for _, seq in broken(log)][2:] == []
    guessed(log, "v7", 4, app="other")
    everywhere = log.size - 1
    assert [seq for _, seq in broken(log)][2:] == [everywhere]
    tell(log, {"type": "person.lock_lifted", "app": None}, of="")
    guessed(log, "v8", 4)
    assert [seq for _, seq in broken(log)][3:] == []
    log.now_ms += 86_400_000
    guessed(log, "v9", 4, 3, 2, 1)
    assert [seq for _, seq in broken(log)][3:] == []


def test_what_counts_was_before_the_period(log: SignedHarness) -> None:
    """The wrong codes of the day before it."""
    guessed(log, "v1", 4, 3, 2, 1)
    guessed(log, "v2", 4, 3)
    log.now_ms += 3_600_000
    since_ms = log.now_ms
    guessed(log, "v3", 4)
    assert broken(log, since_ms) == [(Promise.BUDGET, log.size - 1)]


def test_an_approval_after_the_longest_life_of_a_code(log: SignedHarness) -> None:
    """Ten minutes, with resends."""
    tell(log, *SENT)
    log.now_ms += 601_000
    tell(log, "verification.approved")
    assert broken(log) == [(Promise.BUDGET, log.size)]


def test_sends_by_a_profile_that_nobody_knows_are_counted(log: SignedHarness) -> None:
    """The configuration is not in the ledger, or has no such sender: nothing is said of them by silence."""
    tell(log, STOP, of="")
    tell(log, *SENT, "verification.expired", sender="gone")
    report = check_promises(log.database, 0, None)
    assert (report.breaches, report.unjudged) == ([], 1)
