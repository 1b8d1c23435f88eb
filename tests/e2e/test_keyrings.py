"""A foreign keyring, and one that only some of the processes have: nothing is lost, and every process says so."""

import base64
import json
import os
import pty
import secrets
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import jwt
import pytest

from otp_service import keyring
from otp_service.runtime import ports

from ..conftest import clean_environ, wait_until
from .cluster import Cluster
from .service_client import ServiceClient, within


class Site(Cluster):
    """The cluster, with further processes that have another keyring file or configuration."""

    def __init__(self, directory: Path) -> None:
        super().__init__(directory)
        self.others: list[subprocess.Popen[str]] = []

    def command(self, *arguments: str, **environ: str) -> "subprocess.CompletedProcess[str]":
        """Run a command to its end."""
        return subprocess.run(
            [sys.executable, "-m", "otp_service", *arguments],
            env=clean_environ(**{**self.env, **environ}),
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    def another(self, *arguments: str, **environ: str) -> "subprocess.Popen[str]":
        """Start one more process."""
        with (self.directory / f"other-{len(self.others)}.log").open("a") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", "otp_service", *arguments],
                stdout=log,
                stderr=log,
                text=True,
                env=clean_environ(**{**self.env, **environ}),
            )
        self.others.append(process)
        return process

    def another_api(self, **environ: str) -> str:
        """One more API; its address, once it answers."""
        port = ports.free_port()
        self.another("serve", "--port", str(port), "--workers", "1", **environ)
        url = f"http://127.0.0.1:{port}"
        wait_until(lambda: answers(f"{url}/healthz"), 20, "the other API")
        return url

    def copy_of_the_ring(self) -> Path:
        """A keyring file as another machine has it."""
        path = self.directory / f"ring-{secrets.token_hex(4)}.json"
        shutil.copy(self.env["OTP_KEYRING"], path)
        return path

    def rotate(self, *options: str) -> dict[str, Any]:
        """`keyring rotate` of the cluster's own file."""
        done = self.command("keyring", "rotate", self.env["OTP_KEYRING"], "--json", *options)
        assert done.returncode == 0, done.stderr
        facts: dict[str, Any] = json.loads(done.stdout)
        return facts

    def close(self) -> None:
        """End everything."""
        for process in self.others:
            process.terminate()
        for process in self.others:
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait(5)
        super().close()


def answers(url: str) -> bool:
    """Whether it is 200."""
    try:
        return httpx.get(url, timeout=2, trust_env=False).status_code == 200
    except httpx.HTTPError:
        return False


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    """Store, sandbox and API; workers as the tests want them."""
    made = Site(tmp_path)
    try:
        for name in ("sandbox", "api"):
            made.start(name)
        made.ready()
        yield made
    finally:
        made.close()


@pytest.fixture
def service_client(site: Site) -> Iterator[ServiceClient]:
    """The caller and the phones."""
    made = ServiceClient(site.env)
    try:
        yield made
    finally:
        made.close()


def working(site: Site, service_client: ServiceClient) -> None:
    """Start a worker and see it work."""
    site.start("worker")
    service_client.started(number := service_client.number())
    assert service_client.code(number, 20)


def foreign_ring(directory: Path) -> Path:
    """A keyring that has nothing to do with the store."""
    path = directory / "foreign.json"
    path.touch(0o600)
    path.write_bytes(keyring.create(secrets.token_bytes, "2026-01-01T00:00:00Z"))
    return path


def test_a_foreign_keyring_is_refused_everywhere(site: Site, service_client: ServiceClient) -> None:
    """serve, worker, `optouts sync` and doctor: one clear sentence, exit 1; nothing of the store changes."""
    numbers = [service_client.number() for _ in range(30)]
    for number in numbers:
        service_client.started(number)
    ring = str(foreign_ring(site.directory))
    dev = ["dev", "--port", "0", "--sandbox-port", "0", "--dir", str(site.directory / "dev")]
    for words in (
        ["serve", "--port", "0"],
        ["worker"],
        ["optouts", "sync"],
        [*dev, "--redis-url", site.env["OTP_REDIS_URL"]],
    ):
        refused = site.command(*words, OTP_KEYRING=ring)
        assert refused.returncode == 1, words
        assert refused.stderr.count("another keyring") == 1, (words, refused.stderr)
        assert refused.stderr.count("\n") == 1, (words, refused.stderr)
    told = site.command("doctor", "--json", OTP_KEYRING=ring)
    assert told.returncode == 1
    (finding,) = [fact for fact in json.loads(told.stdout) if "another keyring" in fact["detail"]]
    assert not finding["ok"]
    (right,) = [f for f in json.loads(site.command("doctor", "--json").stdout) if f["name"] == "keyring and store"]
    assert right["ok"]
    # What waited all the while is delivered by the right worker, all of it.
    site.start("worker")
    assert all(service_client.code(number, 20) for number in numbers)


def test_commands_that_need_no_keyring_need_none(site: Site) -> None:
    """Keys and the record are read with any keyring, and with none."""
    for words in (("keys", "list"), ("audit", "tail")):
        assert site.command(*words, OTP_KEYRING=str(foreign_ring(site.directory))).returncode == 0
        assert site.command(*words, OTP_KEYRING="").returncode == 0


def test_a_store_that_becomes_another_keyrings_ends_the_worker_and_the_readiness(
    site: Site, service_client: ServiceClient
) -> None:
    """Emptied under the processes it gets the marks again; taken over by another keyring it is left alone."""
    site.start("worker")
    with service_client.store() as store:
        store.flushall()
        wait_until(lambda: store.get("otp:{meta}:index_keys"), 10, "the mark")
        assert answers(f"{service_client.url}/readyz")
        store.set("otp:{meta}:index_keys", "0123456789abcdef")
    wait_until(lambda: not answers(f"{service_client.url}/readyz"), 10, "the end of readiness")
    reasons = httpx.get(f"{service_client.url}/readyz", trust_env=False).json()["reasons"]
    assert [reason["check"] for reason in reasons] == ["keyring"]
    worker = site._running.pop("worker")
    assert worker.wait(15) == 1
    assert "another keyring" in (site.directory / "worker.log").read_text().splitlines()[-1]


def test_a_rolling_rotation_loses_nothing(site: Site, service_client: ServiceClient) -> None:
    """Old ring here, new ring there: codes, checks and receipts of each are good at the other.

    At the latest once it has the key, and until then there is no verdict.
    """
    old = site.copy_of_the_ring()
    old_url = site.another_api(OTP_KEYRING=str(old))
    site.another("worker", OTP_KEYRING=str(old))
    before = service_client.started(first := service_client.number())
    assert service_client.code(first, 20)
    new_kid = site.rotate("--after", "0s")["active_kid"]
    wait_until(lambda: new_kid in kids(service_client.url), 10, "the new key")
    assert new_kid not in kids(old_url)

    # Made by the new one, sent by nobody yet: the old worker leaves it to others.
    numbers = [service_client.number() for _ in range(6)]
    started = {number: service_client.started(number) for number in numbers}
    wait_until(
        lambda: all("delivery.put_off" in service_client.events(v) for v in started.values()), 15, "the hand-back"
    )
    assert all(service_client.deliveries(v) == ["queued"] for v in started.values())
    site.start("worker")
    codes = {number: service_client.code(number, 20) for number in numbers}

    def at_old(path: str, body: object) -> httpx.Response:
        headers = {"Authorization": f"Bearer {service_client.key()}"}
        return service_client.client.post(old_url + path, json=body, headers=headers)

    # A check at the old one is no verdict, and no guess is lost.
    number = numbers[0]
    for _ in range(7):
        answer = at_old("/verify/check", {"verification_id": started[number], "code": codes[number]})
        assert (answer.status_code, answer.json()["code"]) == (503, "not_ready")
        assert int(answer.headers["retry-after"]) >= 1
    assert service_client.show(started[number])["checks_left"] == 5
    approved = service_client.check(started[number], codes[number])
    assert approved.status_code == 200
    receipt = approved.json()["receipt"]
    assert jwt.get_unverified_header(receipt)["kid"] == new_kid

    # The same of a receipt; one of a key that nobody knows is none.
    spent = at_old("/receipts/redeem", {"receipt": receipt})
    assert (spent.status_code, spent.json()["code"]) == (503, "not_ready")
    header, _, rest = receipt.partition(".")
    forged = _b64(json.dumps({**jwt.get_unverified_header(receipt), "kid": "k-nobody"}).encode())
    for url in (service_client.url, old_url):
        answer = service_client.client.post(
            url + "/receipts/redeem",
            json={"receipt": f"{forged}.{rest}"},
            headers={"Authorization": f"Bearer {service_client.key()}"},
        )
        assert (answer.status_code, answer.json()["code"]) == (422, "receipt_invalid")
    assert header

    # Codes of before are good at both, and at the new one receipts of the old key are.
    old_code = service_client.code(first)
    done = at_old("/verify/check", {"verification_id": before, "code": old_code})
    assert done.status_code == 200
    assert service_client.call("POST", "/receipts/redeem", {"receipt": done.json()["receipt"]}).status_code == 200

    # The old one gets the file, without a restart.
    shutil.copy(site.env["OTP_KEYRING"], old)
    wait_until(lambda: new_kid in kids(old_url), 10, "the new key at the old API")
    assert at_old("/receipts/redeem", {"receipt": receipt}).status_code == 200
    for number in numbers[1:]:
        answer = at_old("/verify/check", {"verification_id": started[number], "code": codes[number]})
        assert answer.status_code == 200


def kids(url: str) -> list[str]:
    """The published keys."""
    answer = httpx.get(f"{url}/.well-known/jwks.json", trust_env=False)
    assert "max-age=300" in answer.headers["cache-control"]
    return [key["kid"] for key in answer.json()["keys"]]


def _b64(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def test_rotation_is_one_command_on_a_live_service(site: Site, service_client: ServiceClient) -> None:
    """No restart: published within moments, not signing yet; keys fetched before verify what is signed after."""
    site.start("worker")
    fetched_before = kids(service_client.url)
    facts = site.rotate()
    wait_until(lambda: facts["next_kid"] in kids(service_client.url), 10, "the published key")
    verification = service_client.started(number := service_client.number())
    receipt = service_client.check(verification, service_client.code(number, 20)).json()["receipt"]
    assert jwt.get_unverified_header(receipt)["kid"] == facts["active_kid"]
    assert facts["active_kid"] in fetched_before
    status = json.loads(site.command("keyring", "status", site.env["OTP_KEYRING"], "--json").stdout)
    assert {key["kid"]: key["state"] for key in status["keys"]} == {
        facts["active_kid"]: "active",
        facts["next_kid"]: "next",
    }
    assert status["keys"][1]["active_from"] == facts["active_from"]
    # In time it signs.
    data = json.loads(Path(site.env["OTP_KEYRING"]).read_text())
    data["keys"][1]["active_from"] = "2026-01-01T00:00:00Z"
    Path(site.env["OTP_KEYRING"]).write_text(json.dumps(data))

    def signs() -> bool:
        verification = service_client.started(number := service_client.number())
        receipt = service_client.check(verification, service_client.code(number, 20)).json()["receipt"]
        return bool(jwt.get_unverified_header(receipt)["kid"] == facts["next_kid"])

    wait_until(signs, 10, "a receipt of the new key")


def test_a_hang_up_is_no_end_for_a_service_without_a_terminal(site: Site, service_client: ServiceClient) -> None:
    """SIGHUP asks API and worker to look at the keyring: they go on, with the new key."""
    working(site, service_client)
    new = site.rotate("--after", "0s")["active_kid"]
    for name in ("api", "worker"):
        site._running[name].send_signal(signal.SIGHUP)
    wait_until(lambda: new in kids(service_client.url), 10, "the new key")
    verification = service_client.started(number := service_client.number())
    assert service_client.check(verification, service_client.code(number, 20)).status_code == 200
    assert all(site._running[name].poll() is None for name in ("api", "worker"))


HANG_UP = """
import sys, time
from otp_service.runtime import signals
stop = signals.stop_on_signals(reload=lambda: open(sys.argv[1] + "/reloaded", "w").close())
open(sys.argv[1] + "/there", "w").close()
open(sys.argv[1] + ("/ended" if stop.wait(30) else "/late"), "w").close()
"""


def test_the_end_of_the_terminal_is_the_end(tmp_path: Path) -> None:
    """A SIGHUP by hand asks to read again, also in a terminal; the one of a terminal that is gone ends the process."""
    pid, terminal = pty.fork()
    if pid == 0:
        os.execv(sys.executable, [sys.executable, "-c", HANG_UP, str(tmp_path)])
    try:
        wait_until((tmp_path / "there").exists, 20, "the process")
        os.kill(pid, signal.SIGHUP)
        wait_until((tmp_path / "reloaded").exists, 5, "the reload")
        assert not (tmp_path / "ended").exists()
    finally:
        os.close(terminal)
    wait_until((tmp_path / "ended").exists, 5, "the end")
    os.waitpid(pid, 0)


def test_a_broken_file_under_a_running_service(site: Site, service_client: ServiceClient) -> None:
    """Codes go on with the keys of before, /readyz says why, and it heals by itself."""
    working(site, service_client)
    path = Path(site.env["OTP_KEYRING"])
    good = path.read_bytes()
    path.write_bytes(good[:100])
    wait_until(lambda: not answers(f"{service_client.url}/readyz"), 10, "the end of readiness")
    (reason,) = httpx.get(f"{service_client.url}/readyz", trust_env=False).json()["reasons"]
    assert reason["check"] == "keyring"
    assert json.loads(good)["index_key"][:20] not in reason["detail"]
    verification = service_client.started(number := service_client.number())
    assert service_client.check(verification, service_client.code(number, 20)).status_code == 200
    path.write_bytes(good)
    wait_until(lambda: answers(f"{service_client.url}/readyz"), 10, "readiness")


SHORT = """
[senders.known]
kind = "long_code"
from = "+18445550001"
messaging_profile_id = "abc85f64-5717-4562-b3fc-2c9600000000"
{more}
[apps.default]
brand = "Acme"
route = ["known"]
{apps}
"""
NEW_SENDER = """
[senders.new]
kind = "number_pool"
messaging_profile_id = "abc85f64-5717-4562-b3fc-2c9600000000"
"""
NEW_APPS = """
[apps.alone]
brand = "Acme"
route = ["new"]
code_ttl = "8s"
[apps.both]
brand = "Acme"
route = ["new", "known"]
"""


def test_a_sender_or_app_that_only_some_know(tmp_path: Path) -> None:
    """An old worker leaves them to others: the one who knows them delivers; where nobody comes, `expired` says why."""
    site = Site(tmp_path)
    service_client = ServiceClient(site.env)
    try:
        old, new = tmp_path / "old.toml", tmp_path / "new.toml"
        old.write_text(SHORT.format(more="", apps=""))
        new.write_text(SHORT.format(more=NEW_SENDER, apps=NEW_APPS))
        site.env["OTP_CONFIG"] = str(new)
        for name in ("sandbox", "api"):
            site.start(name)
        site.ready()
        site.another("worker", OTP_CONFIG=str(old))
        lost = service_client.started(service_client.number(), "alone")
        kept = service_client.started(number := service_client.number(), "both")
        ended = within(20, lambda: _ended(service_client, lost), "the end")
        assert ended["status"] == "expired"
        assert "app alone" in ended["error"]["title"]
        assert service_client.deliveries(kept, "both") == ["queued"]
        site.start("worker")
        assert service_client.code(number, 20)
        assert service_client.deliveries(kept, "both")[0] in ("sent", "delivered")
    finally:
        service_client.close()
        site.close()


def _ended(service_client: ServiceClient, verification: str) -> dict[str, Any] | None:
    (delivery,) = service_client.show(verification, "alone")["deliveries"]
    return dict(delivery) if delivery["status"] not in ("queued", "sending") else None
