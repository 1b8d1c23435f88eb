"""One person's odd message, in the running service: everybody else's go out by the first sender, and at once.

Between the service and the sandbox stands a proxy that answers in the carrier's place where the test says so.
"""

import json
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx
import pytest

from .cluster import Cluster
from .service_client import ServiceClient, configuration, within

OTHERS = 20
HELD = """
[senders.held]
kind = "long_code"
from = "+13125550901"
messaging_profile_id = "0c0ffee0-5717-4562-b3fc-2c9600000000"

[senders.held_too]
kind = "long_code"
from = "+13125550902"
messaging_profile_id = "0c0ffee0-5717-4562-b3fc-2c9600000001"

[apps.held]
brand = "Held"
route = ["held", "held_too"]
"""
"""An app whose senders may stay out of order, whichever test comes next."""

Page = tuple[int, str, bytes]


class Proxy(ThreadingHTTPServer):
    """Forwards every request, but for those about the phones in `odd`, which get this answer."""

    daemon_threads = True

    def __init__(self, upstream: str) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.upstream = upstream
        self.odd: dict[str, Page] = {}
        self.client = httpx.Client(trust_env=False, timeout=20)

    @property
    def url(self) -> str:
        """Where the service sends."""
        return f"http://127.0.0.1:{self.server_address[1]}/v2"


class Handler(BaseHTTPRequestHandler):
    """One connection."""

    server: Proxy
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        """A send."""
        content = self.rfile.read(int(self.headers["Content-Length"]))
        odd = self.server.odd.get(json.loads(content).get("to"))
        if odd is None:
            dropped = ("host", "connection", "content-length")
            headers = {name: value for name, value in self.headers.items() if name.lower() not in dropped}
            answer = self.server.client.post(self.server.upstream + self.path, content=content, headers=headers)
            odd = answer.status_code, answer.headers["content-type"], answer.content
        status, kind, body = odd
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Nothing."""


def envelope(code: str, status: int = 422) -> Page:
    """The carrier's own answer."""
    return status, "application/json", json.dumps({"errors": [{"code": code, "title": "As it happens"}]}).encode()


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[ServiceClient, Proxy]]:
    """The service, whose worker reaches the sandbox through the proxy."""
    directory: Path = tmp_path_factory.mktemp("one_message")
    cluster = Cluster(directory, configuration() + HELD)
    proxy = Proxy(cluster.env["SANDBOX_URL"])
    serving = threading.Thread(target=proxy.serve_forever)
    serving.start()
    service_client = None
    try:
        for name in ("sandbox", "api"):
            cluster.start(name)
        cluster.ready()
        cluster.env["TELNYX_BASE_URL"] = proxy.url
        cluster.start("worker")
        service_client = ServiceClient(cluster.env)
        yield service_client, proxy
    finally:
        if service_client is not None:
            service_client.close()
        cluster.close()
        proxy.shutdown()
        serving.join()
        proxy.client.close()
        proxy.server_close()


def ended(service_client: ServiceClient, verification: str, app: str = "default") -> list[tuple[str, str, str | None]]:
    """Sender, status and reason of its deliveries, once the last one has ended."""

    def found() -> list[dict[str, Any]]:
        deliveries: list[dict[str, Any]] = service_client.show(verification, app)["deliveries"]
        return deliveries if deliveries[-1]["status"] in ("failed", "delivered") else []

    deliveries = within(60, found, "the end of the delivery")
    return [(d["sender"], d["status"], d["error"] and d["error"]["code"]) for d in deliveries]


def untouched(service_client: ServiceClient) -> None:
    """Every other person's message is taken by the first sender; no breaker is open."""
    with ThreadPoolExecutor(4) as pool:
        ends = list(
            pool.map(lambda _: ended(service_client, service_client.started(service_client.number())), range(OTHERS))
        )
    assert ends == [[("pool", "delivered", None)]] * OTHERS
    assert {value for scope, value in openness(service_client).items() if "held" not in scope} == {0.0}


def openness(service_client: ServiceClient) -> dict[str, float]:
    """Every breaker by the metrics."""
    lines = service_client.call("GET", "/metrics").text.splitlines()
    found = [line for line in lines if line.startswith("otp_circuit_open{")]
    return {line.split('"')[1]: float(line.rsplit(" ", 1)[1]) for line in found}


@pytest.mark.parametrize(
    ("page", "code"),
    [
        (envelope("40302"), "40302"),
        (envelope("10027"), "10027"),
        (envelope("40305"), "40305"),
        ((403, "text/html", b"<html>Request blocked</html>"), "http_403"),
        ((302, "text/html", b""), "http_302"),
        ((404, "text/plain", b""), "http_404"),
    ],
)
def test_an_odd_answer_ends_one_message(service: tuple[ServiceClient, Proxy], page: Page, code: str) -> None:
    """Refused by every sender, it ends with its reason; the others do not notice."""
    service_client, proxy = service
    number = service_client.number()
    proxy.odd[number] = page
    assert ended(service_client, service_client.started(number)) == [
        ("pool", "failed", code),
        ("backup", "failed", code),
    ]
    untouched(service_client)


@pytest.mark.parametrize("code", ["40013", "10015", "10009"])
def test_an_odd_report_ends_one_message(service: tuple[ServiceClient, Proxy], code: str) -> None:
    """Accepted and failed afterwards, by every sender."""
    service_client, _ = service
    service_client.chaos(delivery={"outcome": "delivery_failed", "error_code": code})
    try:
        ends = ended_twice(service_client, service_client.started(service_client.number()))
    finally:
        service_client.chaos(delivery={"outcome": "delivered"})
    assert ends == [("pool", "failed", code), ("backup", "failed", code)]
    untouched(service_client)


def ended_twice(service_client: ServiceClient, verification: str) -> list[tuple[str, str, str | None]]:
    """The same, once the second sender's has ended too: it follows the first one's report."""
    within(60, lambda: len(service_client.deliveries(verification)) == 2, "the second sender")
    return ended(service_client, verification)


def test_a_route_that_is_held_is_tried_all_the_same(service: tuple[ServiceClient, Proxy]) -> None:
    """Three numbers show that both senders are out of order; the next person's code goes out, since it is mended."""
    service_client, proxy = service
    for _ in range(3):
        number = service_client.number()
        proxy.odd[number] = envelope("40305")
        ended(service_client, service_client.started(number, "held"), "held")
    within(
        60,
        lambda: {openness(service_client)[f"sender:{name}"] for name in ("held", "held_too")} == {1.0},
        "the open breakers",
    )
    number = service_client.number()
    verification = service_client.started(number, "held")
    assert ended(service_client, verification, "held")[-1][1] == "delivered"
    assert len(service_client.inbox(number)) == 1
    assert service_client.check(verification, service_client.code(number), "held").status_code == 200
