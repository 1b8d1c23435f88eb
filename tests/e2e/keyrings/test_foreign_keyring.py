"""A store that belongs to another keyring, and a keyring file that is broken under a running service."""

import json
import secrets
import signal
from pathlib import Path

import httpx

from otp_service import keyring

from ...conftest import wait_until
from ..service_client import ServiceClient
from .site import Site, answers, working


def foreign_ring(directory: Path) -> Path:
    """A keyring that has nothing to do with the store."""
    path = directory / "foreign.json"
    path.touch(0o600)
    path.write_bytes(keyring.create(secrets.token_bytes, "2026-01-01T00:00:00Z"))
    return path


def test_a_foreign_keyring_is_refused_everywhere(site: Site, service_client: ServiceClient) -> None:
    """serve, worker, `optouts sync` and doctor: one clear sentence, exit 1; nothing of the store changes.

    Keys and the record are read with any keyring, and with none.
    """
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
    for words in (["keys", "list"], ["audit", "tail"]):
        assert site.command(*words, OTP_KEYRING=ring).returncode == 0
        assert site.command(*words, OTP_KEYRING="").returncode == 0
    done = site.command("doctor", "--json", OTP_KEYRING=ring)
    assert done.returncode == 1
    (finding,) = [fact for fact in json.loads(done.stdout) if "another keyring" in fact["detail"]]
    assert not finding["ok"]
    (right,) = [f for f in json.loads(site.command("doctor", "--json").stdout) if f["name"] == "keyring and store"]
    assert right["ok"]
    # A store that lost its mark is taken by neither, until somebody says whose it is. (The API would mark it again.)
    site.end("api", signal.SIGTERM)
    with service_client.store() as store:
        mark = store.getdel("otp:{meta}:index_keys")
    for path in (ring, site.env["OTP_KEYRING"]):
        refused = site.command("worker", OTP_KEYRING=path)
        assert (refused.returncode, refused.stderr.count("keyring accept")) == (1, 1)
    assert json.loads(site.command("keyring", "accept", "--json").stdout) == {"index_fingerprint": mark.decode()}
    assert "another keyring" in site.command("keyring", "accept", OTP_KEYRING=ring).stderr
    # What waited all the while is delivered by the right worker, all of it.
    site.start("worker")
    assert all(service_client.code(number, 60) for number in numbers)


def test_a_store_that_becomes_another_keyrings_ends_the_worker_and_the_readiness(
    site: Site, service_client: ServiceClient
) -> None:
    """Emptied under the processes it gets the marks again; taken over by another keyring it is left alone.

    The API begins no login meanwhile, and goes on by itself when the store is its own again.
    """
    site.start("worker")
    with service_client.store() as store:
        store.flushall()
        wait_until(lambda: store.get("otp:{meta}:index_keys"), 60, "the mark")
        assert answers(f"{service_client.url}/readyz")
        store.set("otp:{meta}:index_keys", "0123456789abcdef")
    wait_until(lambda: not answers(f"{service_client.url}/readyz"), 60, "the end of readiness")
    reasons = httpx.get(f"{service_client.url}/readyz", trust_env=False).json()["reasons"]
    assert [reason["check"] for reason in reasons] == ["keyring"]
    refused = service_client.start(service_client.number())
    assert (refused.status_code, refused.json()["code"]) == (503, "not_ready")
    worker = site._running.pop("worker")
    assert worker.wait(60) == 1
    assert "another keyring" in (site.directory / "worker.log").read_text().splitlines()[-1]
    with service_client.store() as store:
        store.delete("otp:{meta}:index_keys")
    wait_until(lambda: answers(f"{service_client.url}/readyz"), 30, "readiness")
    service_client.started(service_client.number())


def test_a_broken_file_under_a_running_service(site: Site, service_client: ServiceClient) -> None:
    """Codes go on with the keys of before, /readyz says why, and it heals by itself."""
    working(site, service_client)
    path = Path(site.env["OTP_KEYRING"])
    good = path.read_bytes()
    path.write_bytes(good[:100])
    wait_until(lambda: not answers(f"{service_client.url}/readyz"), 60, "the end of readiness")
    (reason,) = httpx.get(f"{service_client.url}/readyz", trust_env=False).json()["reasons"]
    assert reason["check"] == "keyring"
    assert json.loads(good)["index_key"][:20] not in reason["detail"]
    verification = service_client.started(number := service_client.number())
    assert service_client.check(verification, service_client.code(number, 60)).status_code == 200
    path.write_bytes(good)
    wait_until(lambda: answers(f"{service_client.url}/readyz"), 60, "readiness")
