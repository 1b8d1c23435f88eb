"""A real receiver on loopback: what it is sent, what a failing one is sent again, and that no kill loses anything."""

import base64
import json
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from nacl.signing import SigningKey
from standardwebhooks import Webhook

from otp_service.domain.callback import EVENTS

from .cluster import Cluster
from .commands import data, run, run_in, run_process
from .service_client import SHARED_PROFILE, ServiceClient, within

OLD, NEW = ("whsec_" + base64.b64encode(bytes([n]) * 32).decode() for n in (1, 2))
SEED = SigningKey(bytes(range(32)))
PAIR = "whsk_" + base64.b64encode(bytes(SEED)).decode()
Behave = Callable[[int], tuple[int, dict[str, str]] | None]
"""By the number of the try of one callback: status and headers, or None to hold the request for ever."""


class Receiver:
    """An app's endpoint: believes only what is signed, keeps it, and behaves by path."""

    def __init__(self) -> None:
        self.tries: dict[str, list[tuple[str, bytes, dict[str, str]]]] = {}
        self.behave: dict[str, Behave] = {}
        self.bad: list[str] = []
        self.lock = threading.Lock()
        self.over = threading.Event()
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                length = int(self.headers["Content-Length"])
                body = self.rfile.read(length)
                if len(body) < length:
                    return  # the worker was killed while it sent: no callback has arrived
                answer = outer.take(self.path, body, {name.lower(): value for name, value in self.headers.items()})
                if answer is None:
                    outer.over.wait(60)
                    return
                self.send_response(answer[0])
                for name, value in {**answer[1], "Content-Length": "0"}.items():
                    self.send_header(name, value)
                self.end_headers()

            def log_message(self, *_: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def take(self, path: str, body: bytes, headers: dict[str, str]) -> tuple[int, dict[str, str]] | None:
        """Verify, keep, and say what to answer."""
        try:
            for secret in (OLD, NEW):
                Webhook(secret).verify(body, headers)
            signature = next(one for one in headers["webhook-signature"].split() if one.startswith("v1a,"))
            message = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + body
            SEED.verify_key.verify(message, base64.b64decode(signature.removeprefix("v1a,")))
        except Exception as error:  # noqa: BLE001 - reported to the test
            self.bad.append(repr(error))
            return 401, {}
        with self.lock:
            tries = self.tries.setdefault(headers["webhook-id"], [])
            tries.append((path, body, headers))
        behave = self.behave.get(path)
        return behave(len(tries)) if behave is not None else (204, {})

    def of(self, verification: str) -> dict[str, list[tuple[str, bytes, dict[str, str]]]]:
        """The tries of this verification's callbacks, by webhook-id."""
        with self.lock:
            return {
                name: list(tries)
                for name, tries in self.tries.items()
                if json.loads(tries[0][1])["data"]["verification_id"] == verification
            }

    def types(self, verification: str) -> list[str]:
        """What was sent about it, each callback once."""
        return [json.loads(tries[0][1])["type"] for tries in self.of(verification).values()]

    def close(self) -> None:
        """End it."""
        self.over.set()
        self.server.shutdown()
        self.server.server_close()


APPS = ("good", "flaky", "moved", "gone", "busy", "hang")


@pytest.fixture(scope="module")
def receiver() -> Iterator[Receiver]:
    """One receiver with a path for each app."""
    with closing(Receiver()) as made:
        yield made


@pytest.fixture(scope="module")
def cluster(receiver: Receiver, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """A service of our own whose apps send callbacks to the receiver."""
    made = Cluster(tmp_path_factory.mktemp("callbacks"))
    sender = f'[senders.pool]\nkind = "number_pool"\nmessaging_profile_id = "{SHARED_PROFILE}"\nrate_per_s = 100\n'
    apps = [
        f'[apps.{app}]\nbrand = "Acme"\nroute = ["pool"]\ncallback_url = "{receiver.url}/{app}"\n'
        "callback_allow_private = true\n"
        for app in APPS
    ]
    Path(made.env["OTP_CONFIG"]).write_text(sender + "".join(apps))
    for app in APPS:
        made.env[f"OTP_CALLBACK_SECRET_{app.upper()}"] = f"{NEW} {OLD} {PAIR}"
    with made.running():
        yield made


@pytest.fixture
def site(cluster: Cluster) -> Iterator[ServiceClient]:
    """The caller's and the phones' side of it."""
    with closing(ServiceClient(cluster.env)) as made:
        yield made


def command(cluster: Cluster, *words: str) -> Any:
    """The JSON that a command prints."""
    return data(run("callbacks", *words, "--json", **cluster.env))


def same(tries: list[tuple[str, bytes, dict[str, str]]]) -> bool:
    """All tries have the same bytes (they have the same id by how they were found)."""
    return len({body for _, body, _ in tries}) == 1


def test_a_login_is_reported_from_beginning_to_end(receiver: Receiver, site: ServiceClient) -> None:
    """Started, sent, delivered, a wrong code, approved: signed, in the API's own words, without code and number."""
    number = site.number()
    verification = site.started(number, "good", metadata={"order": "7"})
    code = site.code(number)
    wanted = ["verification.started", "delivery.sent", "delivery.delivered", "check.failed", "verification.approved"]
    within(60, lambda: "delivery.delivered" in receiver.types(verification), "the report")
    site.check(verification, str((int(code) + 1) % 10**6).zfill(6), "good")
    assert site.check(verification, code, "good").status_code == 200
    within(60, lambda: set(wanted) <= set(receiver.types(verification)), "every callback")
    assert sorted(receiver.types(verification)) == sorted(wanted)
    assert set(wanted) <= EVENTS
    shown = site.show(verification, "good")
    last = max(
        (json.loads(tries[0][1]) for tries in receiver.of(verification).values()),
        key=lambda one: one["data"]["version"],
    )
    assert set(last["data"]) == set(shown)
    assert {name: last["data"][name] for name in ("status", "version", "metadata", "timeline")} == {
        name: shown[name] for name in ("status", "version", "metadata", "timeline")
    }
    for tries in receiver.of(verification).values():
        assert number.encode() not in tries[0][1]
        assert code.encode() not in tries[0][1]
    assert not receiver.bad


def test_a_failing_receiver_gets_the_event_again(receiver: Receiver, cluster: Cluster, site: ServiceClient) -> None:
    """500, then 200: the same id and bytes, a new time; 429 and 302 the same way; one that hangs holds up nobody."""
    receiver.behave |= {
        "/flaky": lambda n: (500 if n == 1 else 200, {}),
        "/busy": lambda n: (429, {"Retry-After": "2"}) if n == 1 else (200, {}),
        "/moved": lambda n: (302, {"Location": f"{receiver.url}/elsewhere"}) if n == 1 else (200, {}),
        "/hang": lambda _: None,
    }
    verifications = {app: site.started(site.number(), app) for app in ("hang", "flaky", "busy", "moved")}
    for app in ("flaky", "busy", "moved"):

        def twice(app: str = app) -> bool:
            found = receiver.of(verifications[app]).values()
            return len(found) == 3 and all(len(tries) == 2 for tries in found)

        within(60, twice, f"the second try of {app}")
        for tries in receiver.of(verifications[app]).values():
            assert same(tries)
            first, second = (int(headers["webhook-timestamp"]) for *_, headers in tries)
            assert second - first >= 4
    assert not any(path == "/elsewhere" for tries in receiver.tries.values() for path, *_ in tries)
    assert receiver.of(verifications["hang"])
    within(60, lambda: command(cluster, "list", "--app", "hang")[0]["reason"] == "no answer in time", "the time-out")
    receiver.behave["/hang"] = lambda _: (204, {})
    within(60, lambda: command(cluster, "list", "--app", "flaky") == [], "an empty queue")


def test_a_receiver_that_is_gone_is_left_alone_until_replayed(
    receiver: Receiver, cluster: Cluster, site: ServiceClient
) -> None:
    """410: a dead letter at once and no further request; `replay` sends it with its id and bytes."""
    receiver.behave["/gone"] = lambda _: (410, {})
    verification = site.started(site.number(), "gone")
    dead = within(60, lambda: command(cluster, "list", "--app", "gone", "--dead"), "a dead letter")
    time.sleep(1)
    before = {name: len(tries) for name, tries in receiver.of(verification).items()}
    assert all(count == 1 for count in before.values())
    time.sleep(1)
    assert {name: len(tries) for name, tries in receiver.of(verification).items()} == before
    assert {(one["state"], one["reason"], one["verification_id"]) for one in dead} == {
        ("dead", "status 410", verification)
    }
    receiver.behave["/gone"] = lambda _: (200, {})
    assert command(cluster, "replay", dead[0]["id"]) == {"replayed": 1}
    command(cluster, "replay", "--dead", "--app", "gone")
    within(60, lambda: len(receiver.types(verification)) == 3, "all three callbacks")
    within(60, lambda: not command(cluster, "list", "--app", "gone"), "an empty queue")
    assert command(cluster, "list", "--app", "gone", "--dead") == []
    assert all(same(tries) for tries in receiver.of(verification).values())


def test_kill_9_of_the_worker_loses_no_callback(receiver: Receiver, cluster: Cluster, site: ServiceClient) -> None:
    """Killed while it reads, writes and sends, twice; what it held comes again with the same id and bytes."""

    def slowly(_: int) -> tuple[int, dict[str, str]]:
        receiver.over.wait(0.15)  # so that kills hit callbacks in flight
        return 200, {}

    receiver.behave["/good"] = slowly
    verifications = []
    for _ in range(2):
        verifications += [site.started(site.number(), "good") for _ in range(8)]
        cluster.end("worker", signal.SIGKILL)
        verifications += [site.started(site.number(), "good") for _ in range(4)]
        cluster.start("worker")
        time.sleep(1.2)
    wanted = {"verification.started", "delivery.sent", "delivery.delivered"}

    def all_told() -> bool:
        return all(wanted <= set(receiver.types(verification)) for verification in verifications)

    within(60, all_told, "callbacks of every verification")
    for verification in verifications:
        assert sorted(set(receiver.types(verification))) == sorted(receiver.types(verification))
        assert all(same(tries) for tries in receiver.of(verification).values())
    assert not receiver.bad
    assert "Traceback" not in cluster.logs()
    for secret in (OLD, NEW, PAIR):
        assert secret not in cluster.logs()


def test_the_service_says_how_its_callbacks_are(cluster: Cluster, site: ServiceClient) -> None:
    """The doctor has a line for each app, the metrics a number; an unknown app or id is one sentence."""
    doctor = run_process("doctor", "--json", **cluster.env)
    lines = {one["name"]: one for one in json.loads(doctor.stdout)}
    for app in APPS:
        assert lines[f"callbacks of {app}"]["ok"]
        assert "private addresses allowed" in lines[f"callbacks of {app}"]["detail"]
    metrics = site.call("GET", "/metrics", app="good").text
    assert 'otp_callbacks_waiting{app="good"}' in metrics
    assert 'otp_callbacks_dead{app="gone"} 0.0' in metrics
    for words in (["list", "--app", "nobody"], ["replay", "evt_00-1-1"], ["replay"], ["replay", "x", "--dead"]):
        done = run("callbacks", *words, **cluster.env)
        assert (done.returncode, done.stdout, done.stderr.count("\n")) == (1, "", 1), done.stderr


def test_an_ending_worker_does_not_wait_for_a_receiver(
    receiver: Receiver, cluster: Cluster, site: ServiceClient
) -> None:
    """SIGTERM while a receiver hangs is exit 0 in the usual time; what was not sent goes out by the next worker."""
    receiver.behave["/hang"] = lambda _: None
    verification = site.started(site.number(), "hang")
    within(60, lambda: receiver.of(verification), "a request that hangs")
    began = time.monotonic()
    assert cluster.end("worker", signal.SIGTERM) == 0
    # Not for the fifteen seconds in which the receiver may answer.
    assert time.monotonic() - began < 14
    receiver.behave["/hang"] = lambda _: (204, {})
    cluster.start("worker")
    within(45, lambda: len(receiver.types(verification)) == 3, "the callbacks that were left")


def test_keygen_makes_what_the_service_takes(tmp_path: Path) -> None:
    """Without configuration or store: one secret on stdout; the public key beside it, not in the way of a pipe."""

    def keygen(*options: str) -> subprocess.CompletedProcess[str]:
        done = run_in(tmp_path, "callbacks", "keygen", *options)
        assert done.returncode == 0
        return done

    assert keygen().stdout.startswith("whsec_")
    assert keygen().stderr == ""
    pair = keygen("--ed25519")
    assert pair.stdout.startswith("whsk_")
    assert "whpk_" in pair.stderr
    made = json.loads(keygen("--ed25519", "--json").stdout)
    key = SigningKey(base64.b64decode(made["secret"].removeprefix("whsk_")))
    assert made["public_key"] == "whpk_" + base64.b64encode(bytes(key.verify_key)).decode()
