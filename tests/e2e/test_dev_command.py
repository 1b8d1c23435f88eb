"""`otp-service dev` from outside: its files, its signals, its ends, as a person at a shell meets them."""

import contextlib
import json
import os
import re
import signal
import socket
import stat
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from otp_service.runtime import ports
from tests.conftest import Dev, clean_environ, read_env, start_dev, stop_dev, wait_until
from tests.e2e.processes import alive, catches, descendants
from tests.papers.shell import install_curl

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")

PERSON = "+12025550143"


def call(url: str, key: str | None = None, body: dict[str, Any] | None = None) -> tuple[int, Any]:
    """One HTTP request: status and decoded body."""
    headers = {"Content-Type": "application/json"} if body is not None else {}
    if key is not None:
        headers["Authorization"] = f"Bearer {key}"
    data = json.dumps(body).encode() if body is not None else None
    try:
        with urllib.request.urlopen(urllib.request.Request(url, data, headers), timeout=10) as response:
            return response.status, json.loads(response.read() or b"null")
    except urllib.error.HTTPError as error:
        with error:
            return error.code, json.loads(error.read() or b"null")


def start(dev: Dev, to: str = PERSON) -> dict[str, Any]:
    """Start a verification."""
    status, answer = call(f"{dev.url}/verify/start", dev.env["OTP_API_KEY"], {"to": to})
    assert status == 201, answer
    return dict(answer)


def code_on_phone(dev: Dev, to: str = PERSON) -> str:
    """Wait for the SMS and read the code off the handset."""

    def arrived() -> str | None:
        _, answer = call(f"{dev.sandbox_url}/sandbox/phones/{to}/messages")
        found = re.search(r"\b[0-9]{6}\b", answer["messages"][0]["text"]) if answer["messages"] else None
        return found[0] if found else None

    return str(wait_until(arrived, 10, "an SMS on the handset"))


def run_dev(*options: str, cwd: Path, **environ: str) -> subprocess.CompletedProcess[str]:
    """Run `otp-service dev` where it is expected to refuse."""
    return subprocess.run(
        [sys.executable, "-m", "otp_service", "dev", *options],
        capture_output=True,
        text=True,
        timeout=30,
        cwd=cwd,
        env=clean_environ(**environ),
        check=False,
    )


def all_gone(pids: list[int]) -> bool:
    """Whether none of them runs any more."""
    return not any(alive(pid) for pid in pids)


@pytest.fixture
def own(tmp_path: Path) -> Iterator[Dev]:
    """A `dev` that the test may end as it likes."""
    running = start_dev(tmp_path / "state")
    yield running
    if running.process.poll() is None:
        stop_dev(running)
    assert running.process.stdout is not None
    running.process.stdout.close()


class TestWhileItRuns:
    """What a newcomer does with it."""

    def test_a_code_reaches_the_phone_and_approves(self, dev: Dev) -> None:
        """The main job works over real processes: started, read from the handset, approved, delivered."""
        begun = start(dev)
        code = code_on_phone(dev)
        status, answer = call(f"{dev.url}/verify/check", dev.env["OTP_API_KEY"], {"to": PERSON, "code": code})
        assert (status, answer["status"]) == (200, "approved")

        def delivered() -> bool:
            _, seen = call(f"{dev.url}/verify/{begun['verification_id']}", dev.env["OTP_API_KEY"])
            return bool(seen["deliveries"][0]["status"] == "delivered")

        wait_until(delivered, 10, "delivery through the signed webhook")

    def test_env_is_for_this_user_only_and_complete(self, dev: Dev) -> None:
        """DIR/env has mode 0600 and every name that the contract lists."""
        path = dev.directory / "env"
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        names = {"OTP_URL", "OTP_API_KEY", "OTP_REDIS_URL", "SANDBOX_URL", "TELNYX_BASE_URL", "TELNYX_API_KEY"}
        names |= {"TELNYX_PUBLIC_KEY", "TELNYX_WEBHOOK_SIGNING_SEED"}
        assert names <= set(dev.env)
        assert dev.env["TELNYX_BASE_URL"] == dev.sandbox_url + "/v2"

    def test_a_shell_reads_env_as_a_program_does(self, dev: Dev) -> None:
        """Sourcing DIR/env gives the same values as splitting its lines at the first equals sign."""
        script = f'. "{dev.directory}/env"; for n in "$@"; do eval "printf \'%s\\n\' \\"\\$$n\\""; done'
        done = subprocess.run(["sh", "-c", script, "sh", *dev.env], capture_output=True, text=True, check=True)
        assert done.stdout.splitlines() == list(dev.env.values())

    def test_it_is_ready_as_soon_as_env_exists(self, own: Dev) -> None:
        """Nobody has to wait after DIR/env has appeared."""
        assert call(f"{own.url}/readyz")[0] == 200

    def test_the_printed_curl_works_as_pasted(self, own: Dev, tmp_path: Path) -> None:
        """The example of the welcome starts a verification."""
        assert own.process.stdout is not None
        lines: list[str] = []
        while not (lines and lines[-1].rstrip().endswith("}'")):
            lines.append(own.process.stdout.readline())
        pasted = "".join(lines).partition("  . ")[2]
        environ = os.environ | {"PATH": f"{install_curl(tmp_path)}{os.pathsep}{os.environ['PATH']}"}
        done = subprocess.run(
            ["sh", "-c", f". {pasted}"], capture_output=True, text=True, timeout=20, check=True, env=environ
        )
        assert json.loads(done.stdout)["status"] == "pending"

    def test_the_store_listens_on_no_port(self, dev: Dev) -> None:
        """The embedded store is reached through a socket in a directory that only this user can enter."""
        path = Path(dev.env["OTP_REDIS_URL"].removeprefix("unix://"))
        assert stat.S_ISSOCK(path.stat().st_mode)
        assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
        assert stat.S_IMODE(path.stat().st_mode) == 0o700

    def test_the_logs_hold_neither_code_nor_key_nor_number_nor_traceback(self, own: Dev) -> None:
        """What is written down cannot be used by whoever reads it."""
        start(own)
        code = code_on_phone(own)
        call(f"{own.url}/verify/check", own.env["OTP_API_KEY"], {"to": PERSON, "code": code})
        call(f"{own.url}/verify/{PERSON}", own.env["OTP_API_KEY"])
        time.sleep(0.3)
        logs = own.logs
        secrets = ("OTP_API_KEY", "TELNYX_API_KEY", "TELNYX_WEBHOOK_SIGNING_SEED")
        assert logs
        for word in (PERSON, PERSON[1:], "Traceback", *(own.env[name] for name in secrets)):
            assert word not in logs
        assert not re.search(rf"\b{code}\b", logs)


class TestEnds:
    """Nothing stays behind, however it ends."""

    @pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
    def test_a_signal_ends_everything_cleanly(self, own: Dev, number: signal.Signals) -> None:
        """Ctrl-C, SIGTERM and a closed terminal: exit 0, quickly, env removed, no process left."""
        family = descendants(own.process.pid)
        assert len(family) >= 4
        begun = time.monotonic()
        status, _ = stop_dev(own, number)
        assert status == 0
        assert time.monotonic() - begun < 5
        assert all_gone(list(family))
        assert not (own.directory / "env").exists()

    def test_ctrl_c_in_a_terminal_reaches_the_children_through_the_supervisor_only(self, own: Dev) -> None:
        """No child is in the group that a terminal sends its signals to."""
        group = os.getpgid(own.process.pid)
        assert all(os.getpgid(pid) != group for pid in descendants(own.process.pid))

    def test_killing_the_supervisor_ends_its_children(self, own: Dev) -> None:
        """kill -9 of the supervisor: within three seconds store, sandbox, API, its workers, worker and env are gone."""
        family = descendants(own.process.pid)
        own.process.kill()
        own.process.wait()
        wait_until(lambda: all_gone(list(family)), 3, "the end of all children")
        assert not (own.directory / "env").exists()

    def test_it_starts_again_at_once_where_it_was_killed(self, own: Dev) -> None:
        """After kill -9 the same directory serves again without waiting, with the same data and the same key."""
        begun = start(own)
        own.process.kill()
        own.process.wait()
        (own.directory / "env").unlink(missing_ok=True)
        again = start_dev(own.directory)
        try:
            assert again.env["OTP_API_KEY"] == own.env["OTP_API_KEY"]
            status, seen = call(f"{again.url}/verify/{begun['verification_id']}", again.env["OTP_API_KEY"])
            assert (status, seen["status"]) == (200, "pending")
        finally:
            assert stop_dev(again)[0] == 0

    @pytest.mark.parametrize("child", ["otp_service serve", "otp_service worker"])
    def test_a_killed_api_or_worker_is_started_again(self, own: Dev, child: str) -> None:
        """kill -9 of the API's main process or of the worker: what was started before and after gets its SMS."""
        before = start(own)
        family = descendants(own.process.pid)
        victim = next(pid for pid, line in family.items() if child in line)
        os.kill(victim, signal.SIGKILL)
        wait_until(lambda: victim not in descendants(own.process.pid), 5, "the end of the killed process")
        again = wait_until(
            lambda: [line for line in descendants(own.process.pid).values() if child in line], 5, "another one"
        )
        assert again

        def delivered() -> bool:
            with contextlib.suppress(OSError):
                path = f"{own.url}/verify/{before['verification_id']}"
                status, seen = call(path, own.env["OTP_API_KEY"])
                return status == 200 and seen["deliveries"][0]["status"] == "delivered"
            return False

        wait_until(delivered, 20, "the delivery")
        code, output = stop_dev(own)
        assert (code, "it is started again" in output) == (0, True)

    @pytest.mark.parametrize("child", ["sandbox", "unixsocket"])
    def test_a_store_or_sandbox_that_ends_by_itself_ends_everything(self, own: Dev, child: str) -> None:
        """One killed child: the others stop, exit 1, a sentence names it, and the logs stay."""
        family = descendants(own.process.pid)
        victim = next(pid for pid, line in family.items() if child in line)
        os.kill(victim, signal.SIGKILL)
        output, _ = own.process.communicate(timeout=15)
        assert own.process.returncode == 1
        assert "killed by SIGKILL" in output
        assert "Traceback" not in output
        assert all_gone(list(family))
        assert not (own.directory / "env").exists()

    def test_its_own_directory_goes_with_it(self, tmp_path: Path) -> None:
        """Without --dir nothing is left in the current directory."""
        running = start_dev_here(tmp_path)
        assert stat.S_IMODE(running.directory.stat().st_mode) == 0o700
        assert stop_dev(running)[0] == 0
        assert list(tmp_path.iterdir()) == []

    def test_a_stop_while_starting_is_clean_too(self, tmp_path: Path) -> None:
        """SIGTERM at any moment once Python and the command are loaded: exit 0 and no process left."""
        for delay_s in (0, 0.1, 0.3, 0.6, 1):
            process = subprocess.Popen(
                [sys.executable, "-m", "otp_service", "dev", "--port", "0", "--sandbox-port", "0"],
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                text=True,
                cwd=tmp_path,
                env=clean_environ(),
            )
            wait_until(lambda: catches(process.pid, signal.SIGTERM), 10, "a handler")  # noqa: B023
            time.sleep(delay_s)
            family = descendants(process.pid)
            process.terminate()
            _, errors = process.communicate(timeout=10)
            assert (process.returncode, errors) == (0, "")
            assert all_gone(list(family))
            assert list(tmp_path.iterdir()) == []


def start_dev_here(directory: Path, *options: str) -> Dev:
    """`otp-service dev` without --dir."""
    process = subprocess.Popen(
        [sys.executable, "-m", "otp_service", "dev", "--port", "0", "--sandbox-port", "0", *options],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        cwd=directory,
        env=clean_environ(),
    )
    state = directory / ".otp-dev"
    wait_until(lambda: (state / "env").exists() or process.poll() is not None, 30, "DIR/env")
    return Dev(process, state, read_env(state / "env"))


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

    def test_the_sandbox_knows_the_configured_senders(self, tmp_path: Path) -> None:
        """OTP_CONFIG applies, its sender can send, and the key belongs to the first app if there is no `default`."""
        config = tmp_path / "mine.toml"
        config.write_text(
            '[senders.mine]\nkind = "long_code"\nfrom = "+15005550006"\nmessaging_profile_id = "profile-of-mine"\n'
            '[apps.shop]\nbrand = "Shop"\nroute = ["mine"]\n'
        )
        running = start_dev(tmp_path / "state", OTP_CONFIG=str(config))
        try:
            start(running)
            assert code_on_phone(running)
            _, answer = call(f"{running.sandbox_url}/sandbox/phones/{PERSON}/messages")
            assert answer["messages"][0]["from"] == "+15005550006"
        finally:
            status, output = stop_dev(running)
        assert status == 0
        assert "belongs to its first app" in output

    def test_a_given_store_is_used(self, tmp_path: Path, redis_url: str, redis_server: Any) -> None:
        """--redis-url: the state is there and no store is started."""
        running = start_dev(tmp_path / "state", "--redis-url", redis_url)
        try:
            assert running.env["OTP_REDIS_URL"] == redis_url
            start(running)
            assert redis_server.dbsize() > 0
            assert not any("unixsocket" in line for line in descendants(running.process.pid).values())
        finally:
            assert stop_dev(running)[0] == 0

    def test_a_given_store_is_used_again(self, tmp_path: Path, redis_url: str, redis_server: Any) -> None:
        """Without --dir, too: the keyring of what is in that store is kept, and another one is refused."""
        keyrings = []
        for _ in range(2):
            running = start_dev_here(tmp_path, "--redis-url", redis_url)
            keyrings.append((tmp_path / ".otp-dev" / "keyring.json").read_bytes())
            assert call(f"{running.url}/readyz")[0] == 200
            assert stop_dev(running)[0] == 0
        assert keyrings[0] == keyrings[1]
        elsewhere = tmp_path / "elsewhere"
        elsewhere.mkdir()
        refused = run_dev("--port", "0", "--sandbox-port", "0", "--redis-url", redis_url, cwd=elsewhere)
        assert refused.returncode == 1
        assert refused.stderr.count("\n") == 1
        assert "another keyring" in refused.stderr

    @pytest.mark.parametrize("name", ["a directory with blanks & signs", "long" * 30])
    def test_awkward_directories(self, tmp_path: Path, name: str) -> None:
        """Blanks, signs and paths too long for a unix socket do not matter; no temporary directory is left."""
        running = start_dev(tmp_path / name)
        socket_path = Path(running.env["OTP_REDIS_URL"].removeprefix("unix://"))
        assert call(f"{running.url}/readyz")[0] == 200
        assert stop_dev(running)[0] == 0
        assert not socket_path.parent.exists()

    def test_variables_of_production_are_not_used(self, tmp_path: Path) -> None:
        """A carrier or a store named in the environment stays untouched."""
        running = start_dev(
            tmp_path / "state",
            TELNYX_BASE_URL="http://127.0.0.1:1/v2",
            TELNYX_API_KEY="KEYproduction",
            OTP_REDIS_URL="redis://127.0.0.1:1/0",
            OTP_KEYRING="/nonexistent",
        )
        try:
            assert running.env["TELNYX_API_KEY"] != "KEYproduction"
            start(running)
            assert code_on_phone(running)
        finally:
            assert stop_dev(running)[0] == 0

    def test_a_module_of_the_users_does_not_become_ours(self, tmp_path: Path) -> None:
        """A file redis.py in the current directory changes nothing, when the installed command is used."""
        (tmp_path / "redis.py").write_text("raise SystemExit('imported the wrong redis')\n")
        command = [sys.executable, "-P", "-m", "otp_service", "dev", "--dir", str(tmp_path / "state")]
        package = str(Path(__file__).resolve().parents[2])
        process = subprocess.Popen(
            [*command, "--port", "0", "--sandbox-port", "0"],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            cwd=tmp_path,
            env=clean_environ(PYTHONPATH=package),
        )
        wait_until(lambda: (tmp_path / "state/env").exists() or process.poll() is not None, 30, "DIR/env")
        assert stop_dev(Dev(process, tmp_path / "state", {}))[0] == 0

    def test_verbose_copies_the_logs_to_stderr(self, tmp_path: Path) -> None:
        """--verbose shows the logs of the processes while they run."""
        running = start_dev(tmp_path / "state", "--verbose")
        status, output = stop_dev(running)
        assert status == 0
        assert re.search(r"^api: \{", output, re.MULTILINE)
        assert re.search(r"^store: ", output, re.MULTILINE)
