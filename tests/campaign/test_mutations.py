"""The mutations fit the source as it is. That the judge sees them is shown by `python -m tests.campaign.mutations`."""

import ast

import pytest

from .mutations.changes import MUTATIONS, Mutation
from .mutations.failovers import FAILOVER_MUTATIONS, FailoverMutation
from .mutations.run import changed

EVERY: tuple[Mutation | FailoverMutation, ...] = (*MUTATIONS, *FAILOVER_MUTATIONS)


@pytest.mark.parametrize("mutation", EVERY, ids=lambda mutation: mutation.name)
def test_a_mutation_fits_the_source(mutation: Mutation | FailoverMutation) -> None:
    """Its text stands there once, and what comes of it can be read."""
    for change in mutation.changes:
        text = changed(change)
        if change.path.endswith(".py"):
            ast.parse(text)


def test_there_are_enough() -> None:
    """Each has a name of its own."""
    assert len({mutation.name for mutation in EVERY}) == len(EVERY) >= 25
