"""The store fails over, by address and by Sentinel: the service follows, and refuses quickly meanwhile.

What a failover may lose is not here: only that connections follow, and that nobody waits long for a server that hangs.
"""

import contextlib
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any, TypeVar, cast

import pytest
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import ResponseError
from redis.exceptions import TimeoutError as RedisTimeoutError

from otp_service.domain.checking import Approved
from otp_service.domain.ending import Ended
from otp_service.domain.errors import ConfigError, NotReady, StoreUnavailable
from otp_service.domain.verification import Status
from otp_service.storage import connect, readiness
from otp_service.storage.sentinels import Sentinels
from tests.conftest import wait_until

from .harness import CODE, WRONG, StoreHarness, fresh_number
from .loops import LoopThread
from .servers import Address, Server, pair, watched

T = TypeVar("T")
LONGEST_REFUSAL_S = 5.0
"""A second is promised; the machine of the tests may be busy. A server that hangs does so for as long as it likes."""


def works(act: Callable[[], object]) -> bool:
    """Whether it is done, and not refused because of the store."""
    try:
        act()
    except StoreUnavailable:
        return False
    return True


def first_answer(ask: Callable[[], T]) -> T:
    """What the first answer is; a busy machine may give none in time."""
    found: list[T] = []

    def has_answered() -> bool:
        with contextlib.suppress(RedisConnectionError, RedisTimeoutError, StoreUnavailable):
            found.append(ask())
        return bool(found)

    wait_until(has_answered, 30, "an answer")
    return found[0]


def decide_after(sentinels: Sequence[Server], ms: int) -> None:
    """Let the sentinels call a server down that has not answered for so long."""
    for sentinel in sentinels:
        sentinel.client.execute_command("SENTINEL", "SET", "main", "down-after-milliseconds", ms)


def is_refused_quickly(act: Callable[[], object]) -> bool:
    """Whether twenty callers, four at a time, are all refused, and none of them waits long for that."""

    def timed() -> tuple[bool, float]:
        began = time.monotonic()
        return works(act), time.monotonic() - began

    with ThreadPoolExecutor(4) as pool:
        results = [future.result() for future in [pool.submit(timed) for _ in range(20)]]
    assert max(elapsed for _, elapsed in results) < LONGEST_REFUSAL_S
    return not any(done for done, _ in results)


@pytest.fixture
def two(tmp_path: Path) -> Iterator[tuple[Server, Server]]:
    """A primary and its replica."""
    with pair(tmp_path) as servers:
        yield servers


def move(address: Address, old: Server, new: Server) -> None:
    """The replica becomes the primary, and the address its. Connections to the old one stay open."""
    new.promote()
    old.client.replicaof("127.0.0.1", str(new.port))
    address.server = new


@pytest.mark.usefixtures("patient")
def test_behind_a_stable_address_the_new_primary_is_found(two: tuple[Server, Server]) -> None:
    """At the first request: the one that meets READONLY lets go of all connections, and is made again."""
    address = Address(two[0])
    harness = StoreHarness.open(f"redis://127.0.0.1:{address.port}")
    try:
        ref = harness.start(fresh_number()).reference
        wait_until(lambda: two[1].client.exists(harness.keys.record(ref)), what="the copy")
        move(address, *two)
        wait_until(lambda: works(lambda: harness.check(ref, WRONG)), 30, "an answer")
        # The new primary may not know that the code was used.
        assert harness.check(ref, CODE) == Ended(Status.EXPIRED)
        assert two[1].client.hget(harness.keys.record(ref), "attempts") == "0"
        assert isinstance(harness.check(harness.start(fresh_number()).reference, CODE), Approved)
    finally:
        harness.close()
        address.close()


@pytest.mark.usefixtures("patient")
def test_a_primary_that_has_lost_its_replicas_is_looked_up_again(two: tuple[Server, Server]) -> None:
    """It was cut off, still calls itself the primary, and refuses; its address leads to another one by now."""
    address = Address(two[0])
    two[0].client.config_set("min-replicas-to-write", 1)
    url = f"redis://127.0.0.1:{address.port}"
    harness = StoreHarness.open(url)
    try:
        with LoopThread() as looping:
            looped: Any = looping.open(url).client
            wait_until(lambda: works(lambda: harness.start(fresh_number())), 30, "the replica counts")
            looping.run(lambda: looped.execute_command("SET", "key", "first"))
            two[1].promote()
            address.server = two[1]
            wait_until(lambda: works(lambda: harness.start(fresh_number())), 30, "a start")
            wait_until(_answered(lambda: _is_set(looping, looped)), 30, "a write")
            assert two[1].client.get("key") == "second"
    finally:
        harness.close()
        address.close()


def _is_set(looping: LoopThread, client: Any) -> bool:
    try:
        return bool(looping.run(lambda: client.execute_command("SET", "key", "second")))
    except ResponseError:
        return False


@pytest.mark.usefixtures("patient")
def test_a_demoted_server_is_not_read_from(two: tuple[Server, Server]) -> None:
    """Reading alone meets no READONLY; each connection asks for the role at least once a second."""
    address = Address(two[0])
    harness = StoreHarness.open(f"redis://127.0.0.1:{address.port}")
    try:
        ref = harness.start(fresh_number()).reference
        wait_until(lambda: two[1].client.exists(harness.keys.record(ref)), what="the copy")
        move(address, *two)
        two[0].client.replicaof("127.0.0.1", "1")  # its copy is incomplete
        two[1].client.hset(harness.keys.record(ref), "status", "canceled")

        def shown() -> str:
            view = harness.verifications.view(ref, "shop")
            return "" if view is None else str(view.status)

        def is_canceled() -> bool:
            # The first connection that looks at the role of the demoted server is refused.
            with contextlib.suppress(StoreUnavailable):
                return shown() == "canceled"
            return False

        wait_until(is_canceled, 30, "the new primary's word")
        address.server = two[0]
        harness.store.client.connection_pool.disconnect()
        assert not works(shown), "an address that leads to a replica is no store"
    finally:
        harness.close()
        address.close()


def test_sentinels_name_the_new_primary(tmp_path: Path) -> None:
    """Planned, and while the old primary hangs.

    That one comes back and calls itself the primary for ten seconds more, as one that was cut off does. Connections to
    it have ended by then, also those that were not used meanwhile.
    """
    with watched(tmp_path) as (first, second, sentinels), LoopThread() as looping:
        url = f"redis+sentinel://{','.join(f'127.0.0.1:{sentinel.port}' for sentinel in sentinels)}/main"
        harness, unused, looped = StoreHarness.open(url), connect.connect(url), looping.open(url)

        def start() -> object:
            return harness.start(fresh_number())

        def leads() -> int:
            return port_of(harness.store.client.info("server"))

        try:
            assert works(start)
            sentinels[0].client.execute_command("SENTINEL", "FAILOVER", "main")
            wait_until(_answered(lambda: second.client.role()[0] == "master"), 30, "the planned failover")
            wait_until(_answered(lambda: works(start) and leads() == second.port), 30, "a start at the second server")
            wait_until(_answered(lambda: _follows(first, second)), 30, "the replica")
            wait_until(_answered(lambda: all(_agrees(sentinel, second) for sentinel in sentinels)), 30, "agreement")
            assert first_answer(lambda: port_of(unused.client.info("server"))) == second.port
            assert first_answer(lambda: looping.run(lambda: looped.client.get("key"))) is None
            # Nobody takes over while it is looked how callers are refused, however slow this machine is.
            decide_after(sentinels, 120_000)
            second.hang()
            assert is_refused_quickly(start)
            decide_after(sentinels, 1_000)
            wait_until(lambda: works(start), 60, "a start after the hanging server's failover")
            assert first_answer(leads) == first.port
            primary = ("127.0.0.1", first.port)
            for store in (unused, looped):
                assert store.sentinels is not None
                wait_until(partial(store.sentinels.confirm, primary), 30, "the sentinels' word")
            second.go_on()
            assert second.client.role()[0] == "master", "it does not know yet"
            wait_until(lambda: works(start), 30, "a start")
            info = partial(cast("Any", looped.client).execute_command, "INFO", "server")
            assert f"tcp_port:{first.port}\r" in str(first_answer(partial(looping.run, info)))
            for ask in (leads, lambda: port_of(unused.client.info("server"))):
                assert first_answer(ask) == first.port
        finally:
            harness.close()
            unused.close()


def test_most_of_the_sentinels_are_believed(tmp_path: Path) -> None:
    """One watches something else by the same name, with a newer configuration; one is dead; one hangs."""
    with pair(tmp_path) as (first, other), contextlib.ExitStack() as stack:
        other.promote()
        newer = {"sentinel monitor main": f"127.0.0.1 {other.port} 3", "sentinel config-epoch main": "7"}
        sentinels = [Server(tmp_path / "sentinel0", "--sentinel", **newer)]
        stack.callback(sentinels[0].kill)
        for number in (1, 2, 3):
            sentinels.append(Server(tmp_path / f"sentinel{number}", "--sentinel"))
            stack.callback(sentinels[-1].kill)
            sentinels[-1].client.execute_command("SENTINEL", "MONITOR", "main", "127.0.0.1", first.port, 3)
        wrong, *right = (f"127.0.0.1:{sentinel.port}" for sentinel in sentinels)
        store = connect.connect(f"redis+sentinel://{','.join((wrong, '127.0.0.1:1', *right))}/main")
        stack.callback(store.close)
        assert store.sentinels is not None
        known = store.sentinels
        # A machine that is too busy hears less of them.
        wait_until(partial(_is_named, known, first), 30, "the majority's word")
        fooled = connect.connect(f"redis+sentinel://{wrong}/main")
        stack.callback(fooled.close)
        wait_until(_answered(lambda: port_of(fooled.client.info("server")) == other.port), 30, "its word alone")
        sentinels[3].hang()
        wait_until(lambda: len(known.answers()) == 3, 30, "the silence of one")
        wait_until(_answered(lambda: port_of(store.client.info("server")) == first.port), 30, "the primary")


def _names(look: Callable[[], object], policy: str) -> bool:
    """Whether it finds this policy now; a replica that is too busy to answer hides nothing."""
    try:
        look()
    except NotReady as error:
        return policy in str(error)
    except StoreUnavailable:
        pass
    return False


def _is_named(sentinels: Sentinels, primary: Server) -> bool:
    """Whether this one is believed in while four answer of five."""
    with contextlib.suppress(RedisConnectionError, RedisTimeoutError):
        return sentinels.discover_master() == ("127.0.0.1", primary.port) and len(sentinels.answers()) == 4
    return False


def port_of(info: Any) -> int:
    """The port of the server that told this."""
    return int(info["tcp_port"])


def _follows(replica: Server, primary: Server) -> bool:
    """Whether it is a replica now; the sentinels would make it one ten seconds later."""
    replica.client.replicaof("127.0.0.1", str(primary.port))
    return bool(replica.client.info("replication").get("master_link_status") == "up")


def _answered(check: Callable[[], bool]) -> Callable[[], bool]:
    """The check, false while a server is too busy, or closes the connections of its clients as its role changes."""

    def answered() -> bool:
        with contextlib.suppress(RedisConnectionError, RedisTimeoutError):
            return check()
        return False

    return answered


def _agrees(sentinel: Server, primary: Server) -> bool:
    known = sentinel.client.sentinel_masters()["main"]
    replicas = sentinel.client.sentinel_slaves("main")
    well = not any(one["is_sdown"] or one["is_odown"] for one in [known, *replicas])
    return bool(known["port"] == primary.port and well)


def test_sentinels_have_a_password_of_their_own(tmp_path: Path) -> None:
    """The URL's password is the servers'; the sentinels' stands in the query."""
    with pair(tmp_path) as (first, _):
        sentinel = Server(tmp_path / "sentinel", "--sentinel", requirepass="own")
        try:
            sentinel.client.execute_command("SENTINEL", "MONITOR", "main", "127.0.0.1", first.port, 1)
            sentinel.client.execute_command("SENTINEL", "SET", "main", "auth-pass", "theirs")
            first.client.config_set("requirepass", "theirs")
            where = f"redis+sentinel://:theirs@127.0.0.1:{sentinel.port}/main"
            good = connect.connect(f"{where}?sentinel_password=own")
            wait_until(lambda: works(partial(readiness.ping, good)), 30, "an answer")
            good.close()
            for wrong in (where, f"{where}?sentinel_password=other"):
                bad = connect.connect(wrong)
                with pytest.raises(StoreUnavailable):
                    readiness.ping(bad)
                bad.close()
        finally:
            sentinel.kill()


def test_sentinels_may_have_the_password_of_the_servers(tmp_path: Path) -> None:
    """Named once in the URL it is tried where a sentinel wants one, and sent to none that does not ask."""
    with pair(tmp_path) as (first, _), contextlib.ExitStack() as stack:
        first.client.config_set("requirepass", "same")
        for number, settings in enumerate(({"requirepass": "same"}, {})):
            sentinel = Server(tmp_path / f"sentinel{number}", "--sentinel", **settings)
            stack.callback(sentinel.kill)
            sentinel.client.execute_command("SENTINEL", "MONITOR", "main", "127.0.0.1", first.port, 1)
            sentinel.client.execute_command("SENTINEL", "SET", "main", "auth-pass", "same")
            store = connect.connect(f"redis+sentinel://:same@127.0.0.1:{sentinel.port}/main")
            wait_until(partial(works, partial(readiness.ping, store)), 30, "an answer")
            store.close()


def test_urls_of_sentinels() -> None:
    """IPv6 hosts are written in brackets; what cannot be meant is refused."""
    connect.connect("redis+sentinel://[::1]:26379,localhost/main").close()
    for url in (
        "redis+sentinel://h/main?password=x",
        "redis+sentinel:///main",
        "redis+sentinel://h:x/main",
        "redis+sentinel://h/main?sentinel_tls=perhaps",
        "redis+cluster://h:x",
        "redis+cluster://h/main",
        "redis+cluster://h?sentinel_password=x",
    ):
        with pytest.raises(ConfigError):
            connect.connect(url)


@pytest.mark.usefixtures("patient")
@pytest.mark.parametrize("protocol", ["", "?protocol=2"])
def test_a_user_without_dangerous_commands_stays_with_the_primary_too(
    two: tuple[Server, Server], protocol: str
) -> None:
    """ROLE and INFO are dangerous commands to an ACL; the role is asked for without them."""
    rights = ("on", ">secret", "~*", "&*", "+@all", "-@dangerous", "-@admin")
    two[0].client.execute_command("ACL", "SETUSER", "app", *rights)
    harness = StoreHarness.open(f"redis://app:secret@127.0.0.1:{two[0].port}{protocol}")
    try:
        ref = harness.start(fresh_number()).reference
        assert works(lambda: harness.verifications.view(ref, "shop"))
        two[0].client.replicaof("127.0.0.1", "1")
        wait_until(lambda: not works(lambda: harness.verifications.view(ref, "shop")), 30, "the refusal")
    finally:
        harness.close()


def test_the_replicas_behind_sentinel_may_not_evict_either(tmp_path: Path) -> None:
    """One of them is the next primary; one that does not answer hides nothing and costs a moment."""
    with pair(tmp_path) as (first, second), contextlib.ExitStack() as stack:
        sentinel = Server(tmp_path / "sentinel", "--sentinel")
        stack.callback(sentinel.kill)
        sentinel.client.execute_command("SENTINEL", "MONITOR", "main", "127.0.0.1", first.port, 1)
        store = connect.connect(f"redis+sentinel://127.0.0.1:{sentinel.port}/main")
        stack.callback(store.close)
        look = partial(readiness.require_no_eviction, store)
        wait_until(lambda: works(look), 30, "an answer")
        second.client.config_set("maxmemory-policy", "allkeys-lru")
        wait_until(partial(_names, look, "allkeys-lru"), 30, "the replica's policy")
        second.hang()
        wait_until(lambda: works(look), 30, "an answer without the replica")
