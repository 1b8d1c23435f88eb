"""`Idempotency-Key`: carried out once, answered alike, and every refusal."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

from tests.sandbox.conftest import (
    BACKUP,
    PERSON,
    PROFILE,
    ManualClock,
    chaos,
    code_of,
    eventually,
    inbox,
    journal,
    long_code,
    pool,
)

BODY = b'{"from":"+18445550001","to":"+13125550199","text":"x"}'


def _post(client: httpx.Client, key: str, body: bytes = BODY, path: str = "/v2/messages/long_code") -> httpx.Response:
    return client.post(path, content=body, headers={"Idempotency-Key": key})


def test_a_replay_is_byte_for_byte(http: httpx.Client) -> None:
    """The same request gets the same bytes again, marked, and rings no second time."""
    first, second = _post(http, "a-Z_0:9"), _post(http, "a-Z_0:9")
    assert second.content == first.content
    assert second.status_code == 200
    assert "Idempotent-Replayed" not in first.headers
    assert second.headers["Idempotent-Replayed"] == "true"
    assert eventually(lambda: len(inbox(http)) == 1)


def test_another_body_or_query_is_refused(api: httpx.Client) -> None:
    """One changed byte, even one that means the same, is another request: 422 10027."""
    _post(api, "k")
    for other in (BODY.replace(b'"x"', b'"y"'), BODY + b" "):
        refused = _post(api, "k", other)
        assert (refused.status_code, code_of(refused)) == (422, "10027")
    assert code_of(_post(api, "k", path="/v2/messages/long_code?a=1")) == "10027"


def test_a_record_belongs_to_its_path(api: httpx.Client) -> None:
    """The same key on another path is another record."""
    first = _post(api, "k").json()["data"]["id"]
    assert _post(api, "k", path="/v2/messages").json()["data"]["id"] != first


@pytest.mark.parametrize("key", ["", "a b", "a.b", "é", "x" * 256, "a\tb", "a,b"])
def test_bad_keys_are_refused(http: httpx.Client, key: str) -> None:
    """A key outside 1-255 of A-Z a-z 0-9 _ : - is 400 10015, and nothing is sent."""
    answer = http.post("/v2/messages/long_code", content=BODY, headers={b"Idempotency-Key": key.encode("latin-1")})
    assert (answer.status_code, code_of(answer)) == (400, "10015")
    assert answer.json()["errors"][0]["source"] == {"pointer": "/header/Idempotency-Key"}
    assert inbox(http) == []


def test_refusals_are_not_stored(api: httpx.Client) -> None:
    """A 4xx frees the key: the corrected request may use it."""
    assert code_of(_post(api, "k", b'{"from":"+18445550001","to":"nobody","text":"x"}')) == "40310"
    assert _post(api, "k").status_code == 200


def test_in_flight_is_a_conflict(http: httpx.Client) -> None:
    """While the first is unanswered its repeat is 409 10036 with the header's pointer; later it is replayed."""
    chaos(http, send={"mode": "slow", "latency_ms": 2_500})
    with ThreadPoolExecutor(1) as one:
        first = one.submit(_post, http, "k")
        eventually(lambda: journal(http))
        chaos(http, send={"mode": "ok"})
        same = _post(http, "k")
        assert (same.status_code, code_of(same)) == (409, "10036")
        assert same.json()["errors"][0]["source"] == {"pointer": "/header/Idempotency-Key"}
        assert code_of(_post(http, "k", BODY + b" ")) == "10027"
        answer = first.result()
    assert _post(http, "k").content == answer.content


def test_a_race_sends_once(http: httpx.Client) -> None:
    """Of many equal requests at once exactly one is carried out; the rest conflict or replay it."""
    start = threading.Barrier(16)

    def one(_: int) -> httpx.Response:
        start.wait()
        return _post(http, "race")

    with ThreadPoolExecutor(16) as many:
        answers = list(many.map(one, range(16)))
    assert {answer.status_code for answer in answers} <= {200, 409}
    assert len({answer.content for answer in answers if answer.status_code == 200}) == 1
    eventually(lambda: inbox(http))
    assert len(inbox(http)) == 1


def test_records_end_after_a_day(api: httpx.Client, clock: ManualClock) -> None:
    """A day later the key is new again."""
    first = _post(api, "k").json()["data"]["id"]
    clock.advance(24 * 3600 - 1)
    assert _post(api, "k").json()["data"]["id"] == first
    clock.advance(2)
    assert _post(api, "k").json()["data"]["id"] != first


def test_every_sending_path_but_schedule_declares_the_header(api: httpx.Client) -> None:
    """The header works for each way of sending; scheduling ignores it."""
    to, text = PERSON, "x"
    template = {"type": "template", "template": {"template_id": "t"}}
    requests: list[tuple[str, dict[str, object]]] = [
        ("/v2/messages", {"from": BACKUP, "to": to, "text": text}),
        ("/v2/messages/long_code", {"from": BACKUP, "to": to, "text": text}),
        ("/v2/messages/number_pool", {"messaging_profile_id": PROFILE, "to": to, "text": text}),
        ("/v2/messages/short_code", {"from": "12345", "to": to, "text": text}),
        (
            "/v2/messages/alphanumeric_sender_id",
            {"from": "Acme", "messaging_profile_id": PROFILE, "to": "+447700900123", "text": text},
        ),
        ("/v2/messages/whatsapp", {"from": BACKUP, "to": to, "whatsapp_message": template}),
        ("/v2/messages/group_mms", {"from": BACKUP, "to": [to], "text": text}),
    ]
    for path, body in requests:
        first = api.post(path, json=body, headers={"Idempotency-Key": "same"})
        second = api.post(path, json=body, headers={"Idempotency-Key": "same"})
        assert first.status_code == 200, path
        assert second.headers.get("Idempotent-Replayed") == "true", path
    due = {"from": BACKUP, "to": to, "text": text, "send_at": "2026-09-21T15:00:00Z"}
    twice = [
        api.post("/v2/messages/schedule", json=due, headers={"Idempotency-Key": "not even. valid"}) for _ in range(2)
    ]
    assert [answer.status_code for answer in twice] == [200, 200], twice[0].text
    assert twice[0].json()["data"]["id"] != twice[1].json()["data"]["id"]


def test_keys_are_independent(api: httpx.Client) -> None:
    """Different keys are independent requests."""
    ids = {pool(api, headers={"Idempotency-Key": f"k{i}"}).json()["data"]["id"] for i in range(50)}
    assert len(ids) == 50
    assert long_code(api).status_code == 200
