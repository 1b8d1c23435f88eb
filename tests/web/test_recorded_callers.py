"""Who caused an event: each that a request caused names the API key, the request and the address."""

from pathlib import Path
from typing import Any

import pytest

from otp_service import bootstrap, config, keyring

from .conftest import Answer, ApiHarness, make_settings
from .webhook_events import finalized

PEER = "203.0.113.77"
NOBODY = {"key_id": None, "request_id": None, "address": None}


def recorded(api: ApiHarness, kind: str) -> list[dict[str, Any]]:
    """Who caused the events of this type."""
    events = api.call("GET", f"/audit/events?type={kind}&limit=1000").json["events"]
    return [event["by"] for event in events]


def named(api: ApiHarness, answer: Answer, *, with_key: bool = True) -> dict[str, Any]:
    """Who caused what this request did."""
    key_id = api.key().split("_")[1] if with_key else None
    return {"key_id": key_id, "request_id": answer.header("X-Request-Id"), "address": PEER}


def post(api: ApiHarness, path: str, body: object = None, **headers: str) -> Answer:
    """A POST from that address."""
    return api.call("POST", path, body, peer=PEER, headers=headers)


def test_each_event_names_the_request_that_caused_it(api: ApiHarness) -> None:
    """Start, repeat, refusal, wrong and right code, redemption, cancellation: each has its own request, and the key."""
    number = api.number()
    start = post(api, "/verify/start", {"to": number})
    started = start.json["verification_id"]
    assert recorded(api, "verification.started") == [named(api, start)] == recorded(api, "delivery.queued")
    refused = post(api, "/verify/start", {"to": number})
    assert recorded(api, "verification.refused") == [named(api, refused)]
    code = api.code(started)
    wrong = post(api, "/verify/check", {"to": number, "code": api.wrong(started)})
    assert recorded(api, "check.failed") == [named(api, wrong)]
    right = post(api, "/verify/check", {"verification_id": started, "code": code}, **{"Idempotency-Key": "k"})
    post(api, "/verify/check", {"verification_id": started, "code": code}, **{"Idempotency-Key": "k"})
    assert recorded(api, "verification.approved") == [named(api, right)]
    spent = post(api, "/receipts/redeem", {"receipt": right.json["receipt"]})
    assert recorded(api, "receipt.redeemed") == [named(api, spent)]
    canceled = post(api, f"/verify/{api.started(api.number())}/cancel")
    assert recorded(api, "verification.canceled") == [named(api, canceled)]


def test_a_webhook_has_no_key(api: ApiHarness) -> None:
    """Reports, opt-outs and rejected webhooks name request and address; what no request caused names nothing."""
    number = api.number()
    delivery = api.started(number).replace("vrf_", "dlv_") + "-1"
    answer = api.hook(finalized(number, delivery, "delivered"))
    (by,) = recorded(api, "delivery.delivered")
    assert by == {"key_id": None, "request_id": answer.header("X-Request-Id"), "address": "127.0.0.1"}
    api.opt_out(number)
    rejected = post(api, "/webhooks/telnyx", {})
    assert recorded(api, "optout.added")[0]["request_id"].startswith("req_")
    assert recorded(api, "webhook.rejected") == [named(api, rejected, with_key=False)]
    assert {tuple(by.values()) for by in recorded(api, "key.created")} == {tuple(NOBODY.values())}


@pytest.mark.parametrize(
    ("kept", "address", "client_ip"),
    [("full", PEER, "2001:db8:1:2::3"), ("network", "203.0.113.0/24", "2001:db8:1::/48"), ("none", None, None)],
)
def test_the_operator_decides_what_is_kept_of_addresses(
    api: ApiHarness, tmp_path: Path, kept: str, address: str | None, client_ip: str | None
) -> None:
    """Of the caller's and of the end user's: all, the network, or nothing."""
    settings = make_settings(tmp_path, api.settings.redis_url, api.seed)
    assert settings.config_path is not None
    settings.config_path.write_text(settings.config_path.read_text() + f'[service]\naudit_addresses = "{kept}"\n')
    api.store.flushall()
    settings = make_settings(tmp_path, api.settings.redis_url, api.seed)
    vault: keyring.Keyring = config.load_keyring(settings)
    other = ApiHarness(bootstrap.build_web(settings), settings, vault, api.seed, api.store)
    assert post(other, "/verify/start", {"to": "+12025550123", "client_ip": "2001:db8:1:2::3"}).status == 201
    (event,) = other.call("GET", "/audit/events?type=verification.started").json["events"]
    assert (event["by"]["address"], event["detail"].get("client_ip")) == (address, client_ip)
    api.store.flushall()
