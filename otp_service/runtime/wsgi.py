"""The API for another WSGI server than ours, such as gunicorn: `otp_service.runtime.wsgi:application()`.

Slower than `otp-service serve`, and without what needs its event loop: each request keeps a thread while it works or
arrives, requests for news are answered at once, and nothing bounds or shares out what callers hold. The operation guide
says what to put in front.
"""

from typing import TYPE_CHECKING

from .. import config
from . import building, core_dumps, metrics

if TYPE_CHECKING:
    from flask import Flask


def application() -> "Flask":
    """A new application, for one process. Raises ConfigError; waits for a store that does not answer yet."""
    core_dumps.forbid()
    settings = config.load(config.environment())
    if settings.metrics_dir is not None:
        metrics.use_directory(settings.metrics_dir)
    from .. import log_writer, telemetry  # noqa: PLC0415 - after the metrics directory is set
    from ..bootstrap import build_web  # noqa: PLC0415

    # A log that nobody reads stops no request. The server may fork after this: then each process has its own.
    telemetry.configure_logging(settings.log_level, handler=log_writer.to_stderr(telemetry.LOG_DROPPED.inc))
    return building.when_the_store_answers(lambda: build_web(settings, waiting=0))
