"""One process of the event-loop server: builds the application, serves until it is told to end.

Runs in a child; `front_server` is the main process.
"""

import asyncio
import logging
import os
import signal
import socket
import threading
import time
from collections.abc import MutableSequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, cast

from .. import config
from ..config import Settings
from ..front.accepting import ProcessShare
from ..front.connections import allow_descriptors, connections_allowed
from ..front.receiving import DEADLINE_S, LAST_REQUESTS_S, SEND_S
from . import building, event_loop, metrics_server, parent

if TYPE_CHECKING:
    from uvicorn import Config

    from ..bootstrap.front import Front

GRACE_S = 5
"""For requests in flight when the process is to end and takes no more connections."""

BACKLOG = 2048
KEYRING_EVERY_S = 0.5
LAST_LINES_S = 0.5
"""For the log to be written, at the end."""

NEEDS = (
    "uvicorn",
    "otp_service.bootstrap.front",
    "otp_service.front.server",
    "otp_service.front.flask_app",
    "otp_service.front.protocol",
)
"""The modules that a process imports. They may only be imported after the metrics directory is set."""

END_S = LAST_REQUESTS_S + GRACE_S + LAST_LINES_S + 2.0
"""The longest that a process takes to end after its drain; one that takes longer is killed."""

_log = logging.getLogger("otp.serve")


@dataclass(frozen=True, slots=True)
class Serving:
    """What the main process gives to each of its children."""

    main_pid: int
    listening: socket.socket
    telling: socket.socket | None
    """Listens for those who ask for the metrics."""

    working: int
    """Requests that may work in the pool of a process at once."""

    drain_s: float
    """How long a process that is told to end serves on while it is not ready."""

    connections: MutableSequence[int]
    """How many connections each process has: memory that they share."""


def run(serving: Serving, number: int) -> None:
    """Serve on a socket that listens, as the process of this number, until told to end."""
    # The keyring is read again without it; the main process reacts to the end of a terminal.
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    parent.follow_parent(serving.main_pid, signal.SIGKILL)
    # Ctrl-C at a terminal reaches this process too; the main process says what is to be done.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    allow_descriptors()
    from .. import log_writer, telemetry  # noqa: PLC0415 - after the metrics directory is set

    settings = config.load(config.environment())
    log = log_writer.to_stderr(telemetry.LOG_DROPPED.inc)
    telemetry.configure_logging(settings.log_level, handler=log)
    telemetry.look_for_no_places()
    event_loop.come_before_threads()
    try:
        with asyncio.Runner(loop_factory=event_loop.factory()) as runner:
            runner.run(_serve(settings, serving, ProcessShare(serving.connections, number)))
    finally:
        is_written = log.wait_until_written(LAST_LINES_S)
    if not is_written:
        # Nobody reads the log; writing it at the end of the interpreter would wait for that.
        os._exit(0)


async def _serve(settings: Settings, serving: Serving, share: ProcessShare) -> None:
    from ..bootstrap import build_front  # noqa: PLC0415
    from ..front.server import FrontServer  # noqa: PLC0415 - only this command needs it

    front = building.when_it_can_be_built(partial(build_front, settings, asyncio.get_running_loop()))
    threading.Thread(target=_watch_keyring, args=(front,), name="keyring", daemon=True).start()
    _tell_metrics(serving.telling, front)
    building.keep_start_up_out_of_collections()
    server = FrontServer(server_config(front, serving.working), front.begin_end, serving.drain_s, share)
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, server.handle_exit, signal.SIGTERM, None)
    try:
        await server.serve([serving.listening])
    finally:
        front.close()


def _tell_metrics(telling: socket.socket | None, front: "Front") -> None:
    if telling is None:
        _log.warning("metrics are not served without a key: their usual port is taken; see --metrics-port")
    else:
        metrics_server.MetricsServer(telling, front.metrics, front.published).start()


def _watch_keyring(front: "Front") -> None:
    """Look at the keyring's file here, so that no request in the loop has to."""
    while True:
        time.sleep(KEYRING_EVERY_S)
        try:
            front.keyring.check()
        except Exception:  # noqa: BLE001 - the next look may succeed, and requests look too
            _log.error("unexpected", exc_info=True)


def server_config(
    front: "Front", working: int, deadline_s: float = DEADLINE_S, connections: int | None = None, send_s: float = SEND_S
) -> "Config":
    """How uvicorn serves this application in the running loop.

    `deadline_s`: for a request to arrive. `connections`: at once, otherwise as many as the system allows.
    `send_s`: for a caller to read.
    """
    from uvicorn import Config  # noqa: PLC0415

    from ..front.connection import Limits  # noqa: PLC0415 - with all that imports metrics, as in `run`
    from ..front.flask_app import FlaskApp  # noqa: PLC0415
    from ..front.protocol import FrontProtocol  # noqa: PLC0415

    loop = asyncio.get_running_loop()
    limits = Limits(loop, connections or connections_allowed(), deadline_s, send_s)
    protocol = partial(
        FrontProtocol,
        endpoints=front.endpoints,
        refusals=front.refusals,
        app_of=front.app_of,
        limits=limits,
        ending=front.ending,
    )
    return Config(
        cast("Any", FlaskApp(front.flask, working, front.refusals, front.app_of)),
        http=cast("Any", protocol),
        ws="none",
        interface="asgi3",
        lifespan="off",
        log_config=None,
        log_level="critical",
        access_log=False,
        proxy_headers=False,
        server_header=False,
        backlog=BACKLOG,
        timeout_graceful_shutdown=GRACE_S,
    )
