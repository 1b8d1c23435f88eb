"""How `otp-service dev` ends: by a signal, by a kill, or because a child ended."""

import contextlib
import os
import signal
import stat
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.conftest import Dev, clean_environ, start_dev, stop_dev, wait_until
from tests.e2e.processes import alive, catches, descendants

from .dev_command import call, start, start_dev_here

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")


def all_gone(pids: list[int]) -> bool:
    """Whether none of them runs any more."""
    return not any(alive(pid) for pid in pids)


class TestEnds:
    """Nothing stays behind, however it ends."""

    @pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
    def test_a_signal_ends_everything_cleanly(self, own: Dev, number: signal.Signals) -> None:
        """Ctrl-C and SIGTERM: exit 0, env removed, no process left."""
        family = descendants(own.process.pid)
        assert len(family) >= 4
        status, _ = stop_dev(own, number)
        assert status == 0
        wait_until(lambda: all_gone(list(family)), 30, "the end of all children")
        assert not (own.directory / "env").exists()

    def test_ctrl_c_in_a_terminal_reaches_the_children_through_the_supervisor_only(self, dev: Dev) -> None:
        """No child is in the group that a terminal sends its signals to."""
        group = os.getpgid(dev.process.pid)
        family = descendants(dev.process.pid)
        assert len(family) >= 4
        assert all(os.getpgid(pid) != group for pid in family)

    def test_killing_the_supervisor_ends_its_children(self, own: Dev) -> None:
        """kill -9 of the supervisor: soon store, sandbox, API, its workers, worker and env are gone."""
        family = descendants(own.process.pid)
        own.process.kill()
        own.process.wait()
        wait_until(lambda: all_gone(list(family)), 30, "the end of all children")
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

            def seen() -> tuple[int, str]:
                status, body = call(f"{again.url}/verify/{begun['verification_id']}", again.env["OTP_API_KEY"])
                return status, body["status"]

            # No process is left that knows what callers were told.
            wait_until(lambda: seen() == (200, "expired"), 90, "the end of what began before")
        finally:
            assert stop_dev(again)[0] == 0

    def test_a_killed_api_or_worker_is_started_again(self, own: Dev) -> None:
        """kill -9 of the API's main process, then of the worker: what was started before each gets its SMS."""
        for child, number in (("otp_service serve", "+12025550143"), ("otp_service worker", "+12025550144")):
            self._is_started_again(own, child, number)
        code, output = stop_dev(own)
        assert (code, output.count("it is started again")) == (0, 2)

    def _is_started_again(self, own: Dev, child: str, number: str) -> None:
        before = start(own, number)
        family = descendants(own.process.pid)
        victim = next(pid for pid, line in family.items() if child in line)
        os.kill(victim, signal.SIGKILL)
        wait_until(lambda: victim not in descendants(own.process.pid), 60, "the end of the killed process")
        again = wait_until(
            lambda: [line for line in descendants(own.process.pid).values() if child in line], 60, "another one"
        )
        assert again

        def delivered() -> bool:
            with contextlib.suppress(OSError):
                path = f"{own.url}/verify/{before['verification_id']}"
                status, seen = call(path, own.env["OTP_API_KEY"])
                return status == 200 and seen["deliveries"][0]["status"] == "delivered"
            return False

        wait_until(delivered, 90, "the delivery")

    @pytest.mark.parametrize("child", ["sandbox", "unixsocket"])
    def test_a_store_or_sandbox_that_ends_by_itself_ends_everything(self, own: Dev, child: str) -> None:
        """One killed child: the others stop, exit 1, a sentence names it, and the logs stay."""
        family = descendants(own.process.pid)
        victim = next(pid for pid, line in family.items() if child in line)
        os.kill(victim, signal.SIGKILL)
        output, _ = own.process.communicate(timeout=60)
        assert own.process.returncode == 1
        assert "killed by SIGKILL" in output
        assert "Traceback" not in output
        wait_until(lambda: all_gone(list(family)), 30, "the end of all children")
        assert not (own.directory / "env").exists()

    def test_its_own_directory_goes_with_it(self, tmp_path: Path) -> None:
        """Without --dir nothing is left in the current directory. A closed terminal is an end like the others."""
        running = start_dev_here(tmp_path)
        assert stat.S_IMODE(running.directory.stat().st_mode) == 0o700
        family = descendants(running.process.pid)
        assert stop_dev(running, signal.SIGHUP)[0] == 0
        wait_until(lambda: all_gone(list(family)), 30, "the end of all children")
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
            wait_until(lambda: catches(process.pid, signal.SIGTERM), 60, "a handler")  # noqa: B023
            time.sleep(delay_s)
            family = descendants(process.pid)
            process.terminate()
            _, errors = process.communicate(timeout=90)
            assert (process.returncode, errors) == (0, "")
            wait_until(lambda: all_gone(list(family)), 30, "the end of all children")  # noqa: B023
            assert list(tmp_path.iterdir()) == []
