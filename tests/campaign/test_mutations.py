"""The mutations fit the source as it is. That the judge sees them is shown by `python -m tests.campaign.mutations`."""

import ast

import pytest

from .mutations.changes import MUTATIONS, Mutation
from .mutations.run import changed


@pytest.mark.parametrize("mutation", MUTATIONS, ids=lambda mutation: mutation.name)
def test_a_mutation_fits_the_source(mutation: Mutation) -> None:
    """Its text stands there once, and what comes of it can be read."""
    for change in mutation.changes:
        text = changed(change)
        if change.path.endswith(".py"):
            ast.parse(text)


def test_there_are_enough() -> None:
    """Each has a name of its own."""
    assert len({mutation.name for mutation in MUTATIONS}) == len(MUTATIONS) >= 20
