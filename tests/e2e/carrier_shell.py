"""A shell whose environment names a sandbox on a socket.

Most commands run in this process, which is quick; what concerns pipes, terminals and signals runs as a process of its
own.
"""

import json
import subprocess
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx

from otp_service.sandbox.server import SandboxServer
from tests.conftest import clean_environ

from .in_process import Commands

PROFILE = "abc85f64-5717-4562-b3fc-2c9600000000"
TOLL_FREE, SHORT_CODE, MOBILE = "+18445550001", "12345", "+13127367407"
PERSON, OTHER, BRITON = "+12025550143", "+12025550144", "+447911123456"
NOBODY = "00000000-0000-0000-0000-000000000000"
KEY = "KEY0123456789"


@dataclass
class Shell(Commands):
    """A shell whose environment names the sandbox and its key, and nothing else of the service."""

    server: SandboxServer
    control: httpx.Client

    def refused(self, *words: str, status: int = 1) -> str:
        """The one sentence of a command that fails, without the key."""
        sentence = super().refused(*words, status=status)
        assert KEY not in sentence
        return sentence

    def inbox(self, phone: str) -> list[dict[str, Any]]:
        """What arrived on a phone."""
        found: list[dict[str, Any]] = self.control.get(f"/sandbox/phones/{phone}/messages").json()["messages"]
        return found

    def reply(self, phone: str, text: str) -> None:
        """A person replies to the toll-free number."""
        answer = self.control.post(f"/sandbox/phones/{phone}/messages", json={"to": TOLL_FREE, "text": text})
        answer.raise_for_status()

    def chaos(self, **settings: Any) -> None:
        """Have the carrier misbehave."""
        self.control.put("/sandbox/chaos", json=settings).raise_for_status()

    def requests(self) -> list[dict[str, Any]]:
        """What the carrier was asked so far."""
        found: list[dict[str, Any]] = self.control.get("/sandbox/journal").json()["requests"]
        return found

    @property
    def environ(self) -> dict[str, str]:
        """The environment for a process of its own."""
        return clean_environ(TELNYX_BASE_URL=f"{self.server.url}/v2", TELNYX_API_KEY=KEY)


def later(**delta: float) -> str:
    """A moment from now on, in RFC 3339."""
    return (datetime.now(UTC) + timedelta(**delta)).isoformat().replace("+00:00", "Z")


def person(n: int) -> str:
    """The n-th of many people."""
    return f"+1202{2_000_000 + n}"


def ended(process: "subprocess.Popen[str]") -> Any:
    """The JSON of a command that succeeds."""
    out, err = process.communicate(timeout=60)
    assert (process.returncode, err) == (0, "")
    return json.loads(out)
