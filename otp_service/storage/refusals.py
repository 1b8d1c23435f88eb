"""What an error of the store means, for people: the cause, and what to look at. No user name and no password.

redis-py wraps errors in one another, and its Cluster wraps them again: the first one in the chain that says more than
"no connection" counts.
"""

import errno
import re
import socket
import ssl
from collections.abc import Iterator

from redis import exceptions as redis_errors
from redis.sentinel import MasterNotFoundError

_KINDS: tuple[tuple[type[BaseException], str], ...] = (
    (redis_errors.AuthenticationWrongNumberOfArgsError, "knows no user names: name the password alone"),
    (redis_errors.AuthenticationError, "refuses the user or the password, or wants one"),
    (redis_errors.BusyLoadingError, "is still loading its data"),
    (MasterNotFoundError, "has no primary that a sentinel knows"),
    (redis_errors.SlotNotCoveredError, "has no node for a part of the slots"),
    (redis_errors.OutOfMemoryError, "is full: it refuses writes at maxmemory"),
    (redis_errors.ReadOnlyError, "takes no writes: it is a replica"),
    (ssl.SSLCertVerificationError, "has a TLS certificate that is not trusted or is for another name"),
    (ssl.SSLError, "does not answer by TLS"),
    (socket.gaierror, "does not answer: the name of its host is not known"),
    (ConnectionRefusedError, "does not answer: nothing listens there"),
    (FileNotFoundError, "does not answer: there is no such socket"),
    (PermissionError, "does not answer: this user may not open its socket"),
    (redis_errors.InvalidResponse, "does not answer as a store: another program listens there"),
)
_REPLIES = (
    ("NOAUTH", "refuses the user or the password, or wants one"),
    ("WRONGPASS", "refuses the user or the password, or wants one"),
    ("MISCONF", "takes no writes: it cannot keep its data on disk"),
    ("NOREPLICAS", "takes no writes: too few replicas follow it"),
    ("UNDECIDED", "was restarted a moment ago; whether it has all that it was told is not known yet"),
    ("DB index is out of range", "has no database of that number"),
    ("cluster is down", "takes no commands: the Cluster is down"),
    ("Hash slot not served", "has no node for a part of the slots"),
    ("server is not the primary", "is a replica: no primary answers at its address"),
    ("unknown command", "lacks a command: is it Redis 7 or Valkey?"),
)
_COMMAND = re.compile(r"'([a-z|]+)' command")
_UNREACHABLE = (errno.ENETUNREACH, errno.EHOSTUNREACH)


def what_it_does(error: BaseException) -> str:
    """What follows "The store …": the cause as far as it is known."""
    return next((said for one in _chain(error) if (said := _said(one))), "does not answer, or refuses the command")


def _said(error: BaseException) -> str | None:
    if isinstance(error, redis_errors.NoPermissionError) or "NOPERM" in str(error):
        command = _COMMAND.search(str(error))
        what = f"run {command[1].upper()}" if command else "use the keys otp:*"
        return f"refuses a command: its user may not {what} (see its ACL)"
    for kind, said in _KINDS:
        if isinstance(error, kind):
            return said
    if isinstance(error, OSError) and error.errno in _UNREACHABLE:
        return "does not answer: there is no way to its host"
    return next((said for begin, said in _REPLIES if begin in str(error)), None)


def _chain(error: BaseException) -> Iterator[BaseException]:
    one: BaseException | None = error
    for _ in range(8):
        if one is None:
            return
        yield one
        one = one.__cause__ or one.__context__
