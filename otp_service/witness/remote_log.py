"""The log as a witness reaches it, over HTTP: the API with a key, or the listener of `--metrics-port` without one.

One deadline covers each exchange, and no more is read than a tile has: a log that answers slowly or without an end
keeps no witness and no auditor busy.
"""

import json
import time
from dataclasses import dataclass
from typing import Any

import httpcore
import httpx

from ..connections import Deadline
from ..domain.errors import ServiceError
from ..receivers import network
from ..transparency.notes import NOTE_MAX, b64
from ..transparency.tiles import MAX_ENTRY, tile_path
from ..transparency.tree import TILE_WIDTH

TOTAL_S = 10.0
"""For one exchange: the name, connecting, TLS, every byte written or read."""

_PREFIX = "/audit/log"
_MOST = 8 * NOTE_MAX
_MOST_ENTRIES = TILE_WIDTH * (2 + MAX_ENTRY)


class LogUnreachable(ServiceError):
    """The log did not answer, or not as a log does. The next round may succeed."""


@dataclass(frozen=True, slots=True)
class _Answer:
    path: str
    status: int
    body: bytes


class RemoteLog:
    """Reads a log. For one thread. `url` is that of the service; `api_key` has the scope `audit:all`, "" for none."""

    def __init__(self, url: str, api_key: str) -> None:
        self._base = httpx.URL(url.rstrip("/").removesuffix(_PREFIX) + _PREFIX)
        # Encodings would make more of the bytes than were counted.
        self._headers: dict[bytes | str, bytes | str] = {"Accept-Encoding": "identity", "User-Agent": "otp-service"}
        self._headers["Host"] = self._base.netloc
        if self._base.userinfo:
            named = f"{self._base.username}:{self._base.password}"
            self._headers["Authorization"] = f"Basic {b64(named.encode())}"
        elif api_key:
            self._headers["Authorization"] = f"Bearer {api_key}"
        self._deadline = Deadline(0.0)
        backend = network.Backend(network.resolve, lambda _: True, self._deadline)
        tls = httpx.create_ssl_context(trust_env=False) if self._base.scheme == "https" else None
        self._pool = httpcore.ConnectionPool(ssl_context=tls, max_connections=1, network_backend=backend)

    def close(self) -> None:
        """Close the connections."""
        self._pool.close()

    def checkpoint(self) -> str | None:
        """The newest checkpoint; None while nothing was signed. Raises LogUnreachable."""
        answer = self._get("/checkpoint")
        return None if answer.status == 404 else _text(self._good(answer))

    def keys(self) -> tuple[str | None, list[str]]:
        """The first key, which nothing vouches for, and the last checkpoints of old keys. Raises LogUnreachable."""
        told: Any = self._json(self._good(self._get("/keys")))
        first, rotations = told.get("first_key"), told.get("rotations")
        if not (first is None or isinstance(first, str)) or not _are_texts(rotations):
            raise LogUnreachable("The log tells its keys in another form than expected.")
        return first, rotations

    def tile(self, level: int, number: int, width: int) -> bytes:
        """A tile; the full one where the part is not there any more. Raises LogUnreachable."""
        return self._tile(str(level), number, width, _MOST)[: width * 32]

    def entries(self, number: int, width: int) -> bytes:
        """A tile of records, with more of them where it has grown. Raises LogUnreachable."""
        return self._tile("entries", number, width, _MOST_ENTRIES)

    def _tile(self, kind: str, number: int, width: int, most: int) -> bytes:
        answer = self._get(f"/tile/{kind}/{tile_path(number, width)}", most)
        if answer.status == 404:
            answer = self._get(f"/tile/{kind}/{tile_path(number)}", most)
        return self._good(answer).body

    def hand_in(self, key: str, note: str) -> bool:
        """Give the log a cosigned checkpoint; whether it took it. Raises LogUnreachable."""
        body = json.dumps({"key": key, "checkpoint": note}).encode()
        return self._send("POST", "/cosignatures", body, _MOST).status == 200

    def _get(self, path: str, most: int = _MOST) -> _Answer:
        return self._send("GET", path, None, most)

    def _send(self, method: str, path: str, body: bytes | None, most: int) -> _Answer:
        self._deadline.at = time.monotonic() + TOTAL_S
        headers = self._headers if body is None else {**self._headers, "Content-Type": "application/json"}
        try:
            with self._pool.stream(method, self._url(path), headers=headers, content=body) as response:
                return _Answer(f"{_PREFIX}{path}", response.status, _body(response, most))
        except (httpcore.TimeoutException, httpcore.NetworkError, httpcore.ProtocolError, OSError) as error:
            raise LogUnreachable(f"The log does not answer: {type(error).__name__}.") from error

    def _url(self, path: str) -> httpcore.URL:
        base = self._base
        target = base.raw_path + path.encode()
        return httpcore.URL(scheme=base.raw_scheme, host=base.raw_host, port=base.port, target=target)

    def _good(self, answer: _Answer) -> _Answer:
        if answer.status != 200:
            raise LogUnreachable(f"The log answers {answer.path} with {answer.status}.")
        return answer

    def _json(self, answer: _Answer) -> dict[str, Any]:
        try:
            told = json.loads(answer.body)
        except (ValueError, RecursionError):
            told = None
        if not isinstance(told, dict):
            raise LogUnreachable("The log tells its keys in another form than expected.")
        return told


def _body(response: httpcore.Response, most: int) -> bytes:
    body = bytearray()
    for piece in response.iter_stream():
        body += piece
        if len(body) > most:
            raise LogUnreachable("The log answers with more than any tile has.")
    return bytes(body)


def _text(answer: _Answer) -> str:
    try:
        return answer.body.decode()
    except UnicodeDecodeError as error:
        raise LogUnreachable("The log's checkpoint is no text.") from error


def _are_texts(values: object) -> bool:
    return isinstance(values, list) and all(isinstance(one, str) for one in values)
