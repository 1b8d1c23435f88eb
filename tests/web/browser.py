"""A real Chromium that does what a person does: loads a page, presses keys, and says what is to be seen.

It is spoken to by the DevTools protocol over two pipes, so no port and no further package is needed.
"""

import fcntl
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from itertools import count
from pathlib import Path
from typing import Any

from tests.conftest import needs_program, wait_until

FLAGS = ("--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking", "--no-first-run")
_WITH_PIPES = (
    "import os, sys; os.dup2(int(sys.argv[1]), 3); os.dup2(int(sys.argv[2]), 4); os.execv(sys.argv[3], sys.argv[3:])"
)
_KEYS = {"Tab": 9, "Enter": 13}


class Page:
    """One page of a browser."""

    def __init__(self, to_browser: int, from_browser: int) -> None:
        self._out, self._in, self._read = to_browser, from_browser, b""
        self._ids = count(1)
        self._session: str | None = None
        target = self._say("Target.createTarget", url="about:blank")["targetId"]
        self._session = self._say("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]

    def close(self) -> None:
        """End the browser."""
        self._session = None
        self._say("Browser.close")
        os.close(self._out)
        os.close(self._in)

    def open(self, url: str, width: int) -> None:
        """Load a page in a window of this width, in CSS pixels."""
        self._say("Emulation.setDeviceMetricsOverride", width=width, height=800, deviceScaleFactor=1, mobile=True)
        self._say("Page.navigate", url=url)
        loaded = f"location.href === {json.dumps(url)} && document.readyState === 'complete'"
        wait_until(lambda: self.see(loaded), 120, f"the page {url}")

    def see(self, expression: str) -> Any:
        """The value of an expression in the page."""
        result = self._say("Runtime.evaluate", expression=expression, returnByValue=True)
        assert "exceptionDetails" not in result, result
        return result["result"].get("value")

    def press(self, key: str) -> None:
        """Press a key and let it go."""
        named = {"key": key, "code": key, "windowsVirtualKeyCode": _KEYS[key]}
        text = {"text": "\r"} if key == "Enter" else {}
        self._say("Input.dispatchKeyEvent", type="keyDown", **named, **text)
        self._say("Input.dispatchKeyEvent", type="keyUp", **named)

    def _say(self, method: str, **parameters: Any) -> dict[str, Any]:
        number = next(self._ids)
        said: dict[str, Any] = {"id": number, "method": method, "params": parameters}
        if self._session is not None:
            said["sessionId"] = self._session
        os.write(self._out, json.dumps(said).encode() + b"\0")
        while True:
            answer = json.loads(self._message())
            if answer.get("id") == number:
                assert "error" not in answer, answer
                result: dict[str, Any] = answer["result"]
                return result

    def _message(self) -> bytes:
        while b"\0" not in self._read:
            part = os.read(self._in, 65536)
            assert part, "the browser has ended"
            self._read += part
        message, _, self._read = self._read.partition(b"\0")
        return message


@contextmanager
def opened(directory: Path) -> Iterator[Page]:
    """A page of a browser that keeps its files in the directory. Skips where there is no Chromium."""
    program = needs_program("chromium", "chromium-browser", "google-chrome")
    theirs, ours, mine, their_answers = _pipes()
    command = [program, *FLAGS, f"--user-data-dir={directory}", "--remote-debugging-pipe"]
    process = subprocess.Popen(
        [sys.executable, "-c", _WITH_PIPES, str(theirs), str(their_answers), *command],
        pass_fds=(theirs, their_answers),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    os.close(theirs)
    os.close(their_answers)
    try:
        with closing(Page(ours, mine)) as page:
            yield page
        process.wait(120)
    finally:
        process.kill()
        process.wait()


def _pipes() -> tuple[int, int, int, int]:
    """What the browser reads, what we write, what we read, what the browser writes; none of them 3 or 4."""
    made = [*os.pipe(), *os.pipe()]
    high = [fcntl.fcntl(one, fcntl.F_DUPFD_CLOEXEC, 10) for one in made]
    for one in made:
        os.close(one)
    return high[0], high[1], high[2], high[3]
