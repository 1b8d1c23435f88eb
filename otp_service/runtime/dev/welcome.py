"""What `otp-service dev` prints when everything serves."""

import contextlib
import shlex
import sys

from ...config import Settings
from .state import State

NUMBER = "+12025550143"


def print_welcome(state: State, url: str, sandbox_url: str, app: str, settings: Settings) -> None:
    """Print the addresses and a request to paste."""
    env = shlex.quote(str(state.env))
    start = """'{"to": "%s"}'""" % NUMBER  # noqa: UP031 - braces of JSON
    lines = [
        "otp-service dev is running; Ctrl-C ends it.",
        "",
        f"  API          {url}  (reference: {url}/docs)",
        f"  Phones       {sandbox_url}  (every SMS arrives here; you can reply)",
        f"  Environment  {state.env}  (the API key, all scopes of the app {app!r})",
        f"  Logs         {state.logs}",
    ]
    if app != "default":
        lines.append(f"  (no app 'default' in {settings.config_path}, so the key belongs to its first app)")
    lines += [
        "",
        "Try it in another terminal, then look at the phones:",
        "",
        f'  . {env}; curl -sS "$OTP_URL/verify/start" -H "Authorization: Bearer $OTP_API_KEY" \\',
        f"    -H 'Content-Type: application/json' -d {start}",
        "",
    ]
    _print("\n".join(lines))


def _print(text: str) -> None:
    # A closed pipe is no reason to stop serving.
    with contextlib.suppress(BrokenPipeError):
        sys.stdout.write(text + "\n")
        sys.stdout.flush()
