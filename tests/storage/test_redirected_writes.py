"""A try that is sent elsewhere, after one that may have run, is never called unwritten. By threads and by the loop."""

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any, TypeVar

import pytest
from redis.crc import key_slot

from otp_service.domain.errors import StoreUnavailable
from otp_service.runtime import ports
from otp_service.storage.connect import connect
from otp_service.storage.scripts import Scripts
from otp_service.storage.store import Store

from .loops import LoopThread
from .scripted import DONE, LOST, ScriptedServer

pytestmark = pytest.mark.usefixtures("patient")
T = TypeVar("T")
RUN = "otp:{0}:run"
COUNT: tuple[str, dict[str, str], dict[str, Any]] = (
    "store/count_replicas",
    {"run": RUN},
    {"lower_in": "", "lower_to": ""},
)
CANCEL: tuple[str, dict[str, str], dict[str, Any]] = (
    "verification/cancel",
    {"record": "otp:{0}:r", "secrets": "otp:{0}:s", "audit": "otp:{0}:audit", "run": RUN},
    {"operation": "o", "token": "t", "number_hash": "n", "app": "shop"},
)
SLOT = key_slot(RUN.encode())
AWAY = ports.HeldPort()
"""Nothing listens there, and nobody else can."""

ELSEWHERE = {
    "moved": b"-MOVED %d 127.0.0.1:%d\r\n" % (SLOT, AWAY.number),
    "ask": b"-ASK %d 127.0.0.1:%d\r\n" % (SLOT, AWAY.number),
    "try again": b"-TRYAGAIN Multiple keys request during rehashing of slot\r\n",
    "cluster down": b"-CLUSTERDOWN The cluster is down\r\n",
    "read only": b"-READONLY You can't write against a read only replica.\r\n",
}


def teardown_module() -> None:
    """Give the port back."""
    AWAY.release()


class Client:
    """A store, and what runs work on it: here, or in an event loop."""

    def __init__(self, looping: LoopThread | None, scheme: str) -> None:
        self._looping = looping
        self._scheme = scheme
        self._opened: list[Store] = []

    def open(self, server: ScriptedServer) -> Scripts:
        """Scripts on the server."""
        url = f"{self._scheme}://127.0.0.1:{server.port}"
        if self._looping is not None:
            return Scripts(self._looping.open(url))
        self._opened.append(connect(url))
        return Scripts(self._opened[-1])

    def run(self, work: Callable[[], T]) -> T:
        """Run it."""
        return work() if self._looping is None else self._looping.run(work)

    def close(self) -> None:
        """Close what was opened here."""
        for store in self._opened:
            store.close()


@pytest.fixture(params=["redis", "redis+cluster"])
def scheme(request: pytest.FixtureRequest) -> str:
    """A single server, or a Cluster's node."""
    return str(request.param)


@pytest.fixture(params=["threads", "loop"])
def client(request: pytest.FixtureRequest, scheme: str) -> Iterator[Client]:
    """Of either kind."""
    if request.param == "threads":
        made = Client(None, scheme)
        yield made
        made.close()
        return
    with LoopThread() as looping:
        yield Client(looping, scheme)


def failure(client: Client, scripts: Scripts) -> StoreUnavailable:
    """How a script ends that is called alone."""
    name, keys, args = COUNT
    with pytest.raises(StoreUnavailable) as raised:
        client.run(partial(scripts.call, name, keys, **args))
    return raised.value


def failures(client: Client, scripts: Scripts) -> Sequence[Any]:
    """How two scripts end that leave together."""
    return client.run(partial(scripts.call_all, [COUNT, COUNT]))


@pytest.mark.parametrize("answer", ELSEWHERE.values(), ids=ELSEWHERE)
def test_after_a_lost_answer(client: Client, answer: bytes) -> None:
    """The first try may have run, whatever becomes of the second."""
    with ScriptedServer([LOST, answer]) as server:
        assert not failure(client, client.open(server)).nothing_written
        assert server.scripts >= 2


@pytest.mark.parametrize("answer", ELSEWHERE.values(), ids=ELSEWHERE)
def test_after_a_lost_answer_among_others(client: Client, answer: bytes) -> None:
    """The same where several scripts leave in one round trip."""
    with ScriptedServer([LOST, answer]) as server:
        ended = failures(client, client.open(server))
        assert all(isinstance(error, StoreUnavailable) for error in ended)
        assert not ended[0].nothing_written
        assert server.scripts >= 2


@pytest.mark.parametrize("scheme", ["redis+cluster"], indirect=True)
def test_a_first_try_that_is_sent_elsewhere_wrote_nothing(client: Client) -> None:
    """Nothing ran where it was sent away, and nothing listens where it was sent to."""
    with ScriptedServer([ELSEWHERE["moved"]]) as server:
        assert failure(client, client.open(server)).nothing_written


@pytest.mark.parametrize("repeat", [True, False])
@pytest.mark.parametrize("answer", ["moved", "ask", "try again", "read only"])
def test_what_ran_before_its_replicas_were_asked(client: Client, answer: str, *, repeat: bool) -> None:
    """The script has run. Only the write behind it, for which the replicas are waited, is sent elsewhere."""
    with ScriptedServer([DONE, ELSEWHERE["moved"]], mark=ELSEWHERE[answer]) as server:
        scripts = client.open(server)
        scripts.guard.on = True
        scripts.guard.learn(RUN, 1)
        name, keys, args = CANCEL
        with pytest.raises(StoreUnavailable) as raised:
            client.run(partial(scripts.call, name, keys, repeat=repeat, **args))
        assert not raised.value.nothing_written
        assert (server.scripts > 1) == repeat, "a script that cannot know its own first run was run again"
