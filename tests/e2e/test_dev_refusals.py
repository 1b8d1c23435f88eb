"""What `otp-service dev` refuses, and what it takes from its surroundings."""

import re
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from otp_service.runtime import ports
from tests.conftest import Dev, clean_environ, start_dev, stop_dev
from tests.e2e.processes import descendants

from .dev_command import PERSON, call, code_on_phone, start, start_dev_here, when_ready

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")


def run_dev(*options: str, cwd: Path, **environ: str) -> subprocess.CompletedProcess[str]:
    """Run `otp-service dev` where it is expected to refuse."""
    return subprocess.run(
        [sys.executable, "-m", "otp_service", "dev", *options],
        capture_output=True,
        text=True,
        timeout=90,
        cwd=cwd,
        env=clean_environ(**environ),
        check=False,
    )


class TestRefusals:
    """What it cannot do is one sentence, and leaves nothing behind."""

    @pytest.mark.parametrize("option", ["--port", "--sandbox-port"])
    def test_a_taken_port(self, tmp_path: Path, option: str) -> None:
        """The sentence names the port and the option that chooses another."""
        other = {"--port": "--sandbox-port", "--sandbox-port": "--port"}[option]
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))
            taken.listen()
            port = taken.getsockname()[1]
            done = run_dev(option, str(port), other, "0", cwd=tmp_path)
        assert done.returncode == 1
        assert (
            done.stderr
            == f"otp-service: port {port} is taken on 127.0.0.1 by another process; choose another with {option}\n"
        )
        assert list(tmp_path.iterdir()) == []

    def test_one_port_for_both(self, tmp_path: Path) -> None:
        """The API and the sandbox cannot share a port."""
        port = str(ports.free_port())
        done = run_dev("--port", port, "--sandbox-port", port, cwd=tmp_path)
        assert done.returncode == 1
        assert "--sandbox-port" in done.stderr

    def test_two_in_one_directory(self, dev: Dev) -> None:
        """The second is refused with a sentence and the first goes on."""
        done = run_dev("--dir", str(dev.directory), "--port", "0", "--sandbox-port", "0", cwd=dev.directory.parent)
        assert done.returncode == 1
        assert re.fullmatch(r"otp-service: another otp-service dev \(process \d+\) runs in .*\n", done.stderr)
        assert call(f"{dev.url}/readyz")[0] == 200
        assert (dev.directory / "env").exists()

    def test_an_unknown_key_in_the_configuration(self, tmp_path: Path) -> None:
        """The sentence names the key, and nothing was started or left."""
        (tmp_path / "otp-service.toml").write_text(
            '[senders.a]\nkind = "number_pool"\nmessaging_profile_id = "p"\ncolour = "red"\n'
        )
        done = run_dev("--port", "0", "--sandbox-port", "0", cwd=tmp_path)
        assert done.returncode == 1
        assert done.stderr.count("\n") == 1
        assert "colour" in done.stderr
        assert [path.name for path in tmp_path.iterdir()] == ["otp-service.toml"]

    def test_somebody_elses_directory(self, tmp_path: Path) -> None:
        """A directory .otp-dev with other things in it is not emptied."""
        (tmp_path / ".otp-dev").mkdir()
        precious = tmp_path / ".otp-dev" / "precious"
        precious.write_text("x")
        done = run_dev("--port", "0", "--sandbox-port", "0", cwd=tmp_path)
        assert done.returncode == 1
        assert "holds other files" in done.stderr
        assert precious.read_text() == "x"

    def test_a_store_that_does_not_answer(self, tmp_path: Path) -> None:
        """--redis-url of nobody: one sentence, exit 1."""
        done = run_dev(
            "--port", "0", "--sandbox-port", "0", "--redis-url", f"unix://{tmp_path}/nobody.sock", cwd=tmp_path
        )
        assert done.returncode == 1
        assert "Traceback" not in done.stderr
        assert "store" in done.stderr


class TestSurroundings:
    """Configurations and places other than the default."""

    def test_a_configuration_of_ones_own(self, tmp_path: Path) -> None:
        """OTP_CONFIG applies, its sender can send, and the key belongs to the first app if there is no `default`.

        A directory with blanks and signs does not matter, nor a file redis.py in the current directory, when the
        installed command is used. --verbose shows the logs of the processes while they run.
        """
        config = tmp_path / "mine.toml"
        config.write_text(
            '[senders.mine]\nkind = "long_code"\nfrom = "+15005550006"\nmessaging_profile_id = "profile-of-mine"\n'
            '[apps.shop]\nbrand = "Shop"\nroute = ["mine"]\n'
        )
        (tmp_path / "redis.py").write_text("raise SystemExit('imported the wrong redis')\n")
        directory = tmp_path / "a directory with blanks & signs"
        command = [sys.executable, "-P", "-m", "otp_service", "dev", "--dir", str(directory), "--verbose"]
        process = subprocess.Popen(
            [*command, "--port", "0", "--sandbox-port", "0"],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            cwd=tmp_path,
            env=clean_environ(PYTHONPATH=str(Path(__file__).resolve().parents[2]), OTP_CONFIG=str(config)),
        )
        running = when_ready(process, directory)
        try:
            start(running)
            assert code_on_phone(running)
            _, answer = call(f"{running.sandbox_url}/sandbox/phones/{PERSON}/messages")
            assert answer["messages"][0]["from"] == "+15005550006"
        finally:
            status, output = stop_dev(running)
        assert status == 0
        assert "belongs to its first app" in output
        assert re.search(r"^api: \{", output, re.MULTILINE)
        assert re.search(r"^store: ", output, re.MULTILINE)
        assert not Path(running.env["OTP_REDIS_URL"].removeprefix("unix://")).parent.exists()

    def test_a_given_store_is_used_again(self, tmp_path: Path, redis_url: str, redis_server: Any) -> None:
        """--redis-url: the state is there and no store is started.

        Without --dir, too, the keyring of what is in that store is kept, and another one is refused.
        """
        keyrings = []
        for number in (PERSON, "+12025550144"):
            running = start_dev_here(tmp_path, "--redis-url", redis_url)
            keyrings.append((tmp_path / ".otp-dev" / "keyring.json").read_bytes())
            assert running.env["OTP_REDIS_URL"] == redis_url
            assert call(f"{running.url}/readyz")[0] == 200
            start(running, number)
            assert redis_server.dbsize() > 0
            assert not any("unixsocket" in line for line in descendants(running.process.pid).values())
            assert stop_dev(running)[0] == 0
        assert keyrings[0] == keyrings[1]
        elsewhere = tmp_path / "elsewhere"
        elsewhere.mkdir()
        refused = run_dev("--port", "0", "--sandbox-port", "0", "--redis-url", redis_url, cwd=elsewhere)
        assert refused.returncode == 1
        assert refused.stderr.count("\n") == 1
        assert "another keyring" in refused.stderr

    def test_variables_of_production_are_not_used(self, tmp_path: Path) -> None:
        """A carrier or a store named in the environment stays untouched.

        A path that is too long for a unix socket does not matter; no temporary directory is left.
        """
        running = start_dev(
            tmp_path / ("long" * 30),
            TELNYX_BASE_URL="http://127.0.0.1:1/v2",
            TELNYX_API_KEY="KEYproduction",
            OTP_REDIS_URL="redis://127.0.0.1:1/0",
            OTP_KEYRING="/nonexistent",
        )
        socket_path = Path(running.env["OTP_REDIS_URL"].removeprefix("unix://"))
        try:
            assert running.env["TELNYX_API_KEY"] != "KEYproduction"
            start(running)
            assert code_on_phone(running)
        finally:
            assert stop_dev(running)[0] == 0
        assert not socket_path.parent.exists()
