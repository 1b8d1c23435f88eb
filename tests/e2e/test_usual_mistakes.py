"""Every command with the usual mistakes: one sentence that says what to do, the right status, nothing secret.

A command that is not in the table is tried with what every command may meet.
"""

import argparse
import http.server
import os
import re
import secrets
import signal
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

from otp_service import config, keyring
from otp_service.cli import main

from .in_process import Commands

CANARY = "canary4711"
FAULTY = """\
colour = 1
[senders.a]
kind = "pigeon"
[apps.b]
route = ["nobody"]
code_length = 99
countries = "US"
"""
SETTINGS = ("store nonsense", "config missing", "config broken", "config faults", "carrier nonsense")
STORE = (*SETTINGS, "store closed", "store is another program")
KEYRING = ("keyring missing", "keyring broken", "keyring for all")
CARRIER = ("carrier nonsense", "carrier closed", "carrier is another program", "carrier key unusable", "no carrier key")
TO = ("--to", "+12025550143", "--text", "x")


@dataclass(frozen=True)
class Row:
    """A command that would do something: its words, what it reads that may be wrong, and words that are wrong."""

    words: tuple[str, ...] = ()
    reads: tuple[str, ...] = ()
    wrong: tuple[str, ...] = ()
    """Each a whole command line behind the command, separated by blanks; `''` is an empty word."""


TABLE: Mapping[str, Row] = {
    "dev": Row(("--dir", "{free}"), wrong=("--port x", "--port 70000", "--sandbox-port -1", "--dir {broken} --port 0")),
    "serve": Row((), SETTINGS, ("--port x", "--workers 0", "--threads x", "--host ''", "--drain x")),
    "worker": Row((), SETTINGS, ("--processes 0", "--concurrency 0", "--metrics-port -1", "--metrics-host ''")),
    "sandbox": Row((), SETTINGS, ("--port x", "--webhook-url foo", "--webhook-url ''", "--host a..b")),
    "keys create": Row(
        ("--app", "default", "--scope", "verify"),
        STORE,
        (
            "",
            "--app default",
            "--app nobody --scope verify",
            "--app default --scope all",
            "--app default --scope verify --expires 0s",
            "--app default --scope verify --expires soon",
        ),
    ),
    "keys list": Row((), STORE, ("--app nobody", "--app", "default")),
    "keys revoke": Row(("x",), STORE, ("", "x", "''")),
    "keys rotate": Row(("x",), STORE, ("", "x", "x --overlap soon")),
    "keyring create": Row((), wrong=("", "''", "{ring}", "/nowhere/k", "{folder}", "{broken}/k", "{ring}/k", "--json")),
    "keyring rotate": Row((), KEYRING[:2], ("--after x", "--after 31d", "--after", "''", "/nowhere", "{broken}")),
    "keyring status": Row((), KEYRING[:2], ("/nowhere", "{broken}", "{folder}", "''", "{faulty}")),
    "keyring reseal": Row((), (*STORE, *KEYRING[:2]), ("/nowhere",)),
    "keyring retire": Row(("x",), KEYRING[:2], ("", "x", "{active}", "x /nowhere", "x {broken}", "x {folder}", "''")),
    "keyring accept": Row((), (*STORE, *KEYRING)),
    "callbacks list": Row((), STORE, ("--app nobody", "x")),
    "callbacks replay": Row(("x",), STORE, ("", "x", "x --dead", "--app nobody --dead")),
    "callbacks keygen": Row((), wrong=("x", "--ed25519 x", "--app default")),
    "replicas list": Row((), STORE, ("x",)),
    "replicas lower": Row((), STORE, ("x",)),
    "outbox dead": Row((), (*STORE, *KEYRING), ("x", "''")),
    "messages send": Row(
        (*TO, "--from", "+18445550001"),
        CARRIER,
        ("", "--to 0123 --text x", "--to +12025550143", "--to +12025550143 --text ''", "--to +12025550143 --text x"),
    ),
    "messages send-group": Row((*TO, "--from", "+18445550001"), CARRIER, ("", "--to x --text x", "--from x")),
    "messages schedule": Row(
        (*TO, "--from", "+18445550001", "--at", "2030-01-01T00:00:00Z"),
        CARRIER,
        ("", "--at tomorrow", "--to +12025550143 --text x --at 2030-01-01"),
    ),
    "messages cancel": Row(("x",), CARRIER, ("", "''")),
    "messages show": Row(("x",), CARRIER, ("", "''")),
    "optouts list": Row((), CARRIER, ("--since yesterday", "--since 2030-01-01", "x")),
    "optouts sync": Row((), (*STORE, *KEYRING, *CARRIER), ("x",)),
    "numbers list": Row((), CARRIER, ("x", "--profile")),
    "numbers show": Row(("x",), CARRIER, ("", "''")),
    "numbers update": Row(("x", "--tag", "y"), CARRIER, ("", "x", "x --profile")),
    "numbers assign": Row(("--profile", "p", "+18880000000"), CARRIER, ("", "--profile p", "--profile p x")),
    "doctor": Row((), (*STORE, *KEYRING), ("x",)),
    "audit tail": Row((), (*STORE, *KEYRING[:2]), ("--since x", "--since 1w", "--since", "x")),
}


def leaves(parser: argparse.ArgumentParser, *words: str) -> Iterator[str]:
    """Every command that does something."""
    groups = [action for action in parser._actions if isinstance(action, argparse._SubParsersAction)]
    if not groups:
        yield " ".join(words)
    for group in groups:
        for name, child in group.choices.items():
            yield from leaves(child, *words, name)


class Page(http.server.BaseHTTPRequestHandler):
    """Another program: it answers what it knows with a page, and the rest with an error page."""

    def do_GET(self) -> None:
        """The page."""
        self.send_response(200)
        self.end_headers()
        self.wfile.write(f"<html>{CANARY}</html>".encode())

    def log_message(self, *_: object) -> None:
        """Nothing."""


class Server(http.server.ThreadingHTTPServer):
    """Says nothing of clients that leave before their answer: it would stand in what the commands print."""

    def handle_error(self, *_: object) -> None:
        """Nothing."""


@pytest.fixture(scope="module")
def another_program() -> Iterator[int]:
    """The port of a program that is neither a store nor the carrier."""
    with Server(("127.0.0.1", 0), Page) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server.server_port
        server.shutdown()


@pytest.fixture
def places(tmp_path: Path) -> dict[str, str]:
    """Files that words and variables name."""
    contents = {
        "ring": keyring.create(secrets.token_bytes, "2026-01-01T00:00:00Z"),
        "broken": f"x = [{CANARY}".encode(),
    }
    contents |= {"good": config.DEV_TOML.encode(), "faulty": FAULTY.encode(), "open": contents["ring"]}
    for name, content in contents.items():
        (tmp_path / name).touch(0o600)
        (tmp_path / name).write_bytes(content)
    (tmp_path / "open").chmod(0o644)
    active = keyring.parse(contents["ring"]).active_kid
    named = {name: str(tmp_path / name) for name in (*contents, "free")}
    return {**named, "folder": str(tmp_path), "active": active}


@pytest.fixture
def mistakes(redis_url: str, another_program: int, places: dict[str, str]) -> dict[str, dict[str, str]]:
    """Environments: all is right in the one without a name, and in each of the others one thing is wrong."""
    elsewhere = f"127.0.0.1:{another_program}"
    right = {
        "OTP_REDIS_URL": redis_url,
        "OTP_KEYRING": places["ring"],
        "OTP_CONFIG": places["good"],
        "TELNYX_API_KEY": f"KEY{CANARY}",
        "TELNYX_BASE_URL": f"http://{elsewhere}/v2",
    }
    wrong = {
        "": {},
        "store nonsense": {"OTP_REDIS_URL": f"user:{CANARY}@store:6379"},
        "store closed": {"OTP_REDIS_URL": f"redis://user:{CANARY}@127.0.0.1:1/0"},
        "store is another program": {"OTP_REDIS_URL": f"redis://user:{CANARY}@{elsewhere}/0"},
        "config missing": {"OTP_CONFIG": "/nowhere.toml"},
        "config broken": {"OTP_CONFIG": places["broken"]},
        "config faults": {"OTP_CONFIG": places["faulty"]},
        "keyring missing": {"OTP_KEYRING": "/nowhere.json"},
        "keyring broken": {"OTP_KEYRING": places["broken"]},
        "keyring for all": {"OTP_KEYRING": places["open"]},
        "carrier nonsense": {"TELNYX_BASE_URL": "api.example.com"},
        "carrier closed": {"TELNYX_BASE_URL": "http://127.0.0.1:1/v2"},
        "carrier is another program": {},
        "carrier key unusable": {"TELNYX_API_KEY": f"KEY{CANARY}\n{CANARY}"},
        "no carrier key": {"TELNYX_API_KEY": ""},
    }
    return {name: right | changed for name, changed in wrong.items()}


@pytest.fixture
def commands(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Iterator[Commands]:
    """A shell without variables of ours; what a command sets in this process is put back."""
    for name in [name for name in os.environ if name.startswith(("OTP_", "TELNYX_"))]:
        monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)
    kept = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
    mask = os.umask(0o022)
    yield Commands(capsys)
    os.umask(mask)
    for number, handler in kept.items():
        signal.signal(number, handler)


OURS_ALONE = re.compile(r"Traceback|Errno|\$\.|Error:|Exception|object at 0x|tomllib|msgspec|\('")
"""Signs of a library's own words."""


def judge(told: tuple[int, str, str], command: str) -> None:
    """One sentence, or a head line with the faults below it; the right status; no secret, no library's words."""
    status, out, err = told
    assert status in (1, 2), told
    assert CANARY not in out + err, told
    assert not OURS_ALONE.search(out + err), told
    assert out == "" or command == "doctor", told
    head, *faults = err.splitlines()
    assert head.startswith("otp-service"), told
    assert not faults or (head.endswith("faults:") and all(fault.startswith("  ") for fault in faults)), told


@pytest.mark.parametrize("command", sorted(leaves(main.build_parser())))
def test_a_mistake_is_one_sentence(
    command: str,
    commands: Commands,
    mistakes: dict[str, dict[str, str]],
    places: dict[str, str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Words that are wrong, then surroundings that are."""
    row = TABLE.get(command, Row())
    lines = [("", f"{command} {words}".strip()) for words in ("--frob", "a b c d e f", *row.wrong)]
    lines += [(name, f"{command} {' '.join(row.words)}".strip()) for name in row.reads]
    for name, line in lines:
        for variable, value in mistakes[name].items():
            monkeypatch.setenv(variable, value)
        words = [word.strip("'").format(**places) for word in line.split(" ")]
        try:
            told = commands.run(*words)
        except BaseException as error:
            raise AssertionError((line, name)) from error
        try:
            judge(told, command)
        except AssertionError as error:
            raise AssertionError((line, name)) from error


def test_a_file_that_is_no_toml_is_told_place_by_place(commands: Commands, tmp_path: Path) -> None:
    """Every line that is wrong, in words of ours, and nothing of what stands there."""
    path = tmp_path / "otp-service.toml"
    path.write_text(
        f'[apps.a]\nbrand = {CANARY}\nroute = ["x"]\n[apps.a]\nan app = 1\ncode_length = 6 7\nx = "{CANARY}\n'
    )
    status, out, err = commands.run("keys", "list")
    assert (status, out) == (1, "")
    assert re.findall(r", (line \d+, column \d+): ", err) == [
        "line 2, column 9",
        "line 4, column 8",
        "line 5, column 4",
        "line 6, column 17",
        f"line 7, column {6 + len(CANARY)}",
    ]
    assert "text stands in quotes" in err
    assert CANARY not in err
    path.write_bytes(b"\xff\xfe")
    assert "not UTF-8" in commands.refused("keys", "list")
