"""Which errors say that nothing was written: what was taken for the write can then be given back."""

from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import SlotNotCoveredError

from .replica_guard import NO_REPLICAS, UnconfirmedError


class UnsentError(RedisConnectionError):
    """The command was not sent: the server cannot be reached, or did not answer a moment ago."""


def wrote_nothing(error: BaseException) -> bool:
    """Whether a script that ended in this error has certainly written nothing. What is lost may have been written."""
    if isinstance(error, (UnsentError, SlotNotCoveredError)):
        return True
    if isinstance(error, RedisConnectionError):
        # Only connecting ends so, and what raised it is the nearest error. Those behind it are of earlier tries.
        return isinstance(error.__cause__ or error.__context__, ConnectionRefusedError)
    return str(error).startswith(NO_REPLICAS) and not isinstance(error, UnconfirmedError)
