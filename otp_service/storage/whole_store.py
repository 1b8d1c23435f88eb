"""All keys of the store, gone through while it is in use. What comes meanwhile may be missed."""

import itertools
from collections.abc import Iterator, Sequence
from typing import Any

from .answering import answering
from .schema import PREFIX

LOOK = 1_000
"""Keys that one command of the search looks at."""


def key_count(client: Any) -> int:
    """About how many keys there are. Raises StoreUnavailable."""
    with answering():
        return int(client.dbsize())


def key_batches(client: Any) -> Iterator[Sequence[str]]:
    """Their names, many at a time. Raises StoreUnavailable."""
    with answering():
        every = iter(client.scan_iter(f"{PREFIX}:*", count=LOOK))
        while keys := list(itertools.islice(every, LOOK)):
            yield keys
