"""What a worker tells of itself, where it is asked to."""

import signal
import socket
import urllib.error
import urllib.request

import pytest

from otp_service.runtime import ports
from otp_service.runtime.metrics_server import serving_metrics
from tests.conftest import wait_until
from tests.e2e.test_serving import Place, answers, place  # noqa: F401


def test_a_worker_serves_its_metrics_where_it_is_told_to(place: Place) -> None:  # noqa: F811
    """Its own counters for Prometheus, /healthz for its supervisor, and nothing else; a taken port is one sentence."""
    port = ports.free_port()
    worker = place.start("worker", "--processes", "1", "--metrics-port", str(port))
    url = f"http://127.0.0.1:{port}"
    wait_until(lambda: worker.poll() is not None or answers(url), 30, "the worker's /healthz")
    with urllib.request.urlopen(f"{url}/metrics", timeout=30) as response:
        text = response.read().decode()
    assert response.headers["content-type"].startswith("text/plain; version=0.0.4")
    assert "otp_worker_jobs" in text
    with pytest.raises(urllib.error.HTTPError, match="404"):
        urllib.request.urlopen(f"{url}/nothing", timeout=30)
    with pytest.raises(ports.PortTaken, match="--metrics-port"), serving_metrics("127.0.0.1", port):
        pass
    worker.send_signal(signal.SIGTERM)
    worker.communicate(timeout=60)
    assert worker.returncode == 0


def test_it_may_be_an_address_of_ipv6() -> None:
    """As for the API."""
    if not socket.has_ipv6:
        pytest.skip("no IPv6 here")
    port = ports.free_port()
    with serving_metrics("::1", port):
        assert answers(f"http://[::1]:{port}")
    assert not answers(f"http://[::1]:{port}")
