"""One request to the carrier and its response. Failures of httpx become exceptions of ours here.

Guarantees: no exception of httpx, of TLS or of the socket leaves this module. What went wrong before a byte of the
request can have left is a `NotSentError`; from then on it is an `UnknownOutcomeError`, whatever it was. Nothing is
retried, redirected or read from the environment, and no answer is read beyond `LARGEST_ANSWER` bytes. One deadline
covers an exchange, whatever its phase. A connection on which anything came that no request asked for is closed: the
next answer on it would be another request's.

Every thread has a transport of httpx of its own with one connection, because httpx's pool scans all its connections
for every request. The TLS context, costly to build, is shared. There is no httpx.Client: its cookies, redirects and
defaults are not wanted, and cost a tenth of a send.

Not here: what an answer means (`errors`, `responses`).
"""

import logging
import re
import threading
import time
from collections.abc import Mapping
from contextvars import ContextVar
from dataclasses import dataclass, field

import httpcore
import httpx

from ..connections import Deadline
from ..domain.delivery import TOO_LATE
from . import json
from .body_requests import BodyRequests
from .connection import BlockingNetwork, Connection, Network, new_connection
from .exceptions import NotSentError, UnknownOutcomeError
from .http1 import Reply, Spans

LARGEST_ANSWER = 1_000_000  # bytes; a page of 250 numbers has some 250 kB
SHORTEST_S = 0.1
"""With less than this left of the time in which a request may leave, it is not begun."""

_API_KEY = re.compile(r"[!-~]{1,500}", re.ASCII)
_BEFORE_ANY_BYTE = (
    httpcore.ConnectError,
    httpcore.ConnectTimeout,
    httpx.ConnectError,
    httpx.ConnectTimeout,
    httpx.PoolTimeout,
    httpx.UnsupportedProtocol,
)


@dataclass(frozen=True, slots=True)
class Timeouts:
    """Seconds to wait: for a connection, for each piece read or written, and for the whole exchange.

    The connect time covers all the addresses of the host and, once more, the TLS handshake. The whole is shorter than
    `UNDER_WAY_MS` of the outbox, after which a request counts as one whose answer is lost.
    """

    connect_s: float = 2.0
    read_s: float = 5.0
    write_s: float = 5.0
    total_s: float = 9.5


DEFAULT_TIMEOUTS = Timeouts()


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back. `document` is the decoded JSON, or None if the body was none, ambiguous or too long."""

    status: int
    headers: Mapping[str, str] = field(repr=False)
    document: object = field(repr=False)

    @property
    def succeeded(self) -> bool:
        """Whether the status is one of success. What the body says is another matter."""
        return 200 <= self.status < 300


class Transport:
    """Requests to the carrier. Safe for use by many threads; `close` it when all of them are done."""

    def __init__(
        self,
        api_key: str,
        base_url: str,
        timeouts: Timeouts,
        transport: httpx.BaseTransport | None,
        network: Network | None = None,
    ) -> None:
        """`network`: how connections are opened, for threads if not given."""
        if not _API_KEY.fullmatch(api_key):
            raise ValueError("The carrier's API key (TELNYX_API_KEY) is empty or holds characters that no key has.")
        self._base_url = _checked(base_url)
        self._headers = {
            "Authorization": f"Bearer {api_key}",
            "Accept": "application/json",
            # Answers are small, and an answer that unpacks to a gigabyte must not be possible.
            "Accept-Encoding": "identity",
            "User-Agent": "otp-service",
            "Connection": "keep-alive",
        }
        self._requests = BodyRequests(self._base_url, self._headers)
        self._timeouts = timeouts
        self._spans = Spans(timeouts.connect_s, timeouts.read_s, timeouts.write_s)
        self._transport = transport
        self._tls = None if transport else httpx.create_ssl_context(trust_env=False)
        self._network = network or BlockingNetwork()
        # A thread and a greenlet have a value of their own each.
        self._own: ContextVar[Connection | None] = ContextVar("connection", default=None)
        self._lock = threading.Lock()
        self._opened: dict[threading.Thread, list[Connection]] = {}
        self._closed = False
        # At INFO httpx logs every address, and ours hold phone numbers in path and query.
        logging.getLogger("httpx").setLevel(logging.WARNING)

    def __repr__(self) -> str:
        return f"Transport({self._base_url!r})"

    def close(self) -> None:
        """Close every connection. Calls made afterwards raise RuntimeError. May be repeated."""
        with self._lock:
            self._closed = True
            opened, self._opened = self._opened, {}
        for one in (one for those in opened.values() for one in those):
            one.close()

    def request(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, str] | None = None,
        body: bytes | None = None,
        idempotency_key: str | None = None,
        within_s: float | None = None,
    ) -> Answer:
        """Make one request and read its answer, whatever its status.

        `path` begins with a slash and is already percent-encoded; `body` is sent as it is. A request that cannot leave
        `within_s` seconds does not leave. Raises NotSentError and UnknownOutcomeError, and RuntimeError after `close`.
        """
        connection = self._connection()
        connection.deadline.begin(self._timeouts.total_s)
        spans = self._spans if within_s is None else self._hurried(within_s)
        try:
            prepared = self._requests.build(method, path, body, params=params, idempotency_key=idempotency_key)
            response = connection.ask(prepared, spans)
        except _BEFORE_ANY_BYTE as error:
            raise NotSentError(f"no connection ({type(error).__name__})") from error
        except Exception as error:
            # Not only httpx's own errors: its parts leak others when a connection breaks, and after this point
            # the one thing known about any of them is that the request may have arrived.
            raise UnknownOutcomeError(f"no answer ({type(error).__name__})") from error
        try:
            content = self._read(response, connection.deadline)
        except UnknownOutcomeError:
            raise
        except Exception as error:
            raise UnknownOutcomeError(f"half an answer ({type(error).__name__})") from error
        finally:
            out_of_step = connection.has_leftover()
            response.close()
            if out_of_step:
                connection.hang_up()
        headers = response.headers
        return Answer(response.status_code, headers, _document(headers, content))

    def hang_up(self) -> None:
        """Close this thread's or greenlet's connection: the answer on it was not the one to our request.

        The next call opens a new one.
        """
        self._connection().hang_up()

    def _hurried(self, within_s: float) -> Spans:
        """Spans by which a connection, with TCP and TLS, is there in time or not at all."""
        if within_s < SHORTEST_S:
            raise NotSentError(TOO_LATE)
        return self._spans._replace(connect_s=min(self._spans.connect_s, within_s / 2))

    def _read(self, response: Reply | httpx.Response, deadline: Deadline) -> bytes | None:
        """The raw body, or None if it is too long."""
        if isinstance(response, httpx.Response) and response.is_stream_consumed:
            return response.content  # an httpx.MockTransport gives answers whole
        content = bytearray()
        for chunk in response.iter_raw():
            content += chunk
            if len(content) > LARGEST_ANSWER:
                return None
            if time.monotonic() > deadline.at:  # bytes that are there already need no step of the socket
                raise UnknownOutcomeError("half an answer (too slow)")
        return bytes(content)

    def _connection(self) -> Connection:
        connection = self._own.get()
        if connection is not None and not self._closed:
            return connection
        connection = self._new_connection()
        with self._lock:
            if self._closed:
                connection.close()
                raise RuntimeError("The carrier client is closed.")
            ended = [thread for thread in self._opened if not thread.is_alive()]
            leftovers = [one for thread in ended for one in self._opened.pop(thread)]
            self._opened.setdefault(threading.current_thread(), []).append(connection)
        for leftover in leftovers:
            leftover.close()
        self._own.set(connection)
        return connection

    def _new_connection(self) -> Connection:
        deadline = Deadline(0.0)
        if self._tls is None:
            assert self._transport is not None
            return Connection(self._transport, None, deadline)
        return Connection(None, new_connection(self._tls, deadline, self._network), deadline)


def _document(headers: Mapping[str, str], content: bytes | None) -> object:
    if content is None or headers.get("content-encoding", "identity") != "identity":
        return None
    try:
        document = json.decode(content)
    except json.NotJson:
        return None
    return document.value if document.strict else None


def _checked(base_url: str) -> str:
    try:
        url = httpx.URL(base_url)
    except httpx.InvalidURL as error:
        raise ValueError("The carrier's base URL is not a URL.") from error
    if url.scheme not in {"http", "https"} or not url.host or url.userinfo or url.query or url.fragment:
        raise ValueError("The carrier's base URL is http(s)://host[:port]/path, without user, query or fragment.")
    return base_url.rstrip("/")
