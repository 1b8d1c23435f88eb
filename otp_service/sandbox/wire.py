"""What can go wrong on the wire itself, told by the application to the server that owns the socket.

The server puts a `Wire` into the WSGI environment; a view that wants its answer lost sets `mishap`. Without a
`Wire` (in-process, no socket) there is nothing to break, and the answer becomes a 504 instead.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass
from enum import Enum

ENVIRON_KEY = "otp_sandbox.wire"
HANG_S = 10.0


class Mishap(Enum):
    """How an answer is lost."""

    HANG = "timeout"  # nothing for ten seconds, then the connection closes
    RESET = "reset_after_request"  # a TCP reset instead of an answer
    HALF = "half_body"  # the head promises more than the body holds


@dataclass(slots=True)
class Wire:
    """The hand between view and server, one per request. `released` ends a hang before its time."""

    mishap: Mishap | None = None
    released: threading.Event | None = None
