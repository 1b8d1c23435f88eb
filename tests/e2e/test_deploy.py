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
from otp_service.bootstrap import worker
from otp_service.bootstrap.web import LOOP_WAITING
from otp_service.cli import processes
from otp_service.cli.main import build_parser
from otp_service.front import receiving
from otp_service.front.connections import RESERVED
from otp_service.runtime import delivery_worker, front_process
from otp_service.runtime.dev import embedded_store
from tests.conftest import clean_environ, wait_until

DEPLOY = Path(__file__).resolve().parents[2] / "deploy"


def directives(text: str) -> dict[str, str]:
    """A redis.conf as a table."""
    lines = (line.partition("#")[0].strip() for line in text.splitlines())
    return {name: value.strip() for name, _, value in (line.partition(" ") for line in lines if line)}


LOGINS_A_DAY = 100_000
BYTES_PER_LOGIN = 1_200
"""Of events, of a login with one wrong code."""

BYTES_PER_VERIFICATION = 1_700
"""Of a login's verification, which is kept for a day (`python -m tests.benchmarks --rows memory`)."""


def needed(logins_a_day: int, days: float) -> float:
    """The `maxmemory` of a store, a quarter of which stays free."""
    return logins_a_day * (BYTES_PER_VERIFICATION + days * BYTES_PER_LOGIN) / 0.75


PROCESS_BYTES, BYTES_PER_IDLE, BYTES_PER_WAIT = 75_000_000, 7_500, 13_500
"""Of an API process, of an idle connection and of one that waits for news, as the benchmark measures them."""


def seconds(text: str) -> float:
    """`20s` of a compose file."""
    assert text.endswith("s")
    return float(text[:-1])


def in_bytes(value: str) -> str:
    """`64mb` as the server says it: 67108864."""
    match = re.fullmatch(r"([0-9]+)(kb|mb|gb)", value)
    return str(int(match[1]) * 1024 ** {"kb": 1, "mb": 2, "gb": 3}[match[2]]) if match else value


class TestStore:
    """Tests and production run on one kind of store."""

    def test_the_tests_run_with_the_settings_of_production(self, redis_server: redis.Redis) -> None:
        """Every setting of deploy/redis.conf holds in the server that the tests use."""
        wanted = directives((DEPLOY / "redis.conf").read_text())
        # The session's server does not sync, so that a slow disk cannot stall the tests (conftest, `_spare_the_disk`);
        # that its list of settings has the same `appendfsync` is what the next test sees.
        for name, value in wanted.items():
            if name != "appendfsync":
                effective: Any = redis_server.config_get(name)
                assert effective[name] == in_bytes(value.strip('"')), name

    def test_the_embedded_server_has_no_setting_of_its_own(self) -> None:
        """Both lists name the same settings with the same values."""
        wanted = directives((DEPLOY / "redis.conf").read_text())
        assert wanted == dict(embedded_store.SETTINGS)

    def test_the_server_takes_the_file_and_the_password_beside_it(self, tmp_path: Path) -> None:
        """The command line of compose.yaml starts a server anywhere, of its size, which wants the password."""
        (tmp_path / "auth.conf").write_text("requirepass swordfish\n")
        here = {
            "redis-server": str(embedded_store.find_binary()),
            "/etc/redis/redis.conf": str(DEPLOY / "redis.conf"),
            "/data": str(tmp_path),
            "6379": "0",
            "/secrets/auth.conf": str(tmp_path / "auth.conf"),
        }
        command = [here.get(word, word) for word in compose()["services"]["redis"]["command"]]
        assert set(here.values()) <= set(command)
        command += ["--unixsocket", str(tmp_path / "s")]
        server = subprocess.Popen(command, stdout=subprocess.DEVNULL, cwd=tmp_path)
        try:
            wait_until(lambda: (tmp_path / "s").exists() or server.poll() is not None, 90, "the server")
            with redis.Redis(unix_socket_path=str(tmp_path / "s"), password="swordfish") as client:
                assert client.ping()
                size: Any = client.config_get("maxmemory")
                assert size["maxmemory"] == in_bytes("1gb")
            with redis.Redis(unix_socket_path=str(tmp_path / "s")) as no_password, pytest.raises(redis.RedisError):
                no_password.ping()
        finally:
            server.terminate()
            server.wait(timeout=60)


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
        service, store, sandbox = made_secrets(tmp_path)
        before = files(service, store, sandbox)
        made_secrets(tmp_path)
        assert files(service, store, sandbox) == before
        names = {"keyring.json", "redis_url", "sandbox_api_key", "sandbox_public_key"}
        assert {path.name for path in service.iterdir()} == names
        assert {path.name for path in sandbox.iterdir()} == {"sandbox_api_key", "sandbox_seed"}
        assert (service / "sandbox_api_key").read_bytes() == (sandbox / "sandbox_api_key").read_bytes()
        assert all(stat.S_IMODE(path.stat().st_mode) & 0o077 == 0 for path in [service, store, sandbox, *before])
        password = (store / "auth.conf").read_text().split()[1]
        assert password in (service / "redis_url").read_text()

    def test_the_sandbox_runs_on_what_it_gets(self, tmp_path: Path) -> None:
        """With the environment and files of its container: no keyring, no store; it signs what the service accepts."""
        service, _, sandbox = made_secrets(tmp_path)
        spec = compose()["services"]["sandbox"]
        place = {"/secrets": str(sandbox), "/etc/otp": str(DEPLOY)}
        paths = {name: Path(path) for name, path in spec["environment"].items()}
        environ = {name: str(Path(place[str(path.parent)], path.name)) for name, path in paths.items()}
        words = [{"0.0.0.0": "127.0.0.1", "8081": "0"}.get(word, word) for word in spec["command"]]
        process = subprocess.Popen(
            [sys.executable, "-m", "otp_service", *words],
            env=clean_environ(**environ),
            cwd=tmp_path,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        try:
            assert process.stdout is not None
            shown = dict(line.strip().split("=", 1) for line in (process.stdout.readline(), process.stdout.readline()))
        finally:
            process.terminate()
            process.communicate(timeout=30)
        assert shown["TELNYX_PUBLIC_KEY"] == (service / "sandbox_public_key").read_text().strip()


def made_secrets(directory: Path) -> tuple[Path, Path, Path]:
    """The directories of service, store and sandbox, as the job fills them."""
    made = (directory / "service", directory / "store", directory / "sandbox")
    for path in made:
        path.mkdir(exist_ok=True)
    command = [sys.executable, str(DEPLOY / "init.py"), *map(str, made)]
    subprocess.run(command, check=True, env=clean_environ(), cwd=DEPLOY.parent, capture_output=True)
    return made


def files(*directories: Path) -> dict[Path, bytes]:
    """What is in them."""
    return {path: path.read_bytes() for directory in directories for path in directory.iterdir()}


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
        services = compose()["services"]
        for name in ("api", "worker", "sandbox"):
            build_parser().parse_args(services[name]["command"])

    def test_secrets_come_from_the_files_that_init_makes(self) -> None:
        """No secret stands in the environment of any service."""
        services = compose()["services"]
        for name in ("api", "worker", "sandbox"):
            environ = services[name]["environment"]
            assert not {"TELNYX_API_KEY", "TELNYX_WEBHOOK_SIGNING_SEED", "OTP_REDIS_URL"} & set(environ)
        for name in ("api", "worker"):
            assert services[name]["environment"]["OTP_REDIS_URL_FILE"].startswith("/secrets/")

    def test_each_container_gets_its_own_secrets_only(self) -> None:
        """The sandbox has neither the keyring nor the store's password, and is not in the store's network."""
        services = compose()["services"]
        mounted = {
            name: {volume.split(":")[0] for volume in service["volumes"] if "secrets" in volume}
            for name, service in services.items()
        }
        assert mounted["sandbox"] == {"sandbox-secrets"}
        assert mounted["api"] == mounted["worker"] == {"service-secrets"}
        assert mounted["redis"] == {"store-secrets"}
        assert services["sandbox"]["networks"] == ["outside"]
        assert not {name for name in services["sandbox"]["environment"] if name.startswith(("OTP_REDIS", "OTP_KEY"))}

    def test_a_container_has_the_time_that_its_end_takes(self) -> None:
        """A process that drains is not killed."""
        services = compose()["services"]
        assert "--drain" in services["api"]["command"]
        api_s = processes.DRAIN_S + front_process.END_S
        worker_s = delivery_worker.DRAIN_S + delivery_worker.BLOCK_S + worker.FINISH_S
        assert seconds(services["api"]["stop_grace_period"]) > api_s
        assert seconds(services["worker"]["stop_grace_period"]) > worker_s

    def test_the_sizes_fit_together(self) -> None:
        """The store's container holds its data twice, and the store the events of the days that are kept."""
        services = compose()["services"]
        command = services["redis"]["command"]
        size = int(in_bytes(command[command.index("--maxmemory") + 1]))
        assert int(in_bytes(services["redis"]["mem_limit"].replace("g", "gb"))) >= 2 * size
        settings = config.load({"OTP_CONFIG": str(DEPLOY / "otp-service.toml")})
        days = settings.audit_retention_ms / 86_400_000
        assert needed(LOGINS_A_DAY, days) < size
        guide = (DEPLOY / "docs" / "operation.md").read_text()
        assert f"{LOGINS_A_DAY:,} logins a day" in guide
        assert f"{BYTES_PER_LOGIN / 1000:g} kB" in guide
        assert f"{BYTES_PER_VERIFICATION / 1000:g} kB for 24 hours" in guide

    def test_the_guide_names_memory_that_is_enough_and_not_much_more(self) -> None:
        """For each retention and number of logins of its table."""
        guide = (DEPLOY / "docs" / "operation.md").read_text()
        logins = [int(one.replace(",", "")) for one in re.findall(r"([\d,]+) logins a day \|", guide)]
        rows = re.findall(r"^\| `(\d+)([hd])` \| (.*) \|$", guide, re.MULTILINE)
        assert (len(logins), len(rows)) == (3, 4)
        for number, unit, cells in rows:
            days = int(number) / (24 if unit == "h" else 1)
            for a_day, cell in zip(logins, cells.split(" | "), strict=True):
                size, unit_of_size = cell.split()
                told = float(size) * {"MB": 1e6, "GB": 1e9}[unit_of_size]
                assert 0.97 < told / needed(a_day, days) < 1.1, (number, unit, a_day)

    def test_the_apis_memory_holds_all_connections_that_it_may_have(self) -> None:
        """Of both processes: three quarters wait for news, the others are idle, and some send their requests slowly."""
        service = compose()["services"]["api"]
        connections = service["ulimits"]["nofile"] - RESERVED
        waiting = min(LOOP_WAITING, connections * 3 // 4)
        idle = connections - waiting
        one = PROCESS_BYTES + waiting * BYTES_PER_WAIT + idle * BYTES_PER_IDLE + receiving.BYTES
        count = build_parser().parse_args(service["command"]).workers
        # The system's buffers of the connections count for the container too.
        assert count * one < 0.75 * int(in_bytes(service["mem_limit"].replace("g", "gb")))

    def test_the_workers_metrics_can_be_read_inside(self) -> None:
        """By Prometheus in one of its networks, and by the health check; not from the machine or beyond."""
        service = compose()["services"]["worker"]
        args = build_parser().parse_args(service["command"])
        assert args.metrics_host == "0.0.0.0"
        assert service["expose"] == [str(args.metrics_port)]
        assert f":{args.metrics_port}/healthz" in service["healthcheck"]["test"][-1]
        assert "ports" not in service


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
