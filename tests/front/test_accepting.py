"""New connections spread over the processes that listen on one socket, and none waits for long."""

import asyncio
import contextlib
import socket
from collections.abc import Callable, Iterator

import pytest

from otp_service.front import accepting
from otp_service.front.accepting import Acceptor, ProcessShare


class _Counted(asyncio.Protocol):
    """Counts the open connections of its process."""

    def __init__(self, connections: set[object]) -> None:
        self._connections = connections

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._connections.add(transport)

    def data_received(self, _data: bytes) -> None: ...


@pytest.fixture
def listening() -> Iterator[socket.socket]:
    with socket.create_server(("127.0.0.1", 0), backlog=512) as one:
        one.setblocking(False)
        yield one


async def _until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(30):
        while not condition():
            await asyncio.sleep(0.001)


def _callers(listening: socket.socket, count: int, stack: contextlib.ExitStack) -> None:
    for _ in range(count):
        stack.enter_context(socket.create_connection(listening.getsockname()))


def _acceptor(listening: socket.socket, counts: list[int], own: int, open_: set[object]) -> Acceptor:
    # Each process has a descriptor of its own for the socket.
    return Acceptor(listening.dup(), lambda: _Counted(open_), ProcessShare(counts, own), lambda: len(open_))


def test_a_burst_is_shared(listening: socket.socket) -> None:
    """Each of three processes has about a third, whichever wakes first."""

    async def share() -> list[int]:
        counts, connections = [0, 0, 0], [set[object]() for _ in range(3)]
        with contextlib.ExitStack() as stack:
            _callers(listening, 300, stack)
            acceptors = [_acceptor(listening, counts, own, connections[own]) for own in range(3)]
            await _until(lambda: sum(map(len, connections)) == 300)
            for acceptor in acceptors:
                await acceptor.close()
        return [len(one) for one in connections]

    shares = asyncio.run(share())
    assert min(shares) >= 70


def test_what_the_others_do_not_take_is_taken(listening: socket.socket) -> None:
    """A process that hangs, or has not started, holds nobody up."""

    async def alone() -> int:
        connections: set[object] = set()
        with contextlib.ExitStack() as stack:
            _callers(listening, 40, stack)
            acceptor = _acceptor(listening, [0, 0], 0, connections)
            await _until(lambda: len(connections) == 40)
            await acceptor.close()
        return len(connections)

    assert asyncio.run(alone()) == 40


def test_the_end_takes_what_the_system_has_accepted(listening: socket.socket) -> None:
    """Also more than this process's share."""

    async def end() -> int:
        connections: set[object] = set()
        with contextlib.ExitStack() as stack:
            acceptor = _acceptor(listening, [0, 0], 0, connections)
            _callers(listening, 100, stack)
            await acceptor.close()
        return len(connections)

    assert asyncio.run(end()) == 100


def test_a_process_that_has_ended_is_not_waited_for() -> None:
    """Its connections count for nothing."""
    counts = [5, 9]
    assert not ProcessShare(counts, 1).may_take(9)
    ProcessShare(counts, 0).leave()
    assert ProcessShare(counts, 1).may_take(9)


def test_a_lack_of_descriptors_is_waited_out(listening: socket.socket, monkeypatch: pytest.MonkeyPatch) -> None:
    """The loop does not spin, and the connection is taken when there is one again."""
    monkeypatch.setattr(accepting, "REST_S", 0.001)

    class Full:
        """A socket for which the system has no descriptor, twice."""

        def __init__(self) -> None:
            self.asked = 0

        def fileno(self) -> int:
            return listening.fileno()

        def accept(self) -> tuple[socket.socket, object]:
            self.asked += 1
            if self.asked <= 2:
                raise OSError(24, "Too many open files")
            return listening.accept()

        def setblocking(self, _: bool) -> None: ...

        def close(self) -> None: ...

    async def wait() -> int:
        connections: set[object] = set()
        with contextlib.ExitStack() as stack:
            _callers(listening, 1, stack)
            full = Full()
            acceptor = Acceptor(
                full,  # type: ignore[arg-type]
                lambda: _Counted(connections),
                ProcessShare([0], 0),
                lambda: len(connections),
            )
            await _until(lambda: len(connections) == 1)
            await acceptor.close()
        return full.asked

    assert asyncio.run(wait()) >= 3
