"""The judge's rules about responses, contexts, other numbers and apps, forged webhooks, callbacks and right codes."""

from dataclasses import replace
from typing import Any

import pytest

from . import breaches
from .answer_rules import ANSWERED_WITHIN_S
from .case import BUSY_FACTOR
from .evidence import Call, Callback, FailedStart, Fault
from .judge import judge
from .sample_evidence import CALLS, CODE, EVENTS, EXPIRES, NUMBER, T0, VRF, WRONG, call, kinds_after, sample


def with_call(made: Call, *faults: Fault, **other: Any) -> set[str]:
    """The kinds of breach if one more call was made."""
    return kinds_after(lambda evidence: replace(evidence, calls=(*CALLS, made), faults=faults, **other))


STOPPED = Fault("stop_api", T0 + 0.5, T0 + 1.4, "api1")
OTHER = Fault("stop_api", T0 + 0.5, T0 + 1.4, "api2")


def test_every_call_has_a_response() -> None:
    """Only a fault of its own process excuses that there is none; a fault of the store does not."""
    silent = call("check", 1.2, None, guess=WRONG)
    assert with_call(silent) == {breaches.SILENT}
    assert with_call(silent, STOPPED) == set()
    assert with_call(silent, OTHER) == {breaches.SILENT}
    assert with_call(silent, Fault("stop_store", T0 + 1, T0 + 2, "store")) == {breaches.SILENT}


def test_a_refusal_is_quick() -> None:
    """What the store does is no excuse. What kept the campaign itself from running is one, in proportion."""
    hung = Fault("stop_store", T0 + 1, T0 + 6, "store")
    slow = replace(call("check", 1.2, 503, guess=WRONG), ended=T0 + 1.2 + ANSWERED_WITHIN_S + 0.1)
    assert with_call(slow, hung) == {breaches.SLOW}
    assert with_call(slow, hung, STOPPED) == set()
    assert with_call(slow, hung, pauses=((T0 + 1.5, T0 + 1.6),)) == set()
    slower = replace(slow, ended=slow.ended + BUSY_FACTOR)
    assert with_call(slower, hung, pauses=((T0 + 1.5, T0 + 1.6),)) == {breaches.SLOW}


def test_healthz_is_never_behind_work() -> None:
    """It is judged as a call is."""
    slow = replace(call("health", 1, 200), ended=T0 + 5)
    assert kinds_after(lambda evidence: replace(evidence, probes=(slow,))) == {breaches.SLOW}
    assert [*judge(replace(sample(), probes=(call("health", 1, 200),))).healthz_s] == [pytest.approx(0.02)]


def test_a_refusal_has_a_cause() -> None:
    """The store was away, or has just come back."""
    refused = call("check", 1.2, 503, guess=WRONG, code="store_unavailable")
    assert with_call(refused) == {breaches.REFUSED}
    assert with_call(refused, Fault("kill_store", T0 + 0.5, T0 + 1, "store")) == set()
    assert with_call(refused, Fault("kill_store", T0 - 9, T0 - 8, "store")) == {breaches.REFUSED}
    assert with_call(refused, pauses=((T0 + 0.9, T0 + 1.15),)) == set()
    assert with_call(refused, pauses=((T0 + 0.9, T0 + 1.0),)) == {breaches.REFUSED}


def test_a_dead_shard_costs_its_own_numbers() -> None:
    """A service that serves next to nobody meanwhile is noticed."""
    down = Fault("shard_down", T0 + 29, T0 + 31, "server1")

    def kinds(served: int) -> set[str]:
        calls = [
            replace(call("check", 30, 404 if turn < served else 503, to="other"), number=str(turn))
            for turn in range(24)
        ]
        return with_call(calls[0], down) | kinds_after(
            lambda evidence: replace(evidence, calls=(*CALLS, *calls), faults=(down,))
        )

    assert breaches.SHARDS not in kinds(16)
    assert breaches.SHARDS in kinds(1)


def test_calls_about_other_shards_are_not_refused() -> None:
    """Only those are judged that touch nothing on the dead one. A quarter may be refused, and few prove nothing."""
    slots = {"here": (5,), "there": (900,), "start": (800, 850), "check": (800,)}
    down = Fault("shard_down", T0 + 29, T0 + 31, "server1", ((0, 99),))

    def is_seen(count: int, refused: int, *faults: Fault, fault: Fault = down, **other: Any) -> bool:
        one = replace(call("check", 30, 404), **({"number": "there"} | other))
        calls = [replace(one, status=503 if turn < refused else 404) for turn in range(count)]
        evidence = replace(sample(), calls=(*CALLS, *calls), faults=(fault, *faults), slots=slots)
        return any("on other shards" in breach.detail for breach in judge(evidence).breaches)

    assert is_seen(12, 4)
    assert is_seen(12, 12, kind="start")
    assert not is_seen(12, 3)
    assert not is_seen(11, 11)
    for touched in ({"number": "here"}, {"number": "unknown"}, {"keyed": True}, {"subject": "s"}, {"to": "here"}):
        assert not is_seen(12, 12, **touched)
    for kind in ("redeem", "factor check"):
        assert not is_seen(12, 12, kind=kind)
    for first in (800, 850):
        assert not is_seen(12, 12, fault=replace(down, slots=((first, first),)), kind="start")
    assert is_seen(12, 12, fault=replace(down, slots=((850, 850),)))
    assert not is_seen(12, 12, Fault("elected", T0 + 28.5, T0 + 28.6, "server5"))
    assert not is_seen(12, 12, Fault("stop_api", T0 + 29, T0 + 30, "api1"))
    assert not is_seen(12, 12, began=T0 + 28)


def test_a_process_may_end_while_it_starts_without_a_store() -> None:
    """And at no other time."""
    starts = (FailedStart("worker1", T0 + 1, T0 + 3, "no store"),)
    away = (Fault("kill_store", T0 + 2, T0 + 2.5, "store"),)
    assert kinds_after(lambda evidence: replace(evidence, failed_starts=starts)) == {breaches.ACCIDENT}
    assert kinds_after(lambda evidence: replace(evidence, failed_starts=starts, faults=away)) == set()


def test_a_context_is_part_of_the_code() -> None:
    """Approved with another one, or without one."""
    bound = (replace(CALLS[0], context={"order": "1"}), CALLS[1])
    right, wrong = replace(CALLS[2], context={"order": "1"}), replace(CALLS[2], context={"order": "2"})
    assert kinds_after(lambda evidence: replace(evidence, calls=(*bound, right, CALLS[3]))) == set()
    assert kinds_after(lambda evidence: replace(evidence, calls=(*bound, wrong, CALLS[3]))) == {breaches.CONTEXT}
    assert kinds_after(lambda evidence: replace(evidence, calls=(*bound, CALLS[2], CALLS[3]))) == {breaches.CONTEXT}
    refused = replace(CALLS[1], guess=CODE)
    assert kinds_after(lambda evidence: replace(evidence, calls=(bound[0], refused, right, CALLS[3]))) == set()


def test_a_check_is_of_its_number() -> None:
    """By the number alone it is its latest verification; named beside an id, it must be its number."""
    by_number = replace(CALLS[2], to=NUMBER, by_number=True)
    assert kinds_after(lambda evidence: replace(evidence, calls=(*CALLS[:2], by_number, CALLS[3]))) == set()
    another = replace(by_number, body={"verification_id": "vrf_c-d", "receipt": "r"})
    assert breaches.FOREIGN in kinds_after(lambda e: replace(e, calls=(*CALLS[:2], another, CALLS[3])))
    for_another = replace(CALLS[2], to="+12025009999")
    assert kinds_after(lambda e: replace(e, calls=(*CALLS[:2], for_another, CALLS[3]))) == {breaches.FOREIGN}
    assert with_call(call("check", 1.1, 404, code="verification_not_found", guess=CODE, to="+12025009999")) == set()
    assert breaches.REFUSED in with_call(call("check", 1.1, 404, code="verification_not_found", guess=CODE))


def test_other_apps_and_forgers_get_nothing() -> None:
    """404 and 401."""
    assert with_call(call("foreign read", 1, 404)) == set()
    assert with_call(call("foreign read", 1, 200)) == {breaches.FOREIGN}
    assert with_call(call("foreign check", 1, 422)) == {breaches.FOREIGN}
    assert with_call(call("forge", 1, 401)) == set()
    assert with_call(call("forge", 1, 200)) == {breaches.FORGED}


def callback(kind: str, number: int = 0, digest: str = "bytes", *, signed: bool = True) -> Callback:
    """A callback that the app received."""
    return Callback(f"evt_{kind}-{number}", kind, VRF, digest, T0 + 3, signed)


PROMISED = tuple(
    callback(each.type)
    for each in EVENTS
    if each.type not in {"delivery.queued", "delivery.sending", "receipt.redeemed"}
)


def test_every_promised_event_is_posted() -> None:
    """Each at least once, signed, always with the same bytes, and none that is not recorded."""

    def kinds(*received: Callback) -> set[str]:
        return kinds_after(lambda evidence: replace(evidence, callbacks=received))

    assert kinds(*PROMISED) == set()
    assert kinds(*PROMISED, PROMISED[0]) == set()
    for missing in PROMISED:
        assert kinds(*(each for each in PROMISED if each is not missing)) == {breaches.CALLBACK}
    assert kinds(*PROMISED, replace(PROMISED[0], digest="other")) == {breaches.CALLBACK}
    assert kinds(*PROMISED[1:], replace(PROMISED[0], signed=False)) == {breaches.CALLBACK}
    assert kinds(*PROMISED, callback("verification.denied")) == {breaches.CALLBACK}
    late = kinds_after(lambda evidence: replace(evidence, callbacks=PROMISED[:-1], judged_at=T0 + 1.9))
    assert breaches.CALLBACK not in late, "it was recorded when nobody waited any more"
    election = (Fault("elected", T0 + 4, T0 + 4.1, "server2"),)
    twice = (*PROMISED, callback("verification.denied"))
    assert kinds_after(lambda evidence: replace(evidence, callbacks=twice, faults=election)) == set()


@pytest.mark.parametrize(
    "code",
    ["verification_expired", "attempts_exhausted", "verification_canceled", "verification_denied", "already_approved"],
)
def test_a_right_code_is_refused_for_a_reason(code: str) -> None:
    """None of these was observed before this check."""
    refused = call("check", 0.9, 410, code=code, guess=CODE)
    calls = (CALLS[0], refused, *CALLS[1:])
    assert breaches.REFUSED in kinds_after(lambda evidence: replace(evidence, calls=calls))


def test_a_used_or_expired_code_is_refused() -> None:
    """The reason was observed."""
    used = call("check", 3, 410, code="already_approved", guess=CODE)
    expired = replace(used, code="verification_expired", began=EXPIRES, ended=EXPIRES + 0.1)
    assert with_call(used) == set()
    assert with_call(expired) == set()


ENDED = call("check", 0.9, 410, code="verification_expired", guess=CODE)
UNUSABLE = call("redeem", 3, 422, code="receipt_invalid")


def test_a_failover_may_end_what_began_before() -> None:
    """Codes and receipts. A hang and a partition alone end none: then both are refused for nothing."""
    elected = Fault("elected", T0 + 0.3, T0 + 0.6, "server2")
    assert with_call(ENDED, elected) == set()
    assert with_call(UNUSABLE, elected) == set()
    for kind in ("partition", "hang_primary", "planned_failover", "stop_store"):
        other = replace(elected, kind=kind)
        assert with_call(ENDED, other) == {breaches.REFUSED}
        assert with_call(UNUSABLE, other) == {breaches.UNEXPECTED}


def test_a_server_that_was_killed_ends_codes_only_if_a_process_could_not_vote() -> None:
    """It had lost nothing, and all that lived can say so."""
    kill = Fault("kill_store", T0 + 0.3, T0 + 0.6, "store")
    assert with_call(ENDED, kill) == {breaches.REFUSED}
    assert with_call(UNUSABLE, kill) == {breaches.UNEXPECTED}
    for worker in (Fault("kill_worker", T0 - 5, T0 - 4.5, "worker1"), Fault("stop_worker", T0 + 4, T0 + 5, "worker1")):
        assert with_call(ENDED, kill, worker) == set()
        assert with_call(UNUSABLE, kill, worker) == set()
        assert with_call(ENDED, worker) == {breaches.REFUSED}
    assert with_call(ENDED, kill, Fault("kill_worker", T0 - 9, T0 - 8, "worker1")) == {breaches.REFUSED}
    assert with_call(ENDED, kill, slow_disk=True) == set()
    assert with_call(ENDED, kill, pauses=((T0 - 1, T0 + 0.2),)) == set()
