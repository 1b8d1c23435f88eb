"""Commands in the directory of a running `otp-service dev` find it by themselves."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from otp_service import config
from otp_service.config import dev_environment
from tests.conftest import Dev, clean_environ

from .commands import run_in, run_process_in


def test_a_command_in_the_directory_finds_the_service_and_says_so(dev: Dev) -> None:
    """One line on stderr names the file; JSON on stdout stays clean. The key that dev made is in the list."""
    done = run_process_in(dev.directory.parent, "keys", "list", "--json")
    assert done.returncode == 0, done.stderr
    assert dev.env["OTP_API_KEY"].split("_")[1] in {key["id"] for key in json.loads(done.stdout)}
    assert done.stderr.count("\n") == 1
    assert str(dev.directory / "env") in done.stderr


def test_the_documented_shell_lines_lead_to_the_same_service(dev: Dev) -> None:
    """`. .otp-dev/env` exports nothing; the next command uses the service all the same."""
    script = f". .otp-dev/env; {sys.executable} -m otp_service keys list --json"
    done = subprocess.run(
        ["sh", "-c", script],
        capture_output=True,
        text=True,
        timeout=90,
        cwd=dev.directory.parent,
        env=clean_environ(),
        check=True,
    )
    assert dev.env["OTP_API_KEY"].split("_")[1] in {key["id"] for key in json.loads(done.stdout)}


@pytest.mark.parametrize(
    "words",
    [("numbers", "list", "--json"), ("optouts", "list", "--json"), ("optouts", "sync", "--json"), ("doctor", "--json")],
)
def test_every_kind_of_command_finds_it(dev: Dev, words: tuple[str, ...]) -> None:
    """Those that ask the carrier, too; and what they print is JSON."""
    done = run_in(dev.directory.parent, *words)
    assert isinstance(json.loads(done.stdout), list)
    assert str(dev.directory / "env") in done.stderr


def test_a_command_of_the_api_finds_it_and_says_so(dev: Dev) -> None:
    """One line names file and variables; with both in the environment there is none."""
    words = ("factors", "list", "nobody", "--json")
    done = run_process_in(dev.directory.parent, *words)
    assert json.loads(done.stdout) == []
    assert done.stderr == f"otp-service: using {dev.directory / 'env'} for OTP_URL, OTP_API_KEY\n"
    given = {name: dev.env[name] for name in ("OTP_URL", "OTP_API_KEY")}
    assert run_process_in(dev.directory.parent, *words, **given).stderr == ""


def test_the_environment_wins(dev: Dev, redis_url: str) -> None:
    """Who names another store uses that one, and gets neither this store's keyring nor its carrier's key."""
    done = run_in(dev.directory.parent, "keys", "list", "--json", OTP_REDIS_URL=redis_url)
    assert dev.env["OTP_API_KEY"].split("_")[1] not in done.stdout
    assert "OTP_REDIS_URL" not in done.stderr
    assert "OTP_KEYRING" not in done.stderr


def test_elsewhere_nothing_is_found(dev: Dev, tmp_path: Path) -> None:
    """Only the directory itself counts."""
    done = run_in(tmp_path, "numbers", "list", "--json")
    assert done.returncode == 1
    assert "TELNYX_API_KEY is not set" in done.stderr


def test_the_file_holds_what_the_contract_lists(dev: Dev) -> None:
    """Every name, each once, readable by this user only; the public URL is the API's."""
    names = {"OTP_URL", "OTP_API_KEY", "OTP_REDIS_URL", "SANDBOX_URL", "TELNYX_BASE_URL", "TELNYX_API_KEY"}
    names |= {"TELNYX_PUBLIC_KEY", "TELNYX_WEBHOOK_SIGNING_SEED", "OTP_KEYRING", "OTP_PUBLIC_URL"}
    assert names <= set(dev.env)
    assert dev.env["OTP_PUBLIC_URL"] == dev.url
    assert dev_environment.read(dev.directory / "env") == dev.env


VALUES = {"OTP_REDIS_URL": "unix:///tmp/s", "OTP_KEYRING": "/k", "OTP_CONFIG": "/c", "OTP_PUBLIC_URL": "http://x:1"}


def place(directory: Path, values: dict[str, str] | None = None, mode: int = 0o600) -> Path:
    """Write the file of a dev into a directory."""
    (directory / dev_environment.DIRECTORY).mkdir()
    path = directory / dev_environment.DIRECTORY / dev_environment.FILE
    path.write_bytes(dev_environment.write_lines(values or VALUES))
    path.chmod(mode)
    return path


@pytest.mark.parametrize("mode", [0o644, 0o660, 0o604])
def test_a_file_that_others_can_touch_is_not_used(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], mode: int
) -> None:
    """In a shared directory anybody could have written it. It is said once, however often the file is looked for."""
    path = place(tmp_path, mode=mode)
    assert dev_environment.read(path) == dev_environment.read(path) == {}
    (line,) = capsys.readouterr().err.splitlines()
    assert f"not using {path}" in line
    assert "chmod 600" in line


def test_a_file_that_is_missing_or_no_text_is_not_used(tmp_path: Path) -> None:
    """Nor one that cannot be parsed."""
    path = place(tmp_path)
    assert dev_environment.read(path) == VALUES
    path.write_bytes(b"A=\xff")
    assert dev_environment.read(path) == {}
    path.write_text("OTP_REDIS_URL='unfinished")
    assert dev_environment.read(path) == {}
    path.unlink()
    assert dev_environment.read(path) == {}


@pytest.mark.parametrize("value", ["a b", "redis://h/0?x='y'&z=$HOME", 'say "no"', "plain?", "", "=x=", "'"])
def test_a_value_that_a_shell_would_change_comes_back_whole(tmp_path: Path, value: str) -> None:
    """Quoted in the file as a shell wants it."""
    path = place(tmp_path, {"OTP_REDIS_URL": value})
    assert dev_environment.read(path)["OTP_REDIS_URL"] == value
    done = subprocess.run(
        ["sh", "-c", f'. {path}; printf %s "$OTP_REDIS_URL"'], capture_output=True, text=True, check=True
    )
    assert done.stdout == value


def test_a_group_is_taken_as_a_whole_or_not_at_all() -> None:
    """Somebody's own store does not get dev's keyring."""
    assert dev_environment.missing({}, VALUES) == VALUES
    assert set(dev_environment.missing({"OTP_KEYRING": "/mine"}, VALUES)) == {"OTP_CONFIG", "OTP_PUBLIC_URL"}
    assert set(dev_environment.missing({"OTP_REDIS_URL_FILE": "/mine"}, VALUES)) == {"OTP_CONFIG", "OTP_PUBLIC_URL"}


def test_the_configuration_wins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A public URL of the configuration stands; without one it is dev's."""
    toml = tmp_path / "mine.toml"
    toml.write_text('[service]\npublic_url = "https://mine.example"\n')
    place(tmp_path, VALUES | {"OTP_CONFIG": str(toml)})
    monkeypatch.chdir(tmp_path)
    for name in dev_environment.SHARED:
        monkeypatch.setenv(name, "")
    assert config.load(config.environment()).public_url == "https://mine.example"
    assert config.load(config.environment()).redis_url == VALUES["OTP_REDIS_URL"]
    toml.write_text("")
    assert config.load(config.environment()).public_url == "http://x:1"


def test_what_was_found_is_said_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The process's children inherit it, so all of them use the same service until they end."""
    path = place(tmp_path)
    monkeypatch.chdir(tmp_path)
    for name in dev_environment.SHARED:
        monkeypatch.setenv(name, "")
    config.environment()
    path.unlink()
    assert config.environment()["OTP_KEYRING"] == "/k"
    assert os.environ["OTP_REDIS_URL"] == "unix:///tmp/s"
    assert capsys.readouterr().err.count(str(path)) == 1
