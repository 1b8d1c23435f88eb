"""How a response is made to fail: the view chooses the fault, the server that owns the socket carries it out.

The server puts a `ResponseFault` into the WSGI environment, and a view sets its `kind`. Without a socket (a call
inside the process) there is nothing to break, and the view responds with 504 instead.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass
from enum import Enum

ENVIRON_KEY = "otp_sandbox.response_fault"
HANG_S = 10.0


class FaultKind(Enum):
    """How a response fails. The values are the modes of `PUT /sandbox/chaos`."""

    HANG = "timeout"  # no byte for ten seconds, then the connection closes
    RESET = "reset_after_request"  # a TCP reset instead of a response
    HALF = "half_body"  # the headers announce more bytes than the body has


@dataclass(slots=True)
class ResponseFault:
    """The fault of one request, or none. Setting `interrupted` ends a hang early."""

    kind: FaultKind | None = None
    interrupted: threading.Event | None = None
