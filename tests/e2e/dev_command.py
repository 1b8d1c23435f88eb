"""Running `otp-service dev`, and calling what it runs."""

import json
import re
import subprocess
import sys
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

from tests.conftest import Dev, clean_environ, read_env, wait_until

PERSON = "+12025550143"


def call(url: str, key: str | None = None, body: dict[str, Any] | None = None) -> tuple[int, Any]:
    """One HTTP request: status and decoded body."""
    headers = {"Content-Type": "application/json"} if body is not None else {}
    if key is not None:
        headers["Authorization"] = f"Bearer {key}"
    data = json.dumps(body).encode() if body is not None else None
    try:
        with urllib.request.urlopen(urllib.request.Request(url, data, headers), timeout=30) as response:
            return response.status, json.loads(response.read() or b"null")
    except urllib.error.HTTPError as error:
        with error:
            return error.code, json.loads(error.read() or b"null")


def start(dev: Dev, to: str = PERSON) -> dict[str, Any]:
    """Start a verification."""
    status, answer = call(f"{dev.url}/verify/start", dev.env["OTP_API_KEY"], {"to": to})
    assert status == 201, answer
    return dict(answer)


def code_on_phone(dev: Dev, to: str = PERSON) -> str:
    """Wait for the SMS and read the code off the handset."""

    def arrived() -> str | None:
        _, answer = call(f"{dev.sandbox_url}/sandbox/phones/{to}/messages")
        found = re.search(r"\b[0-9]{6}\b", answer["messages"][0]["text"]) if answer["messages"] else None
        return found[0] if found else None

    return str(wait_until(arrived, 90, "an SMS on the handset"))


def start_dev_here(directory: Path, *options: str) -> Dev:
    """`otp-service dev` without --dir."""
    process = subprocess.Popen(
        [sys.executable, "-m", "otp_service", "dev", "--port", "0", "--sandbox-port", "0", *options],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        cwd=directory,
        env=clean_environ(),
    )
    return when_ready(process, directory / ".otp-dev")


def when_ready(process: "subprocess.Popen[str]", state: Path) -> Dev:
    """What this process runs, once it has written its environment into the directory; it ends if it does not."""
    try:
        wait_until(lambda: (state / "env").exists() or process.poll() is not None, 90, "DIR/env")
    except BaseException:
        process.terminate()
        process.communicate(timeout=60)
        raise
    return Dev(process, state, read_env(state / "env"))
