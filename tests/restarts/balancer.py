"""HAProxy as a TCP load balancer, as an operator would set it up: it checks `/readyz`, and knows no HTTP otherwise."""

import csv
import socket
import subprocess
from pathlib import Path

from ..conftest import wait_until

_CONFIG = """\
global
    stats socket {directory}/admin.sock mode 600

defaults
    mode tcp
    timeout connect 5s
    timeout client 60s
    timeout server 60s
    timeout check 5s
    retries 3
    option redispatch

frontend service
    bind 127.0.0.1:{port}
    default_backend instances

backend instances
    balance roundrobin
    option httpchk
    http-check send meth GET uri /readyz ver HTTP/1.1 hdr Host otp.example.com
    http-check expect status 200
    default-server check inter 100ms fall 2 rise 2
{servers}
"""

_STARTED_S = 60.0


class Balancer:
    """A running HAProxy before the instances, which are named ports of the loopback."""

    def __init__(self, program: str, directory: Path, port: int, instances: dict[str, int]) -> None:
        self._program = program
        self._directory = directory
        servers = "\n".join(f"    server {name} 127.0.0.1:{its_port}" for name, its_port in instances.items())
        self._file = directory / "haproxy.cfg"
        self._file.write_text(_CONFIG.format(directory=directory, port=port, servers=servers))

    def __enter__(self) -> "Balancer":
        with (self._directory / "haproxy.log").open("wb") as log:
            command = [self._program, "-db", "-f", str(self._file)]
            self._process = subprocess.Popen(command, stdout=log, stderr=log, cwd=self._directory)
        wait_until((self._directory / "admin.sock").exists, _STARTED_S, "the balancer")
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.wait()

    def wait_for(self, name: str) -> None:
        """Wait until it sends connections to this instance."""
        wait_until(lambda: self.states().get(name) == "UP", _STARTED_S, f"{name} behind the balancer")

    def states(self) -> dict[str, str]:
        """`UP`, `DOWN` or a transition for each instance."""
        with socket.socket(socket.AF_UNIX) as admin:
            admin.settimeout(5)
            admin.connect(str(self._directory / "admin.sock"))
            admin.sendall(b"show stat\n")
            text = b"".join(iter(lambda: admin.recv(65536), b"")).decode()
        rows = csv.DictReader(text.removeprefix("# ").splitlines())
        return {row["svname"]: row["status"] for row in rows if row["pxname"] == "instances"}
