"""uvicorn's server as this service runs it."""

import signal
from typing import Any, cast

from uvicorn import Config

from otp_service.front.server import FrontServer


def test_the_server_leaves_signals_alone() -> None:
    """uvicorn would raise them again after serving, and so end the process before its log is written."""
    server = FrontServer(Config(cast("Any", None), log_config=None), lambda: None)
    before = signal.getsignal(signal.SIGTERM)
    with server.capture_signals():
        assert signal.getsignal(signal.SIGTERM) is before
