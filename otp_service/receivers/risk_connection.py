"""Connections to one receiver of questions, kept open between them. Each question has one deadline for everything."""

import ssl
import threading
import time
from collections.abc import Mapping

import httpcore

from ..connections import Deadline
from ..domain.callback import Endpoint
from ..domain.risk import MAX_ANSWER, RawAnswer
from .network import Backend, Resolve, allowed

KEPT_S = 30.0
"""How long a connection is kept that no question uses."""

_BROKEN = (httpcore.ConnectError, httpcore.ReadError, httpcore.WriteError, httpcore.RemoteProtocolError)
_Headers = Mapping[bytes | str, bytes | str]


class _Connection:
    """One connection, for one question at a time. Raises httpcore's errors and ForbiddenAddress."""

    def __init__(self, endpoint: Endpoint, tls: ssl.SSLContext, resolve: Resolve) -> None:
        self._url = endpoint.url
        self._deadline = Deadline(0.0)
        self._pool = httpcore.ConnectionPool(
            ssl_context=tls,
            max_connections=1,
            keepalive_expiry=KEPT_S,
            retries=0,
            network_backend=Backend(resolve, allowed(endpoint), self._deadline),
        )
        self.is_used = False
        self.used_s = 0.0

    def post(self, headers: _Headers, body: bytes, ends_s: float) -> RawAnswer:
        self._deadline.begin(ends_s - time.monotonic())
        with self._pool.stream("POST", self._url, headers=dict(headers), content=body) as response:
            self.is_used = True
            return RawAnswer(response.status, _beginning(response))

    def close(self) -> None:
        self._pool.close()


def _beginning(response: httpcore.Response) -> bytes:
    body = bytearray()
    for piece in response.iter_stream():
        body += piece
        if len(body) > MAX_ANSWER:
            break
    return bytes(body)


class RiskConnections:
    """The connections to one receiver; at most as many as there are questions at once. Safe for many threads."""

    def __init__(self, endpoint: Endpoint, tls: ssl.SSLContext, resolve: Resolve) -> None:
        self._endpoint = endpoint
        self._tls = tls
        self._resolve = resolve
        self._lock = threading.Lock()
        self._idle: list[_Connection] = []

    def post(self, headers: _Headers, body: bytes, ends_s: float) -> RawAnswer:
        """Ask, until `ends_s` of the monotonic clock. Raises httpcore's errors and ForbiddenAddress.

        A connection that the receiver has closed meanwhile costs nothing but a second try on a new one.
        """
        connection = self._take()
        try:
            return self._ask(connection, headers, body, ends_s)
        except _BROKEN:
            if not connection.is_used:
                raise
        return self._ask(self._new(), headers, body, ends_s)

    def close(self) -> None:
        """Close those that no question uses."""
        with self._lock:
            idle, self._idle = self._idle, []
        for one in idle:
            one.close()

    def _ask(self, connection: _Connection, headers: _Headers, body: bytes, ends_s: float) -> RawAnswer:
        try:
            answer = connection.post(headers, body, ends_s)
        except BaseException:
            connection.close()
            raise
        self._put(connection)
        return answer

    def _take(self) -> _Connection:
        with self._lock:
            return self._idle.pop() if self._idle else self._new()

    def _put(self, connection: _Connection) -> None:
        """Keep it for the next question. Those that were not needed for long are closed."""
        connection.used_s = time.monotonic()
        with self._lock:
            old = [one for one in self._idle if one.used_s < connection.used_s - KEPT_S]
            self._idle = [one for one in self._idle if one not in old]
            self._idle.append(connection)
        for one in old:
            one.close()

    def _new(self) -> _Connection:
        return _Connection(self._endpoint, self._tls, self._resolve)
