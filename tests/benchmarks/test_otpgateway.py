"""The driver of otpgateway, with a substitute for its binary: how it is started, what it is asked, what counts."""

import sys
from pathlib import Path

import pytest

from tests.conftest import needs_program

from .__main__ import about, build_parser
from .measure import Shape, Wrong, run
from .peers.otpgateway import OtpGateway
from .programs import Programs
from .report import render
from .rows import Options
from .target import Kind

BINARY = """#!{python}
import json, sys, tomllib, urllib.parse
if "--version" in sys.argv:
    print("v3.1")
    sys.exit()
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
settings = tomllib.load(open(sys.argv[sys.argv.index("--config") + 1], "rb"))
host, port = settings["app"]["address"].split(":")
assert settings["app"]["otp_ttl"] > 1 and settings["app"]["otp_max_generate"] and settings["app"]["server_timeout"]
assert settings["auth"]["bench"]["namespace"] == "bench" and settings["auth"]["bench"]["secret"]
assert "Code" in open(settings["webhooks"]["carrier"]["template"]).read().title()
class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def handle(self):
        try:
            super().handle()
        except ConnectionError:
            pass
    def answer(self, status, data):
        body = json.dumps({{"data": data}}).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
    def form(self):
        body = self.rfile.read(int(self.headers["Content-Length"])).decode()
        return dict(urllib.parse.parse_qsl(body))
    def do_PUT(self):
        form = self.form()
        webhook = settings["webhooks"][form["provider"]]
        known = form["to"][1:] == self.path.removeprefix("/api/otp/") and webhook["enabled"]
        self.answer(200 if known and webhook["max_otp_len"] == 6 else 400, {{"otp": "123456"}})
    def do_POST(self):
        self.answer(200 if self.form()["otp"] == "123456" else {wrong}, None)
    def log_message(self, *args):
        pass
ThreadingHTTPServer((host, int(port)), Handler).serve_forever()
"""


def binary(folder: Path, wrong: int) -> Path:
    """An executable that answers a wrong code with this status."""
    path = folder / "otpgateway"
    path.write_text(BINARY.format(python=sys.executable, wrong=wrong))
    path.chmod(0o755)
    return path


@pytest.mark.parametrize("kind", [Kind.WRONG, Kind.RIGHT, Kind.START, Kind.KNOWN, Kind.LOGIN])
def test_the_rows_of_a_peer_are_measured(kind: Kind, tmp_path: Path) -> None:
    """Each with the statuses that this service has."""
    needs_program("redis-server", "valkey-server")
    with Programs(tmp_path) as programs:
        stack = OtpGateway(binary(tmp_path, 400)).open(programs, worker=False)
        shape = Shape(connections=2, seconds=30, warm_up_s=0, expected_per_s=2)
        leg = run(stack, kind, shape, (kind, "otpgateway", 1), "python")
    assert set(leg.statuses) <= {"200", "400"}
    assert leg.per_s > 0
    assert set(leg.cpu_us) == {"store", "sink", "service", "load"}


def test_a_report_says_which_binary_it_was(tmp_path: Path) -> None:
    """Its version, if it tells one; a run without it does not speak of it."""
    parser = build_parser()
    args = parser.parse_args(["--otpgateway", str(binary(tmp_path, 400))])
    assert "* otpgateway: v3.1; no debug log" in render([], [], about(args, Options()))
    assert "otpgateway" not in render([], [], about(parser.parse_args([]), Options()))
    assert OtpGateway(tmp_path / "absent").describe().startswith("unknown version")


def test_another_status_than_expected_is_no_figure(tmp_path: Path) -> None:
    """A peer that refuses everything must not look fast."""
    needs_program("redis-server", "valkey-server")
    with Programs(tmp_path) as programs:
        stack = OtpGateway(binary(tmp_path, 500)).open(programs, worker=False)
        shape = Shape(connections=2, seconds=30, warm_up_s=0, expected_per_s=2)
        with pytest.raises(Wrong, match="'500'"):
            run(stack, Kind.WRONG, shape, ("check", "otpgateway", 1), "python")
