"""Commands that wait for replicas: how many have them is told, and nobody else waits."""

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import pytest
from redis.exceptions import NoScriptError, ReadOnlyError, RedisError

from otp_service.storage.connect import connect
from otp_service.storage.pipelined.confirmed import LINKS
from otp_service.storage.store import Store
from tests.conftest import wait_until

from .harness import word
from .loops import LoopThread
from .servers import Server, pair

pytestmark = pytest.mark.usefixtures("patient")
SHORT_MS, LONG_MS = 20, 20_000


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Server, Server]]:
    """A primary and its replica."""
    with pair(tmp_path_factory.mktemp("two")) as servers:
        yield servers


@pytest.fixture
def primary(two: tuple[Server, Server]) -> Iterator[Server]:
    """The primary, which its replica follows."""
    yield two[0]
    two[1].go_on()
    two[0].promote()


@pytest.fixture(params=["threads", "loop"])
def run(request: pytest.FixtureRequest, primary: Server) -> Iterator[tuple[Store, Callable[..., Any]]]:
    """A store, and what runs work on it: here, or in an event loop."""
    url = f"redis://127.0.0.1:{primary.port}"
    if request.param == "threads":
        store = connect(url)
        yield store, lambda work: work()
        store.close()
        return
    with LoopThread() as looping:
        yield looping.open(url), looping.run


def confirmed(run: tuple[Store, Callable[..., Any]], text: str = "a") -> int | None:
    """How many replicas have a new write; None if that is not known."""
    store, do = run
    try:
        length, replicas = do(lambda: store.run_confirmed(("LPUSH", word("key"), text), 1, LONG_MS))
    except RedisError:
        return None
    assert length == 1
    return int(replicas)


def test_what_a_replica_has_is_counted(
    run: tuple[Store, Callable[..., Any]], primary: Server, two: tuple[Server, Server]
) -> None:
    """One has it, or none has it in time; the command has run all the same."""
    store, do = run
    wait_until(lambda: confirmed(run) == 1, 30, "a write that the replica has")
    two[1].hang()
    last = word("key")
    assert do(lambda: store.run_confirmed(("LPUSH", last, "b"), 1, SHORT_MS)) == (1, 0)
    assert primary.client.lrange(last, 0, -1) == ["b"]


def test_an_error_of_the_command_is_raised(run: tuple[Store, Callable[..., Any]], primary: Server) -> None:
    """As without a wait: a script that is not known, a server that takes no writes."""
    store, do = run
    with pytest.raises(NoScriptError):
        do(lambda: store.run_confirmed(("EVALSHA", "0" * 40, 1, "key"), 1, LONG_MS))
    wait_until(lambda: confirmed(run, "\udcff") is not None, 30, "bytes that are no text")
    primary.client.replicaof("127.0.0.1", "1")
    with pytest.raises(RedisError) as failure:
        do(lambda: store.run_confirmed(("LPUSH", "key", "c"), 1, LONG_MS))
    assert isinstance(failure.value, ReadOnlyError) or "not the primary" in str(failure.value)


def test_nobody_waits_behind_a_wait(primary: Server, two: tuple[Server, Server]) -> None:
    """What wants no replica goes over another connection; many that want one share few connections and waits."""
    with LoopThread() as looping:
        store = looping.open(f"redis://127.0.0.1:{primary.port}")
        confirm = partial(store.run_confirmed, ("INCR", "count"), 1, LONG_MS)
        primary.client.delete("count")
        primary.client.config_resetstat()
        two[1].hang()
        waiting = [looping.begin(confirm) for _ in range(100)]
        wait_until(lambda: primary.client.info("clients")["blocked_clients"] > 0, 30, "a wait in the store")
        waiting += [looping.begin(confirm) for _ in range(100)]
        assert looping.run(lambda: store.client.get("other")) is None
        two[1].go_on()
        assert sorted(one.result(60)[0] for one in waiting) == list(range(1, 201))
        assert primary.client.info("commandstats")["cmdstat_wait"]["calls"] <= 2 * LINKS
        last = [client["cmd"] for client in primary.client.client_list()]
        assert last.count("get") == 1
        assert 1 <= last.count("wait") <= LINKS
