"""A fresh installation for each test."""

import pytest

from .scenario import Scenario


@pytest.fixture
def scenario() -> Scenario:
    """An empty installation."""
    return Scenario()
