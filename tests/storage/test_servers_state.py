"""What is wrong with the servers of a Sentinel service, in words. Those of a Cluster are in `test_dead_shard`."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from otp_service.diagnosis.result import CheckResult
from otp_service.diagnosis.servers import check_servers
from otp_service.domain.errors import StoreUnavailable
from otp_service.storage import readiness, servers_state
from otp_service.storage.connect import connect
from otp_service.storage.store import Store
from tests.conftest import wait_until

from .servers import Server, watched

Watched = tuple[Server, Server, list[Server]]


@pytest.fixture
def three(tmp_path: Path) -> Iterator[Watched]:
    """A primary, its replica and three sentinels, for one test: it may end them."""
    with watched(tmp_path) as servers:
        yield servers


def opened(three: Watched, service: str = "main") -> Store:
    """The store, by way of all sentinels."""
    hosts = ",".join(f"127.0.0.1:{sentinel.port}" for sentinel in three[2])
    return connect(f"redis+sentinel://{hosts}/{service}")


def refusal(store: Store) -> str:
    """Why the store is not there; empty if it is."""
    try:
        readiness.ping(store)
    except StoreUnavailable as error:
        return error.detail
    return ""


def test_what_is_there(three: Watched) -> None:
    """One line of the doctor, and no warning; a service that the sentinels do not know is named."""
    store, other = opened(three), opened(three, "other")
    try:
        # Again and again: on a busy machine an answer of a sentinel may be too old to count.
        well = CheckResult("servers", True, "3 sentinels agree on the primary; replicas: 1")
        wait_until(lambda: list(check_servers(store)) == [well], 30, "what is there")
        assert store.sentinels is not None
        sentinels = store.sentinels
        wait_until(lambda: {answer.flags for answer in sentinels.answers()} == {frozenset({"master"})}, 30, "flags")
        wait_until(lambda: "no primary that a sentinel knows" in refusal(other), 30, "what is missing")
        wait_until(lambda: "knows no service other" in refusal(other), 30, "the sentinels' word")
    finally:
        store.close()
        other.close()


def test_what_is_missing(three: Watched) -> None:
    """Sentinels, a quorum, replicas, the primary: each is said; where it is only the operator reads."""
    first, second, sentinels = three
    store = opened(three)

    def told(words: str, *, addresses: bool = False) -> None:
        wait_until(lambda: words in " ".join(servers_state.faults(store, addresses=addresses)), 30, words)

    try:
        sentinels[0].kill()
        told("One of 3 sentinels does not answer: nothing listens there.")
        told(f"The sentinel 127.0.0.1:{sentinels[0].port} does not answer", addresses=True)
        second.kill()
        told("Only 0 of 1 replicas follow the primary.")
        sentinels[1].kill()
        told("So few sentinels respond that they could not choose another primary.")
        wait_until(
            lambda: any("sees no quorum: NOQUORUM" in result.detail for result in check_servers(store)), 30, "a quorum"
        )
        first.kill()
        told("The primary is down, and the sentinels have not chosen another one.")
        wait_until(lambda: "The primary is down" in refusal(store), 30, "the cause")
        sentinels[2].kill()
        told("None of 3 sentinels tells where the primary is.")
        assert "127.0.0.1" not in " ".join(servers_state.faults(store))
    finally:
        store.close()
