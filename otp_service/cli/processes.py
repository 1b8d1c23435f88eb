"""`otp-service dev`, `serve` and `worker`: the processes of the service."""

import argparse
from pathlib import Path
from typing import Any

from .arguments import count, host_name, port_number, seconds
from .parser import add_command
from .settings import load_settings

DRAIN_S = 5.0
"""Longer than a load balancer needs to find out: two failed checks, two seconds apart."""


def register(groups: Any) -> None:
    """Add the commands to the command line."""
    _add_dev(groups)
    _add_serve(groups)
    _add_worker(groups)


def _add_dev(groups: Any) -> None:
    dev = add_command(
        groups,
        "dev",
        _dev,
        line="run everything on this machine: store, sandbox carrier, API and worker",
        text="No message leaves the machine. DIR/env holds the API key and all addresses while it runs.",
        example="otp-service dev --dir ./state",
    )
    dev.add_argument("--port", type=port_number, default=8080, help="of the API; 0 takes a free one (default 8080)")
    dev.add_argument(
        "--sandbox-port", type=port_number, default=8081, help="of the carrier and its phones (default 8081)"
    )
    dev.add_argument("--dir", type=Path, help="keep state here (default .otp-dev, removed at the end)")
    dev.add_argument("--redis-url", help="use this store instead of the embedded one")
    dev.add_argument("--verbose", action="store_true", help="copy the logs of all processes to stderr")


def _add_serve(groups: Any) -> None:
    serve = add_command(
        groups,
        "serve",
        _serve,
        line="run the API alone, on the production server",
        text="Put a reverse proxy in front of it that ends TLS and buffers requests.",
        example="OTP_KEYRING=/etc/otp/keyring.json otp-service serve --host 0.0.0.0 --port 8080",
    )
    serve.add_argument("--host", type=host_name, default="127.0.0.1", help="address to listen on (default 127.0.0.1)")
    serve.add_argument("--port", type=port_number, default=8080, help="0 takes a free one (default 8080)")
    serve.add_argument("--workers", type=count, help="processes (default: one for each core, at most 8)")
    serve.add_argument(
        "--threads", type=count, help="requests of each process that work outside of its event loop at once (default 4)"
    )
    serve.add_argument(
        "--drain",
        type=seconds,
        default=DRAIN_S,
        metavar="DURATION",
        help="at the end, serve on for so long with /readyz at 503 (default 5s)",
    )
    serve.add_argument(
        "--metrics-port",
        type=port_number,
        help="serve /metrics without a key there (default 9464, if it is free)",
    )
    serve.add_argument("--metrics-host", type=host_name, default="127.0.0.1", help="address for it (default 127.0.0.1)")


def _add_worker(groups: Any) -> None:
    worker = add_command(
        groups,
        "worker",
        _worker,
        line="run the delivery worker alone",
        text="Any number of workers share the deliveries. SIGTERM finishes those that are in flight.",
        example="otp-service worker --concurrency 100",
    )
    worker.add_argument("--processes", type=count, help="default: one for each core, at most 8")
    worker.add_argument("--concurrency", type=count, default=100, help="sends at once of each process (default 100)")
    worker.add_argument("--metrics-port", type=port_number, help="serve /metrics and /healthz there (default: nowhere)")
    worker.add_argument(
        "--metrics-host", type=host_name, default="127.0.0.1", help="address for it (default 127.0.0.1)"
    )


def _dev(args: argparse.Namespace) -> None:
    from ..runtime.dev import command  # noqa: PLC0415

    command.run(command.Options(args.port, args.sandbox_port, args.dir, args.redis_url, args.verbose))


def _serve(args: argparse.Namespace) -> None:
    from .. import config  # noqa: PLC0415
    from ..runtime import building, front_server, parent  # noqa: PLC0415

    parent.follow_spawner(config.environment())
    settings = load_settings()
    workers = args.workers or building.default_processes()
    threads = args.threads or front_server.DEFAULT_THREADS
    at = (args.metrics_host, args.metrics_port)
    front_server.serve(settings, front_server.Options(args.host, args.port, workers, threads, args.drain, *at))


def _worker(args: argparse.Namespace) -> None:
    from .. import config  # noqa: PLC0415
    from ..runtime import building, parent, signals, worker_process  # noqa: PLC0415

    # Nothing to do at SIGHUP: the keyring file is checked every second anyway.
    stop = signals.stop_on_signals(reload=lambda: None)
    settings = load_settings()
    with parent.following_spawner(config.environment()):
        serve_at = (args.metrics_host, args.metrics_port)
        processes = args.processes or building.default_processes()
        worker_process.run(settings, stop, processes, args.concurrency, serve_at)
    worker_process.leave()
