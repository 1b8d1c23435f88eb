"""One message that the carrier answers oddly stops no other: any code, any foreign response, and what is noticed."""

from collections.abc import Mapping
from types import MappingProxyType

import httpx
import pytest

from otp_service.domain.circuit import ACCOUNT, HOLDS_AFTER, TRIPS_AFTER
from otp_service.domain.delivery import DeliveryReport
from otp_service.domain.findings import AT_ONCE, PUMPING
from otp_service.telnyx.errors import MEANINGS, OUTCOME_UNKNOWN

from .delivery_service import Answer, Service, failing, first, refusal

ENDED = {"failed", "suppressed", "expired", "unconfirmed", "delivered"}


def page(status: int, content: bytes, kind: str, headers: Mapping[str, str] = MappingProxyType({})) -> Answer:
    """Somebody else's answer."""
    return lambda: httpx.Response(status, content=content, headers={"content-type": kind, **headers})


HTML = b"<!doctype html><title>Request blocked</title>"
BODIES = {
    "html": (HTML, "text/html"),
    "empty": (b"", "text/plain"),
    "cut": (b'{"data": {"id": "m', "application/json"),
    "shape": (b'{"message": "Forbidden", "code": null}', "application/json"),
    "list": (b"[]", "application/json"),
    "text": (b'{"errors": "denied"}', "text/html"),
}
STATUSES = (200, 301, 302, 400, 401, 402, 403, 404, 405, 408, 409, 410, 418, 422, 429)
FOREIGN = {
    f"{status} {name}": page(status, *body, {"location": "https://example.net/"} if 300 <= status < 400 else {})
    for status in (*STATUSES, 500, 502, 503)
    for name, body in BODIES.items()
} | {error.__name__: failing(error) for error in (httpx.ConnectError, httpx.ReadTimeout, httpx.RemoteProtocolError)}
CODES = sorted({*MEANINGS, *OUTCOME_UNKNOWN, "10011", "10036", "49999", "29999"})
MANY = ("40302", "10027", "40013", "20014")


@pytest.mark.parametrize("status", [400, 401, 403, 422])
def test_any_code_of_the_carrier_as_an_answer_to_one_message(service: Service, status: int) -> None:
    """Each in turn, whatever its status: nothing is open afterwards, and the others go out. Nobody is paged."""
    for code in set(CODES) - set(AT_ONCE):
        ref = service.start(refusal(code, status))
        service.persist(ref)
        assert service.open_breakers() == set(), code
        service.untouched(1)
        service.untouched(100 if code in MANY and status == 422 else 0)
    assert service.alerts.told == []


def test_any_code_of_the_carrier_as_a_report_of_one_message(service: Service) -> None:
    """A failed message has a sender held no more than a refused one."""
    for code in set(CODES) - {PUMPING}:
        service.report(service.start(), code)
        assert service.open_breakers() == set(), code
        service.untouched(1)
        service.untouched(100 if code in ("40013", "10015") else 0)
    assert service.alerts.told == []


def test_any_foreign_answer_to_one_message(service: Service) -> None:
    """A firewall's page, a redirect, an empty or cut body, a lost connection, at every one of the message's tries."""
    for name, answer in FOREIGN.items():
        service.persist(service.start(answer))
        assert service.open_breakers() == set(), name
        service.untouched(1)
        service.untouched(100 if name in ("403 html", "500 empty", "ReadTimeout") else 0)
    assert service.alerts.told == []


@pytest.mark.parametrize("code", ["10023", "http"])
def test_a_refused_message_goes_to_the_next_sender(service: Service, code: str) -> None:
    """What is wrong with a request by one sender need not be wrong with that by another."""
    ref = service.start(first(refusal(code) if code != "http" else page(403, HTML, "text/html")))
    assert [sender for sender, _ in service.outcomes(ref)] == ["pool", "backup"]
    assert service.outcomes(ref)[0] == ("pool", "failed")


@pytest.mark.parametrize("code", sorted(AT_ONCE))
def test_the_short_list_holds_at_once_and_stops_nobody(service: Service, code: str) -> None:
    """Told to people, seen in the metrics; the others' messages are sent all the same."""
    service.start(refusal(code, 401))
    assert service.open_breakers() != set()
    assert service.alerts.told[0][0].code == code
    for _ in range(20):
        assert service.outcomes(service.start())[-1][1] == "sent"


@pytest.mark.parametrize(
    ("answer", "scope"),
    [
        (refusal("40305"), "sender:pool"),
        (refusal("40312"), "profile:profile-a"),
        (refusal("20014"), ACCOUNT),
        (page(403, HTML, "text/html"), ACCOUNT),
        (page(404, b"", "text/plain"), ACCOUNT),
        (page(301, HTML, "text/html"), ACCOUNT),
    ],
)
def test_what_meets_everybody_is_noticed(service: Service, answer: Answer, scope: str) -> None:
    """By the third number, with no success in between; an alert is sent then, and not before."""
    for _ in range(HOLDS_AFTER - 1):
        service.start(answer)
    assert (service.open_breakers(), service.alerts.told) == (set(), [])
    service.start(answer)
    assert scope in service.open_breakers()
    assert service.alerts.told != []


def test_a_carrier_that_is_down_is_noticed(service: Service) -> None:
    """By the fifth number; a message then waits for a probe, and permits when the carrier is back."""
    for _ in range(TRIPS_AFTER):
        assert "sender:pool" not in service.open_breakers()
        service.start(failing(httpx.ConnectError))
    assert "sender:pool" in service.open_breakers()
    later = service.harness.now() + 60_000  # however slow this machine is
    service.harness.raw.hset(
        service.harness.keys.circuit("sender:pool"), mapping={"open_until_ms": later, "next_probe_ms": later}
    )
    # The next one takes the other sender at once.
    ref = service.start()
    assert service.outcomes(ref)[-1] == ("backup", "sent")


def test_reports_of_several_numbers_hold(service: Service) -> None:
    """The third phone that the sender's carrier rejects it for; a delivery in between begins anew."""
    refs = [service.start() for _ in range(HOLDS_AFTER + 1)]
    for ref in refs[:2]:
        service.report(ref, "40013", [1])
    record = service.harness.record(refs[2])
    number = next(body["to"] for body in service.sent if refs[2].delivery_id(1) in body["webhook_url"])
    report = DeliveryReport(record["1:message_id"], number, "delivered", 0, None, refs[2].delivery_id(1))
    service.receive.reports.apply([report])
    service.report(refs[3], "40013", [1])
    assert service.open_breakers() == set()
    for _ in range(2):
        service.report(service.start(), "40013", [1])
    assert "sender:pool" in service.open_breakers()
