"""The limit: no framework, no authentication, no digest, no log, only JSON and one call of our own script.

Each process learns the packed calls once, from the storage code itself, and puts random ids into them. An id holds the
shard, so that whichever process gets the check can make its call.
"""

import itertools
import json
import os
import random
import secrets
import threading
from collections.abc import Callable, Iterable
from typing import Any
from urllib.parse import urlsplit

import redis

from .. import script_calls

STATUS = {
    b"created": "201 Created",
    b"approved": "200 OK",
    b"wrong": "422 Unprocessable Content",
}
_address = urlsplit(os.environ["BENCH_STORE"])
_local = threading.local()
_harness = script_calls.open_catching(os.environ["BENCH_STORE"])
_templates = script_calls.templates(_harness)
_shards = itertools.cycle(random.sample(range(len(_templates)), len(_templates)))


def _connect() -> Any:
    kind: Any = redis.Connection
    connection: Any = kind(host=_address.hostname or "", port=_address.port or 6379)
    for text in script_calls.texts():
        connection.send_command("SCRIPT", "LOAD", text)
        connection.read_response()
    return connection


def _call(packed: bytes) -> Any:
    try:
        connection = _local.connection
    except AttributeError:
        connection = _local.connection = _connect()
    connection.send_packed_command([packed])
    return connection.read_response()


def _start() -> tuple[Any, dict[str, str]]:
    shard = next(_shards)
    template = _templates[shard]
    token = secrets.token_hex(len(template.token) // 2)
    number_hash = secrets.token_hex(len(template.number_hash) // 2)
    reply = _call(template.fill(template.start, token.encode(), number_hash.encode()))
    return reply, {"id": f"{shard}.{token}.{number_hash}", "code": script_calls.RIGHT}


def _check(body: dict[str, str]) -> tuple[Any, dict[str, str]]:
    shard, token, number_hash = body["id"].split(".")
    template = _templates[int(shard)]
    call = template.right if body["code"] == script_calls.RIGHT else template.wrong
    return _call(template.fill(call, token.encode(), number_hash.encode())), {"code": "checked"}


def app(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    """Start or check, by the path."""
    body = json.loads(environ["wsgi.input"].read())
    reply, answer = _start() if environ["PATH_INFO"] == "/start" else _check(body)
    data = json.dumps(answer).encode()
    # A check's reply names the verification first.
    told = reply[1] if environ["PATH_INFO"] == "/start" else reply[2]
    status = STATUS.get(told, "500 Internal Server Error")
    start_response(status, [("Content-Type", "application/json"), ("Content-Length", str(len(data)))])
    return [data]
