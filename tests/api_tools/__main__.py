"""Runs every tool on the document that a running service serves, on broken ones, and schemathesis on the service."""

import argparse
import copy
import json
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from tests.conftest import Dev
from tests.e2e.dev_command import call, start_dev_here

from .mutations import MUTATIONS, Document
from .tools import TIMEOUT_S, Tools, environment, refusal

HERE = Path(__file__).parent


def say(line: str) -> None:
    """Tell the person who waits."""
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def accepted(tools: Tools, document: Document, out: Path) -> Iterator[str]:
    """The faults: a sentence for each tool that refuses the document."""
    file = out / "openapi.json"
    file.write_text(json.dumps(document), encoding="utf-8")
    for name, commands in tools.commands(file, out).items():
        found = refusal(commands, environment(tools))
        say(f"{name}: {'accepted' if found is None else 'REFUSED'}")
        if found is not None:
            yield found


def refused(tools: Tools, document: Document, out: Path) -> Iterator[str]:
    """The faults: a sentence for each broken document that its tool accepts."""
    file = out / "broken.json"
    for name, (break_it, tool) in MUTATIONS.items():
        broken = copy.deepcopy(document)
        break_it(broken)
        file.write_text(json.dumps(broken), encoding="utf-8")
        if refusal(tools.commands(file, out)[tool], environment(tools)) is None:
            yield f"{tool} accepts {name}"


def answers(tools: Tools, dev: Dev, out: Path) -> Iterator[str]:
    """The fault, if schemathesis finds an answer that the document does not describe."""
    command: list[str | Path] = [
        *(tools.python / "bin" / "schemathesis", "--config-file", HERE / "schemathesis.toml"),
        *("run", f"{dev.url}/openapi.json", "-H", f"Authorization: Bearer {dev.env['OTP_API_KEY']}"),
        *("--phases", "examples,coverage", "--seed", "1", "--no-color", "--warnings", "off"),
    ]
    done = subprocess.run(command, capture_output=True, text=True, timeout=TIMEOUT_S, check=False, cwd=out)
    say(f"schemathesis: {'accepted' if done.returncode == 0 else 'REFUSED'}")
    if done.returncode:
        yield done.stdout + done.stderr


def run(tools: Tools) -> list[str]:
    """All faults."""
    with tempfile.TemporaryDirectory() as name:
        out = Path(name)
        dev = start_dev_here(out)
        try:
            document = call(f"{dev.url}/openapi.json")[1]
            return [*accepted(tools, document, out), *refused(tools, document, out), *answers(tools, dev, out)]
        finally:
            dev.process.send_signal(signal.SIGTERM)
            dev.process.communicate(timeout=30)


def main() -> int:
    """Exit 0 if every tool accepts the document and refuses what was broken."""
    parser = argparse.ArgumentParser(prog="python -m tests.api_tools")
    parser.add_argument("--node", type=Path, required=True, help="a copy of tests/api_tools after `npm ci`")
    parser.add_argument("--python", type=Path, required=True, help="an environment with requirements.txt")
    chosen = parser.parse_args()
    faults = run(Tools(chosen.node.resolve(), chosen.python.resolve()))
    for fault in faults:
        say(fault)
    checks = len(MUTATIONS) + 6
    say(f"{max(0, checks - len(faults))} passed, {len(faults)} failed")
    return 1 if faults else 0


raise SystemExit(main())
