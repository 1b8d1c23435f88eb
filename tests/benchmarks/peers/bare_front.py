"""The limit on our own front: its processes, its loop and its connection to the store, but a bare handler.

Like `otp-service serve`, with other endpoints in the loop: no authentication, no digest, no log and no metrics, only
JSON and one call of our own script. What the service's own endpoints cost beyond this is the work of a request itself.

`python -m tests.benchmarks.peers.bare_front PORT PROCESSES`, with the environment of the service.
"""

import asyncio
import gc
import itertools
import os
import random
import secrets
import socket
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any, cast

import msgspec
import redis
import uvicorn
import uvloop

from otp_service import config, greenlets
from otp_service.bootstrap import build_front
from otp_service.front.plain import Endpoints
from otp_service.runtime import front_process
from otp_service.storage.pipelined.routes import routes_of
from otp_service.web.http import Reply

from .. import script_calls
from ..programs import HOST

STATUS = {"created": 201, "approved": 200, "wrong": 422}
WORKING = 4
HEADERS = {"Content-Type": "application/json"}
_decode = msgspec.json.Decoder(dict[str, str]).decode
_encode = msgspec.json.Encoder().encode


class Bare:
    """The two endpoints of one process. Stands where `Endpoints` stands.

    The packed calls are learned once, from the storage code itself, and get random ids. An id holds the shard, so that
    whichever process gets the check can make its call.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, store_url: str) -> None:
        harness = script_calls.open_catching(store_url)
        self._templates = script_calls.templates(harness)
        self._shards = itertools.cycle(random.sample(range(len(self._templates)), len(self._templates)))
        client: Any = redis.Redis.from_url(store_url)
        for text in script_calls.texts():
            client.script_load(text)
        self._link = routes_of(loop, client).link("", None)
        self._by_url: dict[bytes, Any] = {b"/start": (self.start, {}, {}), b"/check": (self.check, {}, {})}

    def find(self, _method: bytes, url: bytes) -> Any:
        """The endpoint for this URL."""
        return self._by_url.get(url)

    def _call(self, packed: bytes) -> Any:
        return greenlets.wait(partial(self._link.send, packed))

    def start(self, _path: Any, _query: Any, _headers: Any, _body: Any, _peer: str) -> Reply:
        """A start of an invented number; what it started is in the id."""
        shard = next(self._shards)
        template = self._templates[shard]
        token = secrets.token_hex(len(template.token) // 2)
        number_hash = secrets.token_hex(len(template.number_hash) // 2)
        reply = self._call(template.fill(template.start, token.encode(), number_hash.encode()))
        return _reply(reply, 1, {"id": f"{shard}.{token}.{number_hash}", "code": script_calls.RIGHT})

    def check(
        self,
        _path: Mapping[str, str],
        _query: Mapping[str, Sequence[str]],
        _headers: Mapping[str, str],
        body: Callable[[int], bytes],
        _peer: str,
    ) -> Reply:
        """A check by such an id."""
        asked = _decode(body(65_536))
        shard, token, number_hash = asked["id"].split(".")
        template = self._templates[int(shard)]
        call = template.right if asked["code"] == script_calls.RIGHT else template.wrong
        return _reply(self._call(template.fill(call, token.encode(), number_hash.encode())), 2, {"code": "checked"})


def _reply(told: Any, outcome: int, answer: dict[str, str]) -> Reply:
    """`outcome`: where the script's reply has it. That of a check names the verification first."""
    if isinstance(told, Exception):
        return Reply(503, HEADERS, b"{}")
    return Reply(STATUS.get(told[outcome], 500), HEADERS, _encode(answer))


async def serve(listening: socket.socket) -> None:
    """Serve as a process of the service does, with the bare endpoints."""
    loop = asyncio.get_running_loop()
    settings = config.load(config.environment())
    bare = Bare(loop, settings.redis_url)
    front = replace(build_front(settings, loop), endpoints=cast("Endpoints", bare))
    gc.collect()
    gc.freeze()
    await uvicorn.Server(front_process.server_config(front, WORKING)).serve([listening])


def main() -> None:
    """Serve until the session is ended."""
    listening = socket.create_server((HOST, int(sys.argv[1])), backlog=front_process.BACKLOG)
    for _ in range(int(sys.argv[2]) - 1):
        if not os.fork():
            break
    uvloop.run(serve(listening))


if __name__ == "__main__":
    main()
