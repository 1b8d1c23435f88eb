"""The store's client of the event loop: one connection for all, and what happens when it fails."""

import time
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import redis
from redis.exceptions import RedisError, ResponseError

from otp_service.domain.checking import Wrong
from otp_service.domain.ending import Ended
from otp_service.domain.errors import StoreUnavailable
from otp_service.domain.outbox import Job
from otp_service.domain.policy import Limit, Slot
from otp_service.domain.starting import Started
from otp_service.domain.verification import Status
from otp_service.storage.answering import STORE_ERRORS
from otp_service.storage.connect import TIMEOUT_S
from otp_service.storage.deliveries import Deliveries
from otp_service.storage.schema import Keys
from otp_service.storage.scripts import Scripts
from otp_service.storage.sender_rate import AT_ONCE_MS
from otp_service.storage.store import Store, fields_of
from tests.conftest import wait_until

from .harness import CODE, SENDERS, SHARDS, WRONG, StoreHarness, fresh_number, keyring, word
from .loops import LoopThread
from .nodes import three
from .servers import Address, Server, watched
from .tls_relay import tls_relay, write_certificate


@pytest.fixture
def looping() -> Iterator[LoopThread]:
    """A loop."""
    with LoopThread() as thread:
        yield thread


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    """A server of our own, to be mistreated."""
    made = Server(tmp_path / "server")
    yield made
    made.go_on()
    made.kill()


def url_of(server: Server) -> str:
    """Its address."""
    return f"redis://127.0.0.1:{server.port}"


def harness_over(store: Store) -> StoreHarness:
    """All stores over this one."""
    return StoreHarness(store, Keys(SHARDS), Scripts(store), keyring())


def execute(store: Store, *command: str | int) -> Any:
    """Run a command."""
    client: Any = store.client
    return client.execute_command(*command)


def value(looping: LoopThread, store: Store, key: str = "key") -> Any:
    """What stands in a key, or the name of the error."""
    try:
        return looping.run(lambda: store.client.get(key))
    except STORE_ERRORS as error:
        return type(error).__name__


def test_verifications_work_as_over_the_other_client(looping: LoopThread, store_url: str) -> None:
    """Start, check, read: on a server and on a Cluster, where nothing had the scripts before."""
    harness = harness_over(looping.open(store_url))
    ref = looping.run(partial(harness.start, fresh_number())).reference
    assert looping.run(partial(harness.check, ref, WRONG)) == Wrong(4)
    view = looping.run(partial(harness.verifications.view, ref, "shop"))
    assert view is not None
    assert view.attempts == 1
    events = [entry.event for entry in looping.run(partial(harness.verifications.timeline, ref))]
    assert "check.failed" in events
    assert type(looping.run(partial(harness.check, ref, CODE))).__name__ == "Approved"
    assert looping.run(partial(harness.verifications.view, ref, "bank")) is None


def test_replies_belong_to_their_commands(looping: LoopThread, store_url: str) -> None:
    """Two hundred at once, of which some are errors."""
    store = looping.open(store_url)

    def ask(number: int) -> Any:
        try:
            if number % 7 == 0:
                return execute(store, "NOSUCH", f"key{number}")
            execute(store, "SET", f"key{number}", number)
            return store.client.get(f"key{number}")
        except ResponseError as error:
            return "unknown command" in str(error)

    begun = [looping.begin(partial(ask, number)) for number in range(200)]
    assert [one.result(60) for one in begun] == [str(n) if n % 7 else True for n in range(200)]


def test_commands_that_are_sent_together(looping: LoopThread, store_url: str) -> None:
    """`gather` gives the reply or the error of each, in order; clocks and hashes are read as redis-py reads them."""
    store = looping.open(store_url)
    replies = looping.run(lambda: store.gather([("SET", "a", 1), ("LPUSH", "a", 2), ("HMGET", "b", "c"), ("GET", "a")]))
    assert replies[0] == "OK"
    assert isinstance(replies[1], ResponseError)
    assert replies[2:] == [[None], "1"]
    assert looping.run(lambda: store.gather([])) == []
    assert abs(looping.run(partial(store.time_ms, "a")) - time.time() * 1000) < 5000
    looping.run(lambda: execute(store, "HSET", "h", "x", "1", "y", "2"))
    assert looping.run(lambda: store.client.hgetall("h")) == {"x": "1", "y": "2"}
    assert looping.run(lambda: store.client.hgetall("none")) == {}


def test_limits_are_taken_together(looping: LoopThread, store_url: str) -> None:
    """All or none, also where the store does not know the script yet, and in a Cluster, where each has its node."""
    harness = harness_over(looping.open(store_url))
    wide, narrow = (Slot("test", word(), Limit(count, 60_000)) for count in (3, 1))
    waits = [looping.run(partial(harness.limits.acquire, [wide, narrow])) > 0 for _ in range(4)]
    assert waits == [False, True, True, True]
    assert [looping.run(partial(harness.limits.acquire, [wide])) > 0 for _ in range(3)] == [False, False, True]
    looping.run(partial(harness.limits.release, [wide, narrow]))
    assert looping.run(partial(harness.limits.acquire, [narrow, wide])) == 0
    assert looping.run(partial(harness.limits.acquire, [])) == 0


def test_a_read_comes_with_its_servers_clock(looping: LoopThread, store_url: str) -> None:
    """The commands' replies, and the time near their key."""
    store = looping.open(store_url)
    looping.run(lambda: execute(store, "HSET", "h", "x", "1"))
    replies, now_ms = looping.run(lambda: store.read_at([("HMGET", "h", "x", "y"), ("HGETALL", "h")]))
    assert (replies[0], fields_of(replies[1])) == (["1", None], {"x": "1"})
    assert abs(now_ms - time.time() * 1000) < 5000
    with pytest.raises(StoreUnavailable):
        looping.run(lambda: store.read_at([("LRANGE", "h", 0, -1)]))


def test_a_slot_of_a_senders_rate_comes_with_the_record(looping: LoopThread, store_url: str) -> None:
    """If it comes at once; a later one is not taken. Also where the record is kept elsewhere."""
    harness = harness_over(looping.open(store_url))
    ref = looping.run(partial(harness.start, fresh_number())).reference
    deliveries = Deliveries(harness.store, harness.scripts, harness.keys, SENDERS, harness.sender_rate)
    job, sender = Job(harness.keys.shard(ref.number_hash), "1-0", ref, 1, "pool"), word("pool")

    def slot(job: Job, rate_per_s: float) -> int | None:
        pending = looping.run(partial(deliveries.pending_delivery, job, rate_per_s=rate_per_s))
        assert pending is not None
        return pending.slot_ms

    looping.run(lambda: harness.sender_rate.acquire_rate_slot("pool", 1_000.0, 0))  # the store knows the script
    assert slot(job, 200.0) in range(AT_ONCE_MS + 1)
    assert slot(job, 0.0) is None
    assert slot(replace(job, sender=sender), 200.0) is None  # the record names another one
    assert looping.run(lambda: harness.sender_rate.acquire_rate_slot("pool", 0.02, 60_000)) <= 6
    assert slot(job, 0.02) is None
    # It was not taken: the next one is where it was.
    assert 20_000 < looping.run(lambda: harness.sender_rate.acquire_rate_slot("pool", 0.02, 120_000)) <= 50_006


def test_bytes_that_are_no_text(looping: LoopThread, redis_server: "redis.Redis", redis_url: str) -> None:
    """They are read, and named again as they were."""
    redis_server.set(b"\xff\xfe", b"\xfd")
    store = looping.open(redis_url)
    assert looping.run(lambda: store.client.get("\udcff\udcfe")) == "\udcfd"


def test_only_work_of_the_loop_may_wait(looping: LoopThread, redis_url: str) -> None:
    """Anywhere else it is a mistake, which is said."""
    with pytest.raises(RuntimeError):
        looping.open(redis_url).client.get("key")


@pytest.mark.usefixtures("patient")
def test_a_connection_that_is_ended_costs_nothing(looping: LoopThread, server: Server) -> None:
    """A script runs once more, with its own operation id."""
    harness = harness_over(looping.open(url_of(server)))
    ref = looping.run(partial(harness.start, fresh_number())).reference
    for left in (4, 3, 2):
        server.client.execute_command("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
        assert looping.run(partial(harness.check, ref, WRONG)) == Wrong(left)


def test_a_server_that_hangs_is_given_up(looping: LoopThread, server: Server) -> None:
    """The first callers wait for their time-out and one repeat, later ones for nothing; then all is well again."""
    store = looping.open(url_of(server))
    harness = harness_over(store)
    ref = looping.run(partial(harness.start, fresh_number())).reference
    server.hang()
    for is_sent in (True, False, False):
        began = time.monotonic()
        with pytest.raises(StoreUnavailable) as refused:
            looping.run(partial(harness.check, ref, WRONG))
        assert refused.value.nothing_written is not is_sent, "whoever comes later does not even try"
        assert time.monotonic() - began < 10 * TIMEOUT_S
    server.go_on()
    wait_until(lambda: value(looping, store) is None, 30, "an answer")
    assert isinstance(looping.run(partial(harness.check, ref, WRONG)), Wrong)


def test_all_that_wait_for_a_server_that_hangs_are_told(looping: LoopThread, server: Server) -> None:
    """Nobody waits for ever, and nobody gets another's reply when the server permits on."""
    store = looping.open(url_of(server))
    server.client.set("key", "its own")
    assert value(looping, store) == "its own"
    server.hang()
    waiting = [looping.begin(lambda: store.client.get("other")) for _ in range(50)]
    for one in waiting:
        assert isinstance(one.exception(60), RedisError)
    server.go_on()
    wait_until(lambda: value(looping, store) == "its own", 30, "the right reply")


def test_a_server_that_is_down(looping: LoopThread, server: Server) -> None:
    """Refused at once."""
    store = looping.open("redis://127.0.0.1:1")
    assert value(looping, store) == "UnsentError"
    began = time.monotonic()
    assert value(looping, store) == "UnsentError"
    assert time.monotonic() - began < 10 * TIMEOUT_S


@pytest.mark.usefixtures("patient")
def test_a_primary_that_is_demoted_is_left(looping: LoopThread, tmp_path: Path) -> None:
    """Behind an address that is moved: by what a write answers, and by what it says of itself."""
    first, second = Server(tmp_path / "first"), Server(tmp_path / "second")
    address = Address(first)
    try:
        store = looping.open(f"redis://127.0.0.1:{address.port}")
        second.follow(first)
        harness = harness_over(store)
        ref = looping.run(partial(harness.start, fresh_number())).reference
        wait_until(lambda: second.client.dbsize() == first.client.dbsize(), 30, "the copy")
        address.server = second
        second.promote()
        first.follow(second)
        answer = looping.run(partial(harness.check, ref, WRONG))
        # It may not know that the code was used.
        assert answer == Ended(Status.EXPIRED)
        fresh = looping.run(partial(harness.start, fresh_number())).reference
        assert looping.run(partial(harness.check, fresh, WRONG)) == Wrong(4)
    finally:
        address.close()
        first.kill()
        second.kill()


@pytest.mark.usefixtures("patient")
def test_a_password_and_a_database(looping: LoopThread, tmp_path: Path) -> None:
    """As the URL says."""
    server = Server(tmp_path / "server", requirepass="secret")
    try:
        store = looping.open(f"redis://:secret@127.0.0.1:{server.port}/3")
        looping.run(lambda: execute(store, "SET", "key", "here"))
        assert server.client.get("key") is None
        assert value(looping, store) == "here"
        assert value(looping, looping.open(f"redis://:wrong@127.0.0.1:{server.port}")) == "UnsentError"
    finally:
        server.kill()


@pytest.mark.usefixtures("patient")
def test_the_primary_that_sentinels_name(looping: LoopThread, tmp_path: Path) -> None:
    """Found through them, and found again after it has died and they have chosen another."""
    with watched(tmp_path) as (first, _, sentinels):
        hosts = ",".join(f"127.0.0.1:{sentinel.port}" for sentinel in sentinels)
        store = looping.open(f"redis+sentinel://{hosts}/main")
        harness = harness_over(store)
        assert not looping.run(partial(harness.start, fresh_number())).resent
        first.kill()

        def works() -> bool:
            try:
                return bool(looping.run(lambda: execute(store, "SET", "key", "new")))
            except STORE_ERRORS:
                return False

        wait_until(works, 30, "a write to the new primary")


@pytest.mark.usefixtures("patient")
def test_tls(looping: LoopThread, server: Server, tmp_path: Path) -> None:
    """The certificate is verified unless the URL says otherwise, as with the other client."""
    certificate = tmp_path / "certificate.pem"
    write_certificate(certificate)
    with tls_relay(certificate, server.port) as port:
        trusting = looping.open(f"rediss://127.0.0.1:{port}?ssl_ca_certs={certificate}")
        wait_until(lambda: value(looping, trusting) is None, 30, "an answer over TLS")
        assert value(looping, looping.open(f"rediss://127.0.0.1:{port}")) == "UnsentError"
        careless = looping.open(f"rediss://127.0.0.1:{port}?ssl_cert_reqs=none&ssl_check_hostname=false")
        assert value(looping, careless) is None


@pytest.mark.cluster
def test_a_node_that_hangs_costs_its_own_slots_only(looping: LoopThread, tmp_path: Path) -> None:
    """And what another node takes over meanwhile is found there, though the one that hangs is never heard of again."""
    with three(tmp_path) as nodes:
        store = looping.open(nodes.url)
        keys = ["{a}", "{b}", "{c}", "{d}", "{e}", "{f}"]
        client: Any = store.client
        holders = {key: nodes.index_of(client, key) for key in keys}
        assert len(set(holders.values())) > 1
        for key in keys:
            looping.run(partial(client.execute_command, "SET", key, key))
        dead = holders["{a}"]
        with nodes.hanging(dead):
            assert value(looping, store, "{a}") in ("TimeoutError", "ConnectionError", "UnsentError")
            for key in (key for key in keys if holders[key] != dead):
                assert value(looping, store, key) == key
            # One after the other: the first may be found by a look-up that was under way.
            for taken in nodes.keys_on(client, dead, 2):
                assert value(looping, store, taken) == "UnsentError"
                nodes.take_over(taken, (dead + 1) % 3)
                wait_until(
                    partial(lambda key: value(looping, store, key) is None, taken), 30, "the other node's answer"
                )
            assert looping.run(lambda: store.run_confirmed(("INCR", taken), 1, 10)) == (1, 0)
        wait_until(lambda: value(looping, store, "{a}") == "{a}", 30, "the node again")


@pytest.mark.cluster
@pytest.mark.usefixtures("patient")
def test_a_slot_that_moves(looping: LoopThread, tmp_path: Path) -> None:
    """Its key is found on the other node at once."""
    with three(tmp_path) as nodes:
        store = looping.open(nodes.url)
        client: Any = store.client
        here = nodes.index_of(client, "{a}")
        there = (here + 1) % 3
        assert value(looping, store, "{a}") is None
        nodes.take_over("{a}", there)
        assert value(looping, store, "{a}") is None
        looping.run(partial(client.execute_command, "SET", "{a}", "moved"))
        assert nodes.raws[there].get("{a}") == b"moved"
        nodes.raws[there].delete("{a}")
        nodes.take_over("{a}", here)
        assert looping.run(lambda: store.run_confirmed(("INCR", "{a}"), 1, 10)) == (1, 0)
        assert nodes.raws[here].get("{a}") == b"1"


def test_a_start_and_its_repeat(looping: LoopThread, store_url: str) -> None:
    """An operation that ran before knows itself."""
    harness = harness_over(looping.open(store_url))
    number, operation = fresh_number(), word()
    first = looping.run(partial(harness.start, number, operation_id=operation))
    again = looping.run(partial(harness.start, number, operation_id=operation))
    assert isinstance(first, Started)
    assert again.replayed
