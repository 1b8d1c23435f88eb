"""A connection to the store that fails, in each phase, with hundreds of requests behind it.

Whatever happens: each request gets its own reply or an error, none waits for ever, and later ones are well again.
"""

import socket
from collections.abc import Callable, Iterator
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from redis.exceptions import RedisError

from otp_service.domain.checking import Wrong
from otp_service.storage.pipelined.client import PipelinedClient
from otp_service.storage.pipelined.link import Link
from otp_service.storage.schema import Keys
from otp_service.storage.scripts import Scripts
from otp_service.storage.store import Store
from tests.conftest import wait_until

from .broken_server import REPLICA, BrokenServer, End, Talk, good
from .harness import SHARDS, WRONG, StoreHarness, fresh_number, keyring
from .loops import LoopThread
from .servers import Server

MANY = 300
LONG_S = 30.0


def ends_at_once(_: Talk, command: list[bytes]) -> bytes:
    """Before the greeting."""
    raise End


def half_a_greeting(talk: Talk, command: list[bytes]) -> bytes:
    """The connection ends in the middle of it."""
    talk.send(b"*2\r\n$4\r\nro")
    raise End


def no_greeting(_: Talk, command: list[bytes]) -> bytes:
    """The server hangs."""
    return b""


def refuses(_: Talk, command: list[bytes]) -> bytes:
    """Too many clients, or no password."""
    return b"-ERR max number of clients reached\r\n"


def no_redis(_: Talk, command: list[bytes]) -> bytes:
    """Something else listens there."""
    return b"HTTP/1.1 400 Bad Request\r\n\r\n"


def replica(talk: Talk, command: list[bytes]) -> bytes:
    """It takes no writes."""
    return REPLICA if command[0] == b"HELLO" else good(talk, command)


def later(fault: Callable[[Talk, list[bytes]], bytes], after: int = 20) -> Callable[[Talk, list[bytes]], bytes]:
    """The greeting and some commands are answered well before."""

    def answer(talk: Talk, command: list[bytes]) -> bytes:
        return good(talk, command) if talk.asked <= after else fault(talk, command)

    return answer


def ends_in_a_reply(talk: Talk, command: list[bytes]) -> bytes:
    """Half of one is there."""
    talk.send(good(talk, command)[:-3])
    raise End


def says_too_much(talk: Talk, command: list[bytes]) -> bytes:
    """A reply and the beginning of one that nobody asked for."""
    return good(talk, command) + (b"$5\r\nhel" if talk.asked == MANY else b"")


def loses_a_reply(talk: Talk, command: list[bytes]) -> bytes:
    """All later ones come one too early, and the last never."""
    return b"" if talk.asked == MANY else good(talk, command)


FAULTS: dict[str, Callable[[Talk, list[bytes]], bytes]] = {
    "before the greeting": ends_at_once,
    "in the greeting": half_a_greeting,
    "a greeting that never comes": no_greeting,
    "refused": refuses,
    "no Redis": no_redis,
    "a replica": replica,
    "right after the greeting": later(ends_at_once, 0),
    "between replies": later(ends_at_once),
    "in a reply": later(ends_in_a_reply),
    "replies that never come": later(no_greeting),
    "no reply but nonsense": later(no_redis),
    "the last reply never comes": loses_a_reply,
}


@pytest.fixture
def looping() -> Iterator[LoopThread]:
    """A loop."""
    with LoopThread() as thread:
        yield thread


def link_of(store: Store) -> Link:
    """The way to the server."""
    client: Any = store.client
    assert isinstance(client, PipelinedClient)
    return client._routes.link("", None)


def reply_or_error(store: Store, key: str) -> str | None:
    """The reply; None for an error of the store."""
    try:
        return str(store.client.get(key))
    except RedisError:
        return None


@pytest.mark.parametrize("fault", list(FAULTS))
def test_everybody_gets_an_answer(looping: LoopThread, fault: str) -> None:
    """Their own or an error; and as soon as the server works again, so do the requests."""
    with BrokenServer(FAULTS[fault]) as server:
        store = looping.open(f"redis://127.0.0.1:{server.port}")
        asked = [looping.begin(partial(reply_or_error, store, f"key {number}")) for number in range(MANY)]
        for number, one in enumerate(asked):
            assert one.result(LONG_S) in (f"key {number}", None)
        wait_until(lambda: looping.run(partial(reply_or_error, store, "again")) == "again", LONG_S, "a reply")
        assert not link_of(store)._waiting


@pytest.mark.usefixtures("patient")
def test_bytes_that_nobody_asked_for(looping: LoopThread) -> None:
    """Half a reply too much ends the connection: its rest would become the next command's reply."""
    with BrokenServer(says_too_much) as server:
        store = looping.open(f"redis://127.0.0.1:{server.port}")
        asked = [looping.begin(partial(reply_or_error, store, f"key {number}")) for number in range(MANY)]
        assert [one.result(LONG_S) for one in asked] == [f"key {number}" for number in range(MANY)]
        wait_until(lambda: looping.run(partial(reply_or_error, store, "again")) == "again", LONG_S, "a reply")
        assert server.connections == 2


def test_a_server_that_ends_every_connection(looping: LoopThread) -> None:
    """It is not asked for new ones without end: one for each that somebody needs."""
    with BrokenServer(*[later(ends_at_once, 0)] * 500) as server:
        store = looping.open(f"redis://127.0.0.1:{server.port}")
        answers = [looping.run(partial(reply_or_error, store, "key")) for _ in range(20)]
        assert answers == [None] * 20
        assert server.connections <= 21


def test_a_link_that_is_closed_answers_who_waits(looping: LoopThread) -> None:
    """While a connection is being made, too."""
    with BrokenServer(no_greeting) as server:
        store = looping.open(f"redis://127.0.0.1:{server.port}")
        asked = [looping.begin(partial(reply_or_error, store, f"key {number}")) for number in range(MANY)]
        wait_until(lambda: server.connections == 1, LONG_S, "the connection")
        looping.loop.call_soon_threadsafe(store.client.close)
        assert [one.result(LONG_S) for one in asked] == [None] * MANY


def test_an_address_that_cannot_be_found(looping: LoopThread) -> None:
    """Whatever goes wrong where it is looked for, nobody waits for ever."""
    store = looping.open("redis://127.0.0.1:1")
    link = link_of(store)

    async def fails() -> Any:
        raise LookupError("a mistake of ours")

    link._find = fails
    assert looping.run(partial(reply_or_error, store, "key")) is None


@pytest.mark.parametrize("speaks", [True, False], ids=["no TLS", "nothing"])
def test_tls_that_fails(looping: LoopThread, *, speaks: bool) -> None:
    """In the handshake: the other side speaks no TLS and ends, or says nothing."""
    with BrokenServer() as server, socket.create_server(("127.0.0.1", 0)) as silent:
        port = server.port if speaks else silent.getsockname()[1]
        store = looping.open(f"rediss://127.0.0.1:{port}")
        asked = [looping.begin(partial(reply_or_error, store, f"key {number}")) for number in range(MANY)]
        assert [one.result(LONG_S) for one in asked] == [None] * MANY


@pytest.mark.usefixtures("patient")
def test_checks_count_once(looping: LoopThread, tmp_path: Path) -> None:
    """A hundred are under way when their connection ends: each is repeated with its operation id, and counts once."""
    server = Server(tmp_path / "server")
    try:
        store = looping.open(f"redis://127.0.0.1:{server.port}")
        harness = StoreHarness(store, Keys(SHARDS), Scripts(store), keyring())
        refs = [looping.run(partial(harness.start, fresh_number())).reference for _ in range(100)]
        asked = [looping.begin(partial(harness.check, ref, WRONG)) for ref in refs]
        server.client.execute_command("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
        assert [one.result(LONG_S) for one in asked] == [Wrong(4)] * 100
        assert [looping.run(partial(harness.check, ref, WRONG)) for ref in refs] == [Wrong(3)] * 100
    finally:
        server.kill()


def test_replies_stay_in_their_order(looping: LoopThread) -> None:
    """Hundreds at once, over connections that are lost one after the other."""
    faults = [later(ends_in_a_reply, after) for after in (0, 1, 40, 80, 120)]
    with BrokenServer(*faults) as server:
        store = looping.open(f"redis://127.0.0.1:{server.port}")
        order: list[int] = []

        def ask(number: int) -> bool:
            answer = reply_or_error(store, str(number))
            order.append(number)
            return answer in (str(number), None)

        for at in range(0, 1000, 200):
            assert all(one.result(LONG_S) for one in [looping.begin(partial(ask, at + n)) for n in range(200)])
        assert all(before < after for before, after in pairwise(order))
