"""Who caused an event: each that a request caused names the API key, the request and the address."""

import re
from pathlib import Path
from typing import Any

import pytest

from otp_service import bootstrap
from otp_service.domain.addresses import kept
from otp_service.domain.errors import StoreUnavailable
from otp_service.storage.callers import caller, clear_caller, process
from otp_service.storage.known_api_keys import Principal
from otp_service.storage.schema.encodings import AuditCaller
from otp_service.web.auth import Auth
from otp_service.web.refused_keys import MOST_LOOKS, RefusedKeys

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
    events = api.call("GET", f"/audit/events?verification={started}").json["events"]
    ((policy, by_process),) = {(event["policy"], event["process"]) for event in events}
    assert (re.fullmatch("sha256:[0-9a-f]{16}", policy) is not None, by_process) == (True, process())


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


def refusals(api: ApiHarness, kind: str) -> list[dict[str, Any]]:
    """What is recorded of refused keys or scopes: app, detail and who it was."""
    events = api.call("GET", f"/audit/events?type={kind}&limit=1000").json["events"]
    return [{"app": event["app"], **event["detail"], **event["by"]} for event in events]


def test_a_refused_scope_is_on_record(api: ApiHarness) -> None:
    """With the key, the scope that it lacks, and the request; in the record of the key's app."""
    key = api.key("other", "metrics")
    first = api.call("POST", "/verify/start", {"to": api.number()}, key=key, peer=PEER)
    first.problem(403, "forbidden")
    key_id = key.split("_")[1]
    expected = {"app": "other", "scope": "verify", "key_id": key_id, "request_id": first.header("X-Request-Id")}
    assert refusals(api, "scope.refused")[0] == expected | {"address": PEER}
    reader = api.key("other", "audit:read")
    seen = api.call("GET", "/audit/events?type=scope.refused", key=reader).json["events"]
    assert [event["detail"] for event in seen[:1]] == [{"key_id": key_id, "scope": "verify"}]


def test_a_refused_key_is_on_record(api: ApiHarness) -> None:
    """One that is revoked, or whose secret is another, by its id; made-up ones together; no secret, no key itself."""
    keys = bootstrap.build_api_keys(api.settings)
    gone = keys.create("other", ["verify"], None)
    keys.revoke(gone.id)
    for token in (gone.key, gone.key[:-1] + ("A" if gone.key[-1] != "A" else "B")):
        api.call("POST", "/verify/start", {}, key=token, peer=PEER).problem(401, "unauthorized")
    for number in range(30):
        api.call("GET", "/audit/events", key=f"otp_{number:012d}_{'A' * 43}").problem(401, "unauthorized")
        junk = {"Authorization": f"Bearer secret-{number}"}
        api.call("GET", "/audit/events", key=None, headers=junk).problem(401, "unauthorized")
    found = refusals(api, "key.refused")
    reasons = [event["reason"] for event in found]
    assert {*reasons} == {"not_valid", "unknown", "malformed"}
    known = found[reasons.index("not_valid")]
    assert (known["app"], known["address"]) == ("other", PEER)
    everything = api.call("GET", "/audit/events?limit=1000").body.decode()
    assert gone.id in everything
    assert gone.key.split("_", 2)[2] not in everything
    assert "secret-" not in everything
    assert "0" * 12 not in everything


def test_a_request_without_a_key_is_nothing_to_record(api: ApiHarness) -> None:
    """Who sends none has not tried one."""
    api.call("POST", "/verify/start", {}, key=None).problem(401, "unauthorized")
    assert refusals(api, "key.refused") == []


def test_a_refusal_stays_one_where_it_cannot_be_recorded() -> None:
    """The record is not written, and the caller is refused all the same; nothing is raised."""

    class Down:
        """Cannot be asked."""

        def __getattr__(self, name: str) -> Any:
            def fail(*_: object, **__: object) -> None:
                raise StoreUnavailable(name)

            return fail

    down: Any = Down()
    refused = RefusedKeys(down, down)
    refused.record_key(f"otp_{'0' * 12}_{'A' * 43}")
    refused.record_key("x")
    refused.record_scope(Principal("k", "shop", frozenset()), "verify")


def test_refusals_cost_little() -> None:
    """In a second so many ids are looked up at most; one event stands for all made-up ones, one for a key and scope."""
    asked: list[str] = []

    class Counting:
        """Knows nothing, and counts."""

        def get(self, key_id: str) -> None:
            asked.append(key_id)

        def record(self, kind: str, detail: object, *_: object, mark: str, **__: object) -> None:
            assert detail in ({"reason": "unknown"}, {"key_id": "k", "scope": "verify"})
            asked.append(mark)

    counting: Any = Counting()
    now = 0.0
    refused = RefusedKeys(counting, counting, lambda: now)
    for _ in range(2):
        for number in range(500):
            refused.record_scope(Principal("k", "shop", frozenset()), "verify")
            refused.record_key(f"otp_{number:012d}_{'A' * 43}")
        assert len(asked) <= MOST_LOOKS + 2
        assert [mark for mark in asked if ":" in mark] == ["scope.refused:k:verify", "key.refused:unknown"]
        asked.clear()
        now += 1


def logged(caplog: pytest.LogCaptureFixture, answer: Answer) -> str | None:
    """Which verification the line of this request names."""
    (line,) = [one for one in caplog.records if getattr(one, "request_id", "") == answer.header("X-Request-Id")]
    found: str | None = getattr(line, "verification_id", None)
    return found


def test_the_log_of_a_request_names_its_verification(api: ApiHarness, caplog: pytest.LogCaptureFixture) -> None:
    """Started, refused, judged by id and by number, repeated, redeemed, read and canceled."""
    caplog.set_level("INFO", logger="otp.web")
    number, key = api.number(), {"Idempotency-Key": "k-1"}
    answers = [post(api, "/verify/start", {"to": number}, **key)]
    mine = answers[0].json["verification_id"]
    code, wrong = api.code(mine), api.wrong(mine)
    answers += [post(api, "/verify/start", {"to": number}, **key), post(api, "/verify/start", {"to": number})]
    answers += [post(api, "/verify/check", {"to": number, "code": wrong}), api.check(mine, wrong)]
    answers += [post(api, "/verify/check", {"to": number, "code": code}, **key) for _ in range(2)]
    receipt = {"receipt": answers[-1].json["receipt"]}
    answers += [post(api, "/receipts/redeem", receipt) for _ in range(2)]
    answers += [api.call("GET", f"/verify/{mine}"), post(api, f"/verify/{mine}/cancel"), api.check(mine, code)]
    assert [answer.status for answer in answers] == [201, 201, 429, 422, 422, 200, 200, 200, 410, 200, 410, 410]
    assert [logged(caplog, answer) for answer in answers] == [mine] * len(answers)


def test_no_log_repeats_what_is_no_id(api: ApiHarness, caplog: pytest.LogCaptureFixture) -> None:
    """Numbers and other texts of a caller stay out of it."""
    caplog.set_level("INFO", logger="otp.web")
    for text in ("%2B12025550143", "vrf_x", "vrf_" + "A" * 32):
        assert logged(caplog, api.call("GET", f"/verify/{text}")) is None
    assert logged(caplog, api.check("+12025550143", "123456")) is None


@pytest.mark.parametrize(
    ("how_much", "address", "client_ip"),
    [("full", PEER, "2001:db8:1:2::3"), ("network", "203.0.113.0/24", "2001:db8:1::/48"), ("none", "", "")],
)
def test_the_operator_decides_what_is_kept_of_addresses(
    api: ApiHarness, tmp_path: Path, how_much: str, address: str, client_ip: str
) -> None:
    """Of the caller's and of the end user's: all, the network, or nothing."""
    path = make_settings(tmp_path, api.settings.redis_url, api.seed).config_path
    assert path is not None
    path.write_text(path.read_text() + f'[service]\naudit_addresses = "{how_much}"\n')
    policy = make_settings(tmp_path, api.settings.redis_url, api.seed).policy
    nothing: Any = None
    Auth(nothing, nothing, policy.audit_addresses).name_caller(PEER, "req_1")
    assert AuditCaller.parse(caller())[1:] == ["", "req_1", process(), address]
    clear_caller()
    assert kept("2001:db8:1:2::3", policy.audit_addresses) == client_ip
    assert kept("::ffff:203.0.113.77", policy.audit_addresses) == address
    assert kept("unix:", policy.audit_addresses) == ""
