"""Every command explains itself, and a mistake is one sentence."""

import argparse
import os
import re
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from otp_service import config
from otp_service.cli import main
from tests.conftest import clean_environ

from .commands import run, run_process, sentence

PUBLIC_KEY = "A6EHv/POEL4dcN0Y50vAmWfk1jCbpQ1fHdyGZBJVMbg="


def commands(parser: argparse.ArgumentParser) -> Iterator[tuple[str, ...]]:
    """Every command and group of the command line."""
    yield ()
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for name, child in action.choices.items():
                yield from ((name, *rest) for rest in commands(child))


class TestHelp:
    """Nobody needs the source to use a command."""

    @pytest.mark.parametrize("words", list(commands(main.build_parser())), ids=" ".join)
    def test_every_command_explains_itself(self, words: tuple[str, ...], capsys: pytest.CaptureFixture[str]) -> None:
        """--help exits 0, explains what the command does and shows an example."""
        with pytest.raises(SystemExit) as ended:
            main.main([*words, "--help"])
        text = capsys.readouterr().out
        assert ended.value.code == 0
        assert text.startswith("usage: otp-service")
        assert re.search(r"examples?:\n  .*otp-service " if words else "Begin with: otp-service dev", text)

    def test_the_contract_s_commands_exist(self) -> None:
        """Every command that the contract promises by now."""
        wanted = {("dev",), ("serve",), ("worker",), ("sandbox",), ("doctor",), ("audit", "tail")}
        wanted |= {("keys", verb) for verb in ("create", "list", "revoke", "rotate")}
        wanted |= {("keyring", verb) for verb in ("create", "rotate", "reseal", "status", "retire")}
        assert wanted <= set(commands(main.build_parser()))

    def test_help_is_quick(self) -> None:
        """It imports none of the heavy libraries."""
        script = "import sys, otp_service.cli.main as c; c.build_parser().format_help(); print(' '.join(sys.modules))"
        loaded = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout
        assert not {"flask", "redis", "httpx", "uvicorn", "rich", "phonenumbers"} & set(loaded.split())

    def test_a_process_does_without_the_command_line_of_httpx(self) -> None:
        """Its libraries for colours and progress bars would be in the memory of each process."""
        script = "import sys, otp_service.bootstrap.worker, httpx; print(' '.join(sys.modules))"
        loaded = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout
        assert "httpx._client" in loaded.split()
        assert not {"rich", "pygments"} & set(loaded.split())

    def test_metrics_are_imported_after_their_directory_is_set(self) -> None:
        """The main process of the API sets it; a library that was imported before would keep each process's own."""
        script = "import sys, otp_service.runtime.front_server; print('prometheus_client' in sys.modules)"
        assert subprocess.run([sys.executable, "-c", script], capture_output=True, check=True).stdout == b"False\n"

    def test_the_module_is_the_command(self) -> None:
        """`python -m otp_service --version` answers as the console script does."""
        assert run_process("--version").stdout.startswith("otp-service ")


class TestMistakes:
    """What is typed wrongly is answered in one sentence, with status 2."""

    @pytest.mark.parametrize(
        ("words", "part"),
        [
            ([], "COMMAND"),
            (["frob"], "frob"),
            (["keys"], "COMMAND"),
            (["keys", "create"], "--app"),
            (["keys", "create", "--app", "no app", "--scope", "verify"], "no app"),
            (["serve", "--port", "70000"], "70000"),
            (["serve", "--port", "eighty"], "eighty"),
            (["serve", "--workers", "0"], "--workers"),
            (["worker", "--concurrency", "-1"], "--concurrency"),
            *((["sandbox", "--webhook-url", url], "--webhook-url") for url in ("foo", "", "http://", "ftp://x/")),
            *(
                (["sandbox", "--webhook-url", url], repr(url))
                for url in ("http://x:99999/", "http://[::1", "http://x y")
            ),
            (["sandbox", "--port", "99999"], "99999"),
            (["sandbox", "--host", "not..valid"], "--host"),
            (["serve", "--host", ""], "--host"),
            (["optouts", "list", "--since", "yesterday"], "yesterday"),
            (["optouts", "list", "--since", "9999-12-31T23:59:59-14:00"], "9999"),
            (["messages", "schedule", "--to", "+12025550143", "--text", "x", "--at", "tomorrow"], "tomorrow"),
            (["messages", "send", "--to", "0123", "--text", "x"], "0123"),
        ],
    )
    def test_one_sentence(self, words: list[str], part: str) -> None:
        """It names the mistake and where to read on."""
        text = sentence(run(*words), status=2)
        assert part in text
        assert "--help" in text


@pytest.mark.parametrize(
    ("words", "environ", "part"),
    [
        *(
            (["keys", "list"], {"OTP_REDIS_URL": url}, "OTP_REDIS_URL")
            for url in (
                *("foo", "redis://", "redis://[::1", "redis://h:port", "redis://h:99999", "redis://h..x:1", "unix://"),
                *("redis://127.0.0.1:1/0?foo=bar", "redis://127.0.0.1:1/0?socket_timeout=abc", "redis://127.0.0.1:1/x"),
                *("redis+sentinel://", "redis+sentinel://h", "redis+sentinel://h:x/main", "redis+cluster://h:x"),
            )
        ),
        (["keys", "list"], {"OTP_CONFIG": "/proc"}, "/proc"),
        (["keys", "list"], {"OTP_CONFIG": "/nowhere"}, "/nowhere"),
        (["keys", "list"], {"OTP_CONFIG": "{broken}"}, "TOML"),
        (["keys", "list"], {"OTP_REDIS_URL_FILE": "/nowhere"}, "OTP_REDIS_URL_FILE"),
        (["keys", "list"], {"OTP_SHARDS": "x"}, "OTP_SHARDS"),
        (["keys", "list"], {"OTP_LOG_LEVEL": "x"}, "OTP_LOG_LEVEL"),
        (["keys", "list"], {"OTP_PUBLIC_URL": "foo"}, "OTP_PUBLIC_URL"),
        (["keyring", "create", "/nowhere/k"], {}, "/nowhere/k"),
        (["keyring", "rotate", "{broken}"], {}, "keyring"),
        (
            ["serve", "--port", "0"],
            {"OTP_KEYRING": "{broken}", "OTP_CONFIG": "{good}", "TELNYX_PUBLIC_KEY": PUBLIC_KEY},
            "OTP_KEYRING",
        ),
        (["serve", "--port", "0", "--host", "203.0.113.9"], {}, "203.0.113.9"),
        (["serve", "--port", "0", "--host", "999.1.1.1"], {}, "999.1.1.1"),
        (["sandbox", "--port", "0", "--host", "203.0.113.9"], {}, "203.0.113.9"),
        (["sandbox", "--port", "{taken}"], {}, "taken by another program; choose another with --host or --port"),
        (["serve", "--port", "{taken}"], {"OTP_KEYRING": "{broken}"}, "taken"),
        (["dev", "--port", "{taken}", "--dir", "{free}"], {}, "taken"),
        (["sandbox", "--port", "0"], {"TELNYX_WEBHOOK_SIGNING_SEED": "x"}, "TELNYX_WEBHOOK_SIGNING_SEED"),
        (["worker"], {"OTP_METRICS_DIR": "{broken}", "OTP_KEYRING": "{broken}"}, "OTP_METRICS_DIR"),
        (["numbers", "list"], {"TELNYX_API_KEY": "é"}, "key"),
        (["numbers", "list"], {"TELNYX_API_KEY": "k", "TELNYX_BASE_URL": "foo"}, "TELNYX_BASE_URL"),
        (["dev", "--dir", "{broken}", "--port", "0", "--sandbox-port", "0"], {}, "{broken}"),
        (["dev", "--dir", "{free}", "--port", "0", "--sandbox-port", "0", "--redis-url", "foo"], {}, "OTP_REDIS_URL"),
        (["audit", "tail", "--since", "x"], {}, "--since"),
    ],
)
def test_what_cannot_be_used_is_one_sentence(
    tmp_path: Path, words: list[str], environ: dict[str, str], part: str
) -> None:
    """Addresses, paths, ports, files and times that are no good: what and why, and never a traceback."""
    broken = tmp_path / "broken"
    broken.write_text("x = [")
    broken.chmod(0o600)
    good = tmp_path / "good.toml"
    good.write_text(config.DEV_TOML)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])

        def fill(text: str) -> str:
            values = {"broken": broken, "good": good, "free": tmp_path / "d", "taken": port}
            for name, value in values.items():
                text = text.replace("{" + name + "}", str(value))
            return text

        done = run(*map(fill, words), **{name: fill(value) for name, value in environ.items()})
    assert fill(part) in sentence(done)


@pytest.mark.parametrize(
    ("words", "named"),
    [
        (["serve", "--port", "0"], ["no app is configured", "OTP_KEYRING", "TELNYX_PUBLIC_KEY"]),
        (["worker"], ["no app is configured", "OTP_KEYRING", "TELNYX_API_KEY"]),
        (["keys", "list"], ["OTP_REDIS_URL", "OTP_SHARDS", "OTP_LOG_LEVEL"]),
        (["numbers", "list"], ["TELNYX_BASE_URL", "TELNYX_API_KEY"]),
    ],
)
def test_everything_that_is_missing_is_reported_at_once(words: list[str], named: list[str]) -> None:
    """A head line, then a line for each fault; status 1 and no traceback."""
    wrong = {"OTP_REDIS_URL": "foo", "OTP_SHARDS": "0", "OTP_LOG_LEVEL": "loud"} if words[0] == "keys" else {}
    wrong |= {"TELNYX_BASE_URL": "foo"} if words[0] == "numbers" else {}
    done = run(*words, **wrong)
    head, *faults = done.stderr.splitlines()
    assert (done.returncode, done.stdout) == (1, "")
    assert head == f"otp-service: the configuration has {len(named)} faults:"
    assert all(line.startswith(f"  {name}") for line, name in zip(faults, named, strict=True))


def test_a_directory_that_is_gone_is_one_sentence(tmp_path: Path) -> None:
    """Somebody removed the directory that the shell is in."""
    gone = tmp_path / "gone"
    gone.mkdir()
    script = f"import os; os.chdir({str(gone)!r}); os.rmdir({str(gone)!r}); import otp_service.cli.main as c; "
    done = subprocess.run(
        [sys.executable, "-c", script + "raise SystemExit(c.main(['keys', 'list']))"],
        capture_output=True,
        text=True,
        env=clean_environ(),
        check=False,
    )
    assert "directory" in sentence(done)


@pytest.mark.parametrize("command", [("keys", "revoke"), ("keys", "rotate"), ("messages", "show")])
def test_an_argument_that_is_no_text_is_refused(command: tuple[str, ...]) -> None:
    """One sentence that names the argument, for every command alike."""
    ended = run_process(*command, os.fsdecode(b"x\xff"))
    assert ended.returncode != 0
    assert ended.stderr == "otp-service: argument 3 is not valid UTF-8\n"
