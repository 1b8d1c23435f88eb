"""`otp-service serve` is told to end while a load balancer still sends requests to it."""

import signal
import sys
import urllib.error
import urllib.request

import pytest

from otp_service.runtime import ports
from tests.conftest import wait_until
from tests.e2e.test_serving import Place, answers, place  # noqa: F401

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")


def readiness(url: str) -> int:
    """The status of /readyz."""
    try:
        with urllib.request.urlopen(f"{url}/readyz", timeout=30) as response:
            return int(response.status)
    except urllib.error.HTTPError as error:
        return error.code


def test_it_is_not_ready_first_and_a_second_signal_ends_it_at_once(place: Place) -> None:  # noqa: F811
    """With ten minutes to drain: /readyz is 503 while all else is served; the second signal does not wait."""
    port = ports.free_port()
    url = f"http://127.0.0.1:{port}"
    process = place.start("serve", "--port", str(port), "--workers", "2", "--drain", "10m")
    wait_until(lambda: process.poll() is not None or answers(url), 30, "the API")
    assert readiness(url) == 200
    process.send_signal(signal.SIGTERM)
    wait_until(lambda: readiness(url) == 503, 30, "/readyz to fail")
    assert answers(url)
    assert process.poll() is None
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=30)
    assert process.returncode == 0
    assert not answers(url)
