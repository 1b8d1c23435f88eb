"""Nobody floods a phone: every way around the cool-down, over HTTP, with two API processes, worker and carrier."""

import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from functools import partial
from typing import Any

import httpx
import pytest

from .cluster import Cluster
from .service_client import SHARED_PROFILE, ServiceClient, within

CONFIG = f"""
[senders.pool]
kind = "number_pool"
messaging_profile_id = "{SHARED_PROFILE}"
rate_per_s = 100

[senders.backup]
kind = "long_code"
from = "+18445550001"
messaging_profile_id = "{SHARED_PROFILE}"
rate_per_s = 100

[senders.chat]
kind = "whatsapp"
from = "+15551234567"
messaging_profile_id = "a0c1e2d3-0000-4000-8000-000000000001"
template = "otp_code"

[apps.default]
brand = "Acme"
route = ["pool", "chat"]

[apps.other]
brand = "Other"
route = ["backup", "pool"]

[apps.brief]
brand = "Brief"
route = ["pool"]
code_ttl = "1s"

[apps.hasty]
brand = "Hasty"
route = ["pool"]
resend_after = ["2s", "3s"]

[apps.free]
brand = "Free"
route = ["pool"]
resend_after = ["0s", "0s", "0s"]

[apps.abroad]
brand = "Abroad"
route = ["pool"]
countries = ["MX", "AR"]

[apps.single]
brand = "Single"
route = ["pool"]
resend_after = []
"""


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """Store, sandbox, worker and two API processes."""
    with Cluster(tmp_path_factory.mktemp("flood"), CONFIG, api_workers=2).running() as made:
        yield made


@pytest.fixture
def service_client(cluster: Cluster) -> Iterator[ServiceClient]:
    """The caller's and the phones' side of it."""
    with closing(ServiceClient(cluster.env)) as made:
        made.sandbox("POST", "/sandbox/reset")
        yield made


def said(answer: httpx.Response) -> tuple[int, str]:
    """Status, and the problem's code."""
    return answer.status_code, "" if answer.status_code < 300 else str(answer.json()["code"])


def cancel(service_client: ServiceClient, verification: str, number: str, app: str) -> None:
    """The caller withdraws it at once, perhaps before a worker has sent it."""
    assert service_client.call("POST", f"/verify/{verification}/cancel", app=app).status_code == 200


def exhaust(service_client: ServiceClient, verification: str, number: str, app: str) -> None:
    """Wrong codes until the last try."""
    for _ in range(5):
        answer = service_client.check(verification, "0000000000", app)
    assert answer.json()["code"] == "attempts_exhausted"


def deny(service_client: ServiceClient, verification: str, number: str, app: str) -> None:
    """The person answers NO."""
    (sms,) = within(60, lambda: service_client.inbox(number), "the SMS")
    service_client.reply(number, "NO", sms["from"])
    within(60, lambda: service_client.show(verification, app)["status"] == "denied", "the denial")


def expire(service_client: ServiceClient, verification: str, number: str, app: str) -> None:
    """The code's second is over."""
    within(60, lambda: service_client.show(verification, app)["status"] == "expired", "the end of the code")


@pytest.mark.parametrize(
    ("end", "app"),
    [(cancel, "default"), (exhaust, "default"), (deny, "other"), (expire, "brief")],
    ids=["cancel", "exhaust", "deny", "expire"],
)
def test_start_and_end_in_a_loop(
    service_client: ServiceClient, end: Callable[[ServiceClient, str, str, str], None], app: str
) -> None:
    """One start, one SMS at most; every further start is told how long to wait, which is the rest of the first step."""
    number, began = service_client.number(), time.monotonic()
    started = service_client.start(number, app).json()
    assert (started["sends_left"], started["resend_in"]) == (3, 30)
    end(service_client, started["verification_id"], number, app)
    answers = [service_client.start(number, app, **variant) for _ in range(8) for variant in VARIANTS]
    assert Counter(map(said, answers)) == {(429, "resend_too_soon"): len(answers)}
    left = int(30 - (time.monotonic() - began))
    for answer in answers:
        problem, wait = answer.json(), int(answer.headers["Retry-After"])
        assert left <= problem["resend_in"] == wait <= 30
        assert problem["sends_left"] == 4
        assert f"Wait {wait} seconds" in problem["detail"]
    assert len(service_client.inbox(number)) <= 1


VARIANTS: tuple[dict[str, Any], ...] = (
    {},
    {"locale": "fr-CA"},
    {"metadata": {"a": 1}},
    {"context": {"amount": "10 EUR", "payee": "X"}},
    {"client_ip": "192.0.2.77"},
)
"""What makes a start look like another one and is the same person's."""


def test_start_and_cancel_fifty_times(service_client: ServiceClient) -> None:
    """As fast as it goes: one verification, one SMS."""
    number, answers = service_client.number(), []
    for _ in range(50):
        answers.append(service_client.start(number))
        if answers[-1].status_code == 201:
            cancel(service_client, answers[-1].json()["verification_id"], number, "default")
    assert Counter(map(said, answers)) == {(201, ""): 1, (429, "resend_too_soon"): 49}
    assert len(service_client.inbox(number)) <= 1


def test_the_same_person_by_another_channel(service_client: ServiceClient) -> None:
    """A WhatsApp message is a send to the same number: the channel is no second ladder."""
    number = service_client.number()
    first = service_client.started(number, channel="whatsapp")
    cancel(service_client, first, number, "default")
    assert said(service_client.start(number, channel="sms")) == (429, "resend_too_soon")
    assert said(service_client.start(number, channel="whatsapp")) == (429, "resend_too_soon")


@pytest.mark.parametrize(
    ("first", "second"), [("+5215512345678", "+525512345678"), ("+541123456789", "+5491123456789")]
)
def test_the_same_person_by_another_spelling(service_client: ServiceClient, first: str, second: str) -> None:
    """Both spellings of one handset are on one ladder."""
    cancel(service_client, service_client.started(first, "abroad"), first, "abroad")
    for number in (second, first):
        assert said(service_client.start(number, "abroad")) == (429, "resend_too_soon")


def test_idempotency_keys_do_not_bypass_limits(service_client: ServiceClient) -> None:
    """A repeated key is the first answer again and no send; a fresh key is a start like any other."""
    number = service_client.number()

    def start(key: str) -> httpx.Response:
        return service_client.call("POST", "/verify/start", {"to": number}, Idempotency_Key=f"{key}-{number[1:]}")

    first = start("a")
    assert first.status_code == 201
    cancel(service_client, first.json()["verification_id"], number, "default")
    assert [said(start("a")) for _ in range(3)] == [(201, "")] * 3
    assert [said(start(f"b{n}")) for n in range(5)] == [(429, "resend_too_soon")] * 5
    assert len(service_client.inbox(number)) <= 1


def test_purposes_and_apps_share_the_numbers_caps(service_client: ServiceClient) -> None:
    """Sixty purposes in three apps: five SMS, then 429 with the wait until the first one is ten minutes old."""
    number = service_client.number()
    wanted = [(app, f"p{n}") for n in range(20) for app in ("default", "other", "single")]
    for app in ("default", "other", "single"):
        service_client.key(app)
    with ThreadPoolExecutor(20) as pool:
        answers = list(pool.map(lambda pair: service_client.start(number, pair[0], purpose=pair[1]), wanted))
    assert Counter(map(said, answers)) == {(201, ""): 5, (429, "rate_limited"): 55}
    for answer in answers:
        if answer.status_code == 429:
            wait = int(answer.headers["Retry-After"])
            assert 500 < wait <= 600
            assert f"{wait} seconds" in answer.json()["detail"]
    within(60, lambda: len(service_client.inbox(number)) == 5, "five SMS")
    assert len(service_client.sends(number)) == 5


@pytest.mark.parametrize("app", ["free", "single"])
def test_without_a_cool_down_the_caps_stand(service_client: ServiceClient, app: str) -> None:
    """An app whose ladder has no steps, or steps of no length: start and cancel is five, then the cap."""
    number, answers = service_client.number(), []
    for _ in range(12):
        answers.append(service_client.start(number, app))
        if answers[-1].status_code == 201:
            cancel(service_client, answers[-1].json()["verification_id"], number, app)
    assert list(map(said, answers)) == [(201, "")] * 5 + [(429, "rate_limited")] * 7
    assert len(service_client.inbox(number)) <= 5


def test_twenty_starts_at_once_over_two_processes(service_client: ServiceClient) -> None:
    """After the end of one verification as at the first time: what passes at once is one send."""
    number = service_client.number()
    for expected in (1, 0):
        with ThreadPoolExecutor(20) as pool:
            answers = list(pool.map(lambda _: service_client.start(number), range(20)))
        passed = [answer for answer in answers if answer.status_code == 201]
        assert len(passed) == expected
        assert {said(answer) for answer in answers} <= {(201, ""), (429, "resend_too_soon")}
        for answer in passed:
            cancel(service_client, answer.json()["verification_id"], number, "default")
    assert len(service_client.inbox(number)) <= 1


def test_who_obeys_the_wait_passes_and_the_ladder_goes_on(service_client: ServiceClient) -> None:
    """`resend_in` of each reply is true: earlier is 429 with the rest of it, then the next verification begins."""
    number, seen = service_client.number(), []
    for _ in range(3):
        answer = service_client.start(number, "hasty")
        assert answer.status_code == 201, answer.text
        seen.append((answer.json()["resend_in"], answer.json()["sends_left"]))
        cancel(service_client, answer.json()["verification_id"], number, "hasty")
        refused = service_client.start(number, "hasty")
        assert said(refused) == (429, "resend_too_soon")
        assert 1 <= refused.json()["resend_in"] <= seen[-1][0]
        time.sleep(int(refused.headers["Retry-After"]))
    assert seen == [(2, 2), (3, 2), (3, 2)]


def test_after_an_approval_a_start_passes_at_once(service_client: ServiceClient) -> None:
    """A login ends the cool-down: the next one begins at once, with the first step."""
    number = service_client.number()
    for _ in range(2):
        started = service_client.start(number).json()
        assert started["resend_in"] == 30
        inbox = within(60, lambda: service_client.inbox(number), "the SMS")
        assert inbox
        code = newest_code(service_client, number, started["verification_id"])
        assert service_client.check(started["verification_id"], code).status_code == 200


def newest_code(service_client: ServiceClient, number: str, verification: str) -> str:
    """The code of this verification, once its delivery has arrived."""
    within(60, lambda: service_client.deliveries(verification) == ["delivered"], "the report")
    return service_client.code(number)


def given_up(service_client: ServiceClient, verification: str) -> bool:
    """Whether the delivery ended because its code ran out."""
    return service_client.deliveries(verification, "brief") == ["expired"]


def test_a_send_that_the_carrier_never_took_costs_nothing(service_client: ServiceClient) -> None:
    """The code expired while the carrier accepted nothing: the next start waits for no step."""
    number = service_client.number()
    service_client.chaos(send={"mode": "http_429"})
    for _ in range(7):
        first = service_client.started(number, "brief")
        within(60, partial(given_up, service_client, first), "the delivery's end")
    service_client.chaos(send={"mode": "ok"})
    service_client.started(number, "brief")
    assert said(service_client.start(number, "brief")) == (429, "resend_too_soon")


def test_the_record_says_which_limit(service_client: ServiceClient) -> None:
    """`verification.refused` names the limit and what it would take to pass."""
    number = service_client.number()
    for n in range(6):
        service_client.start(number, purpose=f"p{n}")
    service_client.start(number, purpose="p0")
    found = service_client.call("GET", f"/audit/events?number=%2B{number[1:]}&type=verification.refused").json()[
        "events"
    ]
    limits = {event["detail"]["limit"]: event["detail"]["wait_ms"] for event in found}
    assert set(limits) == {"service.sends_per_number", "resend_after"}
    assert 500_000 < limits["service.sends_per_number"] <= 600_000
    assert 15_000 < limits["resend_after"] <= 30_000
