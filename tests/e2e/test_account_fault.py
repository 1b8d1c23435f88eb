"""An account that the carrier refuses: each code is tried and ends with the reason, everybody sees it, and it ends."""

import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from otp_service.domain.fleet import KEPT_MS

from .cluster import Cluster
from .commands import run
from .service_client import ServiceClient, within


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[Cluster]:
    """Four processes of our own; the worker's key is one that the carrier does not know."""
    with Cluster(tmp_path).running("sandbox", "api") as made:
        right = made.env["TELNYX_API_KEY"]
        made.env["TELNYX_API_KEY"] = "KEY-of-somebody-else"
        made.start("worker")
        made.env["TELNYX_API_KEY"] = right
        yield made


def ended(service_client: ServiceClient, verification: str) -> list[dict[str, Any]]:
    """Its deliveries, once they have ended."""

    def found() -> list[dict[str, Any]]:
        deliveries: list[dict[str, Any]] = service_client.call("GET", f"/verify/{verification}").json()["deliveries"]
        return deliveries if deliveries[-1]["status"] in ("failed", "delivered") else []

    return list(within(60, found, "the end of the delivery"))


def openness(service_client: ServiceClient) -> float:
    """Of the account's breaker, by the metrics."""
    lines = service_client.call("GET", "/metrics").text.splitlines()
    return float(next(line.split()[1] for line in lines if line.startswith('otp_circuit_open{scope="account"}')))


def doctor(cluster: Cluster) -> "subprocess.CompletedProcess[str]":
    """What the doctor says."""
    return run("doctor", **cluster.env)


def faults(done: "subprocess.CompletedProcess[str]") -> list[str]:
    """The lines of what it finds wrong; none if it ends with 0."""
    found = [line for line in done.stdout.splitlines() if line and not line.startswith("ok ")]
    assert bool(found) == bool(done.returncode), done
    return found


def test_a_refused_account_is_reported_shown_and_recovers(cluster: Cluster, request: pytest.FixtureRequest) -> None:
    """Every code ends at once with the carrier's reason; the first one that is taken closes the breaker."""
    service_client = ServiceClient(cluster.env)
    request.addfinalizer(service_client.close)
    first, second, third = service_client.number(), service_client.number(), service_client.number()
    (refused,) = ended(service_client, service_client.started(first))
    assert (refused["status"], refused["error"]["code"]) == ("failed", "10009")
    (next_one,) = ended(service_client, service_client.started(second))
    assert (next_one["status"], next_one["error"]["code"]) == ("failed", "10009")
    assert (len(service_client.sends(first)), len(service_client.sends(second))) == (1, 1)
    # An API process looks at breakers in the background, a moment behind.
    within(60, lambda: openness(service_client) == 1.0, "the open breaker")
    done = doctor(cluster)
    assert done.returncode == 1
    assert "circuit account" in done.stdout + done.stderr
    # Nobody was sent anything, so nobody has to wait before the next try.
    assert service_client.start(first).status_code == 200

    cluster.end("worker", signal.SIGTERM)
    cluster.start("worker")
    (arrived,) = ended(service_client, service_client.started(third))
    assert arrived["status"] == "delivered"
    within(60, lambda: openness(service_client) == 0.0, "the closed breaker")
    # The worker that ended may not have been able to say so. Then it is known for a while, and nothing else is wrong.
    deadline = time.monotonic() + KEPT_MS / 1000 + 10
    while wrong := faults(doctor(cluster)):
        assert all("processes: " in line for line in wrong), wrong
        assert time.monotonic() < deadline, wrong
