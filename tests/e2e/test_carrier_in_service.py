"""Where the running service uses the carrier beside plain SMS: WhatsApp, opt-outs, alerts, spent profiles."""

import base64
import json
import time
import uuid
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from nacl.signing import SigningKey

from ..conftest import start_dev, stop_dev
from .service_client import ServiceClient, within

PROFILE = "abc85f64-5717-4562-b3fc-2c9600000000"
OTHER, WHATSAPP, SPENT, BROKEN = (str(uuid.uuid5(uuid.NAMESPACE_DNS, name)) for name in ("o", "w", "s", "b"))
OTHER_NUMBER, WHATSAPP_NUMBER, SPENT_NUMBER, BROKEN_NUMBER = (f"+13125550{n}" for n in range(401, 405))
ON_CALL = ("+12025550190", "+12025550191")
CONFIG = f"""\
[service]
optout_sync = "1s"

[alerts]
from = "+18445550001"
to = ["{ON_CALL[0]}", "{ON_CALL[1]}"]

[senders.pool]
kind = "number_pool"
messaging_profile_id = "{PROFILE}"
rate_per_s = 100

[senders.other]
kind = "long_code"
from = "{OTHER_NUMBER}"
messaging_profile_id = "{OTHER}"

[senders.chat]
kind = "whatsapp"
from = "{WHATSAPP_NUMBER}"
messaging_profile_id = "{WHATSAPP}"
template = "otp_code"
template_language = "de"

[senders.spent]
kind = "long_code"
from = "{SPENT_NUMBER}"
messaging_profile_id = "{SPENT}"

[senders.broken]
kind = "long_code"
from = "{BROKEN_NUMBER}"
messaging_profile_id = "{BROKEN}"

[apps.default]
brand = "Acme"
route = ["pool", "chat"]

[apps.thrifty]
brand = "Thrifty"
route = ["spent", "other"]

[apps.broken]
brand = "Broken"
route = ["broken", "other"]
"""


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """What DIR/env says of a service with this configuration."""
    directory = tmp_path_factory.mktemp("carrier")
    (directory / "scenarios.toml").write_text(CONFIG)
    dev = start_dev(directory / "state", OTP_CONFIG=str(directory / "scenarios.toml"))
    try:
        yield dev.env
    finally:
        stop_dev(dev)


@pytest.fixture
def service_client(running: dict[str, str]) -> Iterator[ServiceClient]:
    """Caller and phones; the carrier behaves and remembers nothing."""
    made = ServiceClient(running)
    made.sandbox("POST", "/sandbox/reset")
    yield made
    made.close()


def post_webhook(service_client: ServiceClient, event_type: str, payload: dict[str, Any]) -> None:
    """Post an event to the service, signed as the carrier signs."""
    moment = str(int(time.time()))
    data = {"event_type": event_type, "id": str(uuid.uuid4()), "record_type": "event", "payload": payload}
    body = json.dumps({"data": data}).encode()
    key = SigningKey(base64.b64decode(service_client.env["TELNYX_WEBHOOK_SIGNING_SEED"]))
    signature = base64.b64encode(key.sign(f"{moment}|".encode() + body).signature).decode()
    headers = {"telnyx-timestamp": moment, "telnyx-signature-ed25519": signature}
    assert httpx.post(f"{service_client.url}/webhooks/telnyx", content=body, headers=headers).status_code == 200


def deliveries(service_client: ServiceClient, verification: str, app: str = "default") -> list[dict[str, Any]]:
    """The deliveries of a verification now."""
    found: list[dict[str, Any]] = service_client.call("GET", f"/verify/{verification}", app=app).json()["deliveries"]
    return found


def delivered(service_client: ServiceClient, verification: str, app: str = "default") -> list[dict[str, Any]]:
    """Its deliveries, once the last one has arrived."""

    def arrived() -> list[dict[str, Any]]:
        found = deliveries(service_client, verification, app)
        return found if found[-1]["status"] == "delivered" else []

    return list(within(60, arrived, "the delivery"))


def test_a_code_comes_by_whatsapp(service_client: ServiceClient) -> None:
    """By the approved template in its language; the code on the handset is the right one."""
    number = service_client.number()
    verification = service_client.started(number, channel="whatsapp")
    code = service_client.code(number)
    (send,) = service_client.sends(number)
    template = send["body"]["whatsapp_message"]["template"]
    assert (send["path"], send["body"]["from"]) == ("/v2/messages/whatsapp", WHATSAPP_NUMBER)
    assert (template["name"], template["language"]["code"]) == ("otp_code", "de")
    assert "text" not in send["body"]
    (delivery,) = delivered(service_client, verification)
    assert (delivery["sender"], delivery["kind"]) == ("chat", "whatsapp")
    answer = service_client.call("POST", "/verify/check", {"verification_id": verification, "code": code})
    assert (answer.status_code, answer.json()["status"]) == (200, "approved")


def test_a_message_that_was_read_was_delivered(service_client: ServiceClient) -> None:
    """WhatsApp may report the reading alone."""
    service_client.chaos(senders={WHATSAPP_NUMBER: {"delivery": {"outcome": "none"}}})
    number = service_client.number()
    verification = service_client.started(number, channel="whatsapp")
    service_client.code(number)
    within(60, lambda: deliveries(service_client, verification)[0]["status"] == "sent", "the sending")
    (send,) = service_client.sends(number)
    message_id = service_client.inbox(number)[0]["id"]
    payload = {
        "id": message_id,
        "type": "WHATSAPP",
        "direction": "outbound",
        "to": [{"phone_number": number, "status": "read"}],
        "webhook_url": send["body"]["webhook_url"],
    }
    post_webhook(service_client, "message.read", payload)
    (delivery,) = delivered(service_client, verification)
    assert delivery["carrier_status"] == "read"


def test_an_opt_out_whose_webhook_was_lost_is_found_on_the_list(service_client: ServiceClient) -> None:
    """The timer reads the carrier's list, and from then on the person is refused by the service itself."""
    number = service_client.number()
    service_client.chaos(webhooks={"drop_rate": 1.0})
    service_client.reply(number, "STOP")

    def known() -> Any:
        profiles = service_client.call("GET", f"/optouts/{number}").json()["profiles"]
        return next((one for one in profiles if one["messaging_profile_id"] == PROFILE and one["opted_out"]), None)

    entry = within(60, known, "the opt-out")
    assert (entry["keyword"], entry["source"]) == ("STOP", "list")
    refused = service_client.start(number)
    assert (refused.status_code, refused.json()["code"]) == (403, "opted_out")


def alerts(service_client: ServiceClient) -> list[list[str]]:
    """What the people on call have read, each of them."""
    return [[str(message["text"]) for message in service_client.inbox(number)] for number in ON_CALL]


def test_a_profile_that_has_spent_its_money_is_passed_over_and_reported_once(service_client: ServiceClient) -> None:
    """The carrier says so by webhook: the people on call get one alert, and codes take the next profile."""
    for _ in range(2):
        post_webhook(
            service_client, "messaging-profile.spend-limit-reached", {"profile_id": SPENT, "configured_limit": "10.00"}
        )
    within(60, lambda: all(alerts(service_client)), "the alert")
    number = service_client.number()
    verification = service_client.started(number, app="thrifty")
    (only,) = delivered(service_client, verification, "thrifty")
    assert (only["sender"], only["status"]) == ("other", "delivered")
    assert [send["body"]["from"] for send in service_client.sends(number)] == [OTHER_NUMBER]
    for texts in alerts(service_client):
        assert len(texts) == 1
        assert "daily spend limit" in texts[0]
        assert not any(char.isdigit() for char in texts[0])


def test_a_sender_that_the_carrier_refuses_is_reported_once(service_client: ServiceClient) -> None:
    """One group message for any number of codes, which all go out by the next sender."""
    api = httpx.Client(headers={"Authorization": f"Bearer {service_client.env['TELNYX_API_KEY']}"})
    with api:
        url = f"{service_client.env['TELNYX_BASE_URL']}/phone_numbers/{BROKEN_NUMBER}/messaging"
        api.patch(url, json={"messaging_profile_id": ""}).raise_for_status()
    numbers = [service_client.number() for _ in range(3)]
    for number in numbers:
        ends = delivered(service_client, service_client.started(number, app="broken"), "broken")
        assert [end["sender"] for end in ends] == ["broken", "other"]
    within(60, lambda: all(alerts(service_client)), "the alert")
    requests = service_client.sandbox("GET", "/sandbox/journal")["requests"]
    groups = [entry for entry in requests if entry["path"] == "/v2/messages/group_mms"]
    assert len(groups) == 1
    assert groups[0]["body"]["to"] == list(ON_CALL)
    assert "sender broken" in alerts(service_client)[0][0]
    assert not any(number in json.dumps(groups) for number in numbers)
