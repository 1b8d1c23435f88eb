"""TLS to sentinels and to a Cluster, with an authority of our own; each may have what the other has not."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from otp_service.domain.errors import ServiceError
from otp_service.runtime import ports
from otp_service.storage.connect import connect
from tests.conftest import wait_until

from .loops import LoopThread
from .servers import Server
from .tls_relay import tls_relay, write_certificate

pytestmark = pytest.mark.usefixtures("patient")
IN_PLAIN, OVER_TLS = "redis", "rediss"


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The authority, and a certificate of it."""
    path = tmp_path_factory.mktemp("tls") / "certificate.pem"
    write_certificate(path)
    return path


def answers(url: str) -> bool:
    """Whether the store at this URL answers, both clients of it."""
    try:
        store = connect(url)
    except ServiceError:
        return False
    with LoopThread() as looping:
        looped = looping.open(url)
        try:
            store.any_time_ms()
            looping.run(partial(looped.time_ms, "key"))
        except ServiceError:
            return False
        finally:
            store.close()
    return True


@contextmanager
def watched(directory: Path, port: int) -> Iterator[int]:
    """The port of a sentinel that names this one."""
    sentinel = Server(directory / "sentinel", "--sentinel")
    try:
        sentinel.client.execute_command("SENTINEL", "MONITOR", "main", "127.0.0.1", port, 1)
        yield sentinel.port
    finally:
        sentinel.kill()


@pytest.mark.parametrize("servers", [IN_PLAIN, OVER_TLS])
@pytest.mark.parametrize("sentinels", [IN_PLAIN, OVER_TLS])
def test_sentinels_have_tls_of_their_own(tmp_path: Path, certificate: Path, servers: str, sentinels: str) -> None:
    """With it or without it, whatever the servers have; the authority is believed where the URL names it."""
    with ExitStack() as stack:
        server = Server(tmp_path / "server")
        stack.callback(server.kill)
        port = stack.enter_context(tls_relay(certificate, server.port)) if servers == OVER_TLS else server.port
        asked = stack.enter_context(watched(tmp_path, port))
        if sentinels == OVER_TLS:
            asked = stack.enter_context(tls_relay(certificate, asked))
        url = f"{servers}+sentinel://127.0.0.1:{asked}/main"
        trust = {"sentinel_tls": "yes" if sentinels == OVER_TLS else "no"}
        if OVER_TLS in (servers, sentinels):
            assert not answers(f"{url}?sentinel_tls={trust['sentinel_tls']}"), "nobody knows the authority"
        trust |= {"ssl_ca_certs": str(certificate)} if servers == OVER_TLS else {}
        trust |= {"sentinel_ssl_ca_certs": str(certificate)} if (servers, sentinels) == (IN_PLAIN, OVER_TLS) else {}
        query = "&".join("=".join(pair) for pair in trust.items())
        wait_until(lambda: answers(f"{url}?{query}"), 30, "an answer")


@pytest.mark.cluster
def test_a_cluster_over_tls(tmp_path: Path, certificate: Path) -> None:
    """Its nodes are announced at their ports for TLS."""
    with ExitStack() as stack:
        bus = ports.HeldPort()
        stack.callback(bus.release)
        node = Server(tmp_path / "node", cluster_enabled="yes", cluster_port=str(bus.number))
        stack.callback(node.kill)
        port = stack.enter_context(tls_relay(certificate, node.port))
        client: Any = node.client
        client.config_set("cluster-announce-port", port)
        client.execute_command("CLUSTER", "ADDSLOTSRANGE", 0, 16383)
        wait_until(lambda: client.execute_command("CLUSTER INFO")["cluster_state"] == "ok", 30, "the Cluster")
        url = f"rediss+cluster://127.0.0.1:{port}"
        assert not answers(url)
        wait_until(lambda: answers(f"{url}?ssl_ca_certs={certificate}"), 30, "an answer")
        careless = f"{url}?ssl_cert_reqs=none&ssl_check_hostname=no"
        wait_until(lambda: answers(careless), 30, "an answer without a look at the certificate")
