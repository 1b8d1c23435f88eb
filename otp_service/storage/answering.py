"""What it means that the store does not answer: redis-py's errors become the one error that callers know."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from redis.exceptions import RedisClusterException, RedisError

from ..domain.errors import StoreUnavailable
from .refusals import what_it_does

STORE_ERRORS = (RedisError, RedisClusterException)
"""Everything redis-py raises when the store cannot answer; its Cluster has a tree of its own."""


REFUSED = "The store does not answer, or refuses the command."
"""Where the cause is not known."""


def unavailable(error: BaseException, *, nothing_written: bool = False) -> StoreUnavailable:
    """What callers know, with the cause for the operator."""
    return StoreUnavailable(f"The store {what_it_does(error)}.", nothing_written=nothing_written)


@contextmanager
def answering() -> Iterator[None]:
    """Around commands to the store. Raises StoreUnavailable for any error of redis-py."""
    try:
        yield
    except STORE_ERRORS as error:
        raise unavailable(error) from error


def answers(replies: Sequence[Any]) -> list[Any]:
    """The replies of `Store.gather`, None for what failed. Raises StoreUnavailable if all did."""
    failures = [reply for reply in replies if isinstance(reply, STORE_ERRORS)]
    if failures and len(failures) == len(replies):
        raise unavailable(failures[0]) from failures[0]
    return [None if isinstance(reply, STORE_ERRORS) else reply for reply in replies]
