"""Two instances of the API on one store behind a balancer, each of which may be restarted."""

import json
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from otp_service import bootstrap, config
from otp_service.runtime import ports
from otp_service.storage.api_keys import SCOPES

from ..conftest import clean_environ
from ..e2e.cluster import Cluster
from .balancer import Balancer
from .load import Load, start

NAMES = ("a", "b")
DRAIN = "3s"
"""For a balancer that checks each 100 ms, on a machine that may be busy. In service the default is for one that checks
each two seconds."""

_ENDED_S = 60.0


class Instances(Cluster):
    """The store and the instances."""

    def __init__(self, directory: Path, haproxy: str) -> None:
        super().__init__(directory, config.DEV_TOML)
        self._held = [ports.HeldPort() for _ in range(1 + len(NAMES))]
        self.port, *own = (port.number for port in self._held)
        listening = dict(zip(NAMES, own, strict=True))
        self._balancer = Balancer(haproxy, directory, self.port, listening)
        self._arguments = {name: ["serve", "--port", str(port), "--drain", DRAIN] for name, port in listening.items()}
        self.statuses: list[int] = []

    @contextmanager
    def serving(self, processes: int = 1) -> Iterator[Load]:
        """Everything runs, and a load on it."""
        try:
            self._commands = {
                name: [*arguments, "--workers", str(processes)] for name, arguments in self._arguments.items()
            }
            for name in NAMES:
                self.start(name)
            key = bootstrap.build_api_keys(config.load(clean_environ(**self.env))).create("default", SCOPES, None).key
            with self._balancer:
                for name in NAMES:
                    self._balancer.wait_for(name)
                with Load(self.port, key) as load:
                    load.watch(_verification(load))
                    yield load
        finally:
            self.close()
            for port in self._held:
                port.release()

    def restart(self, name: str) -> None:
        """End one and start it again; back when the balancer has it back."""
        self.statuses.append(self.end(name, signal.SIGTERM, _ENDED_S))
        self.start(name)
        self._balancer.wait_for(name)


def _verification(load: Load) -> str:
    connection = load.connection()
    status, body = load.ask(connection, start(9_999))
    connection.close()
    assert status == 201, body
    return str(json.loads(body)["verification_id"])
