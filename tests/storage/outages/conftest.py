"""A server of our own, to be mistreated."""

from collections.abc import Iterator

import pytest

from otp_service.runtime.dev import embedded_store

from ...conftest import READY_S
from ..harness import StoreHarness


@pytest.fixture(scope="module")
def own_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[embedded_store.EmbeddedServer]:
    """A server of our own, to be mistreated."""
    directory = tmp_path_factory.mktemp("own")
    server = embedded_store.start(directory, log=directory / "server.log")
    try:
        server.wait_ready(READY_S)
        yield server
    finally:
        server.stop()


@pytest.fixture
def harness(own_server: embedded_store.EmbeddedServer) -> Iterator[StoreHarness]:
    """An empty store over it, reachable."""
    made = StoreHarness.open(own_server.url)
    made.raw.flushall()
    made.outbox.open()
    try:
        yield made
    finally:
        made.close()
