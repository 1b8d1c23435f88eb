"""A cluster for each test, and a client of it."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from ..service_client import ServiceClient
from .site import Site


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    """Store, sandbox and API; workers as the tests want them."""
    made = Site(tmp_path)
    try:
        for name in ("sandbox", "api"):
            made.start(name)
        made.ready()
        yield made
    finally:
        made.close()


@pytest.fixture
def service_client(site: Site) -> Iterator[ServiceClient]:
    """The caller and the phones."""
    made = ServiceClient(site.env)
    try:
        yield made
    finally:
        made.close()
