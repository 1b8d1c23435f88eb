"""Rotating the keyring of a running service loses nothing."""

import base64
import json
import shutil
from pathlib import Path

import httpx
import jwt

from ...conftest import wait_until
from ..service_client import ServiceClient
from .site import Site, kids


def test_a_rolling_rotation_loses_nothing(site: Site, service_client: ServiceClient) -> None:
    """Old ring here, new ring there: codes, checks and receipts of each are good at the other.

    At the latest once it has the key, and until then there is no verdict.
    """
    old = site.copy_of_the_ring()
    old_url = site.another_api(OTP_KEYRING=str(old))
    site.another("worker", "--processes", "1", OTP_KEYRING=str(old))
    before = service_client.started(first := service_client.number())
    assert service_client.code(first, 60)
    new_kid = site.rotate("--after", "0s")["active_kid"]
    wait_until(lambda: new_kid in kids(service_client.url), 60, "the new key")
    assert new_kid not in kids(old_url)

    # Made by the new one, sent by nobody yet: the old worker leaves it to others.
    numbers = [service_client.number() for _ in range(6)]
    started = {number: service_client.started(number) for number in numbers}
    wait_until(
        lambda: all("delivery.put_off" in service_client.events(v) for v in started.values()), 60, "the hand-back"
    )
    wait_until(lambda: all(service_client.deliveries(v) == ["queued"] for v in started.values()), 60, "the queue")
    site.start("worker")
    codes = {number: service_client.code(number, 60) for number in numbers}

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
    wait_until(lambda: new_kid in kids(old_url), 60, "the new key at the old API")
    assert at_old("/receipts/redeem", {"receipt": receipt}).status_code == 200
    for number in numbers[1:]:
        answer = at_old("/verify/check", {"verification_id": started[number], "code": codes[number]})
        assert answer.status_code == 200


def _b64(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def test_rotation_is_one_command_on_a_live_service(site: Site, service_client: ServiceClient) -> None:
    """No restart: published within moments, not signing yet; keys fetched before verify what is signed after."""
    site.start("worker")
    fetched_before = kids(service_client.url)
    facts = site.rotate()
    wait_until(lambda: facts["next_kid"] in kids(service_client.url), 60, "the published key")
    verification = service_client.started(number := service_client.number())
    receipt = service_client.check(verification, service_client.code(number, 60)).json()["receipt"]
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
        receipt = service_client.check(verification, service_client.code(number, 60)).json()["receipt"]
        return bool(jwt.get_unverified_header(receipt)["kid"] == facts["next_kid"])

    wait_until(signs, 60, "a receipt of the new key")
