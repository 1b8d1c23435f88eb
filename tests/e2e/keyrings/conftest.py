"""A cluster for each test, and a client of it."""

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from ..service_client import ServiceClient
from .site import Site


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    """Store, sandbox and API; workers as the tests want them."""
    with Site(tmp_path).running("sandbox", "api") as made:
        yield made


@pytest.fixture
def service_client(site: Site) -> Iterator[ServiceClient]:
    """The caller and the phones."""
    with closing(ServiceClient(site.env)) as made:
        yield made
