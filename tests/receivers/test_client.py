"""Posting to receivers that misbehave, and to names that lead where nothing may be sent. All of it on loopback."""

import base64
import datetime
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import httpcore
import pytest
from standardwebhooks import Webhook

from otp_service.connections import Deadline
from otp_service.domain.callback import Answer, Callback, Endpoint
from otp_service.domain.receiver_url import is_public
from otp_service.receivers.client import Receivers, Timeouts
from otp_service.receivers.network import MOST_ADDRESSES, Backend, ForbiddenAddress, resolve

from .risk_receiver import closed_port

SECRET = "whsec_" + base64.b64encode(bytes(range(32))).decode()
CALLBACK = Callback("evt_00-1-0", "shop", "verification.approved", "vrf_x", '{"type":"verification.approved"}', 1)
OK = b"HTTP/1.1 204 No Content\r\n\r\n"
QUICK = Timeouts(connect_s=20.0, total_s=1.5)
PATIENT = Timeouts(connect_s=20.0, total_s=30.0)
"""Where a busy machine must not be taken for a receiver that is late."""


@dataclass
class Listener:
    """A receiver that writes what it is given, byte by byte if need be. Keeps what it was sent."""

    answer: Callable[[socket.socket], None]
    port: int = 0
    seen: list[bytes] = field(default_factory=list)

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self.port}/in?token=hush"

    @property
    def headers(self) -> dict[str, str]:
        """Of the first request."""
        lines = self.seen[0].partition(b"\r\n\r\n")[0].decode().split("\r\n")[1:]
        return {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}


def says(raw: bytes) -> Callable[[socket.socket], None]:
    """Answer with these bytes."""
    return lambda connection: connection.sendall(raw)


@contextmanager
def listening(answer: Callable[[socket.socket], None], tls: ssl.SSLContext | None = None) -> Iterator[Listener]:
    """A receiver on a free port of loopback."""
    listener = Listener(answer)
    with socket.create_server(("127.0.0.1", 0)) as server:
        listener.port = server.getsockname()[1]
        server.settimeout(0.1)
        stop = threading.Event()

        def serve() -> None:
            while not stop.is_set():
                try:
                    connection, _ = server.accept()
                except TimeoutError:
                    continue
                connection.settimeout(60)
                try:
                    with tls.wrap_socket(connection, server_side=True) if tls else connection as talking:
                        if request := _request(talking):
                            listener.seen.append(request)
                            listener.answer(talking)
                except OSError:
                    pass

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield listener
        finally:
            stop.set()
            thread.join()


def _request(connection: socket.socket) -> bytes:
    """Nothing if it is none: another program may look for a server of its own that listened on this port before."""
    raw = b""
    while b"\r\n\r\n" not in raw or not raw.endswith(CALLBACK.body.encode()):
        piece = connection.recv(65_536)
        if not piece:
            break
        raw += piece
        if not raw.startswith(b"POST "[: len(raw)]):
            return b""
    return raw


def post(url: str, *, allow: bool = True, timeouts: Timeouts = PATIENT, **options: object) -> Answer:
    """One try to send to this URL."""
    endpoints = {"shop": Endpoint(url, (SECRET,), allow)}
    receivers = Receivers(
        endpoints,
        now_ms=lambda: time.time_ns() // 1_000_000,
        timeouts=timeouts,
        **options,  # type: ignore[arg-type]
    )
    return receivers.post(CALLBACK)


def test_a_callback_arrives_as_it_is_queued() -> None:
    """The very bytes, the three headers, a signature that the official library accepts; the path and query whole."""
    with listening(says(OK)) as receiver:
        assert post(receiver.url) == Answer(204)
    head, _, body = receiver.seen[0].partition(b"\r\n\r\n")
    assert head.startswith(b"POST /in?token=hush HTTP/1.1\r\n")
    assert body == CALLBACK.body.encode()
    assert receiver.headers["content-type"] == "application/json"
    assert receiver.headers["webhook-id"] == CALLBACK.id
    assert receiver.headers["host"] == f"127.0.0.1:{receiver.port}"
    Webhook(SECRET).verify(body, receiver.headers)


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_is_not_followed(status: int) -> None:
    """Wherever it leads: the other place gets nothing."""
    with listening(says(OK)) as other:
        raw = f"HTTP/1.1 {status} Elsewhere\r\nLocation: {other.url}\r\nContent-Length: 0\r\n\r\n".encode()
        with listening(says(raw)) as receiver:
            answer = post(receiver.url)
        assert (answer.status, answer.accepted, answer.reason) == (status, False, f"status {status}")
        assert other.seen == []


def test_what_a_receiver_asks_for_is_done() -> None:
    """Retry-After in seconds or as a date; what is neither is nothing."""

    def asked(value: str) -> float | None:
        raw = f"HTTP/1.1 429 Slow\r\nRetry-After: {value}\r\nContent-Length: 0\r\n\r\n".encode()
        with listening(says(raw)) as receiver:
            return post(receiver.url).retry_after_s

    assert asked("7") == 7.0
    in_a_minute = datetime.datetime.now(datetime.UTC) + datetime.timedelta(seconds=60)
    assert 20 <= (asked(in_a_minute.strftime("%a, %d %b %Y %H:%M:%S GMT")) or 0) <= 61
    assert [asked(value) for value in ("soon", "-1", "1e9", "٣", "")] == [None] * 5


def says_nothing(connection: socket.socket) -> None:
    """Wait until the other side goes away."""
    while connection.recv(65_536):
        pass


def drip(connection: socket.socket) -> None:
    """One byte at a time, for ever."""
    for byte in b"HTTP/1.1 200 OK\r\nX-Long: " + b"x" * 1000:
        connection.sendall(bytes([byte]))
        time.sleep(0.05)


def endless(connection: socket.socket) -> None:
    """A good head, and a body without end."""
    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 100000000\r\n\r\n")
    for _ in range(10):
        connection.sendall(b"x" * 65_536)
        time.sleep(0.1)


@pytest.mark.parametrize(
    ("answer", "status", "reason"),
    [
        (lambda connection: None, 0, "no answer (RemoteProtocolError)"),
        (says(b"220 smtp ready\r\n"), 0, "no answer (RemoteProtocolError)"),
        (says(b"HTTP/1.1 200 OK\r\nX: " + b"x" * 300_000 + b"\r\n\r\n"), 0, "no answer (RemoteProtocolError)"),
        (endless, 200, ""),
        (says(b"HTTP/1.1 500 Oh\r\nContent-Length: 0\r\n\r\n"), 500, "status 500"),
    ],
)
def test_a_receiver_that_misbehaves(answer: Callable[[socket.socket], None], status: int, reason: str) -> None:
    """Whatever it does is an answer; a body is not waited for."""
    with listening(answer) as receiver:
        found = post(receiver.url)
        assert (found.status, found.reason) == (status, reason)


@pytest.mark.parametrize("answer", [says_nothing, drip])
def test_a_receiver_that_takes_too_long(answer: Callable[[socket.socket], None]) -> None:
    """It is left when the time is over, whatever it would still have said."""
    with listening(answer) as receiver:
        began = time.monotonic()
        assert post(receiver.url, timeouts=QUICK) == Answer(0, "no answer in time")
        assert time.monotonic() - began < 30


def test_nobody_listens() -> None:
    """A closed port is an answer, too."""
    with closed_port() as port:
        assert post(f"http://127.0.0.1:{port}/") == Answer(0, "no connection")


def test_the_environment_is_not_read(monkeypatch: pytest.MonkeyPatch) -> None:
    """A proxy that the machine is set up with does not see callbacks."""
    with listening(says(OK)) as proxy, listening(says(OK)) as receiver:
        for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
            monkeypatch.setenv(name, f"http://127.0.0.1:{proxy.port}")
        assert post(receiver.url).accepted
        assert proxy.seen == []


# ---- where nothing may be sent --------------------------------------------------------------------------------------


class Recorder(httpcore.NetworkBackend):
    """Connects nowhere, and remembers where it was sent."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, int]] = []

    def connect_tcp(self, host: str, port: int, *_: object, **__: object) -> httpcore.NetworkStream:
        """Refuse, as a closed port does."""
        self.asked.append((host, port))
        raise httpcore.ConnectError("refused")


def connect(found: Sequence[str]) -> list[tuple[str, int]]:
    """Where a connection to a name with these addresses goes."""
    under = Recorder()
    backend = Backend(lambda *_: found, is_public, Deadline(time.monotonic() + 60), under)
    with suppress(httpcore.ConnectError):
        backend.connect_tcp("hooks.example.com", 443)
    return under.asked


@pytest.mark.parametrize(
    "found",
    [
        ["127.0.0.1"],
        ["::1"],
        ["10.1.2.3"],
        ["169.254.169.254"],
        ["100.64.0.1"],
        ["::ffff:10.0.0.1"],
        ["fe80::1%2"],
        ["8.8.8.8", "127.0.0.1"],
        ["127.0.0.1", "8.8.8.8"],
        [*["8.8.8.8"] * 9, "10.0.0.1"],
    ],
)
def test_a_name_with_one_inner_address_is_refused(found: list[str]) -> None:
    """Every address is judged, also of a name that has public ones as well; not one connection is made."""
    with pytest.raises(ForbiddenAddress):
        connect(found)


def test_the_connection_goes_to_the_address_that_was_judged() -> None:
    """The name is not looked up a second time: what it would say then does not matter."""
    assert connect(["8.8.8.8", "1.1.1.1"]) == [("8.8.8.8", 443), ("1.1.1.1", 443)]
    assert connect([]) == []
    assert len(connect([f"8.8.8.{n}" for n in range(20)])) == MOST_ADDRESSES


def test_a_name_that_changes_its_mind_gains_nothing() -> None:
    """DNS rebinding: public when it is asked first, loopback the second time, while loopback listens."""
    with listening(says(OK)) as victim:
        answers = iter([["8.8.8.8"], ["127.0.0.1"], ["127.0.0.1"]])
        asked: list[str] = []

        def rebinding(host: str, port: int) -> list[str]:
            asked.append(host)
            return next(answers)

        under = Recorder()
        with pytest.raises(httpcore.ConnectError):
            Backend(rebinding, is_public, Deadline(time.monotonic() + 60), under).connect_tcp(
                "evil.example.com", victim.port
            )
        assert (asked, under.asked) == (["evil.example.com"], [("8.8.8.8", victim.port)])
        # And the next try, which asks anew, is refused before anything is connected.
        assert post(f"https://evil.example.com:{victim.port}/", allow=False, resolve=rebinding) == Answer(
            0, "private address"
        )
        assert victim.seen == []


@pytest.mark.parametrize("host", ["127.0.0.1", "127.1", "0x7f000001", "2130706433", "[::1]", "localhost"])
def test_spellings_of_loopback_are_refused_at_the_connection(host: str) -> None:
    """Even if one slipped through the configuration: what the system's own resolver makes of it is judged."""
    with listening(says(OK)) as victim:
        answer = post(f"http://{host}:{victim.port}/", allow=False)
        assert (answer.status, victim.seen) == (0, [])
        assert answer.reason in ("private address", "no connection")


def test_no_name_is_no_answer() -> None:
    """A name that cannot be resolved, or cannot even be asked for."""

    def unknown(_host: str, _port: int) -> list[str]:
        raise socket.gaierror(socket.EAI_NONAME, "unknown")

    assert post("https://hooks.example.com/", allow=False, resolve=unknown) == Answer(0, "no connection")
    with pytest.raises(OSError, match=r".+"):
        resolve("a" * 70 + ".example.com", 443)


def test_a_name_server_that_does_not_answer_is_no_answer() -> None:
    """The system's resolver may take longer than everything else together."""
    released = threading.Event()

    def silent(_host: str, _port: int) -> list[str]:
        released.wait(60)
        return []

    try:
        answer = post("https://hooks.example.com/", allow=False, resolve=silent, timeouts=Timeouts(0.1, 5.0))
        assert answer == Answer(0, "no connection")
    finally:
        released.set()


def test_the_doctor_learns_what_stops_a_connection() -> None:
    """Without making one."""

    def refusal_of(found: list[str], *, allow: bool = False) -> str | None:
        endpoint = Endpoint("https://hooks.example.com/t0ken", (SECRET,), allow)
        return Receivers({"shop": endpoint}, now_ms=int, resolve=lambda *_: found).reachable("shop")

    assert refusal_of(["8.8.8.8"]) is None
    assert refusal_of(["8.8.8.8", "10.0.0.1"]) == "hooks.example.com leads into a private network"
    assert refusal_of(["10.0.0.1"], allow=True) is None
    assert refusal_of([]) == "hooks.example.com cannot be resolved"


# ---- TLS ------------------------------------------------------------------------------------------------------------


def certificate(folder: Path, name: str) -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """A server's context for a self-signed certificate of this name, and a client's that trusts it."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    now = datetime.datetime.now(datetime.UTC)
    made = (
        x509.CertificateBuilder(subject, subject, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    path = folder / "server.pem"
    pem = serialization.Encoding.PEM
    private = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    path.write_bytes(private + made.public_bytes(pem))
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(path)
    return server, ssl.create_default_context(cadata=made.public_bytes(pem).decode())


def test_tls_names_the_host_although_the_address_is_pinned(tmp_path: Path) -> None:
    """SNI, the certificate's name and Host are the URL's; another name's certificate is refused."""
    server, trusting = certificate(tmp_path, "hooks.example.com")
    asked: list[str | None] = []
    server.set_servername_callback(lambda _socket, name, _context: asked.append(name))

    def here(_host: str, _port: int) -> list[str]:
        return ["127.0.0.1"]

    with listening(says(OK), server) as receiver:
        good = post(f"https://hooks.example.com:{receiver.port}/", resolve=here, tls=trusting)
        other = post(f"https://other.example.com:{receiver.port}/", resolve=here, tls=trusting)
        unknown_host = post(f"https://hooks.example.com:{receiver.port}/", resolve=here)
    assert good == Answer(204)
    assert receiver.headers["host"] == f"hooks.example.com:{receiver.port}"
    assert asked[:2] == ["hooks.example.com", "other.example.com"]
    assert (other, unknown_host) == (Answer(0, "bad certificate"), Answer(0, "bad certificate"))
    assert len(receiver.seen) == 1
