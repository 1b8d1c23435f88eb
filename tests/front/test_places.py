"""What costs much, or comes in floods, has threads of its own; what everybody needs is answered beside it."""

import asyncio
import threading
from collections.abc import Awaitable, Callable, Iterable, Mapping, MutableMapping
from typing import Any

import pytest

from otp_service.front.flask_app import PLACES, FlaskApp
from otp_service.front.refusals import Refusals
from otp_service.web.problems import Problems

WAIT_S = 60.0


class Stuck:
    """A WSGI application that does not answer where the path has the word, until the test ends."""

    def __init__(self, word: str) -> None:
        self._word = word
        self.go_on = threading.Event()

    def __call__(self, environ: Mapping[str, Any], start: Callable[..., Any]) -> Iterable[bytes]:
        """Answer one request."""
        if self._word in environ["PATH_INFO"]:
            assert self.go_on.wait(WAIT_S)
        if environ["PATH_INFO"] == "/fault":
            raise RuntimeError("not the application's own answer")
        start("200 OK", [("Content-Length", "0")])
        return [b""]


def app_of(authorization: str) -> str | None:
    """Every key is known, and called as its app."""
    return authorization


class Asking:
    """Requests to the application, without a server."""

    def __init__(self, app: Stuck) -> None:
        self._app = FlaskApp(app, 1, Refusals(Problems("https://otp.test"), lambda: "req_1"), app_of)

    def ask(self, path: str, app: str = "shop", query: bytes = b"") -> "asyncio.Task[int]":
        """Send one; the task has its status."""
        headers = [(b"authorization", app.encode())]
        scope = {
            "type": "http",
            "method": "GET",
            "path": path,
            "raw_path": path.encode(),
            "query_string": query,
            "headers": headers,
            "client": ("192.0.2.1", 1),
            "server": ("192.0.2.2", 80),
            "scheme": "http",
            "http_version": "1.1",
        }
        return asyncio.create_task(self._ask(scope))

    async def _ask(self, scope: Mapping[str, Any]) -> int:
        sent: list[MutableMapping[str, Any]] = []

        async def receive() -> MutableMapping[str, Any]:
            return {"type": "http.request", "body": b"", "more_body": False}

        async def send(message: MutableMapping[str, Any]) -> None:
            sent.append(message)

        await self._app(scope, receive, send)
        return int(sent[0]["status"])


def run(test: Callable[[], Awaitable[None]]) -> None:
    """Run it in a loop."""

    async def main() -> None:
        await asyncio.wait_for(test(), WAIT_S)

    asyncio.run(main())


@pytest.mark.parametrize("stuck", ["/audit/events", "/metrics", "/docs", "/webhooks/telnyx", "/verify/x"])
def test_a_place_that_is_full_stops_no_other(stuck: str) -> None:
    """As many of one kind as may work and wait, and more: the others are answered, and the rest is refused."""

    async def test() -> None:
        app = Stuck(stuck)
        asking = Asking(app)
        most = max([2 * waiting for _, _, waiting in PLACES.values()])
        held = [asking.ask(stuck, query=b"wait=25" if stuck == "/verify/x" else b"") for _ in range(most)]
        await asyncio.sleep(0)
        for path in ("/audit/events", "/metrics", "/docs", "/webhooks/telnyx", "/optouts/1"):
            if path != stuck:
                assert await asking.ask(path) == 200
        app.go_on.set()
        statuses = await asyncio.gather(*held)
        assert set(statuses) == {200, 503}

    run(test)


def test_a_costly_app_loses_its_own_turns() -> None:
    """Not those of another app that asks for its audit record once."""

    async def test() -> None:
        app = Stuck("/audit/")
        asking = Asking(app)
        held = [asking.ask("/audit/events", "much") for _ in range(200)]
        await asyncio.sleep(0)
        other = asking.ask("/audit/events", "little")
        await asyncio.sleep(0)
        app.go_on.set()
        assert await other == 200
        assert 503 in await asyncio.gather(*held)

    run(test)


def test_a_fault_of_the_application() -> None:
    """A problem document as for any other."""

    async def test() -> None:
        assert await Asking(Stuck("/nothing")).ask("/fault") == 500

    run(test)
