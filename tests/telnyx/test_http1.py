"""Reading a response: the same however it comes in pieces, nothing that leaves a doubt, and nothing beyond its end."""

import gc
import weakref
from collections.abc import Sequence

import httpcore
import pytest
from hypothesis import given
from hypothesis import strategies as st

from otp_service.telnyx.body_requests import BodyRequests
from otp_service.telnyx.http1 import HEAD_MAX, Reading

OK = b"HTTP/1.1 200 OK\r\n"
WHOLE = {
    "with a length": (OK + b"Content-Length: 5\r\n\r\nhello", 200, b"hello"),
    "empty": (OK + b"Content-Length: 0\r\n\r\n", 200, b""),
    "without a body": (b"HTTP/1.1 204 No Content\r\n\r\n", 204, b""),
    "in chunks": (
        OK + b"Transfer-Encoding: chunked\r\n\r\n2\r\nhe\r\n3;x=y\r\nllo\r\n0\r\nX-T: 1\r\n\r\n",
        200,
        b"hello",
    ),
    "after interim ones": (
        b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n"
        + OK
        + b"Content-Length: 1\r\n\r\nx",
        200,
        b"x",
    ),
    "the last one": (OK + b"Connection: close\r\nContent-Length: 1\r\n\r\nx", 200, b"x"),
}


def read(pieces: Sequence[bytes]) -> tuple[Reading, bytes]:
    """Feed the pieces that are some."""
    reading, body = Reading(), b""
    for piece in filter(None, pieces):
        reading.feed(piece)
        body += b"".join(reading.taken())
    return reading, body


def divided(data: bytes, places: Sequence[int]) -> list[bytes]:
    """The bytes in pieces."""
    ends = sorted({place % (len(data) + 1) for place in places} | {len(data)})
    return [data[begin:end] for begin, end in zip([0, *ends], ends, strict=False)]


@pytest.mark.parametrize("name", WHOLE)
@given(places=st.lists(st.integers(0, 500), max_size=6))
def test_a_response_is_the_same_in_any_pieces(name: str, places: list[int]) -> None:
    """Status and body, and that it is whole only at its last byte."""
    data, status, body = WHOLE[name]
    for pieces in (divided(data, places), [bytes([byte]) for byte in data]):
        reading, found = read(pieces)
        assert (reading.status, found, reading.is_whole, reading.has_leftover) == (status, body, True, False)
        assert reading.keeps_alive == (name != "the last one")
        assert not read([*pieces[:-1], pieces[-1][:-1]])[0].is_whole


@pytest.mark.parametrize("name", WHOLE)
@pytest.mark.parametrize("more", [b"\n", b"\r\n", b"\r\n\r\n", b"x", OK, OK + b"Content-Length: 2\r\n\r\nno"])
def test_what_comes_with_it_is_left_over(name: str, more: bytes) -> None:
    """However little it is: it would be read as the answer to the next request. It changes nothing of this one."""
    data, status, body = WHOLE[name]
    reading, found = read([data + more])
    assert (reading.status, found, reading.is_whole, reading.has_leftover) == (status, body, True, True)


@pytest.mark.parametrize(
    "data",
    [
        b"220 smtp.example ESMTP\r\n",
        b"\x16\x03\x03\x40\x00",
        OK + b"Content-Length: 2\r\nContent-Length: 3\r\n\r\nab",
        OK + b"Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n0\r\n\r\n",
        OK + b"Content-Length: -1\r\n\r\n",
        OK + b"Content-Length: 1\r\n Content-Length: 2\r\n\r\nab",
        OK + b"X A: b\r\n\r\n",
        OK + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n",
        OK + b"X-A: " + b"a" * HEAD_MAX,
        b"HTTP/1.1 100 Continue\r\n\r\n" * (HEAD_MAX // 20),
    ],
)
def test_what_leaves_a_doubt_is_no_response(data: bytes) -> None:
    """Where two readers could see two responses, there is none. A head has its limit, interim ones together."""
    with pytest.raises(httpcore.RemoteProtocolError):
        read([data])


@pytest.mark.parametrize("name", ["with a length", "in chunks", "after interim ones"])
def test_an_end_within_the_response_is_a_fault(name: str) -> None:
    """Half a response is none, wherever it ends."""
    data, _, _ = WHOLE[name]
    for length in range(len(data)):
        reading, _ = read([data[:length]])
        with pytest.raises(httpcore.RemoteProtocolError):
            reading.feed(b"")


def test_a_response_that_was_read_leaves_nothing_to_the_collector() -> None:
    """Reading and parser know each other. At hundreds of sends a second what they hold would stop all sends for it."""
    gc.collect()
    gc.disable()
    try:
        reading, _ = read([WHOLE["with a length"][0]])
        known = weakref.ref(reading)
        reading.end()
        del reading
        assert known() is None
    finally:
        gc.enable()


def test_without_a_length_the_end_of_the_connection_ends_it() -> None:
    """And the connection is not kept."""
    reading, body = read([OK + b"\r\n", b"hello"])
    assert not reading.is_whole
    reading.feed(b"")
    assert (body, reading.is_whole, reading.keeps_alive) == (b"hello", True, False)


@pytest.mark.parametrize("value", ["a\r\nX-More: 1", "a\nb", "a\rb"])
def test_a_header_cannot_hold_another(value: str) -> None:
    """Nothing that was put together wrongly becomes a second header or a second request."""
    with pytest.raises(httpcore.LocalProtocolError):
        BodyRequests("http://127.0.0.1/v2", {"X-A": value})
    requests = BodyRequests("http://127.0.0.1/v2", {"X-A": "a"})
    with pytest.raises(httpcore.LocalProtocolError):
        requests.build("POST", "/messages", b"{}", idempotency_key=value)
    fine = requests.build("POST", "/messages", b"{}", idempotency_key="k")
    assert fine.head + fine.body == (
        b"POST /v2/messages HTTP/1.1\r\nHost: 127.0.0.1\r\nX-A: a\r\nIdempotency-Key: k\r\n"
        b"Content-Type: application/json\r\nContent-Length: 2\r\n\r\n{}"
    )


def test_the_same_request_goes_through_a_transport_of_httpx() -> None:
    """Where a caller replaces the network."""
    requests = BodyRequests("http://127.0.0.1:8/v2", {"X-A": "a: b"})
    made = requests.build("GET", "/numbers", params={"page[size]": "2"})
    request = made.as_httpx({"read": 1.0})
    assert request.headers.raw == [(b"Host", b"127.0.0.1:8"), (b"X-A", b"a: b")]
    assert (request.method, request.url.raw_path) == ("GET", b"/v2/numbers?page%5Bsize%5D=2")
    assert request.url.raw_path in made.head


def test_a_request_shows_nothing_that_it_holds() -> None:
    """Its head has the API key and, where the path names a person, a number; its body has a code."""
    requests = BodyRequests("https://api.example/v2", {"Authorization": "Bearer KEY-of-ours"})
    made = requests.build("POST", "/messages/+12025550143", b'{"text":"123456"}', idempotency_key="vrf_secret")
    assert [repr(made), str(made), f"{[made]}"] == ["Prepared(POST)", "Prepared(POST)", "[Prepared(POST)]"]
