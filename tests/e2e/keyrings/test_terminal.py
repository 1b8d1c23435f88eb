"""SIGHUP: a service without a terminal reads its keyring, one with a terminal ends."""

import os
import pty
import signal
import sys
from pathlib import Path

from ...conftest import wait_until
from ..service_client import ServiceClient
from .site import Site, kids, working


def test_a_hang_up_is_no_end_for_a_service_without_a_terminal(site: Site, service_client: ServiceClient) -> None:
    """SIGHUP asks API and worker to look at the keyring: they go on, with the new key."""
    working(site, service_client)
    new = site.rotate("--after", "0s")["active_kid"]
    for name in ("api", "worker"):
        site._running[name].send_signal(signal.SIGHUP)
    wait_until(lambda: new in kids(service_client.url), 60, "the new key")
    verification = service_client.started(number := service_client.number())
    assert service_client.check(verification, service_client.code(number, 60)).status_code == 200
    assert all(site._running[name].poll() is None for name in ("api", "worker"))


HANG_UP = """
import sys, time
from otp_service.runtime import signals
stop = signals.stop_on_signals(reload=lambda: open(sys.argv[1] + "/reloaded", "w").close())
open(sys.argv[1] + "/there", "w").close()
open(sys.argv[1] + ("/ended" if stop.wait(30) else "/late"), "w").close()
"""


def test_the_end_of_the_terminal_is_the_end(tmp_path: Path) -> None:
    """A SIGHUP by hand asks to read again, also in a terminal; the one of a terminal that is gone ends the process."""
    pid, terminal = pty.fork()
    if pid == 0:
        os.execv(sys.executable, [sys.executable, "-c", HANG_UP, str(tmp_path)])
    try:
        wait_until((tmp_path / "there").exists, 60, "the process")
        os.kill(pid, signal.SIGHUP)
        wait_until((tmp_path / "reloaded").exists, 60, "the reload")
        assert not (tmp_path / "ended").exists()
    finally:
        os.close(terminal)
    wait_until((tmp_path / "ended").exists, 60, "the end")
    os.waitpid(pid, 0)
