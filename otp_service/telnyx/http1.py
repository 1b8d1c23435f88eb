"""HTTP/1.1 on one connection: a request leaves in one write, and httptools, which is C, reads the response.

httpcore's own connection is pure Python, and takes as long for that as everything else in a send. This one reads no
response that leaves a doubt: two lengths, a broken chunk or a head of more than `HEAD_MAX` bytes are
httpcore.RemoteProtocolError. Whatever ends early is one, too. A connection is kept only after a whole response that
allows it, and after which nothing came.
"""

import contextlib
from collections.abc import Iterator, Mapping
from typing import NamedTuple

import httpcore
import httptools

HEAD_MAX = 100 * 1024
"""Bytes of a response before its body begins, with those of interim responses before it."""

READ_BYTES = 64 * 1024
_SWITCHING = 101


class Spans(NamedTuple):
    """Seconds that each step of an exchange may take."""

    connect_s: float
    read_s: float
    write_s: float


class Reading:
    """One response while it comes. The methods `on_…` are called by the parser."""

    def __init__(self) -> None:
        self.status = 0
        self.headers: list[tuple[bytes, bytes]] = []
        self.is_begun = False
        """Whether its head is here; interim responses (1xx) are passed over."""

        self.is_whole = False
        self.has_leftover = False
        """Whether more came than the response."""

        self.keeps_alive = False
        self._parser: httptools.HttpResponseParser | None = httptools.HttpResponseParser(self)
        self._body: list[bytes] = []
        self._fed = 0

    def feed(self, data: bytes) -> None:
        """Read what came; nothing means that the connection has ended. Raises httpcore.RemoteProtocolError."""
        if not data:
            self._end()
            return
        # The last byte alone: if the response is whole before it, something follows, which the parser may pass over.
        self._parse(data[:-1])
        if self.is_whole:
            self.has_leftover = True
            return
        self._parse(data[-1:])
        self._fed += len(data)
        if not self.is_begun and self._fed > HEAD_MAX:
            raise httpcore.RemoteProtocolError("the head of the response is too large")

    def _parse(self, data: bytes) -> None:
        assert self._parser is not None
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            self.is_whole = self.has_leftover = True
        except httptools.HttpParserError as error:
            if not self.is_whole:
                raise httpcore.RemoteProtocolError("this is no HTTP response") from error

    def _end(self) -> None:
        named = {name.lower() for name, _ in self.headers}
        if not self.is_begun or named & {b"content-length", b"transfer-encoding"}:
            raise httpcore.RemoteProtocolError("the server hung up within the response")
        # Without a length a response ends with its connection.
        self.is_whole = True

    def taken(self) -> list[bytes]:
        """The pieces of the body that came since the last call."""
        pieces, self._body = self._body, []
        return pieces

    def end(self) -> None:
        """Nothing more will be fed. Else parser and reading would hold each other until the next collection."""
        self._parser = None

    # ---- the parser's callbacks ------------------------------------------------------------------------------------

    def on_header(self, name: bytes, value: bytes) -> None:
        """A header. What comes after the body is none."""
        if not self.is_begun:
            self.headers.append((name, value))

    def on_headers_complete(self) -> None:
        """The head is here."""
        if self.is_whole or self._parser is None:
            return
        self.status = self._parser.get_status_code()
        self.is_begun = self.status >= 200 or self.status == _SWITCHING
        self.keeps_alive = self._parser.should_keep_alive()
        if not self.is_begun:
            self.headers = []

    def on_body(self, body: bytes) -> None:
        """A piece of the body."""
        if not self.is_whole:
            self._body.append(body)

    def on_message_complete(self) -> None:
        """The response is here as a whole."""
        self.is_whole = self.is_begun


class Http1:
    """An open connection for one request at a time. Raises httpcore's errors, after which it is closed."""

    def __init__(self, stream: httpcore.NetworkStream) -> None:
        self._stream = stream
        self._reading: Reading | None = None
        self.is_open = True

    @property
    def is_idle(self) -> bool:
        """Whether a request may be sent: the last response was read and closed, and nothing came since then."""
        return self.is_open and self._reading is None and not self._stream.get_extra_info("is_readable")

    @property
    def has_leftover(self) -> bool:
        """Whether more has come than the response that is being read."""
        return self._reading is not None and self._reading.has_leftover

    def ask(self, request: bytes, spans: Spans) -> "Reply":
        """Send it, and read the head of the response."""
        reading = self._reading = Reading()
        try:
            self._write(request, spans.write_s)
            while not reading.is_begun:
                self.read_some(reading, spans.read_s)
        except BaseException:
            self.close()
            raise
        return Reply(self, reading, spans.read_s)

    def _write(self, data: bytes, timeout: float | None) -> None:
        # The server may have refused the request before it was complete, and said so.
        with contextlib.suppress(httpcore.WriteError):
            self._stream.write(data, timeout)

    def read_some(self, reading: Reading, timeout: float | None) -> None:
        """Wait for more of the response."""
        reading.feed(self._stream.read(READ_BYTES, timeout))

    def end(self, reading: Reading) -> None:
        """The response is needed no longer."""
        reading.end()
        if reading.is_whole and reading.keeps_alive and not reading.has_leftover:
            self._reading = None
        else:
            self.close()

    def close(self) -> None:
        """Hang up."""
        self.is_open = False
        self._stream.close()


class Reply:
    """A response, as far as httpx' own is used. Its body is read while it is iterated."""

    is_stream_consumed = False

    def __init__(self, connection: Http1, reading: Reading, timeout: float) -> None:
        self._connection = connection
        self._reading = reading
        self._timeout = timeout
        self.status_code = reading.status

    @property
    def headers(self) -> Mapping[str, str]:
        """By their names in small letters; what comes several times is one, with commas."""
        headers: dict[str, str] = {}
        for name, value in self._reading.headers:
            known, text = name.decode("latin-1").lower(), value.decode("latin-1")
            headers[known] = f"{headers[known]}, {text}" if known in headers else text
        return headers

    def iter_raw(self) -> Iterator[bytes]:
        """The pieces of the body."""
        reading = self._reading
        yield from reading.taken()
        while not reading.is_whole:
            try:
                self._connection.read_some(reading, self._timeout)
            except BaseException:
                self._connection.close()
                raise
            yield from reading.taken()

    def close(self) -> None:
        """The rest is not wanted."""
        self._connection.end(self._reading)
