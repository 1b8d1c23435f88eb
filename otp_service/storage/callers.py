"""Who causes what happens: the API key, the request, the process and the address that an event of the record names.

It goes with the work rather than through each function on the way, as no function decides on it. A thread and a
greenlet have a value of their own each. Work without a request has a process alone.
"""

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from string import ascii_lowercase
from typing import Any

from ..domain.audit import POLICY_DIGITS
from .schema.encodings import AuditCaller, caller_parts

_SEPARATOR = AuditCaller.separator
_LETTERS = ascii_lowercase + "234567"
_NAME_LETTERS = 5
"""25 bits, since each event has the name: that two of a hundred living processes share one has a chance of 1 in 6,800.
`service.started` says more, and of two with one name the later start counts."""

_policy = ""
_process = ""
_nobody = ""
_caller: ContextVar[str] = ContextVar("caller", default="")
"""Without the policy; empty for nobody, which names the process alone."""
_webhook: ContextVar[tuple[str, str]] = ContextVar("webhook", default=("", ""))


def set_caller(key_id: str, request_id: str, address: str) -> None:
    """What this thread or greenlet does from now on is caused by this; each part may be empty."""
    # As `AuditCaller.pack` does, in a third of the time: every request comes here.
    _caller.set(f"{key_id}{_SEPARATOR}{request_id}{_SEPARATOR}{_process}{_SEPARATOR}{address}")


def name_process() -> None:
    """Give this process a name by chance. Done at the start, and again in a process that was forked."""
    global _process, _nobody  # noqa: PLW0603 - one for each process
    _process = "".join(secrets.choice(_LETTERS) for _ in range(_NAME_LETTERS))
    _nobody = f"{_SEPARATOR * 2}{_process}{_SEPARATOR}"


name_process()
os.register_at_fork(after_in_child=name_process)


def process() -> str:
    """The name by which events say that this process did it; `service.started` says which one it is."""
    return _process


def set_policy(policy_hash: str) -> None:
    """The configuration by which this process decides from now on, as the hexadecimal digits of its hash."""
    global _policy  # noqa: PLW0603 - one for each process, and no function on the way decides on it
    _policy = policy_hash[:POLICY_DIGITS]


def clear_caller() -> None:
    """The request has ended."""
    _caller.set("")


@contextmanager
def acting_for(packed: str) -> Iterator[None]:
    """What is done within was caused by another one, as `caller` told at that time."""
    token = _caller.set(_SEPARATOR.join(caller_parts(packed)[1:]))
    try:
        yield
    finally:
        _caller.reset(token)


@contextmanager
def caused_by(commitment: str, sealed: str) -> Iterator[None]:
    """What is recorded within was caused by a webhook of the carrier, which goes with the record."""
    token = _webhook.set((commitment, sealed))
    try:
        yield
    finally:
        _webhook.reset(token)


def webhook() -> dict[str, Any]:
    """The webhook that causes what is done here now, as the arguments of a script; empty if none does."""
    commitment, sealed = _webhook.get()
    return {"webhook": commitment, "sealed_webhook": sealed}


def request_id() -> str:
    """The id of the request that is answered here now; empty if there is none."""
    return AuditCaller.named(caller())["request_id"]


def caller() -> str:
    """Who causes what is done here now, as `AuditCaller` packs it."""
    return f"{_policy}{_SEPARATOR}{_caller.get() or _nobody}"
