"""The commands from a shell: what they print, where, and the exit status."""

import argparse
import base64
import contextlib
import json
import os
import re
import signal
import socket
import stat
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from otp_service import config
from otp_service.cli import main
from tests.conftest import Dev, clean_environ, wait_until

PUBLIC_KEY = "A6EHv/POEL4dcN0Y50vAmWfk1jCbpQ1fHdyGZBJVMbg="


def run(*arguments: str, **environ: str) -> subprocess.CompletedProcess[str]:
    """Run a command to its end."""
    return subprocess.run(
        [sys.executable, "-m", "otp_service", *arguments],
        capture_output=True,
        text=True,
        timeout=30,
        env=clean_environ(**environ),
        cwd="/",
        check=False,
    )


def beside(dev: Dev, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run a command with the variables of DIR/env, as in a second terminal."""
    return run(*arguments, **dev.env)


@contextlib.contextmanager
def a_store_whose_clock_shows(seconds: int) -> Iterator[str]:
    """Something that answers every command but TIME with an error."""

    def serve() -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _ = listener.accept()
                with connection:
                    while received := connection.recv(4096):
                        for _ in range(received.count(b"*")):
                            known = b"TIME" in received
                            connection.sendall(b"*2\r\n$10\r\n%d\r\n$1\r\n0\r\n" % seconds if known else b"-ERR no\r\n")

    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=serve, daemon=True).start()
        yield f"redis://127.0.0.1:{listener.getsockname()[1]}?protocol=2"


def data(done: subprocess.CompletedProcess[str]) -> Any:
    """The JSON that a successful command printed."""
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def sentence(done: subprocess.CompletedProcess[str], status: int = 1) -> str:
    """The one sentence of a command that failed."""
    assert done.returncode == status
    assert done.stdout == ""
    assert done.stderr.count("\n") == 1, done.stderr
    assert "Traceback" not in done.stderr
    return done.stderr


def status_with(dev: Dev, key: str) -> int:
    """The status of a request with this key: 404 if the key is valid, because there is no such verification."""
    request = urllib.request.Request(f"{dev.url}/verify/vrf_{'a' * 32}", headers={"Authorization": f"Bearer {key}"})
    try:
        with urllib.request.urlopen(request, timeout=5) as response:
            return int(response.status)
    except urllib.error.HTTPError as error:
        error.close()
        return error.code


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
        wanted |= {("keyring", verb) for verb in ("create", "rotate", "status")}
        assert wanted <= set(commands(main.build_parser()))

    def test_help_is_quick(self) -> None:
        """It imports none of the heavy libraries."""
        script = "import sys, otp_service.cli.main as c; c.build_parser().format_help(); print(' '.join(sys.modules))"
        loaded = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout
        assert not {"flask", "redis", "httpx", "granian", "rich", "phonenumbers"} & set(loaded.split())

    def test_the_module_is_the_command(self) -> None:
        """`python -m otp_service --version` answers as the console script does."""
        assert run("--version").stdout.startswith("otp-service ")


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
        (["sandbox", "--port", "{taken}"], {}, "taken"),
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
    ended = run(*command, os.fsdecode(b"x\xff"))
    assert ended.returncode != 0
    assert ended.stderr == "otp-service: argument 3 is not valid UTF-8\n"


class TestKeys:
    """The life of an API key, seen by the service that runs."""

    def test_a_key_works_at_once_and_not_five_seconds_after_its_revocation(self, dev: Dev) -> None:
        """Created, listed, used, revoked; the list explains it afterwards."""
        made = data(beside(dev, "keys", "create", "--app", "default", "--scope", "verify", "--json"))
        assert set(made) == {"id", "app", "scopes", "expires_at", "key"}
        assert (made["app"], made["scopes"], made["expires_at"]) == ("default", ["verify"], None)
        assert status_with(dev, made["key"]) == 404
        assert data(beside(dev, "keys", "revoke", made["id"], "--json")) == {"id": made["id"], "revoked": True}
        wait_until(lambda: status_with(dev, made["key"]) == 401, 5, "the revocation")
        listed = {item["id"]: item for item in data(beside(dev, "keys", "list", "--json"))}
        assert listed[made["id"]]["revoked_at"] is not None

    def test_a_key_expires(self, dev: Dev) -> None:
        """--expires is kept to the second and printed in RFC 3339."""
        made = data(beside(dev, "keys", "create", "--app", "default", "--scope", "verify", "--expires", "2s", "--json"))
        left = datetime.fromisoformat(made["expires_at"]) - datetime.now(UTC)
        assert 0 < left.total_seconds() <= 2
        wait_until(lambda: status_with(dev, made["key"]) == 401, 6, "the expiry")

    def test_rotation_keeps_both_for_the_overlap(self, dev: Dev) -> None:
        """The new key has the old one's app and scopes; the old one ends when the overlap does."""
        old = data(
            beside(dev, "keys", "create", "--app", "default", "--scope", "verify", "--scope", "audit:read", "--json")
        )
        new = data(beside(dev, "keys", "rotate", old["id"], "--overlap", "3s", "--json"))
        assert (new["app"], new["scopes"]) == (old["app"], old["scopes"])
        assert status_with(dev, old["key"]) == 404
        assert status_with(dev, new["key"]) == 404
        wait_until(lambda: status_with(dev, old["key"]) == 401, 10, "the end of the overlap")
        assert status_with(dev, new["key"]) == 404

    def test_people_see_the_secret_once(self, dev: Dev) -> None:
        """Without --json the secret stands on a line of its own, and the list never shows it."""
        done = beside(dev, "keys", "create", "--app", "default", "--scope", "metrics", "--expires", "90d")
        assert done.returncode == 0
        secret = next(line for line in done.stdout.splitlines() if line.startswith("otp_"))
        key_id = secret.split("_")[1]
        listed = beside(dev, "keys", "list", "--app", "default")
        assert listed.returncode == 0
        assert key_id in listed.stdout
        assert secret not in listed.stdout

    @pytest.mark.parametrize(
        ("words", "part"),
        [
            (["create", "--app", "default", "--scope", "root"], "'root'"),
            (["create", "--app", "default", "--scope", "verify", "--expires", "soon"], "--expires"),
            (["create", "--app", "default", "--scope", "verify", "--expires", "0s"], "--expires"),
            (["create", "--app", "nobody", "--scope", "verify"], "'nobody'"),
            (["list", "--app", "nobody"], "'nobody'"),
            (["revoke", "ffffffffffff"], "'ffffffffffff'"),
            (["rotate", "ffffffffffff"], "'ffffffffffff'"),
            (["rotate", "ffffffffffff", "--overlap", "x"], "--overlap"),
        ],
    )
    def test_what_cannot_be_done(self, dev: Dev, words: list[str], part: str) -> None:
        """One sentence that names it, status 1."""
        assert part in sentence(beside(dev, "keys", *words))

    def test_a_store_that_does_not_answer(self) -> None:
        """One sentence, which does not repeat the URL's password."""
        done = run("keys", "list", OTP_REDIS_URL="redis://:hunter2@127.0.0.1:1/0")
        assert "store" in sentence(done)
        assert "hunter2" not in done.stderr

    def test_a_closed_pipe_prints_no_error(self, dev: Dev) -> None:
        """A closed pipe ends the command without a traceback."""
        reader, writer = os.pipe()
        os.close(reader)
        done = subprocess.run(
            [sys.executable, "-m", "otp_service", "keys", "list", "--json"],
            stdout=writer,
            stderr=subprocess.PIPE,
            text=True,
            env=clean_environ(**dev.env),
            timeout=30,
            check=False,
        )
        os.close(writer)
        assert done.stderr == ""
        assert done.returncode != 0


class TestKeyring:
    """The file of secrets."""

    def test_it_is_made_for_this_user_only_and_never_overwritten(self, tmp_path: Path) -> None:
        """Mode 0600; a second create refuses and changes nothing."""
        path = tmp_path / "keyring.json"
        made = data(run("keyring", "create", str(path), "--json"))
        before = path.read_bytes()
        assert made["path"] == str(path)
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert "exists" in sentence(run("keyring", "create", str(path)))
        assert path.read_bytes() == before

    def test_rotation_publishes_a_key_that_is_active_later(self, tmp_path: Path) -> None:
        """The active key is the same for ten minutes, the new one is named with its time; `status` shows the same."""
        path = tmp_path / "keyring.json"
        first = data(run("keyring", "create", str(path), "--json"))["active_kid"]
        rotated = data(run("keyring", "rotate", str(path), "--json"))
        assert rotated["active_kid"] == first
        after = datetime.fromisoformat(rotated["active_from"]) - datetime.now(UTC)
        assert timedelta(minutes=9) < after <= timedelta(minutes=10)
        shown = run("keyring", "status", str(path), "--json").stdout
        status = json.loads(shown)
        assert [(key["kid"], key["state"]) for key in status["keys"]] == [
            (first, "active"),
            (rotated["next_kid"], "next"),
        ]
        assert status["keys"][1]["active_from"] == rotated["active_from"]
        prints = {status["index_fingerprint"], *(key["fingerprint"] for key in status["keys"])}
        assert len(prints) == 3
        for text in (shown, run("keyring", "status", str(path)).stdout):
            content = json.loads(path.read_text())
            assert not any(secret in text for secret in (content["index_key"], *(k["secret"] for k in content["keys"])))
            assert all(printed in text for printed in prints)

    def test_the_time_of_a_new_key_is_the_stores(self, tmp_path: Path) -> None:
        """A wrong clock of the shell moves nothing; if the store does not answer, a note names this machine's clock."""
        path = tmp_path / "keyring.json"
        run("keyring", "create", str(path))
        with a_store_whose_clock_shows(1_900_000_000) as url:
            rotated = data(run("keyring", "rotate", str(path), "--json", OTP_REDIS_URL=url))
        assert datetime.fromisoformat(rotated["active_from"]).timestamp() == 1_900_000_600
        done = run("keyring", "rotate", str(path), "--json", OTP_REDIS_URL=f"unix://{tmp_path}/nobody")
        assert "this machine's clock" in done.stderr
        assert datetime.fromisoformat(data(done)["active_from"]) - datetime.now(UTC) < timedelta(minutes=10)

    @pytest.mark.parametrize("after", ["", "x", "-1s", "31d", "99999999999999d", "1w"])
    def test_a_wait_that_is_none_is_refused(self, tmp_path: Path, after: str) -> None:
        """One sentence; the file is not changed."""
        path = tmp_path / "keyring.json"
        run("keyring", "create", str(path))
        before = path.read_bytes()
        assert "after" in sentence(run("keyring", "rotate", str(path), f"--after={after}"))
        assert path.read_bytes() == before

    def test_rotation_adds_a_key_and_keeps_the_old(self, tmp_path: Path) -> None:
        """The active key is another one at once if that is asked for, the old one is there, the mode is the same."""
        path = tmp_path / "keyring.json"
        first = data(run("keyring", "create", str(path), "--json"))["active_kid"]
        second = data(run("keyring", "rotate", str(path), "--after", "0s", "--json"))["active_kid"]
        content = json.loads(path.read_text())
        assert [item["kid"] for item in content["keys"]] == [first, second]
        assert [item["state"] for item in content["keys"]] == ["verify", "active"]
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert [entry.name for entry in tmp_path.iterdir()] == ["keyring.json"]

    @pytest.mark.parametrize("content", [None, "", "{}", "[]", '{"version": 2}'])
    def test_what_is_no_keyring(self, tmp_path: Path, content: str | None) -> None:
        """One sentence that names the file; the file is not changed."""
        path = tmp_path / "keyring.json"
        if content is not None:
            path.write_text(content)
        assert str(path) in sentence(run("keyring", "rotate", str(path)))
        assert str(path) in sentence(run("keyring", "status", str(path)))
        assert content is None or path.read_text() == content

    def test_a_place_that_cannot_be_written(self, tmp_path: Path) -> None:
        """One sentence."""
        assert "cannot write" in sentence(run("keyring", "create", str(tmp_path / "missing" / "keyring.json")))


class TestSandbox:
    """The carrier alone."""

    def test_it_prints_its_address_and_public_key(self, tmp_path: Path) -> None:
        """The printed lines are the service's settings; the key belongs to the given seed; SIGTERM is exit 0."""
        seed = base64.b64encode(bytes(range(32))).decode()
        process = subprocess.Popen(
            [sys.executable, "-m", "otp_service", "sandbox", "--port", "0"],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=clean_environ(TELNYX_WEBHOOK_SIGNING_SEED=seed, TELNYX_API_KEY="KEYmine"),
            cwd=tmp_path,
        )
        assert process.stdout is not None
        printed = dict(process.stdout.readline().strip().split("=", 1) for _ in range(2))
        assert printed["TELNYX_PUBLIC_KEY"] == "A6EHv/POEL4dcN0Y50vAmWfk1jCbpQ1fHdyGZBJVMbg="
        request = urllib.request.Request(printed["TELNYX_BASE_URL"] + "/messages/none")
        with pytest.raises(urllib.error.HTTPError) as refused:
            urllib.request.urlopen(request, timeout=5)
        refused.value.close()
        assert refused.value.code == 401
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=5)
        assert process.returncode == 0

    def test_what_it_cannot_start_with(self, dev: Dev) -> None:
        """A seed that is none, a port that is taken: one sentence each."""
        seed = "TELNYX_WEBHOOK_SIGNING_SEED"
        assert seed in sentence(run("sandbox", "--port", "0", **{seed: "short"}))
        assert f"{seed}_FILE" in sentence(run("sandbox", "--port", "0", **{f"{seed}_FILE": "/nonexistent"}))
        port = dev.sandbox_url.rpartition(":")[2]
        assert port in sentence(run("sandbox", "--port", port))


class TestAudit:
    """The audit log from a shell."""

    def test_tail_shows_what_happened(self, dev: Dev) -> None:
        """One JSON object a line, in order of time; people see the same events."""
        made = data(beside(dev, "keys", "create", "--app", "default", "--scope", "verify", "--json"))
        done = beside(dev, "audit", "tail", "--json", "--since", "5m")
        events = [json.loads(line) for line in done.stdout.splitlines()]
        assert done.returncode == 0
        assert [event["at"] for event in events] == sorted(event["at"] for event in events)
        assert any(event["detail"].get("key_id") == made["id"] for event in events)
        assert made["key"] not in done.stdout
        assert f"key_id={made['id']}" in beside(dev, "audit", "tail").stdout

    def test_follow_goes_on_until_ctrl_c(self, dev: Dev) -> None:
        """A new event appears within a second or two; Ctrl-C is exit 0."""
        process = subprocess.Popen(
            [sys.executable, "-m", "otp_service", "audit", "tail", "--follow", "--json", "--since", "0s"],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=clean_environ(**dev.env),
        )
        assert process.stdout is not None
        time.sleep(1)
        made = data(beside(dev, "keys", "create", "--app", "default", "--scope", "verify", "--json"))
        event = json.loads(process.stdout.readline())
        assert event["detail"]["key_id"] == made["id"]
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=5)
        assert (process.returncode, errors) == (0, "")

    def test_a_duration_that_is_none(self, dev: Dev) -> None:
        """One sentence that names the option."""
        assert "--since" in sentence(beside(dev, "audit", "tail", "--since", "yesterday"))


class TestDoctor:
    """Is everything as it has to be?"""

    def test_it_is_content_beside_a_running_dev(self, dev: Dev) -> None:
        """Every check passes, exit 0."""
        findings = data(beside(dev, "doctor", "--json"))
        assert findings
        assert all(finding["ok"] for finding in findings), findings

    def test_it_says_what_is_wrong(self) -> None:
        """Without any setting: one line for each check, exit 1, no traceback."""
        done = run("doctor", OTP_REDIS_URL="redis://127.0.0.1:1/0")
        assert done.returncode == 1
        assert "FAIL  store" in done.stdout
        assert "Traceback" not in done.stderr
