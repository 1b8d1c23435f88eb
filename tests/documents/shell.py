"""Running what the documents print, line by line as a reader would paste it.

A line is run for real unless `CANNOT_RUN` names it with its reason; then it is checked by what it names. Processes that
serve until they are stopped are started, given time to be ready, and stopped by SIGTERM.
"""

import contextlib
import re
import shlex
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import NamedTuple

from otp_service.cli.main import build_parser
from otp_service.runtime import ports
from otp_service.runtime.dev import embedded_store
from tests.benchmarks.__main__ import build_parser as benchmark_parser
from tests.campaign.__main__ import build_parser as campaign_parser
from tests.campaign.mutations.__main__ import build_parser as campaign_mutations_parser
from tests.conftest import wait_until
from tests.e2e.processes import catches
from tests.failovers.__main__ import build_parser as failovers_parser
from tests.ledger.__main__ import build_parser as large_ledger_parser
from tests.mutations.__main__ import build_parser as mutations_parser
from tests.restarts.__main__ import build_parser as restarts_parser

from .reading import ROOT

TIMEOUT_S = 300.0
SERVES_S = 120.0


# ---- what cannot be run here -----------------------------------------------------------------------------------------


class CannotRun(NamedTuple):
    """Lines that match, why they are not run, and what is checked of them instead."""

    pattern: str
    reason: str
    check: Callable[[str], None]


def _installs(line: str) -> None:
    extras = {extra for named in re.findall(r"\.\[([\w,]+)\]", line) for extra in named.split(",")}
    setup = (ROOT / "setup.cfg").read_text(encoding="utf-8")
    assert all(re.search(rf"^{extra} =$", setup, re.MULTILINE) for extra in extras), line
    for part in line.split(" && "):
        program = shlex.split(part)[0].removeprefix(".venv/bin/")
        assert program in {"python3", "pip", "otp-service", "pytest"}, part
        if program == "otp-service":
            build_parser().parse_args(shlex.split(part)[1:])


def _composes(line: str) -> None:
    words = shlex.split(line)
    assert (ROOT / words[words.index("-f") + 1]).is_file(), line
    if "exec" in words:
        service, command = words[words.index("exec") + 1], words[words.index("otp-service") + 1 :]
        assert re.search(rf"^  {service}:$", (ROOT / "deploy" / "compose.yaml").read_text(), re.MULTILINE), line
        build_parser().parse_args(command)


def _configures_redis(line: str) -> None:
    named = re.findall(r"config set (\S+)", line)
    assert all(setting in embedded_store.SETTINGS for setting in named), line


def _restarts(line: str) -> None:
    restarts_parser().parse_args(shlex.split(line.split("-m tests.restarts", 1)[1]))


def _failovers(line: str) -> None:
    failovers_parser().parse_args(shlex.split(line.split("-m tests.failovers", 1)[1]))


def _campaign(line: str) -> None:
    campaign_parser().parse_args(shlex.split(line.split("-m tests.campaign", 1)[1]))


def _campaign_mutations(line: str) -> None:
    campaign_mutations_parser().parse_args(shlex.split(line.split("-m tests.campaign.mutations", 1)[1]))


def _mutations(line: str) -> None:
    mutations_parser().parse_args(shlex.split(line.split("-m tests.mutations", 1)[1]))


def _large_ledger(line: str) -> None:
    large_ledger_parser().parse_args(shlex.split(line.partition("tests.ledger ")[2]))


def _benchmark(line: str) -> None:
    arguments = shlex.split(line.split("-m tests.benchmarks", 1)[1])
    if arguments != ["--help"]:
        benchmark_parser().parse_args(arguments)


def _is_a_file(line: str) -> None:
    assert (ROOT / line).is_file(), line


def _is_a_tool(line: str) -> None:
    assert Path(sys.prefix, "bin", Path(shlex.split(line)[0]).name).is_file(), line


CANNOT_RUN = (
    CannotRun(r"pip install", "it installs from an index; `.ci/run` runs it as printed, in a fresh clone", _installs),
    CannotRun(r"^docker compose ", "there is no container engine", _composes),
    CannotRun(r"^redis-cli |^cp -a /var/lib/redis", "it needs a Redis server of the machine", _configures_redis),
    CannotRun(r"-m tests\.restarts\b", "it takes half a minute; `.ci/run` runs it", _restarts),
    CannotRun(r"-m tests\.failovers\b", "it takes minutes; `.ci/run` runs the short form", _failovers),
    CannotRun(r"-m tests\.campaign\.mutations\b", "it takes a minute or two; `.ci/run` runs it", _campaign_mutations),
    CannotRun(r"-m tests\.mutations\b", "it takes as long as `--minutes` says; its tests run the parts", _mutations),
    CannotRun(r"-m tests\.campaign ", "it takes two minutes; `.ci/run` runs it", _campaign),
    CannotRun(r"-m tests\.ledger ", "it takes minutes; its tests run a short form", _large_ledger),
    CannotRun(r"-m tests\.benchmarks ", "it takes minutes; its tests run the short form", _benchmark),
    CannotRun(r"^gunicorn ", "`tests/e2e/test_other_server.py` runs it as printed", _is_a_tool),
    CannotRun(r"^\.ci/run$", "it runs these tests", _is_a_file),
    CannotRun(r"^\.venv/bin/pytest --quiet$", "it runs these tests", _is_a_tool),
    CannotRun(r"^\.venv/bin/mypy$", "it takes half a minute; `.ci/run` runs it first", _is_a_tool),
)


def reason_not_to_run(line: str) -> CannotRun | None:
    """The entry of the table that this line matches."""
    return next((entry for entry in CANNOT_RUN if re.search(entry.pattern, line)), None)


# ---- running --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Shell:
    """A directory with a clone's files, an environment and a running dev, as the documents assume."""

    directory: Path
    environ: Mapping[str, str]

    def run(self, text: str) -> str:
        """Run a block's lines in one shell, those that serve apart; everything that they printed."""
        printed, script = "", ""
        for line in text.strip().splitlines():
            entry = reason_not_to_run(line)
            if entry is not None:
                entry.check(line)
            elif re.search(r"otp-service (serve|worker|sandbox)\b", line):
                self.serve(line)
            else:
                script += line + "\n"
        if script:
            printed = self._run(script)
        return printed

    def _run(self, script: str) -> str:
        done = subprocess.run(
            ["sh", "-e", "-c", script],
            cwd=self.directory,
            env=self.environ,
            capture_output=True,
            text=True,
            timeout=TIMEOUT_S,
            check=False,
        )
        assert done.returncode == 0, f"{script}\n{done.stdout}\n{done.stderr}"
        assert "Traceback" not in done.stderr, done.stderr
        return done.stdout

    def serve(self, line: str) -> None:
        """Start a process that serves, on a free port, wait until it is ready, and stop it: exit status 0."""
        port = ports.free_port()
        words = shlex.split(re.sub(r"--port [0-9]+", f"--port {port}", line))
        process = subprocess.Popen(
            words, cwd=self.directory, env=self.environ, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        try:
            if "--port" in words:
                _wait_for_health(process, f"http://127.0.0.1:{port}/healthz")
            else:
                wait_until(partial(catches, process.pid, signal.SIGTERM), SERVES_S, f"a handler of SIGTERM: {line}")
                # What cannot serve ends within this time.
                with contextlib.suppress(subprocess.TimeoutExpired):
                    process.wait(2)
            assert process.poll() is None, line
        finally:
            process.send_signal(signal.SIGTERM)
            output, _ = process.communicate(timeout=SERVES_S)
        assert process.returncode == 0, f"{line}\n{output}"


def install_curl(directory: Path) -> Path:
    """A folder for the PATH with a `curl` that knows the options we print: not every machine has the real one."""
    program = directory / "bin" / "curl"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\nexec {sys.executable} {Path(__file__).with_name("curl.py")} "$@"\n')
    program.chmod(0o755)
    return program.parent


def _wait_for_health(process: "subprocess.Popen[str]", url: str) -> None:
    deadline = time.monotonic() + SERVES_S
    while process.poll() is None and time.monotonic() < deadline:
        try:
            with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(url, timeout=2) as response:
                assert response.status == 200
                return
        except OSError:  # it may listen for a while before it serves
            time.sleep(0.1)
    assert process.poll() is not None, f"{url} does not respond"
