"""Requests to end, and to read files again, that come while a server starts."""

import os
import signal
import subprocess
import sys

import pytest

PROGRAM = """
import os, sys
from otp_service.runtime import front_server

class Options:
    @property
    def host(self):
        os.kill(os.getpid(), int(sys.argv[1]))
        sys.exit("it goes on")

front_server.serve(None, Options())
"""


@pytest.mark.parametrize(
    ("number", "status", "said"), [(signal.SIGHUP, 1, "it goes on"), (signal.SIGTERM, 0, ""), (signal.SIGINT, 0, "")]
)
def test_a_server_that_starts(number: signal.Signals, status: int, said: str) -> None:
    """SIGHUP asks to read the keyring again, and ended it; SIGTERM and SIGINT are a clean end."""
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(int(number))],
        env={"PATH": os.environ["PATH"]},
        capture_output=True,
        text=True,
        check=False,
        start_new_session=True,
    )
    assert (done.returncode, done.stderr.strip()) == (status, said)
