"""TLS in front of a server that speaks none, with a certificate of our own, so that no further program is needed."""

import asyncio
import contextlib
import datetime
import ipaddress
import ssl
import threading
from collections.abc import Iterator
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec


def write_certificate(path: Path) -> None:
    """A key and its own certificate for 127.0.0.1, in one PEM file."""
    key, now = ec.generate_private_key(ec.SECP256R1()), datetime.datetime.now(datetime.UTC)
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "localhost")])
    address = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(minutes=5))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(address, critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    form = (serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    path.write_bytes(key.private_bytes(*form) + certificate.public_bytes(serialization.Encoding.PEM))


async def _copy(source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        while data := await source.read(65_536):
            target.write(data)
            await target.drain()
    target.close()


async def _serve(context: ssl.SSLContext, to_port: int, ready: threading.Event, shared: dict[str, object]) -> None:
    transports: list[asyncio.WriteTransport] = []

    async def relay(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        from_server, to_server = await asyncio.open_connection("127.0.0.1", to_port)
        transports.extend((writer.transport, to_server.transport))
        await asyncio.gather(_copy(reader, to_server), _copy(from_server, writer))

    ended = asyncio.Event()
    server = await asyncio.start_server(relay, "127.0.0.1", 0, ssl=context)
    shared |= {"port": server.sockets[0].getsockname()[1], "loop": asyncio.get_running_loop(), "ended": ended}
    ready.set()
    await ended.wait()
    server.close()
    for transport in transports:
        transport.abort()
    await asyncio.sleep(0.1)  # what was aborted is closed by callbacks of the loop


@contextlib.contextmanager
def tls_relay(certificate: Path, to_port: int) -> Iterator[int]:
    """The port of a relay that speaks TLS with the certificate and forwards to a port of 127.0.0.1."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    ready, shared = threading.Event(), dict[str, object]()
    thread = threading.Thread(target=lambda: asyncio.run(_serve(context, to_port, ready, shared)), daemon=True)
    thread.start()
    assert ready.wait(60)
    port, loop, ended = shared["port"], shared["loop"], shared["ended"]
    assert isinstance(port, int)
    assert isinstance(loop, asyncio.AbstractEventLoop)
    assert isinstance(ended, asyncio.Event)
    try:
        yield port
    finally:
        loop.call_soon_threadsafe(ended.set)
        thread.join(60)
