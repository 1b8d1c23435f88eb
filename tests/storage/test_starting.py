"""Starting and sending again: one verification at a time, cool-downs, limits, opt-outs, and what a repeat changes."""

import json
from dataclasses import fields, replace
from functools import partial

import pytest

from otp_service.domain.checking import Approved, Wrong
from otp_service.domain.delivery import Accepted, Action, Refused
from otp_service.domain.errors import NotReady
from otp_service.domain.optout_list import OptOut
from otp_service.domain.policy import MAX_LIFETIME_MS, TOMBSTONE_MS, Channel, Limit
from otp_service.domain.starting import Started, StartRefused
from otp_service.domain.verification import Status

from .about import about
from .harness import BACKUP, CODE, POOL, SAME_PROFILE, SHOP, UNCAPPED, WRONG, StoreHarness, at_once, fresh_number, word

DEAD = Refused("40001", "Landline", Action.STOP_PERSON)


def opt_out(harness: StoreHarness, number: str, profile: str, out: bool = True, at_ms: int = 1) -> None:
    """Write the person's wish into the registry."""
    harness.optouts.record(harness.hash_of(number), "+1", OptOut(profile, out, at_ms, "STOP", "inbound"), None)


def test_thirty_starts_at_once_make_one_verification_and_one_send(harness: StoreHarness) -> None:
    """At most one pending verification per app, number and purpose; the others are told to wait."""
    number = fresh_number()
    answers = at_once([partial(harness.verifications.start, harness.start_command(number)) for _ in range(30)])
    started = [answer for answer in answers if isinstance(answer, Started)]
    refused = [answer for answer in answers if isinstance(answer, StartRefused)]
    assert len(started) == 1
    assert {answer.code for answer in refused} == {"resend_too_soon"}
    assert harness.waiting(started[0].reference) == 1
    assert harness.events(started[0].reference) == ["verification.started", "delivery.queued"]


def test_a_start_says_everything_the_response_needs(harness: StoreHarness) -> None:
    """The reply is the state right after, without a second look."""
    started = harness.start(fresh_number(), metadata='{"a":1}')
    assert not started.resent
    assert (started.status, started.attempts, started.max_checks) == (Status.PENDING, 0, 5)
    assert (started.sends, started.max_sends, started.metadata) == (1, 4, '{"a":1}')
    assert started.expires_ms - started.created_ms == 300_000
    assert started.next_send_ms - started.created_ms == 30_000
    assert [(d.sender, d.kind, d.status) for d in started.deliveries] == [("pool", "number_pool", "queued")]
    later = harness.verifications.view(started.reference, "shop")
    assert later is not None
    seen = {field.name: getattr(later, field.name) for field in fields(later)}
    assert Started(**seen | {"now_ms": started.now_ms}, resent=False) == started


def test_a_repeat_keeps_the_code_and_moves_the_end(harness: StoreHarness) -> None:
    """Same id, same code, one more send; it ends `code_ttl` from now, and the new order's digest is thrown away."""
    number = fresh_number()
    ref = harness.start(number).reference
    secrets = harness.raw.hgetall(harness.keys.secrets(ref))
    harness.age(ref, 100_000)
    harness.cool(ref)
    again = harness.start(number, code="999999", channel=Channel.SMS, metadata='{"b":2}')
    assert again.resent
    assert again.reference == ref
    assert harness.raw.hgetall(harness.keys.secrets(ref)) == secrets
    record = harness.record(ref)
    assert int(record["expires_ms"]) - int(record["created_ms"]) == about(400_000)
    assert int(record["next_send_ms"]) - harness.now() == about(60_000)
    assert record["metadata"] == '{"b":2}'
    assert harness.check(ref, "999999") == Wrong(4)
    assert isinstance(harness.check(ref, CODE), Approved)


def test_no_repeat_reaches_beyond_ten_minutes_from_the_first_start(harness: StoreHarness) -> None:
    """A code is never accepted later than ten minutes after it was issued (NIST 3.1.3.2)."""
    number = fresh_number()
    ref = harness.start(number).reference
    harness.set_record(ref, {"created_ms": harness.now() - 500_000})
    harness.cool(ref)
    harness.start(number)
    record = harness.record(ref)
    assert int(record["expires_ms"]) == int(record["created_ms"]) + MAX_LIFETIME_MS
    ttl = harness.raw.pttl(harness.keys.secrets(ref))
    assert 90_000 < ttl <= 100_000
    assert harness.raw.pttl(harness.keys.record(ref)) <= 100_000 + TOMBSTONE_MS
    assert harness.timers(ref)[f"expiry:{ref.token}"] == int(record["expires_ms"])


def test_the_cool_down_grows_and_the_sends_end(harness: StoreHarness) -> None:
    """Each send waits longer; after the last there is none before expiry, and the answer says so."""
    number = fresh_number()
    ref = harness.start(number).reference
    for left, wait in ((3, 30_000), (2, 60_000), (1, 120_000)):
        refused = harness.refused(number)
        assert (refused.code, refused.sends_left) == ("resend_too_soon", left)
        assert refused.wait_ms == about(wait)
        harness.cool(ref)
        assert harness.start(number).reference == ref
    refused = harness.refused(number)
    assert (refused.code, refused.sends_left) == ("resend_too_soon", 0)
    assert refused.wait_ms == about(300_000)
    harness.cool(ref)
    assert harness.refused(number).sends_left == 0
    assert harness.waiting(ref) == 4


def test_thirty_repeats_at_once_send_once(harness: StoreHarness) -> None:
    """The cool-down is taken by the one that passes it."""
    number = fresh_number()
    ref = harness.start(number).reference
    harness.cool(ref)
    answers = at_once([partial(harness.verifications.start, harness.start_command(number)) for _ in range(30)])
    assert sum(isinstance(answer, Started) for answer in answers) == 1
    assert harness.waiting(ref) == 2


def test_another_context_conflicts_with_the_pending_one(harness: StoreHarness) -> None:
    """A payment's code is not sent again for another payment, cooled down or not."""
    number = fresh_number()
    ref = harness.start(number, context={"amount": "10"}).reference
    for _ in range(2):
        assert harness.refused(number, context={"amount": "11"}).code == "context_conflict"
        assert harness.refused(number).code == "context_conflict"
        harness.cool(ref)
    assert harness.waiting(ref) == 1


def test_the_next_start_after_any_end_is_new(harness: StoreHarness) -> None:
    """An ended verification never reopens: approved, exhausted, canceled or expired, the next start is another."""
    number = fresh_number()
    seen = set()
    for end in ("approve", "exhaust", "cancel", "expire"):
        ref = harness.start(number).reference
        assert ref not in seen
        seen.add(ref)
        if end == "approve":
            harness.check(ref, CODE)
        elif end == "exhaust":
            for _ in range(5):
                harness.check(ref, WRONG)
        elif end == "cancel":
            harness.verifications.cancel(word(), ref, "shop")
        else:
            harness.age(ref, 300_000)
        harness.cool(ref)
    last = harness.start(number).reference
    assert last not in seen
    assert [harness.record(ref)["status"] for ref in seen].count("pending") == 0
    assert sorted(harness.record(ref)["status"] for ref in seen) == ["approved", "canceled", "exhausted", "expired"]


def test_a_start_ends_the_one_whose_time_ran_out_unnoticed(harness: StoreHarness) -> None:
    """Without a worker too, the old one is a tombstone with its reason when the new one begins."""
    number = fresh_number()
    old = harness.start(number).reference
    harness.age(old, 300_000)
    new = harness.start(number).reference
    assert new != old
    assert harness.record(old)["status"] == "expired"
    assert harness.events(old)[-1] == "verification.expired"
    assert not harness.verifications.expire(old)
    assert f"expiry:{old.token}" not in harness.timers(old)


def test_purposes_and_apps_do_not_meet(harness: StoreHarness) -> None:
    """Login, payment and another app's login of one number are three verifications."""
    number = fresh_number()
    refs = {
        harness.start(number).reference,
        harness.start(number, purpose="pay").reference,
        harness.start(number, replace(SHOP, name="bank")).reference,
    }
    assert len(refs) == 3


def test_the_numbers_starts_are_limited_exactly(harness: StoreHarness) -> None:
    """Under a race over many purposes as many pass as the limit says, and the wait shows when the next one does."""
    app, number = replace(SHOP, starts_per_number=(Limit(5, 60_000),)), fresh_number()
    commands = [harness.start_command(number, app, purpose=f"p{n}", per_number=UNCAPPED) for n in range(20)]
    answers = at_once([partial(harness.verifications.start, command) for command in commands])
    assert sum(isinstance(answer, Started) for answer in answers) == 5
    refused = harness.refused(number, app, purpose="late", per_number=UNCAPPED)
    assert (refused.code, refused.limit) == ("rate_limited", "starts_per_number")
    assert 0 < refused.wait_ms <= 60_000
    times = harness.starts(harness.hash_of(number), app.name)
    harness.set_starts(harness.hash_of(number), app.name, [*times[:-1], harness.now() - 60_001])
    harness.start(number, app, purpose="late", per_number=UNCAPPED)


def test_refusals_cost_no_place(harness: StoreHarness) -> None:
    """A start that is refused for another reason takes nothing from the number's limit."""
    app, number = replace(SHOP, starts_per_number=(Limit(2, 60_000),)), fresh_number()
    ref = harness.start(number, app).reference
    for _ in range(5):
        harness.refused(number, app)
    harness.cool(ref)
    harness.start(number, app)


def test_an_outer_limits_refusal_comes_after_the_persons_own(harness: StoreHarness) -> None:
    """`rate_limited` by address or app is the reason only if nothing more exact refuses."""
    number = fresh_number()
    outer = StartRefused("rate_limited", 700, limit="starts_per_client_ip")
    assert harness.refused(number, outer_wait_ms=700, outer_limit="starts_per_client_ip") == outer
    harness.start(number)
    assert harness.refused(number, outer_wait_ms=700, outer_limit="starts_per_client_ip").code == "resend_too_soon"
    opt_out(harness, number, "profile-a")
    opt_out(harness, number, "profile-b")
    assert harness.refused(number, outer_wait_ms=700, outer_limit="starts_per_client_ip").code == "opted_out"


def test_a_full_queue_refuses(harness: StoreHarness) -> None:
    """The outbox is bounded: beyond it a start fails at once instead of a code that comes too late."""
    number = fresh_number()
    harness.start(number)
    assert harness.refused(number, purpose="pay", queue_max=1).code == "queue_full"
    assert harness.latest(harness.hash_of(number), "shop", "pay") is None


def test_blocked_senders_are_skipped(harness: StoreHarness) -> None:
    """An opt-out blocks every sender of that profile and no other; the rest of the route permits with the delivery."""
    app, number = replace(SHOP, route=(POOL, SAME_PROFILE, BACKUP)), fresh_number()
    opt_out(harness, number, "profile-a")
    started = harness.start(number, app)
    assert [delivery.sender for delivery in started.deliveries] == ["backup"]
    assert harness.record(started.reference)["1:next_senders"] == ""


def test_opted_out_of_all_is_refused_and_in_again_is_sent(harness: StoreHarness) -> None:
    """Nothing is queued for a person who opted out of the whole route; it is recorded; START opens the way."""
    number = fresh_number()
    opt_out(harness, number, "profile-a")
    opt_out(harness, number, "profile-b")
    assert harness.refused(number).code == "opted_out"
    shard = harness.keys.shard(harness.hash_of(number))
    assert harness.raw.xlen(harness.keys.outbox(shard)) == 0
    noted = harness.audited_of(harness.hash_of(number))
    assert noted[-1]["type"] == "verification.refused"
    refused = {"code": "opted_out", "skipped": 0, "purpose": "login", "channel": "sms"}
    assert json.loads(noted[-1]["detail"]) == refused
    opt_out(harness, number, "profile-b", out=False, at_ms=2)
    assert harness.record(harness.start(number).reference)["1:sender"] == "backup"


def test_a_send_that_was_never_accepted_gives_its_cool_down_back(harness: StoreHarness) -> None:
    """A refusal by the whole route costs the caller neither the wait nor a send."""
    app, number = replace(SHOP, route=(POOL,)), fresh_number()
    ref = harness.start(number, app).reference
    job = harness.take(ref)
    harness.must_begin(job, app)
    harness.deliveries.record_refused(job, DEAD)
    assert harness.status(ref) == "failed"
    again = harness.start(number, app)
    assert again.resent
    assert (again.sends, len(again.deliveries)) == (1, 2)


def test_an_accepted_send_keeps_its_cool_down(harness: StoreHarness) -> None:
    """What the carrier took counts, even if it fails on the way later."""
    app, number = replace(SHOP, route=(POOL,)), fresh_number()
    ref = harness.start(number, app).reference
    harness.send(ref)
    harness.apply(ref, "delivery_failed")
    assert harness.status(ref) == "failed"
    assert harness.refused(number, app).code == "resend_too_soon"


def test_an_old_sends_failure_does_not_free_a_newer_one(harness: StoreHarness) -> None:
    """The cool-down belongs to the latest send: a late refusal of an earlier one gives nothing back."""
    app, number = replace(SHOP, route=(POOL,)), fresh_number()
    ref = harness.start(number, app).reference
    job = harness.take(ref)
    harness.must_begin(job, app)
    harness.cool(ref)
    harness.start(number, app)
    harness.deliveries.record_refused(job, DEAD)
    assert harness.status(ref) == "failed"
    assert harness.refused(number, app).code == "resend_too_soon"


def test_giving_back_is_bounded(harness: StoreHarness) -> None:
    """A caller in a loop against a dead line cannot grow one record for ever."""
    app, number = replace(SHOP, route=(POOL,), starts_per_number=()), fresh_number()
    refusals = []
    for _ in range(60):
        answer = harness.verifications.start(harness.start_command(number, app))
        if isinstance(answer, StartRefused):
            refusals.append(answer)
            break
        assert isinstance(answer, Started)
        job = harness.take(answer.reference)
        harness.must_begin(job, app)
        harness.deliveries.record_refused(job, DEAD)
    assert refusals
    assert refusals[0].sends_left == 0


def test_the_same_operation_is_one_start(harness: StoreHarness) -> None:
    """A repeated operation finds the first's verification, also after it ended, and queues nothing."""
    number = fresh_number()
    command = harness.start_command(number)
    answers = at_once([partial(harness.verifications.start, command)] * 20)
    refs = {answer.reference for answer in answers if isinstance(answer, Started)}
    assert refs == {command.reference}
    assert sum(isinstance(answer, Started) and not answer.replayed for answer in answers) == 1
    assert harness.waiting(command.reference) == 1
    harness.check(command.reference, CODE)
    late = harness.verifications.start(command)
    assert isinstance(late, Started)
    assert late.replayed
    assert late.reference == command.reference
    assert harness.waiting(command.reference) == 1


def test_a_repeated_operation_shows_whether_it_was_a_repeat(harness: StoreHarness) -> None:
    """The replay of a repeated send is a repeated send."""
    number = fresh_number()
    ref = harness.start(number).reference
    harness.cool(ref)
    command = harness.start_command(number)
    first, second = harness.verifications.start(command), harness.verifications.start(command)
    assert isinstance(first, Started)
    assert isinstance(second, Started)
    assert (first.resent, second.resent, second.replayed) == (True, True, True)


def test_a_replay_of_a_verification_that_has_vanished_is_no_start(harness: StoreHarness) -> None:
    """The replay gives the verification as it is now; without one it is an outage, never a success."""
    command = harness.start_command(fresh_number())
    harness.verifications.start(command)
    harness.raw.delete(harness.keys.record(command.reference))
    with pytest.raises(NotReady):
        harness.verifications.start(command)


def test_latest_of_an_unknown_id_is_ignored(harness: StoreHarness) -> None:
    """A start whose index points to a record that has gone makes a new verification."""
    number = fresh_number()
    ref = harness.start(number).reference
    harness.raw.delete(harness.keys.record(ref), harness.keys.secrets(ref))
    harness.cool(ref)
    assert harness.start(number).reference != ref
    assert not harness.raw.exists(harness.keys.record(ref))


def test_a_delivery_in_flight_is_accepted_after_the_next_send(harness: StoreHarness) -> None:
    """Two sends of one code are two deliveries, each with its own fate."""
    number = fresh_number()
    ref = harness.start(number).reference
    first = harness.take(ref)
    harness.must_begin(first)
    harness.cool(ref)
    harness.start(number)
    second = harness.take(ref)
    harness.must_begin(second)
    harness.deliveries.record_accepted(second, Accepted("msg-2", "queued"))
    harness.deliveries.record_accepted(first, Accepted("msg-1", "queued"))
    assert (harness.status(ref, 1), harness.status(ref, 2)) == ("sent", "sent")
    assert harness.apply(ref, "delivered", "msg-1", 1) == "moved"
    assert harness.apply(ref, "delivered", "msg-1", 2) == "foreign"
    assert (harness.status(ref, 1), harness.status(ref, 2)) == ("delivered", "sent")
