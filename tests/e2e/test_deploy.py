"""`deploy/` is right: what can be checked without a container engine is checked here."""

import json
import re
import stat
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest
import redis

from otp_service import config
from otp_service.runtime.dev import embedded_store
from tests.conftest import clean_environ, wait_until

DEPLOY = Path(__file__).resolve().parents[2] / "deploy"


def directives(text: str) -> dict[str, str]:
    """A redis.conf as a table."""
    lines = (line.partition("#")[0].strip() for line in text.splitlines())
    return {name: value.strip() for name, _, value in (line.partition(" ") for line in lines if line)}


def in_bytes(value: str) -> str:
    """`64mb` as the server says it: 67108864."""
    match = re.fullmatch(r"([0-9]+)(kb|mb|gb)", value)
    return str(int(match[1]) * 1024 ** {"kb": 1, "mb": 2, "gb": 3}[match[2]]) if match else value


class TestStore:
    """Tests and production run on one kind of store."""

    PLACE = frozenset({"maxmemory", "bind", "port", "dir"})
    """Settings that depend on where it runs."""

    def test_the_tests_run_with_the_settings_of_production(self, redis_server: redis.Redis) -> None:
        """Every setting of deploy/redis.conf but those of the place holds in the server that the tests use."""
        wanted = directives((DEPLOY / "redis.conf").read_text())
        # The session's server does not sync, so that a slow disk cannot stall the tests (conftest, `_spare_the_disk`);
        # that its list of settings has the same `appendfsync` is what the next test sees.
        for name, value in wanted.items():
            if name not in self.PLACE | {"appendfsync"}:
                effective: Any = redis_server.config_get(name)
                assert effective[name] == in_bytes(value.strip('"')), name

    def test_the_embedded_server_has_no_setting_of_its_own(self) -> None:
        """Both lists name the same settings with the same values."""
        wanted = directives((DEPLOY / "redis.conf").read_text())
        assert {name: value for name, value in wanted.items() if name not in self.PLACE} == dict(
            embedded_store.SETTINGS
        )

    def test_the_server_takes_the_file_and_the_password_beside_it(self, tmp_path: Path) -> None:
        """The command line of compose.yaml starts a server that wants the password."""
        (tmp_path / "auth.conf").write_text("requirepass swordfish\n")
        local = {"bind": "127.0.0.1", "port": "0", "dir": str(tmp_path), "unixsocket": str(tmp_path / "s")}
        lines = directives((DEPLOY / "redis.conf").read_text()) | local
        (tmp_path / "redis.conf").write_text("".join(f"{name} {value}\n" for name, value in lines.items()))
        command = [
            str(embedded_store.find_binary()),
            str(tmp_path / "redis.conf"),
            "--include",
            str(tmp_path / "auth.conf"),
        ]
        server = subprocess.Popen(command, stdout=subprocess.DEVNULL)
        try:
            wait_until(lambda: (tmp_path / "s").exists() or server.poll() is not None, 5, "the server")
            with redis.Redis(unix_socket_path=str(tmp_path / "s"), password="swordfish") as client:
                assert client.ping()
            with redis.Redis(unix_socket_path=str(tmp_path / "s")) as no_password, pytest.raises(redis.RedisError):
                no_password.ping()
        finally:
            server.terminate()
            server.wait(timeout=10)


class TestConfiguration:
    """The example is one that works."""

    def test_the_example_is_accepted(self) -> None:
        """deploy/otp-service.toml loads, with every sender in a route."""
        settings = config.load({"OTP_CONFIG": str(DEPLOY / "otp-service.toml")})
        assert settings.public_url == "https://otp.example.com"
        assert set(settings.policy.senders) == {sender.name for sender in settings.policy.apps["default"].route}

    def test_it_holds_no_secret(self) -> None:
        """Nothing in deploy/ looks like a key."""
        secret = re.compile(r"KEY[0-9A-F]{8}|BEGIN [A-Z ]*PRIVATE KEY|otp_[a-z0-9]{12}_")
        for path in DEPLOY.rglob("*"):
            if path.is_file():
                assert not secret.search(path.read_text(errors="replace")), path
        assert "api_key" not in json.dumps(tomllib.loads((DEPLOY / "otp-service.toml").read_text()))


class TestInit:
    """The job that makes the secrets."""

    def test_it_makes_them_once_for_their_owners_only(self, tmp_path: Path) -> None:
        """Everything the services name is there, closed to others, and a second run changes nothing."""
        service, store = tmp_path / "service", tmp_path / "store"
        service.mkdir()
        store.mkdir()
        command = [sys.executable, str(DEPLOY / "init.py"), str(service), str(store)]
        subprocess.run(command, check=True, env=clean_environ(), cwd=DEPLOY.parent, capture_output=True)
        before = {path: path.read_bytes() for path in [*service.iterdir(), *store.iterdir()]}
        subprocess.run(command, check=True, env=clean_environ(), cwd=DEPLOY.parent, capture_output=True)
        assert {path: path.read_bytes() for path in [*service.iterdir(), *store.iterdir()]} == before
        names = {"keyring.json", "redis_url", "sandbox_api_key", "sandbox_seed", "sandbox_public_key"}
        assert {path.name for path in service.iterdir()} == names
        assert all(stat.S_IMODE(path.stat().st_mode) & 0o077 == 0 for path in [service, store, *before])
        password = (store / "auth.conf").read_text().split()[1]
        assert password in (service / "redis_url").read_text()


def compose() -> dict[str, Any]:
    """compose.yaml, if there is a YAML parser; the service itself needs none."""
    yaml = pytest.importorskip("yaml", reason="no YAML parser here")
    return dict(yaml.safe_load((DEPLOY / "compose.yaml").read_text()))


class TestCompose:
    """The compose file says what the README promises."""

    def test_every_file_and_volume_it_names_exists(self) -> None:
        """Mounted files are in deploy/, named volumes are declared."""
        document = compose()
        for service in document["services"].values():
            for volume in service.get("volumes", []):
                source = volume.split(":")[0]
                if source.startswith("./"):
                    assert (DEPLOY / source).is_file(), source
                else:
                    assert source in document["volumes"], source

    def test_nothing_runs_with_more_rights_than_it_needs(self) -> None:
        """Read-only, no capabilities, no new privileges; ports on the loopback only; the store publishes none."""
        services = compose()["services"]
        for service in services.values():
            assert service["read_only"] is True
            assert service["cap_drop"] == ["ALL"]
            assert service["security_opt"] == ["no-new-privileges:true"]
            assert all(port.startswith("127.0.0.1:") for port in service.get("ports", []))
        assert "ports" not in services["redis"]
        assert services["redis"]["networks"] == ["inside"]

    def test_the_services_run_commands_that_exist(self) -> None:
        """Every command line of ours is understood by the command line's parser."""
        from otp_service.cli.main import build_parser

        services = compose()["services"]
        for name in ("api", "worker", "sandbox"):
            build_parser().parse_args(services[name]["command"])

    def test_secrets_come_from_the_files_that_init_makes(self) -> None:
        """No secret stands in the environment of any service."""
        services = compose()["services"]
        for name in ("api", "worker", "sandbox"):
            environ = services[name]["environment"]
            assert not {"TELNYX_API_KEY", "TELNYX_WEBHOOK_SIGNING_SEED", "OTP_REDIS_URL"} & set(environ)
            assert environ["OTP_REDIS_URL_FILE"].startswith("/secrets/")


class TestImage:
    """The Dockerfile, read as text."""

    def test_it_runs_without_privileges_and_has_a_health_check(self) -> None:
        """Two stages, a numeric user, a health check, and nothing copied but the package."""
        text = (DEPLOY / "Dockerfile").read_text()
        assert len(re.findall(r"^FROM ", text, re.MULTILINE)) == 2
        assert re.search(r"^USER 10001:10001$", text, re.MULTILINE)
        assert "/healthz" in text
        copied = re.findall(r"^COPY (?!--from)(.*)$", text, re.MULTILINE)
        assert copied == ["setup.py setup.cfg README.md LICENSE /source/", "otp_service /source/otp_service"]
