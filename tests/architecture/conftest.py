"""What all tests of the source share."""

from collections.abc import Iterator

import pytest

from .source import forget


@pytest.fixture(scope="package", autouse=True)
def _parsed_once() -> Iterator[None]:
    yield
    forget()
