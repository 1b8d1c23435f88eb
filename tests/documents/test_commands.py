"""Every command that a document prints runs, in the order in which a reader meets them."""

import base64
import json
import os
import re
import shutil
import sys
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import Dev, clean_environ, start_dev, stop_dev, wait_until

from .reading import DOCUMENTS, ROOT, all_spans, blocks, name, read
from .shell import CANNOT_RUN, Shell, install_curl, reason_not_to_run

PLACEHOLDER = "123456"
"""Where a reader puts the code of the message."""
PERSON = "+12025550143"
WITHIN_S = 90
"""What a reader waits for comes within a second, and on a busy machine within many."""

COPIED = ("otp_service", "tests", "deploy", ".ci", "setup.cfg", ".ruff.toml", "README.md")
CALLBACKS = 'callback_url = "http://127.0.0.1:9/otp-events"\ncallback_allow_private = true\n'
"""Added to the example's app, for the guide on callbacks. Nobody listens there."""
SECRET = "whsec_" + base64.b64encode(bytes(32)).decode()
PENDING, APPROVED, OPTED_OUT = r'"status": ?"pending"', r'"status": ?"approved"', r'"code": ?"opted_out"'
EXPECTED: dict[str, dict[str, list[str]]] = {
    "README.md": {"verify/start": [PENDING], "verify/check": [APPROVED]},
    "quick-start.md": {
        "verify/start": [PENDING, OPTED_OUT, PENDING],
        "verify/check": [APPROVED],
        "audit tail": [r"verification\.approved"],
    },
}
"""What the blocks of a document that hold these words must print, one after the other."""


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
    # Not started in the copy: its processes would import the copy's package.
    running = start_dev(
        directory / ".otp-dev",
        working=tmp_path_factory.mktemp("elsewhere"),
        OTP_CONFIG=str(directory / "example.toml"),
        OTP_CALLBACK_SECRET_DEFAULT=SECRET,
    )
    try:
        yield running
    finally:
        stop_dev(running)


@pytest.fixture(scope="module")
def shell(dev: Dev, tmp_path_factory: pytest.TempPathFactory) -> Shell:
    """A shell in that copy, with a `curl` that every machine has."""
    programs = install_curl(tmp_path_factory.mktemp("programs"))
    path = f"{programs}:{sys.prefix}/bin:{os.environ['PATH']}"
    environ = clean_environ(PATH=path, OTP_CALLBACK_SECRET_DEFAULT=SECRET)
    # A run of tests within this one must not take our options, nor erase what coverage has measured.
    for variable in [one for one in environ if one.startswith(("PYTEST_", "COVERAGE_", "COV_CORE_"))]:
        del environ[variable]
    return Shell(dev.directory.parent, environ)


@dataclass
class Reader:
    """A person who follows the documents, with the phone beside them."""

    dev: Dev
    seen: set[str] = field(default_factory=set)

    def code(self) -> str:
        """The code of a message that was not read before."""

        def newest() -> str | None:
            found = self.get(f"{self.dev.sandbox_url}/sandbox/phones/{PERSON}/messages")["messages"]
            if not found or found[0]["id"] in self.seen:
                return None
            self.seen.add(found[0]["id"])
            code = re.search(r"\b[0-9]{6}\b", found[0]["text"])
            return code[0] if code else None

        return str(wait_until(newest, WITHIN_S, "a message"))

    def opted_out(self) -> bool:
        """Whether the service knows of the person's STOP."""
        profiles = self.get(f"{self.dev.url}/optouts/{PERSON}", self.dev.env["OTP_API_KEY"])["profiles"]
        return any(profile["opted_out"] for profile in profiles)

    def get(self, url: str, key: str = "") -> Any:
        """The JSON of a response."""
        request = urllib.request.Request(url, headers={"Authorization": f"Bearer {key}"} if key else {})
        with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request, timeout=WITHIN_S) as response:
            return json.load(response)


@pytest.fixture(scope="module")
def reader(dev: Dev) -> Reader:
    """Whoever reads the documents from the first to the last."""
    return Reader(dev)


def test_all_that_is_printed_works(reader: Reader, shell: Shell, subtests: pytest.Subtests) -> None:
    """The commands of each document, and the operations that are named.

    One test, so that one process runs it: several would each start a `dev`, and read the documents in any order.
    """
    for document in DOCUMENTS:
        with subtests.test(msg=name(document)):
            run_every_command(document, reader, shell)
    with subtests.test(msg="operations"):
        find_every_operation(reader)


def run_every_command(document: Path, reader: Reader, shell: Shell) -> None:
    """Block by block, with the code of the message where the document has a placeholder; each ends with status 0."""
    printed: dict[str, list[str]] = {words: [] for words in EXPECTED.get(document.name, {})}
    for block in blocks(document, "sh"):
        text = block.text.replace(PLACEHOLDER, reader.code()) if PLACEHOLDER in block.text else block.text
        output = shell.run(text)
        for words in [words for words in printed if words in text]:
            printed[words].append(output)
        if '"STOP"' in text:
            wait_until(reader.opted_out, WITHIN_S, "the opt-out")
    for words, outputs in printed.items():
        for pattern, output in zip(EXPECTED[document.name][words], outputs, strict=True):
            assert re.search(pattern, output), f"{words}: {output}"


def find_every_operation(reader: Reader) -> None:
    """`GET /verify/{verification_id}` and its like are operations of the running service."""
    paths = reader.get(f"{reader.dev.url}/openapi.json")["paths"]
    known = {f"{method.upper()} {path}" for path, operations in paths.items() for method in operations}
    named = {
        found[0]
        for span in all_spans()
        if (found := re.match(r"(GET|POST|PUT|PATCH|DELETE) /[\w/.{}-]*", span)) is not None
    }
    assert len(named) >= 6
    assert named <= known


def test_a_block_has_a_language_that_the_tests_know() -> None:
    """What a shell runs is marked `sh`. Other blocks are marked too, and begin with no command."""
    for document in DOCUMENTS:
        for block in blocks(document):
            assert block.language in {"sh", "toml", "text", "js", "python"}, f"{name(document)}: {block.text}"
            if block.language != "sh":
                assert not re.match(r"(\$ |\.venv/|otp-service |curl |python3? )", block.text), block.text


def test_every_exception_is_used() -> None:
    """A reason not to run something goes when the last line that needs it goes."""
    lines = [line for document in DOCUMENTS for block in blocks(document, "sh") for line in block.text.splitlines()]
    assert {reason_not_to_run(line) for line in lines} == {None, *CANNOT_RUN}


def test_the_readme_is_short_and_begins_with_the_two_commands() -> None:
    """At most 900 words, blocks included; `.ci/run` takes its two commands from the first two blocks."""
    assert len(read(ROOT / "README.md").split()) <= 900
    first, second = (block.text.strip() for block in blocks(ROOT / "README.md")[:2])
    assert "\n" not in first + second
    assert first == "python3 -m venv .venv && .venv/bin/pip install --quiet '.[dev]' && .venv/bin/otp-service dev"
    assert second == ("python3 -m venv .venv && .venv/bin/pip install --quiet -e '.[dev]' && .venv/bin/pytest --quiet")
