"""The README's first command from outside: it serves, a code approves, SIGTERM ends it and nothing is left.

python3 .ci/first_command.py COMMAND    in a clone; needs Python alone
"""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

PERSON = "+12025550143"

PORTS = (8080, 8081)
"""Those of the API and of the sandbox, where the command names none."""

INSTALLS_S = 1800.0
"""Packages are installed meanwhile, here and beside it."""

SOON_S = 120.0
"""What takes a second may take many on a busy machine."""


def fail(reason: str) -> None:
    """Say why and end with status 1."""
    print(f"!! {reason}", file=sys.stderr)
    raise SystemExit(1)


def wait_for(look: Callable[[], Any], seconds: float, what: str) -> Any:
    """Look until there is something."""
    deadline = time.monotonic() + seconds
    while not (found := look()):
        if time.monotonic() > deadline:
            fail(f"{what}: not within {seconds:.0f} s")
        time.sleep(0.2)
    return found


def call(url: str, key: str = "", body: object = None) -> Any:
    """One request to a service on this machine; the JSON of its response."""
    headers = {"Content-Type": "application/json"} | ({"Authorization": f"Bearer {key}"} if key else {})
    data = None if body is None else json.dumps(body).encode()
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(urllib.request.Request(url, data, headers), timeout=SOON_S) as response:
        return json.load(response)


def newest_code(sandbox_url: str) -> str | None:
    """The code of the newest message on the phone."""
    messages = call(f"{sandbox_url}/sandbox/phones/{PERSON}/messages")["messages"]
    found = re.search(r"\b[0-9]{6}\b", messages[0]["text"]) if messages else None
    return found[0] if found else None


def left_behind(place: str) -> list[str]:
    """Command lines of processes that run from here."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            line = path.read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            continue
        if place in line and int(path.parent.name) != os.getpid():
            found.append(line)
    return found


def are_free(*ports: int) -> bool:
    """Whether nobody listens there, as another run of this would."""
    for port in ports:
        with socket.socket() as asking:
            if asking.connect_ex(("127.0.0.1", port)) == 0:
                return False
    return True


def read_env(path: Path, service: "subprocess.Popen[bytes]") -> dict[str, str] | None:
    """DIR/env, once it is there."""
    if not path.exists():
        if service.poll() is not None:
            fail("the first command does not serve")
        return None
    return dict(line.split("=", 1) for line in path.read_text(encoding="utf-8").splitlines() if line)


def approve(env: dict[str, str]) -> None:
    """A code reaches the phone and approves."""
    key = env["OTP_API_KEY"]
    call(f"{env['OTP_URL']}/verify/start", key, {"to": PERSON})
    code = wait_for(lambda: newest_code(env["SANDBOX_URL"]), SOON_S, "a code on the phone")
    checked = call(f"{env['OTP_URL']}/verify/check", key, {"to": PERSON, "code": code})
    if checked["status"] != "approved":
        fail(f"not approved: {checked}")


def main(command: str) -> None:
    """Run it, use it, end it."""
    state = Path(".otp-dev")
    wait_for(lambda: are_free(*PORTS), SOON_S, f"nobody else has the ports {PORTS}")
    service = subprocess.Popen(["bash", "-c", command])
    try:
        approve(wait_for(lambda: read_env(state / "env", service), INSTALLS_S, "the first command serves"))
        print("== a code reached a phone and was approved", flush=True)
        os.kill(int((state / "lock").read_text()), signal.SIGTERM)
        if service.wait(SOON_S) != 0:
            fail(f"otp-service dev ended with status {service.returncode}")
    finally:
        if service.poll() is None:
            os.kill(int((state / "lock").read_text()) if (state / "lock").exists() else service.pid, signal.SIGTERM)
            service.wait(SOON_S)
    if state.exists():
        fail("otp-service dev left its directory behind")
    place = str(Path(".venv").resolve())
    wait_for(lambda: not left_behind(place), SOON_S, "the end of every process of otp-service dev")


if __name__ == "__main__":
    main(sys.argv[1])
