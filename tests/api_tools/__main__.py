"""Runs every tool on the document that a running service serves, on broken ones, and schemathesis on the service."""

import argparse
import copy
import json
import sys
import tempfile
from collections.abc import Iterator
from itertools import chain
from pathlib import Path

from tests.conftest import Dev, start_dev, stop_dev
from tests.e2e.dev_command import call

from .mutations import MUTATIONS, Document, no_answer_for_a_wrong_code
from .tools import Tools, environment, refusal

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
        found = refusal(tools.commands(file, out)[tool], environment(tools))
        say(f"{tool} {'ACCEPTS' if found is None else 'refuses'} {name}")
        if found is None:
            yield f"{tool} accepts {name}"


def answers(tools: Tools, dev: Dev, document: Document, out: Path) -> Iterator[str]:
    """The faults: an answer that the document does not describe, or one that a broken document lacks and nobody saw."""
    found = requests(tools, dev, f"{dev.url}/openapi.json", out, "examples,coverage,fuzzing,stateful")
    say(f"schemathesis: {'accepted' if found is None else 'REFUSED'}")
    if found is not None:
        yield found
    seen = call(f"{dev.url}/audit/events?type=verification.started&limit=1", dev.env["OTP_API_KEY"])[1]
    if not seen["events"]:
        yield "schemathesis started no verification: it tried refusals only"
    file = out / "broken.json"
    no_answer_for_a_wrong_code(broken := copy.deepcopy(document))
    file.write_text(json.dumps(broken), encoding="utf-8")
    missed = requests(tools, dev, str(file), out, "coverage", "--include-operation-id", "checkVerification") is None
    say(f"schemathesis {'ACCEPTS' if missed else 'refuses'} a status that is not described")
    if missed:
        yield "schemathesis accepts a status that is not described"


def requests(tools: Tools, dev: Dev, location: str, out: Path, phases: str, *more: str) -> str | None:
    """What schemathesis says after its requests to the service, if it finds a fault."""
    command: list[str | Path] = [
        *(tools.python / "bin" / "schemathesis", "--config-file", HERE / "schemathesis.toml"),
        *("run", location, "--url", dev.url, "-H", f"Authorization: Bearer {dev.env['OTP_API_KEY']}"),
        *("--phases", phases, "--max-examples", "20", "--seed", "1", "--no-color", "--warnings", "off", *more),
    ]
    return refusal([command], environment(tools), out)


def run(tools: Tools) -> list[str]:
    """All faults."""
    with tempfile.TemporaryDirectory() as name:
        out = Path(name)
        dev = start_dev(out / "state")
        try:
            document = call(f"{dev.url}/openapi.json")[1]
            judged = (accepted(tools, document, out), refused(tools, document, out))
            return [*chain(*judged), *answers(tools, dev, document, out)]
        finally:
            stop_dev(dev)


def main() -> int:
    """Exit 0 if every tool accepts the document and refuses what was broken."""
    parser = argparse.ArgumentParser(prog="python -m tests.api_tools")
    parser.add_argument("--node", type=Path, required=True, help="a copy of tests/api_tools after `npm ci`")
    parser.add_argument("--python", type=Path, required=True, help="an environment with requirements.txt")
    chosen = parser.parse_args()
    faults = run(Tools(chosen.node.resolve(), chosen.python.resolve()))
    for fault in faults:
        say(fault)
    checks = len(MUTATIONS) + 8
    say(f"{max(0, checks - len(faults))} passed, {len(faults)} failed")
    return 1 if faults else 0


raise SystemExit(main())
