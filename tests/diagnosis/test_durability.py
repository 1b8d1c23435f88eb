"""What the doctor says of a store that would forget."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from otp_service.diagnosis.durability import check_durability, check_replicas, check_restarts
from otp_service.runtime.dev import embedded_store
from otp_service.storage import connect
from otp_service.storage.store import Store


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    """A store as the service wants it, for one test alone."""
    server = embedded_store.start(tmp_path / "store", log=tmp_path / "store.log")
    try:
        server.wait_ready()
        opened = connect.connect(server.url)
        yield opened
        opened.close()
    finally:
        server.stop()


def test_a_store_that_appends_nothing_is_found(store: Store) -> None:
    """On, off, and a store that does not answer."""
    assert check_durability(store).ok
    store.client.config_set("appendonly", "no")
    found = check_durability(store)
    assert (found.ok, "appendonly yes" in found.detail) == (False, True)
    store.client.execute_command("ACL", "SETUSER", "default", "-info")  # type: ignore[no-untyped-call]
    found = check_durability(store)
    assert (found.ok, "run INFO" in found.detail) == (False, True)


def test_a_user_who_cannot_see_restarts_is_found(store: Store) -> None:
    """The scripts ask with the same rights."""
    assert check_restarts(store, "keep_codes").ok
    store.client.execute_command("ACL", "SETUSER", "default", "-info")  # type: ignore[no-untyped-call]
    found = check_restarts(store, "keep_codes")
    assert (found.ok, "+info" in found.detail) == (False, True)


def test_replicas_that_are_missing_are_found() -> None:
    """Nothing is said where nobody waits; a server that none follows is well, and said."""
    cases = ((0, 0, 0), (1, 0, 0), (1, 2, 0), (None, 1, 3), (None, 0, 3), (None, 0, 0, 5))
    found = [list(check_replicas(*given)) for given in cases]
    assert [[result.ok for result in results] for results in found] == [
        [],
        [True],
        [False],
        [False],
        [True],
        [False],
    ]
    assert "3 shards have none" in found[-2][0].detail
    assert "5 shards do not answer" in found[-1][0].detail
