"""Three processes of the service that get many requests at the same moment."""

import contextlib
import json
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from otp_service import bootstrap

from ..conftest import clean_environ
from .conftest import PUBLIC_URL, ApiHarness

PROCESSES = 3


@contextlib.contextmanager
def processes(api: ApiHarness) -> Iterator[list["subprocess.Popen[str]"]]:
    """Three processes of the service over the harness's store and keyring, each ready to ask."""
    settings = api.settings
    bootstrap.accept_keyring(settings)
    environ = clean_environ(
        OTP_CONFIG=str(settings.config_path),
        OTP_KEYRING=str(settings.keyring_path),
        OTP_REDIS_URL=settings.redis_url,
        OTP_PUBLIC_URL=PUBLIC_URL,
        TELNYX_PUBLIC_KEY=settings.telnyx_public_key or "",
        TELNYX_BASE_URL="http://127.0.0.1:1/v2",
    )
    command = [sys.executable, "-m", "tests.web.guessing_process"]
    running = [
        subprocess.Popen(
            command,
            cwd=Path(__file__).parents[2],
            env=environ,
            text=True,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        for _ in range(PROCESSES)
    ]
    try:
        for one in running:
            assert one.stdout is not None
            assert one.stdout.readline() == "ready\n"
        yield running
    finally:
        for one in running:
            one.kill()
            one.communicate()


def ask(
    running: Sequence["subprocess.Popen[str]"], key: str, bodies: Sequence[dict[str, Any]], path: str = "/verify/check"
) -> Counter[tuple[int, str]]:
    """Give each process its share of the bodies; how often each answer came."""
    for number, one in enumerate(running):
        assert one.stdin is not None
        one.stdin.write(json.dumps({"key": key, "path": path, "bodies": bodies[number::PROCESSES]}) + "\n")
        one.stdin.flush()
    found: Counter[tuple[int, str]] = Counter()
    for one in running:
        assert one.stdout is not None
        found.update((status, code) for status, code in json.loads(one.stdout.readline()))
    return found
