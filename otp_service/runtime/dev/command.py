"""`otp-service dev`: everything on one machine, for the first look, for integrating and for tests.

Guaranteed here:

* `DIR/env` exists as long as everything serves; it is written whole, readable by this user only. If the supervisor
  is killed, the worker removes it.
* SIGINT, SIGTERM: exit 0 within ten seconds and no process left. If the supervisor is killed, the kernel ends its
  children.
* Two of them never share a directory, not even while the children of a killed one are still ending.

The carrier is always the sandbox and the keyring always the directory's own: the variables
of production for either are ignored. The processes are started and watched by `supervisor`.
"""

import contextlib
import os
from dataclasses import dataclass
from pathlib import Path

from ... import config
from ...config import dev_environment
from ...domain.errors import ConfigError
from .. import ports, signals
from .directory import own_directory
from .state import HOST, State
from .supervisor import Stopped, Supervisor


@dataclass(frozen=True, slots=True)
class Options:
    """The options of the command. Port 0 takes a free one; `directory` None is one that is removed at the end."""

    port: int
    sandbox_port: int
    directory: Path | None
    redis_url: str | None
    verbose: bool


def run(options: Options) -> None:
    """Serve until a signal. Returns after a clean end; raises ServiceError with one clear sentence otherwise."""
    stop = signals.stop_on_signals()
    os.umask(0o077)
    _, api_port = ports.usable_address(HOST, options.port, "--port")
    _, sandbox_port = ports.usable_address(HOST, options.sandbox_port, "--sandbox-port")
    if api_port == sandbox_port:
        raise ConfigError(f"--port and --sandbox-port are both {api_port}; choose another for one of them")
    with own_directory(_kept_directory(options)) as (directory, lock), contextlib.suppress(Stopped):
        state = State(directory)
        environ = state.environ(config.environment(find=False), api_port, sandbox_port)
        supervisor = Supervisor(state, environ, stop, lock, verbose=options.verbose)
        try:
            supervisor.run(options.redis_url, api_port, sandbox_port)
        finally:
            supervisor.stop_all()


def _kept_directory(options: Options) -> Path | None:
    """The directory that is kept; None if the default one is removed at the end.

    With --redis-url the default one is kept too: the data in that store stays, and needs the keyring.
    """
    if options.directory is None and options.redis_url is not None:
        return Path(dev_environment.DIRECTORY)
    return options.directory
