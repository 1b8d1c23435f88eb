"""`otp-service sandbox`: the sandbox carrier alone."""

import argparse
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from .arguments import host_name, port_number, web_address
from .output import note, print_line
from .parser import UsageError, add_command
from .settings import load_settings

if TYPE_CHECKING:
    from ..sandbox.server import SandboxServer

SEED = "TELNYX_WEBHOOK_SIGNING_SEED"


def register(groups: Any) -> None:
    """Add the command to the command line."""
    sandbox = add_command(
        groups,
        "sandbox",
        _sandbox,
        line="run the sandbox carrier alone",
        text="It demands TELNYX_API_KEY and signs with TELNYX_WEBHOOK_SIGNING_SEED (base64 of 32 bytes) if they are "
        "set, and knows the senders of the configuration if there is one.",
        example="otp-service sandbox --port 8081 --webhook-url http://127.0.0.1:8080/webhooks/telnyx",
    )
    sandbox.add_argument("--host", type=host_name, default="127.0.0.1", help="address to listen on (default 127.0.0.1)")
    sandbox.add_argument("--port", type=port_number, default=8081, help="0 takes a free one (default 8081)")
    sandbox.add_argument(
        "--webhook-url", type=web_address, help="where webhooks go unless a message names another address"
    )


def _sandbox(args: argparse.Namespace) -> None:
    from .. import config  # noqa: PLC0415
    from ..runtime import parent, signals  # noqa: PLC0415

    stop = signals.stop_on_signals()
    parent.follow_spawner(config.environment())
    with _server(args, config.environment()) as server:
        print_line(f"TELNYX_BASE_URL={server.url}/v2")
        print_line(f"TELNYX_PUBLIC_KEY={server.public_key_b64}", flush=True)
        note(f"The phones: {server.url}")
        stop.wait()


def _server(args: argparse.Namespace, environ: Mapping[str, str]) -> "SandboxServer":
    from ..sandbox.server import CannotListenError, SandboxSender, SandboxServer  # noqa: PLC0415

    settings = load_settings()
    senders = [
        SandboxSender(sender.kind, sender.messaging_profile_id, sender.address)
        for sender in settings.policy.senders.values()
    ]
    try:
        return SandboxServer(
            host=args.host,
            port=args.port,
            webhook_url=args.webhook_url,
            api_key=settings.telnyx_api_key,
            signing_seed=_signing_seed(environ),
            senders=senders,
        )
    except CannotListenError as error:
        raise UsageError(f"{str(error).rstrip('.')}; choose another with --host or --port") from error


def _signing_seed(environ: Mapping[str, str]) -> bytes | None:
    from ..config.variables import secret  # noqa: PLC0415
    from ..sandbox.server import decode_seed  # noqa: PLC0415

    text = secret(environ, SEED)
    try:
        return decode_seed(text) if text else None
    except ValueError as error:
        raise UsageError(f"{SEED}: must be the base64 of 32 bytes") from error
