"""otpgateway, a Go service with the same purpose, where its binary is given. Only this module knows its API (v3).

It is started as `PATH --config FILE`. It sends within the request, here to a webhook that takes each message at once:
its start is compared by the time of the answer, not by messages. A code that was right is deleted, as is its default.
"""

import base64
import json
import os
import sys
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from otp_service.runtime.ports import free_port

from .. import store
from ..load import Request
from ..ours import HERE
from ..post import post_all
from ..programs import HOST, ProgramFailed, Programs, listens, run
from ..target import Kind, Pending, Stack, Target, require

NAMESPACE, SECRET, PROVIDER = "bench", "bench-secret", "carrier"
TRIES = 20
"""It counts the start as a try. Beyond its tries it answers as for a wrong code, but does less."""
CONFIGURATION = """
[app]
address = "{host}:{port}"
server_timeout = "5s"
enable_debug_logs = false
otp_ttl = 600
otp_max_attempts = {tries}
otp_max_generate = {tries}
root_url = "http://{host}:{port}"

[store.redis]
host = "{host}"
port = {store_port}

[auth.{namespace}]
namespace = "{namespace}"
secret = "{secret}"

[webhooks.{provider}]
enabled = true
id = "{provider}"
url = "http://{host}:{sink_port}/"
max_conns = 1000
timeout = "5s"
subject = "Code"
template = "{template}"
channel_name = "SMS"
address_name = "Mobile number"
max_address_len = 20
max_otp_len = 6
"""


@dataclass
class GatewayStack(Stack):
    """A running otpgateway. The caller chooses the id of an OTP: the number's digits here."""

    tries: int = TRIES - 1

    def start(self, number: str) -> Request:
        """`PUT /api/otp/{id}`."""
        form = f"provider={PROVIDER}&to={quote(number)}&ttl=600&max_attempts={TRIES}"
        return Request(f"/api/otp/{number[1:]}", form, "PUT")

    def check(self, pending: Pending, code: str) -> Request:
        """`POST /api/otp/{id}`."""
        return Request(f"/api/otp/{pending.id}", f"otp={code}")

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

    def describe(self) -> str:
        """What the binary says of itself, and how it is set up."""
        try:
            version = run([str(self._binary), "--version"], {}, Path.cwd(), timeout_s=10).strip()
        except (ProgramFailed, OSError):
            version = ""
        return f"{version or 'unknown version'}; no debug log, a webhook that takes each message at once"

    def open(self, programs: Programs, *, worker: bool) -> GatewayStack:
        """Store, sink and service."""
        store_port, port, sink_port = store.start(programs), free_port(), free_port()
        sink = [sys.executable, "-m", "tests.benchmarks.sink", str(sink_port), "0"]
        programs.start("sink", sink, HERE, lambda: listens(sink_port))
        file = _configure(programs.folder, port=port, store_port=store_port, sink_port=sink_port)
        environ = {"PATH": os.environ.get("PATH", "")}
        programs.start("service", [str(self._binary), "--config", str(file)], environ, lambda: listens(port))
        credentials = base64.b64encode(f"{NAMESPACE}:{SECRET}".encode()).decode()
        headers = {"Authorization": f"Basic {credentials}", "Content-Type": "application/x-www-form-urlencoded"}
        return GatewayStack(programs, f"http://{HOST}:{port}", headers)


def _configure(folder: Path, **ports: int) -> Path:
    """Write its configuration and the text of its message; the path of the configuration."""
    text, file = folder / "message.txt", folder / "otpgateway.toml"
    text.write_text("{{ .OTP }} is your Acme code.", encoding="utf-8")
    names = {"host": HOST, "namespace": NAMESPACE, "secret": SECRET, "provider": PROVIDER, "tries": TRIES}
    file.write_text(CONFIGURATION.format(**names, **ports, template=text), encoding="utf-8")
    return file
