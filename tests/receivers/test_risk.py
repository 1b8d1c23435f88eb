"""Asking a risk hook: what counts as an answer, kept connections, receivers that misbehave. On loopback."""

import json
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import closing, contextmanager
from dataclasses import replace
from typing import Any

import pytest
from standardwebhooks import Webhook

from otp_service.domain.callback import Endpoint
from otp_service.domain.risk import Decision, RawAnswer, RiskAnswer, RiskHook, read_answer, refusal_of
from otp_service.receivers import risk
from otp_service.receivers.risk import MOST, RiskReceivers
from otp_service.receivers.risk_breaker import FAILURES, FIRST_PAUSE_S, LONGEST_PAUSE_S, RiskBreaker
from tests.conftest import wait_until

from .risk_receiver import SECRET, RiskReceiver, closed_port, risk_receiver

BODY = b'{"type":"verification.start"}'


@contextmanager
def receivers(hook: RiskHook, **more: Any) -> Iterator[RiskReceivers]:
    """Those of one app, `shop`."""
    with closing(RiskReceivers({"shop": hook}, now_ms=lambda: time.time_ns() // 1_000_000, **more)) as made:
        yield made


@pytest.mark.parametrize(
    ("body", "answer"),
    [
        (b'{"decision":"allow"}', RiskAnswer(Decision.ALLOW)),
        (b'{"decision":"deny","reason":"sim_changed"}', RiskAnswer(Decision.DENY, "sim_changed")),
        (b'{"decision":"step_up","reason":null,"more":[1]}', RiskAnswer(Decision.STEP_UP)),
        (b'{"decision":"deny","reason":"Call +1 202 555 0143"}', RiskAnswer(Decision.DENY)),
        (b'{"decision":"deny","reason":"' + b"a" * 41 + b'"}', RiskAnswer(Decision.DENY)),
        (b'{"decision":"ALLOW"}', RiskAnswer(None, failure="body")),
        (b'{"decision":"allow","reason":7}', RiskAnswer(None, failure="body")),
        (b'{"decision":true}', RiskAnswer(None, failure="body")),
        (b'["allow"]', RiskAnswer(None, failure="body")),
        (b"", RiskAnswer(None, failure="body")),
        (b"\xff\xfe{", RiskAnswer(None, failure="body")),
        (b"[" * 10_000, RiskAnswer(None, failure="body")),
    ],
)
def test_only_what_is_said_in_the_form_counts(body: bytes, answer: RiskAnswer) -> None:
    """A word that is none of ours is no answer; a reason that could hold a number is left out."""
    assert read_answer(RawAnswer(200, body)) == answer
    assert read_answer(RawAnswer(204, body)) == RiskAnswer(None, failure="status")


def test_a_refusal_says_whether_there_is_another_way() -> None:
    """A denial does; for a step up the other factors are added where they are known."""
    assert refusal_of(Decision.ALLOW, answered=False) is None
    denied = refusal_of(Decision.DENY, answered=True, reason="listed")
    assert denied is not None
    assert denied.fields == {"reason": "risk_denied", "risk_reason": "listed", "alternatives": []}
    more = refusal_of(Decision.STEP_UP, answered=False)
    assert more is not None
    assert (more.code, more.fields) == ("guard_refused", {"reason": "risk_unanswered"})


def test_questions_are_signed_and_share_a_connection() -> None:
    """A signature that the standard's own library accepts, another id each time, one connection for twenty."""
    with risk_receiver() as receiver, receivers(receiver.hook()) as asking:
        for number in range(20):
            assert asking.ask("shop", f"risk_{number}", BODY) == RiskAnswer(Decision.ALLOW)
        headers, body = receiver.asked[-1]
        assert body == BODY
        assert headers["webhook-id"] == "risk_19"
        Webhook(SECRET).verify(body, headers)
        assert len(receiver.connections) == 1


def test_a_connection_that_was_closed_meanwhile_is_replaced() -> None:
    """By the receiver, after an answer: the next question goes over another one."""
    with risk_receiver() as receiver, receivers(receiver.hook()) as asking:
        receiver.closes = True
        answers = {asking.ask("shop", f"risk_{number}", BODY).word for number in range(4)}
        assert answers == {"allow"}
        assert len(receiver.connections) == 4


def test_what_is_no_answer_says_why() -> None:
    """Redirects are not followed; a body without end is not read."""
    with risk_receiver() as receiver, risk_receiver() as other, receivers(receiver.hook()) as asking:
        receiver.headers = {"Location": f"http://127.0.0.1:{other.port}/risk"}
        receiver.status = 307
        assert asking.ask("shop", "risk_1", BODY).word == "status"
        receiver.status, receiver.answer = 200, b'{"decision":"allow"}' + b" " * 100_000
        assert asking.ask("shop", "risk_2", BODY).word == "body"
        assert other.asked == []
    with closed_port() as port:
        hook = RiskHook(Endpoint(f"http://127.0.0.1:{port}/", (SECRET,), True), timeout_ms=10_000)
        with receivers(hook) as asking:
            assert asking.ask("shop", "risk_3", BODY).word == "no_connection"


def test_a_private_address_is_never_asked() -> None:
    """Also if the name leads there: the rules of callbacks."""
    with risk_receiver() as receiver:
        hook = receiver.hook()
        named = Endpoint(f"http://risk.example.com:{receiver.port}/", (SECRET,))
        with receivers(replace(hook, endpoint=named), resolve=lambda *_: ["127.0.0.1"]) as asking:
            assert asking.ask("shop", "risk_1", BODY).word == "private_address"
            assert receiver.asked == []
            assert asking.reachable("shop") == "risk.example.com leads into a private network"


def test_a_receiver_that_hangs_costs_the_time_of_the_hook_alone() -> None:
    """No answer in time; after some of them nobody asks it any more, and that is news once."""
    with risk_receiver() as receiver:
        receiver.hangs.set()
        with receivers(receiver.hook(timeout_ms=50)) as asking:
            answers = [asking.ask("shop", f"risk_{number}", BODY) for number in range(FAILURES + 3)]
            assert [answer.word for answer in answers] == ["late"] * FAILURES + ["paused"] * 3
            assert [answer.is_news for answer in answers].index(True) == FAILURES - 1
            assert sum(answer.is_news for answer in answers) == 1


def test_so_many_are_under_way_and_no_more() -> None:
    """One too many is not asked, and says nothing about the receiver."""
    with risk_receiver() as receiver, ThreadPoolExecutor(MOST) as callers:
        receiver.hangs.set()
        with receivers(receiver.hook(timeout_ms=60_000), run=in_its_threads) as asking:
            waiting = [callers.submit(asking.ask, "shop", f"risk_{number}", BODY) for number in range(MOST)]
            wait_until(lambda: len(receiver.asked) == risk.THREADS, 30)
            wait_until(lambda: asking.ask("shop", "risk_more", BODY).word == "busy", 30)
            receiver.hangs.clear()
            receiver.released.set()
            assert {one.result().word for one in waiting} == {"allow"}
            assert asking.ask("shop", "risk_last", BODY).word == "allow"


def in_its_threads(threads: Executor, work: Callable[[], RawAnswer]) -> RawAnswer:
    """As the event loop does it."""
    return threads.submit(work).result()


def test_what_waited_too_long_for_a_thread_is_not_asked() -> None:
    """Its time is over before it begins."""
    with risk_receiver() as receiver:

        def late(_: Executor, work: Callable[[], RawAnswer]) -> RawAnswer:
            time.sleep(0.06)
            return work()

        with receivers(receiver.hook(timeout_ms=50), run=late) as asking:
            assert asking.ask("shop", "risk_1", BODY).word == "late"
            assert receiver.asked == []


def test_the_breaker_asks_once_in_each_pause() -> None:
    """The pauses grow to a minute, and end with an answer. Failures of questions that were under way add nothing."""
    now = [0.0]
    breaker = RiskBreaker(lambda: now[0])
    assert [breaker.record(answered=False) for _ in range(FAILURES + 5)].count(True) == 1
    pauses: list[float] = []
    last = now[0]
    while len(pauses) < 7:
        now[0] += 0.5
        if breaker.passes():
            pauses.append(now[0] - last)
            last = now[0]
            breaker.record(answered=False)
    assert pauses == [FIRST_PAUSE_S, 10, 20, 40, LONGEST_PAUSE_S, LONGEST_PAUSE_S, LONGEST_PAUSE_S]
    breaker.record(answered=True)
    assert all(breaker.passes() for _ in range(100))


def test_no_repr_shows_a_secret() -> None:
    """Neither the hook nor an answer shows what must not be seen."""
    hook = RiskReceiver(port=8443).hook()
    assert SECRET not in repr(hook)
    assert "8443" not in repr(hook)
    assert "hush" not in repr(RawAnswer(200, json.dumps("hush").encode()))
