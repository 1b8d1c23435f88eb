"""Delivery reports: in whatever order they come, a delivery ends in the same state, and claims one failover."""

import itertools
import json
import re
from dataclasses import replace
from functools import partial
from importlib.resources import files

import pytest

from otp_service.domain.delivery import RANK, Accepted, Action, DeliveryReport, DeliveryStatus, Refused, Unknown
from otp_service.domain.ids import Reference
from otp_service.domain.policy import App
from otp_service.domain.prices import Cost

from .harness import BACKUP, CODE, POOL, SAME_PROFILE, SHOP, WHATSAPP, StoreHarness, at_once, fresh_number

WORDS = ("queued", "sending", "sent", "delivered", "delivery_failed", "delivery_unconfirmed")
ALONE = App("shop", "Acme", (POOL,))


def test_luas_ranks_are_pythons() -> None:
    """The two tables of ranks, in Lua for the move and in Python for the reader, are the same."""
    text = (files("otp_service.storage") / "lua" / "_delivery.lua").read_text(encoding="utf-8")
    table = re.search(r"local RANK = \{([^}]+)\}", text)
    assert table is not None
    pairs = re.findall(r"(\w+) = (\d+)", table[1])
    assert {DeliveryStatus(name): int(rank) for name, rank in pairs} == RANK


def _final(harness: StoreHarness, words: tuple[str, ...], answer_at: int) -> tuple[str | None, ...]:
    ref = harness.start(fresh_number(), ALONE).reference
    job = harness.take(ref)
    harness.must_begin(job, ALONE)
    for index, status in enumerate(words):
        if index == answer_at:
            harness.deliveries.record_accepted(job, Accepted("msg-1", "queued"))
        harness.apply(ref, status)
    if answer_at >= len(words):
        harness.deliveries.record_accepted(job, Accepted("msg-1", "queued"))
    record = harness.record(ref)
    assert harness.waiting(ref) == 0
    assert record["status"] == "pending"
    return tuple(
        record.get(f"1:{name}") for name in ("status", "carrier_status", "carrier_rank", "message_id", "error_code")
    )


def test_a_cost_is_on_record_where_it_is_news(server_harness: StoreHarness) -> None:
    """With the status that comes with it, or alone; what is told again is no event."""
    ref = server_harness.start(fresh_number(), ALONE).reference
    server_harness.must_begin(server_harness.take(ref), ALONE)
    for micros in (5_100, 5_100, 9_000):
        server_harness.apply_report(ref, DeliveryReport("msg-1", "+1", "delivered", cost=Cost(micros, "USD")))
    events = [(event["type"], json.loads(event["detail"] or "{}")) for event in server_harness.audited(ref)]
    assert [(kind, detail["cost"], detail["currency"]) for kind, detail in events if "cost" in detail] == [
        ("delivery.delivered", "0.005100", "USD"),
        ("report.received", "0.009000", "USD"),
    ]


def test_all_orders_of_reports_end_alike(server_harness: StoreHarness) -> None:
    """Every permutation, the send's own answer before, between or after them: one and the same end."""
    ends = {_final(server_harness, words, i % 7) for i, words in enumerate(itertools.permutations(WORDS))}
    assert ends == {("delivered", "delivered", "5", "msg-1", None)}


def test_orders_without_delivery_end_alike(harness: StoreHarness) -> None:
    """The same with repeats and without `delivered`: failed stands above unconfirmed, unconfirmed above sent."""
    failed = {_final(harness, (*words, words[0]), 4) for words in itertools.permutations(WORDS[2:3] + WORDS[4:])}
    assert {end[0] for end in failed} == {"failed"}
    silent = {_final(harness, words * 2, 1) for words in itertools.permutations(("queued", "sent", WORDS[5]))}
    assert {end[:2] for end in silent} == {("unconfirmed", "delivery_unconfirmed")}


def test_reports_at_once_move_only_up(harness: StoreHarness) -> None:
    """Parallel webhooks, each several times: the end is delivered, and the timeline never permits backwards."""
    ref = harness.start(fresh_number(), ALONE).reference
    harness.send(ref)
    at_once([partial(harness.apply, ref, status) for status in WORDS * 4])
    assert harness.status(ref) == "delivered"
    ranks = [
        RANK[DeliveryStatus(event.removeprefix("delivery."))]
        for event in harness.events(ref)
        if event.removeprefix("delivery.") in set(DeliveryStatus)
    ]
    assert ranks == sorted(ranks)


def test_a_webhook_before_the_sends_own_answer_is_not_lost(harness: StoreHarness) -> None:
    """Delivered before accepted stays delivered; the message id is known either way, and nothing is polled."""
    ref = harness.start(fresh_number()).reference
    job = harness.take(ref)
    harness.must_begin(job)
    assert harness.apply(ref, "delivered") == "moved"
    assert harness.deliveries.record_accepted(job, Accepted("msg-1", "queued")) == "late"
    record = harness.record(ref)
    assert (record["1:status"], record["1:message_id"], record["1:carrier_status"]) == (
        "delivered",
        "msg-1",
        "delivered",
    )
    assert f"poll:{ref.delivery_id(1)}" not in harness.timers(ref)
    assert harness.waiting(ref) == 0


def test_a_webhook_settles_a_lost_answer(harness: StoreHarness) -> None:
    """A delivery in doubt that the carrier reports was accepted: it is not sent again."""
    ref = harness.start(fresh_number()).reference
    job = harness.take(ref)
    harness.must_begin(job)
    harness.deliveries.record_unknown(job, 2_000, Unknown("read timeout"))
    assert harness.apply(ref, "sent") == "moved"
    assert harness.status(ref) == "sent"
    timers = harness.timers(ref)
    assert f"retry:{ref.delivery_id(1)}" not in timers
    assert f"poll:{ref.delivery_id(1)}" in timers
    assert harness.reports.find_message(ref.number_hash, "msg-1") == (ref, 1)


def test_a_failure_claims_the_next_sender_once_under_twenty_webhooks(harness: StoreHarness) -> None:
    """Twenty webhooks of one failure, and the failover is one entry, one delivery, one event."""
    for _ in range(5):
        ref = harness.start(fresh_number()).reference
        harness.send(ref)
        answers = at_once([partial(harness.apply, ref, "delivery_failed") for _ in range(20)])
        assert answers.count("moved") == 1
        record = harness.record(ref)
        assert (record["deliveries"], record["2:sender"], record["2:status"]) == ("2", "backup", "queued")
        assert harness.events(ref).count("delivery.fell_back") == 1
        jobs = harness.jobs(ref)
        assert [job.ordinal for job in jobs] == [2]
        harness.must_begin(jobs[0])
        harness.deliveries.record_accepted(jobs[0], Accepted("msg-2", "queued"))


def test_one_event_repeated_is_one_effect(harness: StoreHarness) -> None:
    """The carrier repeats events, at once or later: the second changes nothing, not even the record's version."""
    ref = harness.start(fresh_number(), ALONE).reference
    harness.send(ref)
    answers = at_once([partial(harness.apply, ref, "delivered") for _ in range(20)])
    assert sorted(answers) == ["moved"] + ["same"] * 19
    assert harness.events(ref).count("delivery.delivered") == 1
    before = harness.snapshot()
    assert (harness.apply(ref, "delivered"), harness.apply(ref, "sent")) == ("same", "same")
    assert harness.snapshot() == before


def test_late_delivered_wins_over_failed_and_undoes_no_fail_over(harness: StoreHarness) -> None:
    """The error permits, the state is delivered, and the sender already claimed still sends."""
    ref = harness.start(fresh_number()).reference
    harness.send(ref)
    error = Refused("40008", "Undeliverable", Action.NEXT_SENDER)
    report = DeliveryReport("msg-1", "+1", "delivery_failed", error=error)
    assert harness.apply_report(ref, report) == "moved"
    assert harness.record(ref)["1:error_code"] == "40008"
    assert harness.apply(ref, "delivered") == "moved"
    record = harness.record(ref)
    assert (record["1:status"], record["2:status"]) == ("delivered", "queued")
    assert "1:error_code" not in record
    assert harness.apply(ref, "delivery_failed") == "same"
    assert harness.status(ref) == "delivered"


@pytest.mark.parametrize(
    ("code", "action", "next_senders"),
    [
        ("40310", Action.STOP_PERSON, []),
        ("20100", Action.STOP_ALL, []),
        ("40008", Action.NEXT_SENDER, ["same_profile", "backup", "whatsapp"]),
        ("40309", Action.STOP_PERSON, ["backup"]),
        ("40001", Action.STOP_PERSON, ["whatsapp"]),
    ],
)
def test_a_failure_claims_a_sender_that_differs_in_what_is_to_blame(
    harness: StoreHarness, code: str, action: Action, next_senders: list[str]
) -> None:
    """A wrong number is wrong for every sender, a list of countries is a profile's, a landline takes no SMS."""
    ref = harness.start(fresh_number(), replace(SHOP, route=(POOL, SAME_PROFILE, BACKUP, WHATSAPP))).reference
    for n, sender in enumerate(["pool", *next_senders], 1):
        harness.send(ref, f"msg-{n}")
        assert harness.record(ref)[f"{n}:sender"] == sender
        report = DeliveryReport(f"msg-{n}", "+1", "delivery_failed", error=Refused(code, "As it happens", action))
        assert harness.apply_report(ref, report, n) == "moved"
    assert harness.record(ref)["deliveries"] == str(1 + len(next_senders))


def test_a_report_after_the_end_changes_the_delivery_only(harness: StoreHarness) -> None:
    """Delivered or failed after the approval: the verification stays approved, no sender is claimed."""
    for status in ("delivered", "delivery_failed"):
        ref = harness.start(fresh_number()).reference
        harness.send(ref)
        harness.check(ref, CODE)
        ended = harness.record(ref)["ended_ms"]
        assert harness.apply(ref, status) == "moved"
        record = harness.record(ref)
        assert (record["status"], record["ended_ms"], record["deliveries"]) == ("approved", ended, "1")
        assert harness.raw.pttl(harness.keys.record(ref)) > 0


def _foreign(harness: StoreHarness, ref: Reference) -> list[str]:
    other = harness.start_command(fresh_number()).reference
    return [
        harness.apply(ref, "delivered", "another message"),
        harness.reports.apply_report(ref, 1, other.number_hash, DeliveryReport("msg-1", "+1", "delivered")).outcome,
        harness.apply(ref, "delivered", ordinal=2),
        harness.apply(other, "delivered"),
    ]


def test_a_report_of_another_message_number_or_delivery_is_foreign(harness: StoreHarness) -> None:
    """A signed report changes only the delivery that it names; anything else leaves no trace."""
    ref = harness.start(fresh_number()).reference
    harness.send(ref)
    before = harness.snapshot()
    assert _foreign(harness, ref) == ["foreign"] * 4
    assert harness.snapshot() == before


def test_an_unknown_status_changes_nothing(harness: StoreHarness) -> None:
    """What the carrier may invent next year is no state of ours."""
    ref = harness.start(fresh_number()).reference
    harness.send(ref)
    before = harness.snapshot()
    assert harness.apply(ref, "teleported") == "same"
    assert harness.snapshot() == before


def test_what_was_never_accepted_may_still_turn_out_delivered(harness: StoreHarness) -> None:
    """Suppressed, expired or refused by our reckoning, delivered by the carrier's: the carrier knows better."""
    ref = harness.start(fresh_number(), ALONE).reference
    job = harness.take(ref)
    harness.must_begin(job, ALONE)
    harness.deliveries.record_refused(job, Refused("10015", "Bad request", Action.STOP_ALL))
    assert harness.apply(ref, "delivered") == "moved"
    record = harness.record(ref)
    assert record["1:status"] == "delivered"
    assert "1:error_code" not in record


def test_a_click_is_noted_once(harness: StoreHarness) -> None:
    """A followed link stands in the timeline, moves nothing, and is known by its event."""
    ref = harness.start(fresh_number(), SHOP).reference
    harness.send(ref)
    answers = at_once([partial(harness.reports.record_click, ref, 1, "click-1")] * 10)
    assert sorted(set(answers)) == ["duplicate", "recorded"]
    assert harness.events(ref).count("delivery.link_clicked") == 1
    assert harness.status(ref) == "sent"
