"""A store whose replies are lost: nothing is done twice, and no caller gets a wrong answer."""

import contextlib
import select
import socket
import threading
from collections.abc import Iterator
from functools import partial
from urllib.parse import urlsplit

import pytest

from otp_service.domain.checking import Approved, Wrong
from otp_service.domain.delivery import Accepted, Action, NotSent, Refused, Unknown
from otp_service.domain.ending import Canceled, Ended, Redeemed
from otp_service.domain.errors import StoreUnavailable
from otp_service.domain.optout_list import OptOut
from otp_service.domain.outbox import Timer
from otp_service.domain.policy import Limit, Slot
from otp_service.domain.starting import Started
from otp_service.domain.verification import Status
from otp_service.runtime.dev import embedded_store

from ..harness import CODE, WRONG, Confused, StoreHarness, fresh_number, word

pytestmark = pytest.mark.usefixtures("patient")


class Swallower:
    """A proxy before the store. Armed, it lets the next script run and swallows the reply."""

    def __init__(self, target: str) -> None:
        self._target = target
        self.armed = 0
        self.swallowed = 0
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"redis://127.0.0.1:{self._listener.getsockname()[1]}"
        self._open: list[socket.socket] = []
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                near, _ = self._listener.accept()
                far = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
                far.connect(self._target)
                self._open += (near, far)
                threading.Thread(target=self._serve, args=(near, far), daemon=True).start()

    def _serve(self, near: socket.socket, far: socket.socket) -> None:
        # One request, one reply at a time: the clients here never have two under way on a connection.
        # A ValueError is what select says of a socket that was closed meanwhile.
        with contextlib.suppress(OSError, ValueError):
            while request := near.recv(1 << 20):
                far.sendall(request)
                # A long script comes in several pieces, and its reply after the last.
                while near in select.select([near, far], [], [])[0]:
                    piece = near.recv(1 << 20)
                    if not piece:
                        break
                    request += piece
                    far.sendall(piece)
                reply = far.recv(1 << 20)
                if self.armed and b"EVAL" in request and not reply.startswith(b"-NOSCRIPT"):
                    self.armed -= 1
                    self.swallowed += 1
                    break
                near.sendall(reply)
        near.close()
        far.close()

    def close(self) -> None:
        """End everything."""
        # shutdown wakes the thread that waits in accept or recv, close alone does not.
        for each in (self._listener, *self._open):
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
            each.close()


@pytest.fixture
def swallower(harness: StoreHarness, own_server: embedded_store.EmbeddedServer) -> Iterator[Swallower]:
    """A proxy before the own server, which is empty."""
    made = Swallower(urlsplit(own_server.url).path)
    try:
        yield made
    finally:
        made.close()


@pytest.fixture
def lossy(swallower: Swallower) -> Iterator[StoreHarness]:
    """A store that is reached through the proxy."""
    made = StoreHarness.open(swallower.url)
    try:
        yield made
    finally:
        made.close()


def test_a_lost_reply_starts_once(lossy: StoreHarness, swallower: Swallower) -> None:
    """The start whose reply was lost is found again: one verification, one send, the whole answer."""
    swallower.armed = 1
    command = lossy.start_command(fresh_number())
    started = lossy.verifications.start(command)
    assert swallower.swallowed == 1
    assert isinstance(started, Started)
    assert started.reference == command.reference
    assert not started.resent
    assert lossy.waiting(command.reference) == 1
    assert lossy.events(command.reference) == ["verification.started", "delivery.queued"]


def test_a_lost_reply_is_one_guess(lossy: StoreHarness, swallower: Swallower) -> None:
    """Wrong, last wrong and right code: the repeat gets the first answer and nothing is counted twice."""
    ref = lossy.start(fresh_number()).reference
    for left in (4, 3, 2, 1):
        swallower.armed = 1
        assert lossy.check(ref, WRONG) == Wrong(left)
    swallower.armed = 1
    assert lossy.check(ref, WRONG) == Ended(Status.EXHAUSTED)
    assert lossy.record(ref)["attempts"] == "5"
    assert len(lossy.wrong_codes(ref.number_hash, "shop")) == 5
    good = lossy.start(fresh_number()).reference
    swallower.armed = 1
    answer = lossy.check(good, CODE, receipt_id="the-receipt")
    assert isinstance(answer, Approved)
    assert answer.receipt_id == "the-receipt"
    assert lossy.record(good)["attempts"] == "1"
    assert lossy.events(good).count("verification.approved") == 1
    assert swallower.swallowed == 6


def test_a_lost_reply_cancels_and_redeems_once(lossy: StoreHarness, swallower: Swallower) -> None:
    """The one who canceled or redeemed learns that it was they."""
    ref, other = lossy.start(fresh_number()).reference, lossy.start(fresh_number()).reference
    swallower.armed = 1
    assert lossy.verifications.cancel(word(), ref, "shop") == Canceled()
    assert lossy.events(ref).count("verification.canceled") == 1
    lossy.check(other, CODE, receipt_id="r")
    swallower.armed = 1
    answer = lossy.verifications.redeem(word(), other, "shop", "r", lossy.now() + 60_000)
    assert isinstance(answer, Redeemed)
    assert answer.first
    assert lossy.events(other).count("receipt.redeemed") == 1
    assert swallower.swallowed == 2


def test_lost_replies_make_no_second_delivery(lossy: StoreHarness, swallower: Swallower) -> None:
    """Begin, result, failover, requeue, report: each once in the timeline, one entry, one next sender."""
    ref = lossy.start(fresh_number()).reference
    job = lossy.take(ref)
    swallower.armed = 1
    assert lossy.must_begin(job).attempt == 1
    swallower.armed = 1
    lossy.deliveries.record_retry(job, 60_000, NotSent("connect"))
    lossy.raw.zadd(lossy.keys.timers(job.shard), {f"retry:{ref.delivery_id(1)}": 1})
    swallower.armed = 1
    lossy.due_deliveries.requeue(Timer(job.shard, "retry", ref, 1))
    assert lossy.waiting(ref) == 1
    again = lossy.take(ref)
    lossy.must_begin(again)
    swallower.armed = 1
    lossy.deliveries.record_unknown(again, 1_000, Unknown("timeout"))
    third = lossy.requeue(ref)
    lossy.must_begin(third)
    swallower.armed = 1
    lossy.deliveries.record_refused(third, Refused("40002", "Spam", Action.NEXT_SENDER))
    assert lossy.waiting(ref) == 1
    second = lossy.take(ref)
    assert second.ordinal == 2
    lossy.must_begin(second)
    swallower.armed = 1
    lossy.deliveries.record_accepted(second, Accepted("m2", "queued"))
    swallower.armed = 1
    lossy.apply(ref, "delivered", "m2", 2)
    assert lossy.status(ref, 2) == "delivered"
    events = lossy.events(ref)
    assert swallower.swallowed == 7
    for event, times in {
        "delivery.queued": 2,
        "delivery.sending": 2,
        "delivery.retried": 2,
        "delivery.unknown": 1,
        "delivery.failed": 1,
        "delivery.fell_back": 1,
        "delivery.sent": 1,
        "delivery.delivered": 1,
    }.items():
        assert events.count(event) == times, event


def test_a_lost_reply_stores_one_answer_and_opts_out_once(lossy: StoreHarness, swallower: Swallower) -> None:
    """Idempotency keys and wishes are the same after a repeat."""
    swallower.armed = 1
    assert lossy.idempotency.reserve("digest", "body", "me") == "reserved"
    swallower.armed = 1
    lossy.idempotency.complete("digest", "me", 201, "answer")
    nh = lossy.hash_of(fresh_number())
    swallower.armed = 1
    lossy.optouts.record(nh, "+1", OptOut("profile-a", True, 5, "STOP", "inbound"), "evt")
    assert [entry.opted_out for entry in lossy.optouts.of_number(nh)] == [True]
    assert [event["type"] for event in lossy.audited_of(nh)] == ["optout.added"]
    assert swallower.swallowed == 3


def test_a_lost_reply_never_makes_room_in_a_limit(lossy: StoreHarness, swallower: Swallower) -> None:
    """Taking may cost one place too many, giving back never frees one too many."""
    place = Slot("x", "y", Limit(3, 60_000))
    assert [lossy.limits.acquire([place]) for _ in range(3)] == [0, 0, 0]
    swallower.armed = 1
    with contextlib.suppress(StoreUnavailable):
        lossy.limits.release([place])
    assert swallower.swallowed == 1
    assert lossy.limits.acquire([place]) == 0
    assert lossy.limits.acquire([place]) > 0


def test_when_both_replies_are_lost_no_wrong_answer_is_given(lossy: StoreHarness, swallower: Swallower) -> None:
    """The caller gets StoreUnavailable; what happened stands, and shows on the next look."""
    ref = lossy.start(fresh_number()).reference
    swallower.armed = 2
    with pytest.raises(StoreUnavailable):
        lossy.check(ref, WRONG)
    assert swallower.swallowed == 2
    assert lossy.record(ref)["attempts"] == "1"
    assert lossy.check(ref, WRONG) == Wrong(3)


def test_an_answer_to_somebody_else_is_no_answer(
    harness: StoreHarness, own_server: embedded_store.EmbeddedServer
) -> None:
    """A reply that echoes another operation is thrown away (CVE-2023-28858)."""
    ref = harness.start(fresh_number()).reference
    confused = StoreHarness.open(own_server.url, Confused)
    for act in (
        partial(confused.check, ref, CODE),
        partial(confused.verifications.start, confused.start_command(fresh_number())),
        partial(confused.verifications.cancel, word(), ref, "shop"),
        partial(confused.verifications.redeem, word(), ref, "shop", "r", 1),
    ):
        with pytest.raises(StoreUnavailable):
            act()
    confused.close()
