"""Every command that a document prints runs, in the order in which a reader meets them."""

import base64
import json
import os
import re
import shutil
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import Dev, clean_environ, start_dev, stop_dev, wait_until

from .papers import PAPERS, ROOT, blocks, name, read
from .shell import CANNOT_RUN, Shell, reason_not_to_run

PLACEHOLDER = "123456"
"""Where a reader puts the code of the message."""
PERSON = "+12025550143"
COPIED = ("otp_service", "tests", "deploy", "setup.cfg", ".ruff.toml", "README.md")
CALLBACKS = 'callback_url = "http://127.0.0.1:9/otp-events"\ncallback_allow_private = true\n'
"""Added to the example's app, for the guide on callbacks. Nobody listens there."""
SECRET = "whsec_" + base64.b64encode(bytes(32)).decode()
EXPECTED = {
    ("quick-start.md", "verify/check"): r'"status": ?"approved"',
    ("quick-start.md", "STOP"): r'"code": ?"opted_out"',
    ("quick-start.md", "http_500"): r'"status": ?"pending"',
    ("quick-start.md", "audit tail"): r"verification\.approved",
    ("README.md", "verify/start"): r'"status": ?"pending"',
    ("README.md", "verify/check"): r'"status": ?"approved"',
}
"""What must be printed by the blocks of a document that hold these words."""


@pytest.fixture(scope="module")
def dev(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Dev]:
    """A `dev` of our own in a copy of the files: the documents change opt-outs and make the carrier fail."""
    directory = tmp_path_factory.mktemp("clone")
    ignored = shutil.ignore_patterns("__pycache__", ".*cache")
    for entry in COPIED:
        if (ROOT / entry).is_dir():
            shutil.copytree(ROOT / entry, directory / entry, ignore=ignored)
        else:
            shutil.copy(ROOT / entry, directory / entry)
    (directory / ".venv").symlink_to(sys.prefix)
    example = (ROOT / "deploy" / "otp-service.toml").read_text(encoding="utf-8")
    (directory / "example.toml").write_text(example + CALLBACKS, encoding="utf-8")
    running = start_dev(
        directory / ".otp-dev", OTP_CONFIG=str(directory / "example.toml"), OTP_CALLBACK_SECRET_DEFAULT=SECRET
    )
    try:
        yield running
    finally:
        stop_dev(running)


@pytest.fixture(scope="module")
def shell(dev: Dev, tmp_path_factory: pytest.TempPathFactory) -> Shell:
    """A shell in that copy, with a `curl` that every machine has."""
    programs = tmp_path_factory.mktemp("bin")
    (programs / "curl").write_text(f'#!/bin/sh\nexec {sys.executable} {Path(__file__).with_name("curl.py")} "$@"\n')
    (programs / "curl").chmod(0o755)
    path = f"{programs}:{sys.prefix}/bin:{os.environ['PATH']}"
    return Shell(dev.directory.parent, clean_environ(PATH=path, OTP_CALLBACK_SECRET_DEFAULT=SECRET))


def code_on_phone(dev: Dev) -> str:
    """The code of the newest message."""

    def newest() -> str | None:
        with urllib.request.urlopen(f"{dev.sandbox_url}/sandbox/phones/{PERSON}/messages", timeout=10) as response:
            messages = json.load(response)["messages"]
        found = re.search(r"\b[0-9]{6}\b", messages[0]["text"]) if messages else None
        return found[0] if found else None

    return str(wait_until(newest, 10, "a message"))


@pytest.mark.parametrize("paper", PAPERS, ids=name)
def test_every_command_runs(paper: Path, dev: Dev, shell: Shell) -> None:
    """Block by block, with the code of the message where the document has a placeholder; each ends with status 0."""
    expected = {words: printed for (document, words), printed in EXPECTED.items() if document == paper.name}
    met = set()
    for block in blocks(paper, "sh"):
        text = block.text
        if PLACEHOLDER in text:
            text = text.replace(PLACEHOLDER, code_on_phone(dev))
        printed = shell.run(text)
        for words in [words for words in expected if words in text]:
            assert re.search(expected[words], printed), f"{text}\n{printed}"
            met.add(words)
    assert met == set(expected)


def test_a_block_has_a_language_that_the_tests_know() -> None:
    """What a shell runs is marked `sh`. Other blocks are marked too, and begin with no command."""
    for paper in PAPERS:
        for block in blocks(paper):
            assert block.language in {"sh", "toml", "text", "js"}, f"{name(paper)}: {block.text}"
            if block.language != "sh":
                assert not re.match(r"(\$ |\.venv/|otp-service |curl |python3? )", block.text), block.text


def test_every_exception_is_used() -> None:
    """A reason not to run something goes when the last line that needs it goes."""
    lines = [line for paper in PAPERS for block in blocks(paper, "sh") for line in block.text.splitlines()]
    assert {reason_not_to_run(line) for line in lines} == {None, *CANNOT_RUN}


def test_the_readme_is_short_and_begins_with_the_two_commands() -> None:
    """At most 900 words, blocks included; `.ci/run` takes its two commands from the first two blocks."""
    assert len(read(ROOT / "README.md").split()) <= 900
    first, second = (block.text.strip() for block in blocks(ROOT / "README.md")[:2])
    assert "\n" not in first + second
    assert first == "python3 -m venv .venv && .venv/bin/pip install --quiet '.[dev]' && .venv/bin/otp-service dev"
    assert second == ("python3 -m venv .venv && .venv/bin/pip install --quiet -e '.[dev]' && .venv/bin/pytest --quiet")
