"""An answer that must outlive a failover is given when all replicas have it, and refused where one may be missing."""

import contextlib
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import pytest

from otp_service.domain.callback import Callback
from otp_service.domain.checking import Approved
from otp_service.domain.ending import Ended, Redeemed
from otp_service.domain.errors import StoreUnavailable
from otp_service.domain.factor_checking import ApprovedCode, Confirmed, FactorApproved, FactorGuess, SentCode
from otp_service.domain.starting import Started
from otp_service.domain.verification import Status
from otp_service.storage import replicas
from otp_service.storage.audit_consumer import AuditConsumer
from otp_service.storage.audit_source import AuditSource
from otp_service.storage.callbacks import Callbacks
from otp_service.storage.replica_guard import ReplicaGuard
from otp_service.storage.replicas import Replicas
from otp_service.storage.schema.fields import ApiKey, Factor, Record, Subject
from otp_service.storage.scripts import Scripts
from tests.conftest import wait_until
from tests.e2e.in_process import Commands

from .api_keys import keys_of
from .factors import active, enroll, new_reference, new_subject, operation, step_of
from .harness import CODE, StoreHarness, fresh_number
from .loops import LoopThread
from .servers import Server, watched

pytestmark = pytest.mark.usefixtures("patient")
KEPT = {"appendonly": "yes", "appendfsync": "no", "repl_backlog_ttl": "0", "save": '""'}
"""Settings with which a killed server loses nothing."""


@dataclass
class Guarded:
    """A primary, its replicas, and a process that waits for them."""

    primary: Server
    replicas: list[Server]
    harness: StoreHarness
    counting: Replicas

    def works(self) -> bool:
        """Whether a start is accepted."""
        self.counting.look()
        try:
            self.harness.start(fresh_number())
        except StoreUnavailable:
            return False
        return True

    def waits_for_all(self) -> bool:
        """Whether a start is accepted that waits for all replicas."""
        return self.works() and self.harness.scripts.guard.waits_for(self.harness.keys.run(0)) == len(self.replicas)


def guard(harness: StoreHarness, expected: int = 1) -> Replicas:
    """Let its scripts wait."""
    made = ReplicaGuard()
    harness.scripts.guard = made
    counting = Replicas(harness.store, harness.scripts, harness.keys, made, expected)
    counting.look()
    return counting


@contextlib.contextmanager
def guarded(primary: Server, followers: list[Server], url: str) -> Iterator[Guarded]:
    """A process on these servers."""
    harness = StoreHarness.open(url)
    try:
        yield Guarded(primary, followers, harness, guard(harness))
    finally:
        harness.close()


@pytest.fixture
def three(tmp_path: Path) -> Iterator[Guarded]:
    """A primary and two replicas that both have everything."""
    with contextlib.ExitStack() as stack:
        servers = []
        for name in ("first", "second", "third"):
            servers.append(Server(tmp_path / name, **KEPT))
            stack.callback(servers[-1].kill)
        for replica in servers[1:]:
            replica.follow(servers[0])
        made = stack.enter_context(guarded(servers[0], servers[1:], f"redis://127.0.0.1:{servers[0].port}"))
        # A replica takes part a second after it was copied to.
        wait_until(made.waits_for_all, 30, "the first start")
        yield made


@pytest.fixture
def commands(capsys: pytest.CaptureFixture[str]) -> Commands:
    """Commands of an operator."""
    return Commands(capsys)


def refused(act: Callable[[], object]) -> None:
    """It is refused because of the replicas."""
    with pytest.raises(StoreUnavailable, match="too few replicas"):
        act()


def test_what_a_caller_is_told_is_on_every_replica(three: Guarded) -> None:
    """At that moment, and not a little later."""
    harness = three.harness
    for _ in range(5):
        ref = harness.start(fresh_number()).reference
        name = harness.keys.record(ref)
        assert all(replica.client.exists(name) for replica in three.replicas)
        assert isinstance(harness.check(ref, CODE), Approved)
        assert {replica.client.hget(name, Record.STATUS) for replica in three.replicas} == {"approved"}


def test_a_change_of_factors_is_on_every_replica(three: Guarded) -> None:
    """Enrolled, confirmed, renamed, a code noted, a number bound; while one is missing none of it happens."""
    factors, subject = three.harness.factors, new_subject(three.harness)
    name = three.harness.keys.subject(subject.hash)

    def everywhere(field: str) -> set[str | None]:
        return {replica.client.hget(name, field) for replica in three.replicas}

    app = enroll(three.harness, subject)
    assert None not in everywhere(f"{app.token}{Factor.PENDING}")
    assert factors.confirm(operation(), subject, app, [step_of(three.harness)]) == Confirmed()
    assert factors.rename(subject, app, "Other")
    assert everywhere(f"{app.token}{Factor.LABEL}") == {"Other"}
    sent, number = new_reference(three.harness, subject), new_reference(three.harness, subject)
    factors.note_sent(SentCode(subject, "bind", sent, may_bind=True))
    assert None not in everywhere(f"{Subject.SENT}bind")
    assert factors.approve_sent(operation(), ApprovedCode(subject, "bind", sent, "+1******0143", number))
    assert None not in everywhere(f"{number.token}{Factor.NUMBER}")
    three.replicas[1].kill()
    refused(lambda: enroll(three.harness, subject))
    refused(lambda: factors.rename(subject, app, "Third"))
    refused(lambda: factors.note_sent(SentCode(subject, "login", sent)))
    assert three.primary.client.hget(name, f"{app.token}{Factor.LABEL}") == "Other"


def test_a_try_is_on_every_replica_before_its_message_is_sent(three: Guarded) -> None:
    """A new primary would else call it unsent. Without a replica nothing is sent."""
    harness = three.harness
    harness.outbox.open()
    ref = harness.start(fresh_number()).reference
    job = harness.take(ref)
    three.replicas[1].hang()
    refused(lambda: harness.must_begin(job))
    three.replicas[1].go_on()
    wait_until(three.works, 30, "the replica's return")
    harness.must_begin(job)
    name = harness.keys.record(ref)
    assert {replica.client.hget(name, "1:tries") for replica in three.replicas} == {"2"}


def test_an_api_key_is_revoked_on_every_replica(three: Guarded) -> None:
    """And made there; while one is missing it is neither."""
    api_keys = keys_of(three.harness)
    made = api_keys.create("shop", ["verify"], None)
    name = three.harness.keys.api_key(made.id)
    assert all(replica.client.exists(name) for replica in three.replicas)
    assert api_keys.revoke(made.id)
    assert {replica.client.hget(name, ApiKey.REVOKED) for replica in three.replicas} == {"1"}
    other = api_keys.create("shop", ["verify"], None)
    three.replicas[1].kill()
    refused(lambda: api_keys.revoke(other.id))
    assert three.primary.client.hget(three.harness.keys.api_key(other.id), ApiKey.REVOKED) is None


def test_a_write_that_a_replica_has_not_taken_is_refused_and_the_repeat_is_told_the_truth(three: Guarded) -> None:
    """As long as it hangs; what was written stands, and each repeat waits for it anew."""
    harness = three.harness
    ref = harness.start(fresh_number()).reference
    command, guess = harness.start_command(fresh_number()), harness.guess(ref, CODE)
    other, subject = harness.start(fresh_number()).reference, new_subject(harness)
    assert isinstance(harness.check(other, CODE, receipt_id="r"), Approved)
    steps = [(active(harness, subject).token, step_of(harness) + 1)]
    of_factor = FactorGuess(operation(), subject, "login", operation(), steps)
    redeem = partial(harness.verifications.redeem, operation(), other, "shop", "r", harness.now() + 60_000)
    three.replicas[1].hang()
    for _ in range(2):
        refused(lambda: harness.verifications.start(command))
    for act in (partial(harness.verifications.check, guess), partial(harness.factors.check, of_factor), redeem):
        refused(act)
    three.replicas[1].go_on()
    wait_until(three.works, 30, "the replica's return")
    again = harness.verifications.start(command)
    assert isinstance(again, Started)
    assert again.replayed
    assert isinstance(harness.verifications.check(guess), Approved)
    assert harness.check(ref, CODE) == Ended(Status.APPROVED)
    assert isinstance(harness.factors.check(of_factor), FactorApproved)
    redeemed = redeem()
    assert isinstance(redeemed, Redeemed)
    assert redeemed.first


def test_a_callback_is_sent_when_every_replica_has_it(three: Guarded) -> None:
    """A new primary would else write it once more, with other bytes. Until then it waits, and is not lost."""
    harness = three.harness
    queue = Callbacks(harness.store, harness.scripts, harness.keys)

    def claimed() -> Callback | None:
        three.counting.look()
        harness.raw.zadd(harness.keys.callbacks_due("shop"), {"evt": 1}, xx=True)
        return queue.claim("shop")

    three.replicas[1].hang()
    queue.put(Callback("evt", "shop", "verification.started", "vrf", "{}"))
    assert claimed() is None
    three.replicas[1].kill()
    wait_until(lambda: _online(three.primary) == 1, 30, "the replica's end")
    assert claimed() is None
    three.counting.lower()
    found = claimed()
    assert found is not None
    assert (found.id, found.attempt) == ("evt", 2)


def test_an_event_is_in_the_ledger_when_every_replica_has_it(three: Guarded) -> None:
    """A new primary would else record it again, and the ledger would have both."""
    harness = three.harness
    source = AuditSource(harness.store, harness.scripts, harness.keys, harness.audit, kept_ms=0)

    def waiting() -> int:
        return sum(len(portion.entries) for portion in source.read({}, 100))

    harness.start(fresh_number())
    events = waiting()
    assert events > 0
    consumer = AuditConsumer(harness.store, harness.scripts, harness.keys, stale_ms=0)
    consumer.open("0")
    taken = consumer.read_new(100)
    three.replicas[1].hang()
    assert waiting() == 0
    consumer.acknowledge(taken)
    assert consumer.claim_stale(100) == taken, "what was made of them may be forgotten"
    three.replicas[1].go_on()
    wait_until(lambda: waiting() == events, 30, "the replica's return")
    consumer.acknowledge(taken)
    assert consumer.claim_stale(100) == []


def test_nothing_is_written_while_a_replica_is_missing(three: Guarded, monkeypatch: pytest.MonkeyPatch) -> None:
    """It may have been promoted. Without sentinels nobody can say that it has not."""
    monkeypatch.setattr(replicas, "GONE_S", 0.0)
    three.replicas[1].kill()
    wait_until(lambda: _online(three.primary) == 1, 30, "the replica's end")
    number = fresh_number()
    before = three.harness.all_keys()
    refused(lambda: three.harness.start(number))
    assert not three.works()
    assert three.harness.all_keys() == before
    three.replicas[0].kill()
    assert not three.works()


def _acknowledges(server: Server, replicas: int) -> bool:
    """One that has only just been given everything takes a moment until it does."""
    server.client.set("written", "1")
    return bool(server.client.execute_command("WAIT", replicas, 100) == replicas)


def test_a_new_replica_is_waited_for_from_then_on(three: Guarded, tmp_path: Path) -> None:
    """Also by whoever did not know of it: the script says that more follow, and nobody is refused."""
    new = Server(tmp_path / "new")
    try:
        new.follow(three.primary)
        wait_until(lambda: _online(three.primary) == 3 and _acknowledges(three.primary, 3), 30, "it")
        ref = three.harness.start(fresh_number()).reference
        assert new.client.exists(three.harness.keys.record(ref))
        assert three.works()
    finally:
        new.kill()
    refused(lambda: three.harness.start(fresh_number()))


def test_with_no_replica_at_all_nothing_is_written(harness: StoreHarness) -> None:
    """On a server and in a Cluster; what needs no replica goes on."""
    ref = harness.start(fresh_number()).reference
    counting = guard(harness)
    before = harness.snapshot()
    refused(lambda: harness.start(fresh_number()))
    refused(lambda: harness.check(ref, CODE))
    assert harness.snapshot() == before
    assert harness.scripts.guard.missing == harness.keys.shards + 1
    runs = [*map(harness.keys.run, range(harness.keys.shards))]
    assert harness.scripts.guard.missing_of(runs) == harness.keys.shards
    assert harness.verifications.view(ref, "shop") is not None
    for run in runs:
        harness.scripts.guard.learn(run, 1)
    assert harness.scripts.guard.missing_of(runs) == 0, "the place of the API keys is no shard"
    refused(lambda: harness.start(fresh_number()))
    assert harness.all_keys() == sorted(before), "the script looks for itself"
    counting.look()
    assert harness.scripts.guard.missing == harness.keys.shards + 1


def test_a_restarted_primary_waits_for_all_that_followed_it(
    three: Guarded, tmp_path: Path, commands: Commands, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One that is not back yet may be about to take over. An operator can say that it is gone for good."""
    old = three.primary
    three.replicas[1].hang()
    old.kill(returns=True)
    again = Server(tmp_path / "again", **KEPT, dir=str(tmp_path / "first"), port=str(old.port))
    try:
        wait_until(lambda: _online(again) == 1, 30, "one of the two")
        before = three.harness.all_keys()
        assert not three.works()
        refused(lambda: three.harness.start(fresh_number()))
        assert three.harness.all_keys() == before
        three.replicas[1].go_on()
        wait_until(three.waits_for_all, 30, "a start with both")
        three.replicas[1].kill()
        wait_until(lambda: _online(again) == 1, 30, "its end")
        assert not three.works()
        monkeypatch.setenv("OTP_REDIS_URL", f"redis://127.0.0.1:{old.port}")
        assert [(one["follow"], one["needed"]) for one in commands.data("replicas", "list")] == [(1, 2)]
        assert re.search(r"\b1 +1 *$", commands.shows("replicas", "lower"), re.MULTILINE)
        assert three.works()
        three.replicas[0].kill()
        wait_until(lambda: _online(again) == 0, 30, "the other's end")
        status, out, words = commands.run("replicas", "lower")
        assert (status, bool(re.search(r"\b0 +1 *$", out, re.MULTILINE)), "replicas = 0" in words) == (0, True, True)
        assert not three.works()
    finally:
        again.kill()


def test_a_replica_that_took_over_needs_those_that_follow_it(three: Guarded) -> None:
    """The old primary is not among them until it comes back."""
    three.primary.kill()
    three.replicas[0].promote()
    three.replicas[1].follow(three.replicas[0])
    wait_until(lambda: _online(three.replicas[0]) == 1, 30, "the other")
    with guarded(three.replicas[0], three.replicas[1:], f"redis://127.0.0.1:{three.replicas[0].port}") as made:
        wait_until(made.waits_for_all, 30, "a start")
        assert [(one.follow, one.need) for one in made.counting.counted()] == [(1, 1)]


def _online(server: Server) -> int:
    found = server.client.info("replication")
    followers = [found[f"slave{number}"] for number in range(found["connected_slaves"])]
    return sum(follower["state"] == "online" for follower in followers)


def test_in_an_event_loop_it_is_the_same(three: Guarded) -> None:
    """On connections of their own: a write that waits for a hanging replica holds nobody up."""
    with LoopThread() as loop:
        store = loop.open(f"redis://127.0.0.1:{three.primary.port}")
        harness = StoreHarness(store, three.harness.keys, Scripts(store), three.harness.ring)
        harness.scripts.guard = three.harness.scripts.guard
        ref = loop.run(lambda: harness.start(fresh_number())).reference
        assert three.replicas[1].client.exists(harness.keys.record(ref))
        three.replicas[1].hang()
        waits = [loop.begin(lambda: harness.start(fresh_number())) for _ in range(3)]
        assert loop.run(lambda: harness.verifications.view(ref, "shop")) is not None
        assert not any(wait.done() for wait in waits)
        for wait in waits:
            refused(partial(wait.result, 30))
        three.replicas[1].go_on()


def test_sentinels_say_whether_a_replica_is_gone_for_good(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A majority has to name the primary; without one the missing replica may have been promoted."""
    with watched(tmp_path) as (first, second, sentinels):
        third = Server(tmp_path / "third")
        names = ",".join(f"127.0.0.1:{sentinel.port}" for sentinel in sentinels)
        try:
            third.follow(first)
            wait_until(lambda: _online(first) == 2, 30, "both replicas")
            with guarded(first, [second, third], f"redis+sentinel://{names}/main") as made:
                wait_until(made.waits_for_all, 30, "the first start")
                third.kill()
                wait_until(lambda: _online(first) == 1, 30, "the replica's end")
                assert not made.works()
                for sentinel in sentinels[:2]:
                    sentinel.hang()
                asked = made.harness.store.sentinels
                assert asked is not None
                wait_until(lambda: len(asked.answers()) == 1, 30, "the last answers' age")
                monkeypatch.setattr(replicas, "GONE_S", 0.0)
                assert not made.works()
                sentinels[0].go_on()
                wait_until(made.works, 30, "a start without the third")
                second.kill()
                wait_until(lambda: _online(first) == 0, 30, "the other's end")
                assert not made.works(), "with no replica at all nothing is written"
        finally:
            third.kill()
