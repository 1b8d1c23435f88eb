"""What may never be seen: codes, keys and full numbers, looked for in everything that is written or answered."""

import re
import time
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import redis

from ..conftest import Dev
from .service_client import ServiceClient, within

MOMENTS = ("17", "18")
"""How a time in seconds begins, which has ten digits, too."""


def everything_in(store: "redis.Redis") -> Iterator[str]:
    """Every key and every value, of every type, in clear."""
    look: Any = store
    readers: dict[bytes, Callable[[bytes], Any]] = {
        b"string": look.get,
        b"hash": look.hgetall,
        b"list": lambda name: look.lrange(name, 0, -1),
        b"set": look.smembers,
        b"zset": lambda name: look.zrange(name, 0, -1),
        b"stream": look.xrange,
        b"none": lambda _: "ended between two looks",
    }
    for name in look.scan_iter(count=1000):
        yield f"{name!r} {readers[look.type(name)](name)!r}"


def test_canaries_are_nowhere(service_client: ServiceClient, shared_dev: Dev) -> None:
    """Codes of ten digits, numbers and keys of 30 flows: not in logs, store, metrics, audit, answers or the output."""
    flows: list[tuple[str, str]] = []
    answers: list[str] = []
    for turn in range(30):
        number = service_client.number()
        answer = service_client.start(
            number, "long", metadata={"turn": turn}, context={"amount": "1"} if turn % 3 else {}
        )
        answers.append(answer.text)
        flows.append((number, answer.json()["verification_id"]))
    codes = [service_client.code(number) for number, _ in flows]
    assert all(len(code) == 10 for code in codes)
    keys = [service_client.key("long"), service_client.key(), shared_dev.env["OTP_API_KEY"]]
    for (number, verification), code, turn in zip(flows, codes, range(30), strict=True):
        context = {"context": {"amount": "1"}} if turn % 3 else {}
        body: dict[str, Any] = {"verification_id": verification, "code": f"{(int(code) + 1) % 10**10:010d}", **context}
        answers.append(service_client.call("POST", "/verify/check", body, "long").text)
        if turn % 2:
            answers.append(service_client.call("POST", "/verify/check", {**body, "code": code}, "long").text)
        answers.append(
            service_client.call("POST", "/verify/check", {**body, "code": code, "to": f"{number}x"}, "long").text
        )
        other = {**body, "code": code, "to": flows[turn - 1][0]}
        answers.append(service_client.call("POST", "/verify/check", other, "long").text)
        answers.append(service_client.call("GET", f"/verify/{verification}", app="long").text)
        answers.append(service_client.start(number, "long", nope=number).text)
        answers.append(service_client.start(f"{number}x", "long").text)
        answers.append(service_client.start(number, "long").text)
        answers.append(service_client.call("GET", f"/optouts/{number}").text)
        answers.append(service_client.call("GET", f"/nowhere/{number}").text)
        answers.append(service_client.call("GET", f"/verify/{number}?to={number}").text)
        if turn % 5 == 0:
            service_client.reply(number, "STOP")
    service_client.call("GET", "/healthz", Authorization="Bearer " + "otp_000000000000_" + codes[0] * 4 + "abc")
    time.sleep(0.3)
    cursor = ""
    while True:
        page = service_client.call("GET", f"/audit/events?limit=1000{cursor}", app="long")
        answers.append(page.text)
        if page.json()["next_cursor"] is None:
            break
        cursor = "&cursor=" + page.json()["next_cursor"]
    answers.append(service_client.call("GET", "/metrics").text)
    with service_client.store() as store:
        kept = "\n".join(everything_in(store))
    places = {"answers": "\n".join(answers), "logs": shared_dev.logs, "store": kept}
    secrets = {
        "code": [code for code in codes if not code.startswith(MOMENTS)],
        "number": [number[1:] for number, _ in flows],
        "key": [key.split("_", 2)[2] for key in keys] + [shared_dev.env["TELNYX_API_KEY"]],
        "seed": [shared_dev.env["TELNYX_WEBHOOK_SIGNING_SEED"]],
    }
    for place, text in places.items():
        assert len(text) > 1000, place
        for kind, values in secrets.items():
            found = [value for value in values if value in text]
            if kind == "code":
                # As a number of its own: among the digits of long ones any ten are found sooner or later.
                found = [value for value in found if re.search(rf"(?<![0-9]){value}(?![0-9])", text)]
            assert not found, f"{len(found)} of {kind} in {place}"
    # What ends takes its secrets with it: digest, sealed box and sealed bodies.
    for (_, verification), turn in zip(flows, range(30), strict=True):
        assert (f":secrets:{verification.removeprefix('vrf_')}" in kept) is (turn % 2 == 0)


def delivered(service_client: ServiceClient, verification: str) -> bool:
    """Whether the only delivery has arrived."""
    return service_client.deliveries(verification) == ["delivered"]


def test_the_record_is_read_page_by_page(service_client: ServiceClient) -> None:
    """Small pages one after another are the large one: each event once, ordered by time; filters pick, never invent."""
    number = service_client.number()
    verifications = [service_client.started(number, purpose=f"p{turn}") for turn in range(4)]
    others = [service_client.started(service_client.number()) for _ in range(12)]
    for verification in (*verifications, *others):
        within(60, partial(delivered, service_client, verification), "the delivery")
    time.sleep(0.3)

    def read(query: str, limit: int) -> list[dict[str, Any]]:
        found, cursor, pages = [], "", 0
        while True:
            answer = service_client.call("GET", f"/audit/events?limit={limit}{query}{cursor}")
            assert answer.status_code == 200, answer.text
            page = answer.json()
            assert len(page["events"]) <= limit
            # Each way of reading is itself on record once a minute.
            found += [event for event in page["events"] if event["type"] != "audit.read"]
            pages += 1
            if page["next_cursor"] is None:
                return found
            cursor = "&cursor=" + page["next_cursor"]
            assert pages < 500

    of_number = f"&number={number.replace('+', '%2B')}"
    # What earlier tests began may come to an end meanwhile: it is after this window.
    time.sleep(0.05)
    start, end = read(of_number, 1000)[0]["at"], read("", 1000)[-1]["at"]
    time.sleep(0.05)
    last = f"&until={end}"
    window = f"&since={start}{last}"
    whole = read(window, 1000)
    assert len({event["seq"] for event in whole}) == len(whole) >= 16 * 4
    assert [event["at"] for event in whole] == sorted(event["at"] for event in whole)
    for limit in (3, 7, 50):
        assert read(window, limit) == whole
    for verification in (verifications[0], others[0]):
        expected = [event for event in whole if event["verification_id"] == verification]
        assert read(f"&verification={verification}{last}", 1000) == expected
        assert read(f"&verification={verification}{last}", 2) == expected
        timeline = service_client.show(verification)["timeline"]
        # A delivery report that moves nothing is on record alone.
        recorded = [event["type"] for event in expected if event["type"] != "report.received"]
        assert [entry["event"] for entry in timeline] == recorded
    mine = [event for event in whole if event["verification_id"] in verifications]
    assert read(of_number + window, 5) == mine
    assert all(event["to"] == f"+1******{number[-4:]}" for event in mine)
    assert len({event["number_hash"] for event in mine}) == 1
    kinds = ("delivery.sent", "delivery.delivered")
    query = window + "".join(f"&type={kind}" for kind in kinds)
    assert read(query, 4) == [event for event in whole if event["type"] in kinds]
    middle = whole[len(whole) // 2]["at"]
    assert read(f"&since={start}&until={middle}", 6) == [event for event in whole if event["at"] <= middle]
    assert read(f"&since={middle}{last}", 6) == [event for event in whole if event["at"] >= middle]
    assert read(f"{of_number}&verification={others[0]}", 10) == []
