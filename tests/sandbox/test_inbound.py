"""The person writes: words, blocks, automatic answers, events, the list of opt-outs."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from otp_service.sandbox.seeds import POOL, SandboxSender
from otp_service.sandbox.server import SandboxServer
from tests.sandbox.conftest import (
    BACKUP,
    KEY,
    PERSON,
    PROFILE,
    ManualClock,
    Receiver,
    code_of,
    eventually,
    inbox,
    long_code,
    pool,
    reply,
)


@pytest.mark.parametrize(
    "word", ["STOP", "stop", " Stop ", "STOPALL", "stop all", "Unsubscribe", "CANCEL", "end", "QUIT"]
)
def test_stop_words_block(api: httpx.Client, word: str) -> None:
    """Each stop word, alone and in any case, blocks the person synchronously, and nothing more arrives."""
    assert reply(api, word).json()["autoresponse_type"] == "STOP"
    answer = long_code(api)
    assert (answer.status_code, code_of(answer)) == (400, "40300")
    assert answer.json()["errors"][0]["detail"] == (
        f"Messages cannot be sent from '{BACKUP}' to '{PERSON}' due to an existing block rule."
    )
    assert len(inbox(api)) == 1


@pytest.mark.parametrize("text", ["stop.", "please stop", "STOP IT", "ＳＴＯＰ", "opt out", "revoke", "no"])
def test_other_texts_do_not_block(api: httpx.Client, text: str) -> None:
    """The carrier knows words, not sentences: what else means no is the service's to understand."""
    assert reply(api, text).json()["autoresponse_type"] is None
    assert long_code(api).status_code == 200
    assert inbox(api) == []


def test_a_block_is_the_profiles(api: httpx.Client) -> None:
    """STOP to one number blocks all of its profile for this person, and no other person."""
    reply(api, "STOP", to=POOL[3])
    assert code_of(long_code(api)) == "40300"
    assert code_of(pool(api)) == "40300"
    assert code_of(api.post("/v2/messages/short_code", json={"from": "12345", "to": PERSON, "text": "x"})) == "40300"
    assert long_code(api, to="+13125550198").status_code == 200


def test_profiles_are_separate() -> None:
    """STOP to a number of another profile does not concern this one."""
    other = "22222222-2222-4222-8222-222222222222"
    with (
        SandboxServer(senders=[SandboxSender("long_code", other, "+14155550123")]) as server,
        httpx.Client(base_url=server.url, headers=KEY, trust_env=False, verify=False) as http,
    ):
        reply(http, "STOP", to="+14155550123")
        assert long_code(http).status_code == 200
        blocked = http.post("/v2/messages", json={"from": "+14155550123", "to": PERSON, "text": "x"})
        assert code_of(blocked) == "40300"
        (listed,) = http.get("/v2/messaging_optouts").json()["data"]
        assert listed["messaging_profile_id"] == other


@pytest.mark.parametrize("word", ["START", "unstop"])
def test_start_lifts(api: httpx.Client, word: str) -> None:
    """START to any number of the profile lifts its block."""
    reply(api, "STOP")
    assert reply(api, word, to=POOL[0]).json()["autoresponse_type"] == "START"
    assert long_code(api).status_code == 200
    assert api.get("/v2/messaging_optouts").json()["data"] == []


def test_automatic_replys_arrive(api: httpx.Client) -> None:
    """STOP, START and HELP are each answered once, on the handset, from the number written to."""
    for word, part in (("STOP", "blocks all texts"), ("START", "receiving messages again"), ("HELP", "Reply STOP")):
        reply(api, word)
        newest = inbox(api)[0]
        assert newest["from"] == BACKUP
        assert part in newest["text"]
    reply(api, "STOP", to=POOL[0])
    assert "unsubscribed" in inbox(api)[0]["text"]
    assert len(inbox(api)) == 4


def test_info_is_help_for_short_codes_only(api: httpx.Client) -> None:
    """INFO asks a short code for help, and means nothing to other numbers."""
    assert reply(api, "INFO", to="12345").json()["autoresponse_type"] == "HELP"
    assert reply(api, "INFO").json()["autoresponse_type"] is None


def test_the_service_is_notified(http: httpx.Client, sandbox: SandboxServer, receiver: Receiver) -> None:
    """message.received goes to the profile's URL, signed, with both numbers, the text and its kind."""
    for text, kind in (("STOP", "STOP"), ("START", "START"), ("HELP", "HELP"), ("NO", None)):
        receiver.posts.clear()
        sent = reply(http, text).json()
        (post,) = eventually(lambda: list(receiver.posts))
        assert (post.type, post.path) == ("message.received", "/profile")
        assert post.is_signed_by(sandbox.public_key_b64)
        payload = post.data["payload"]
        assert payload["id"] == sent["id"]
        assert payload["direction"] == "inbound"
        assert payload["from"]["phone_number"] == PERSON
        assert (payload["to"][0]["phone_number"], payload["to"][0]["status"]) == (BACKUP, "webhook_delivered")
        assert (payload["text"], payload["autoresponse_type"]) == (text, kind)
        assert payload["messaging_profile_id"] == PROFILE


def test_a_number_without_a_profile_sends_no_webhook(http: httpx.Client, receiver: Receiver) -> None:
    """A text to a number on no profile is taken and goes nowhere, STOP included."""
    answer = reply(http, "STOP", to="+18880000000")
    assert answer.status_code == 200
    assert answer.json()["messaging_profile_id"] is None
    reply(http, "next")
    (only,) = eventually(lambda: list(receiver.posts))
    assert only.data["payload"]["text"] == "next"
    assert inbox(http) == []


@pytest.mark.parametrize(
    ("path", "body", "status"),
    [
        ("/sandbox/phones/+13125550199/messages", {"to": "+14155550000", "text": "x"}, 404),
        ("/sandbox/phones/+13125550199/messages", {"to": BACKUP}, 400),
        ("/sandbox/phones/+13125550199/messages", {"to": BACKUP, "text": " "}, 400),
        ("/sandbox/phones/+13125550199/messages", {"to": BACKUP, "text": 5}, 400),
        ("/sandbox/phones/+13125550199/messages", {"to": BACKUP, "text": "x" * 1601}, 400),
        ("/sandbox/phones/+13125550199/messages", [], 400),
        ("/sandbox/phones/13125550199/messages", {"to": BACKUP, "text": "x"}, 400),
        ("/sandbox/phones/nobody/messages", {"to": BACKUP, "text": "x"}, 400),
    ],
)
def test_unusable_replies(api: httpx.Client, path: str, body: object, status: int) -> None:
    """A reply that cannot be is a 4xx with one sentence."""
    answer = api.post(path, json=body)
    assert answer.status_code == status
    assert set(answer.json()) == {"error"}


def test_other_sites_cannot_steer(api: httpx.Client) -> None:
    """A browser on another site's page is refused; the sandbox's own page is not."""
    body = {"to": BACKUP, "text": "STOP"}
    path = f"/sandbox/phones/{PERSON}/messages"
    assert api.post(path, json=body, headers={"Origin": "https://evil.example"}).status_code == 403
    assert api.post("/sandbox/reset", headers={"Origin": "null"}).status_code == 403
    assert api.post(path, json=body, headers={"Origin": "http://sandbox"}).status_code == 200


def test_clicks_are_reported(http: httpx.Client, sandbox: SandboxServer, receiver: Receiver) -> None:
    """A followed link is an event of its own shape, signed, posted where the message's events go."""
    sent = long_code(http, webhook_url=receiver.url + "/own").json()["data"]["id"]
    eventually(lambda: len(receiver.posts) == 2)
    receiver.posts.clear()
    path = f"/sandbox/phones/{PERSON}/clicks"
    assert http.post(path, json={"message_id": sent, "url": "https://x.example/a"}).status_code == 200
    (post,) = eventually(lambda: list(receiver.posts))
    assert post.path == "/own"
    assert post.is_signed_by(sandbox.public_key_b64)
    assert set(post.json) == {"data"}
    assert post.data.pop("time_clicked").endswith("Z")
    assert {name: value for name, value in post.data.items() if name != "time_clicked"} == {
        "record_type": "link_clicked",
        "message_id": sent,
        "to": PERSON[1:],
        "url": "https://x.example/a",
    }
    other = "/sandbox/phones/+13125550198/clicks"
    assert http.post(other, json={"message_id": sent, "url": "https://x.example/a"}).status_code == 404
    assert http.post(path, json={"message_id": sent, "url": "javascript:1"}).status_code == 400


# -- the list -----------------------------------------------------------------------------------------------


def test_the_list_has_the_carriers_shape(api: httpx.Client) -> None:
    """An opt-out is listed with sender, person, profile, word and a date with a space in it."""
    reply(api, "stopall")
    answer = api.get("/v2/messaging_optouts").json()
    (block,) = answer["data"]
    assert block.pop("created_at") == "2026-09-21 14:13:20.000000+00:00"
    assert block == {"from": BACKUP, "to": PERSON, "messaging_profile_id": PROFILE, "keyword": "STOPALL"}
    assert answer["meta"] == {"total_pages": 1, "total_results": 1, "page_number": 1, "page_size": 20}


def test_a_repeated_stop_is_one_block(api: httpx.Client, clock: ManualClock) -> None:
    """A second STOP keeps the first's date."""
    reply(api, "STOP")
    before = api.get("/v2/messaging_optouts").json()
    clock.advance(60)
    reply(api, "QUIT")
    assert api.get("/v2/messaging_optouts").json() == before


def test_redaction(api: httpx.Client) -> None:
    """redaction_enabled hides the last four digits of the person."""
    reply(api, "STOP")
    listed = api.get("/v2/messaging_optouts", params={"redaction_enabled": "true"}).json()["data"]
    assert [block["to"] for block in listed] == ["+1312555****"]


def test_filters_and_pages(api: httpx.Client, clock: ManualClock) -> None:
    """Every filter narrows, pages are as asked, and their meta adds up."""
    for i in range(45):
        reply(api, "STOP", phone=f"+131255502{i:02d}", to=BACKUP if i % 3 else "12345")
        clock.advance(60)

    def listed(**params: Any) -> list[str]:
        return [block["to"] for block in api.get("/v2/messaging_optouts", params=params).json()["data"]]

    everyone = [f"+131255502{i:02d}" for i in range(45)]
    assert listed() == everyone[:20]
    assert listed(**{"page[number]": 3}) == everyone[40:]
    assert listed(**{"page[size]": 250}) == everyone
    assert listed(**{"page[number]": 9}) == []
    assert listed(**{"filter[from]": "12345", "page[size]": 250}) == everyone[::3]
    assert listed(**{"filter[messaging_profile_id]": "33333333-3333-4333-8333-333333333333"}) == []
    assert listed(**{"created_at[gte]": "2026-09-21T14:53:20Z", "page[size]": 250}) == everyone[40:]
    assert listed(**{"created_at[lte]": "2026-09-21T14:14:20+00:00"}) == everyone[:2]
    meta = api.get("/v2/messaging_optouts", params={"page[size]": 7, "page[number]": 2}).json()["meta"]
    assert meta == {"total_pages": 7, "total_results": 45, "page_number": 2, "page_size": 7}


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("page[number]", "0"),
        ("page[number]", "x"),
        ("page[number]", "-1"),
        ("page[size]", "251"),
        ("page[size]", "9" * 30),
        ("created_at[gte]", "yesterday"),
    ],
)
def test_bad_parameters(api: httpx.Client, name: str, value: str) -> None:
    """A parameter that cannot be used is a 400 that names it, as an envelope and as a bare error."""
    answer = api.get("/v2/messaging_optouts", params={name: value})
    assert answer.status_code == 400
    assert answer.json()["errors"][0]["source"] == {"parameter": name}
    assert answer.json()["code"] == code_of(answer)
