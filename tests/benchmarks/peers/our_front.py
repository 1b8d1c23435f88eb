"""Bringing up `bare_front`: the limit on our own front."""

import sys

from otp_service.runtime.ports import free_port

from .. import store
from ..ours import ROOT, OtpService
from ..programs import HOST, Programs, answers
from ..target import Kind, Target
from .servers import PROCESSES, NaiveStack


class BareFront(Target):
    """A bare handler on our front, with our scripts. Its API is that of the naive services."""

    name = "bare handler, our front"
    kinds = frozenset({Kind.WRONG, Kind.START, Kind.KNOWN})
    widest = 64

    def __init__(self) -> None:
        self._service = OtpService(self.name, ROOT)

    def open(self, programs: Programs, *, worker: bool) -> NaiveStack:
        """Store and service."""
        store_url, port = f"redis://{HOST}:{store.start(programs)}/0", free_port()
        environ = self._service.environment(programs.folder, store_url, sink_port=1)
        command = [sys.executable, "-m", "tests.benchmarks.peers.bare_front", str(port), PROCESSES]
        programs.start("service", command, environ)
        url = f"http://{HOST}:{port}"
        programs.wait("service", lambda: answers(f"{url}/healthz"))
        return NaiveStack(programs, url, {"Content-Type": "application/json"})


BARE_FRONT = BareFront()
