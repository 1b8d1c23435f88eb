"""The Flask app alone, under another WSGI server: by the command that the operation guide prints."""

import json
import re
import shlex
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing

import httpx
import pytest

from otp_service import config
from otp_service.doctor import diagnose
from otp_service.runtime import ports
from tests.conftest import Dev, clean_environ, wait_until
from tests.documents.reading import DOCS, blocks

from .processes import command_line
from .service_client import ServiceClient
from .test_serving import answers, requests_seen

PROCESSES = 2


def command(port: int) -> list[str]:
    """The guide's command, with this interpreter's gunicorn and this port."""
    line = next(block.text for block in blocks(DOCS / "operation.md", "sh") if block.text.startswith("gunicorn"))
    words = shlex.split(re.sub(r"(127\.0\.0\.1):[0-9]+", rf"\1:{port}", line))
    assert f"127.0.0.1:{port}" in words
    assert words[words.index("--workers") + 1] == str(PROCESSES)
    return [sys.executable, "-m", *words]


@pytest.fixture(scope="module")
def served(shared_dev: Dev, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServiceClient]:
    """gunicorn over the store of a running `dev`, whose worker and carrier deliver."""
    tmp_path = tmp_path_factory.mktemp("gunicorn")
    port = ports.free_port()
    url = f"http://127.0.0.1:{port}"
    environ = clean_environ(**shared_dev.env, OTP_METRICS_DIR=str(tmp_path / "metrics"))
    with (tmp_path / "gunicorn.log").open("wb") as log:
        process = subprocess.Popen(command(port), stdout=log, stderr=log, env=environ, cwd=tmp_path)
    try:
        wait_until(lambda: process.poll() is not None or answers(url), 60, "gunicorn")
        assert process.poll() is None, (tmp_path / "gunicorn.log").read_text()
        with closing(ServiceClient({**shared_dev.env, "OTP_URL": url})) as made:
            yield made
    finally:
        process.terminate()
        assert process.wait(30) == 0
    assert "Traceback" not in (tmp_path / "gunicorn.log").read_text()


def is_among_the_processes(dev: Dev) -> bool:
    """Whether the doctor sees a process of gunicorn."""
    said = {one.name: one.detail for one in diagnose(config.load(dev.env))}["api processes"]
    return any("gunicorn" in command_line(int(pid)) for pid in re.findall(r"api (\d+) on", said))


def test_a_login(served: ServiceClient, shared_dev: Dev) -> None:
    """Start, the code by SMS, a wrong and the right code; what a wait gets; the metrics of all processes; the fleet."""
    number = served.number()
    name = served.started(number)
    assert served.check(name, "0000000000").status_code == 422
    waited = served.call("GET", f"/verify/{name}?wait=25")
    assert (waited.status_code, waited.headers["retry-after"]) == (200, "1")
    assert served.check(name, served.code(number)).status_code == 200
    assert httpx.get(f"{served.url}/readyz", trust_env=False).status_code == 200
    before = requests_seen(served.url, served.key())
    for _ in range(20):
        assert answers(served.url)
    assert requests_seen(served.url, served.key()) - before >= 20
    wait_until(lambda: is_among_the_processes(shared_dev), 60, "gunicorn's record")


BODY = b'{"to": "+12125550176", "code": "123456"}'
BROKEN = {
    "no size": b"zz\r\n" + BODY,
    "a negative size": b"-1\r\n" + BODY,
    "a size in another form": b"0x28\r\n" + BODY + b"\r\n0\r\n\r\n",
    "the end is missing": b"28\r\n" + BODY + b"\r\n",
}


def answer_to(served: ServiceClient, length: bytes, body: bytes) -> tuple[int, bytes]:
    """The status and the body of the answer to a check whose sender says no more."""
    head = f"POST /verify/check HTTP/1.1\r\nHost: otp.test\r\nAuthorization: Bearer {served.key()}\r\n".encode()
    head += b"Content-Type: application/json\r\n" + length + b"\r\n\r\n"
    port = int(served.url.rpartition(":")[2])
    with socket.create_connection(("127.0.0.1", port), timeout=30) as connection:
        connection.sendall(head + body)
        connection.shutdown(socket.SHUT_WR)
        response = b"".join(iter(lambda: connection.recv(65536), b""))
    head, _, body = response.partition(b"\r\n\r\n")
    return int(head.split(b" ")[1]), body


def test_a_body_that_does_not_arrive_as_announced(served: ServiceClient) -> None:
    """Broken chunks and a body that ends early are 400, never an error of the service and never read as whole."""
    got = {name: answer_to(served, b"Transfer-Encoding: chunked", body) for name, body in BROKEN.items()}
    got["a short body"] = answer_to(served, b"Content-Length: 100", BODY)
    codes = {name: (status, json.loads(body)["code"]) for name, (status, body) in got.items()}
    assert codes == dict.fromkeys(got, (400, "invalid_request"))
