"""What commands say of a carrier that refuses, is away or is none, and what a terminal shows while they wait."""

import json
import os
import pty
import re
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from tests.conftest import wait_until

from .carrier_shell import KEY, MOBILE, NOBODY, PERSON, PROFILE, TOLL_FREE, Shell


class TestTheCarrier:
    """Where the carrier is and whether it lets us in, for every command alike."""

    COMMANDS = (
        ("messages", "send", "--from", TOLL_FREE, "--to", PERSON, "--text", "x"),
        ("messages", "send-group", "--from", TOLL_FREE, "--to", PERSON, "--text", "x"),
        ("messages", "schedule", "--from", TOLL_FREE, "--to", PERSON, "--text", "x", "--at", "2030-01-01T00:00:00Z"),
        ("messages", "cancel", NOBODY),
        ("messages", "show", NOBODY),
        ("optouts", "list"),
        ("numbers", "list"),
        ("numbers", "list", "--mobile"),
        ("numbers", "show", TOLL_FREE),
        ("numbers", "show", MOBILE, "--mobile"),
        ("numbers", "update", TOLL_FREE, "--tag", "x"),
        ("numbers", "assign", "--profile", PROFILE, "+18880000001"),
        ("numbers", "assign", "--order", NOBODY),
    )

    @pytest.mark.parametrize("words", COMMANDS, ids=lambda words: " ".join(words[:3]))
    def test_a_wrong_key(self, shell: Shell, monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...]) -> None:
        """The sentence names the variable."""
        monkeypatch.setenv("TELNYX_API_KEY", "WRONG")
        assert "check TELNYX_API_KEY" in shell.refused(*words)

    @pytest.mark.parametrize("words", COMMANDS, ids=lambda words: " ".join(words[:3]))
    def test_no_carrier(self, shell: Shell, monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...]) -> None:
        """Nobody listens there."""
        monkeypatch.setenv("TELNYX_BASE_URL", "http://127.0.0.1:1/v2")
        assert "check TELNYX_BASE_URL" in shell.refused(*words)

    @pytest.mark.parametrize("words", COMMANDS, ids=lambda words: " ".join(words[:3]))
    def test_no_key(self, shell: Shell, monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...]) -> None:
        """Without a key nothing is asked."""
        monkeypatch.delenv("TELNYX_API_KEY")
        assert "TELNYX_API_KEY is not set" in shell.refused(*words)
        assert shell.requests() == []

    @pytest.mark.parametrize(
        "url", ["ftp://x/v2", "nonsense", "http://user:secret@127.0.0.1/v2", "http://127.0.0.1/?a=1"]
    )
    def test_an_address_that_is_none(self, shell: Shell, monkeypatch: pytest.MonkeyPatch, url: str) -> None:
        """One sentence, and no password in it."""
        monkeypatch.setenv("TELNYX_BASE_URL", url)
        sentence = shell.refused("numbers", "list")
        assert "URL" in sentence
        assert "secret" not in sentence

    def test_something_else_answers(self, shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
        """An address without its version is found out."""
        monkeypatch.setenv("TELNYX_BASE_URL", shell.server.url)
        assert "TELNYX_BASE_URL" in shell.refused("numbers", "list")

    def test_the_key_may_come_from_a_file(self, shell: Shell, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
        """TELNYX_API_KEY_FILE names it, as for the service."""
        monkeypatch.delenv("TELNYX_API_KEY")
        (tmp_path / "key").touch(0o600)
        (tmp_path / "key").write_text(f"{KEY}\n")
        monkeypatch.setenv("TELNYX_API_KEY_FILE", str(tmp_path / "key"))
        assert shell.data("numbers", "show", TOLL_FREE)["phone_number"] == TOLL_FREE


SLOW = (sys.executable, "-m", "otp_service", "messages", "send", "--from", TOLL_FREE, "--to", PERSON, "--text", "x")

PATIENT_BAR = """
import sys
from otp_service.cli import main, progress
progress.SLOW_S = 60
sys.exit(main.main(sys.argv[1:]))
"""
QUICK = (sys.executable, "-c", PATIENT_BAR)
"""The program, to which even a busy machine is quick."""


def on_terminal(command: tuple[str, ...], environ: dict[str, str]) -> tuple[int, str, str]:
    """Run a command whose stderr is a terminal and whose stdout is a pipe: status, stdout, what the terminal showed."""
    ours, theirs = pty.openpty()
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=theirs, env=environ | {"TERM": "xterm"})
    os.close(theirs)
    shown = bytearray()

    def read() -> None:
        # On Linux reading fails when the last writer has gone.
        while True:
            try:
                part = os.read(ours, 4096)
            except OSError:
                return
            shown.extend(part)

    reader = threading.Thread(target=read)
    reader.start()
    out, _ = process.communicate(timeout=90)
    reader.join()
    os.close(ours)
    return process.returncode, out.decode(), shown.decode(errors="replace")


def heeding_ctrl_c() -> None:
    """A shell that starts the tests in the background lets them ignore Ctrl-C, and whatever they start as well."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


class TestProgress:
    """A person who waits sees that something goes on; a program sees nothing of it."""

    def test_a_terminal_shows_a_bar_after_two_seconds(self, shell: Shell) -> None:
        """On stderr only, and it is gone at the end."""
        shell.chaos(send={"mode": "slow", "latency_ms": 2_800})
        status, out, shown = on_terminal((*SLOW, "--json"), shell.environ)
        assert (status, json.loads(out)["record_type"]) == (0, "message")
        assert "Sending" in shown

    def test_a_quick_command_shows_none(self, shell: Shell) -> None:
        """Nothing flickers."""
        status, _, shown = on_terminal((*QUICK, *SLOW[3:], "--json"), shell.environ)
        assert (status, shown) == (0, "")

    def test_a_pipe_shows_none(self, shell: Shell) -> None:
        """However long it takes."""
        shell.chaos(send={"mode": "slow", "latency_ms": 2_800})
        done = subprocess.run(SLOW, env=shell.environ, capture_output=True, timeout=90, check=True)
        assert done.stderr == b""

    def test_an_order_that_is_left_says_how_to_come_back(self, shell: Shell) -> None:
        """Ctrl-C ends the following, not the order."""
        numbers = [f"+1{area}5550100" for area in range(200, 900)]
        command = (sys.executable, "-m", "otp_service", "numbers", "assign", "--profile", PROFILE, *numbers)
        process = subprocess.Popen(
            command,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=shell.environ,
            text=True,
            preexec_fn=heeding_ctrl_c,  # noqa: PLW1509 - it takes no lock
        )
        wait_until(lambda: len(shell.requests()) >= 2, 60, "the first look at the order")
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=60)
        assert process.returncode == 130
        found = re.search(r"numbers assign --order (\S+)\n", err)
        assert found, err
        status, _, err = shell.run("numbers", "assign", "--order", found[1])
        assert (status, "numbers could not be moved" in err) == (1, True)
