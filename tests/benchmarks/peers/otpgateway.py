"""otpgateway, a Go service with the same purpose, where its binary is given. Only this module knows its API.

Written from memory and never run on the real binary, only on the tests' substitute for it: `NOTE` says so wherever its
figures stand. Whoever runs it first compares configuration, paths and statuses with the binary, and removes the note.

It is started as `PATH --config FILE`; a binary that wants to be told otherwise gets a script around it, which finds the
same in its environment: BENCH_PORT, BENCH_STORE_PORT and BENCH_SINK (an address that takes its webhook at once). It
sends within the request, so its start is compared by the time of the answer, not by messages.
"""

import base64
import json
import os
import sys
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from .. import store
from ..load import Request
from ..ours import HERE
from ..post import post_all
from ..programs import HOST, Programs, free_port, listens
from ..target import Kind, Pending, Stack, Target, require

NOTE = "its driver was written from memory and never run on the real binary: check its answers before its figures"
"""For readers of the help and of a report."""
NAMESPACE, SECRET, TRIES = "bench", "bench-secret", 20
CONFIGURATION = """
[app]
address = "{host}:{port}"
otp_ttl = "600s"
otp_max_attempts = {tries}

[auth.{namespace}]
secret = "{secret}"

[store.redis]
host = "{host}"
port = {store_port}

[provider.webhook]
template = "{{{{ .OTP }}}}"
config = '{{"url": "{sink}"}}'
"""


@dataclass
class GatewayStack(Stack):
    """A running otpgateway. The caller chooses the id of an OTP: the number's digits here."""

    def start(self, number: str) -> Request:
        """`PUT /api/otp/{id}`."""
        form = f"provider=webhook&to={quote(number)}&ttl=600&max_attempts={TRIES}"
        return Request(f"/api/otp/{number[1:]}", form, "PUT")

    def check(self, pending: Pending, code: str) -> Request:
        """`POST /api/otp/{id}`."""
        return Request(f"/api/otp/{pending.id}", f"action=check&otp={code}")

    def make_pending(self, count: int) -> list[Pending]:
        """Start them; the answer tells the code."""
        numbers = [next(self.numbers) for _ in range(count)]
        found = post_all(self.url, [self.start(number) for number in numbers], self.headers)
        require([status for status, _ in found], 200, "starts before a row")
        codes = [json.loads(body)["data"]["otp"] for _, body in found]
        return [Pending(number, number[1:], code) for number, code in zip(numbers, codes, strict=True)]

    def statuses(self, kind: Kind) -> set[int]:
        """200 or, for a wrong code, 400."""
        return {Kind.WRONG: {400}, Kind.LOGIN: {200, 400}}.get(kind, {200})


class OtpGateway(Target):
    """The binary at a path."""

    name = "otpgateway"

    def __init__(self, binary: Path) -> None:
        self._binary = binary.resolve()

    def open(self, programs: Programs, *, worker: bool) -> GatewayStack:
        """Store, sink and service."""
        store_port, port, sink_port = store.start(programs), free_port(), free_port()
        sink = [sys.executable, "-m", "tests.benchmarks.sink", str(sink_port), "0"]
        programs.start("sink", sink, HERE, lambda: listens(sink_port))
        values = {"host": HOST, "port": port, "store_port": store_port, "sink": f"http://{HOST}:{sink_port}/"}
        names = {"namespace": NAMESPACE, "secret": SECRET, "tries": TRIES}
        file = programs.folder / "otpgateway.toml"
        file.write_text(CONFIGURATION.format(**values, **names), encoding="utf-8")
        environ = {
            "PATH": os.environ.get("PATH", ""),
            "BENCH_PORT": str(port),
            "BENCH_STORE_PORT": str(store_port),
            "BENCH_SINK": str(values["sink"]),
        }
        programs.start("service", [str(self._binary), "--config", str(file)], environ, lambda: listens(port))
        credentials = base64.b64encode(f"{NAMESPACE}:{SECRET}".encode()).decode()
        headers = {"Authorization": f"Basic {credentials}", "Content-Type": "application/x-www-form-urlencoded"}
        return GatewayStack(programs, f"http://{HOST}:{port}", headers)
