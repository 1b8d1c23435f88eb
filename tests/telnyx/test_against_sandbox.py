"""The client and the sandbox carrier, two programs that share no code, agree on every operation.

Each promise is kept twice: with the sandbox in this process, and over a socket.
"""

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from time import time
from typing import Any

import httpx
import pytest

from otp_service.domain.delivery import Accepted, Action, NotSent, Refused, Unknown
from otp_service.sandbox.server import SandboxServer
from otp_service.telnyx.client import TelnyxClient
from otp_service.telnyx.exceptions import NotFoundError, RefusedError
from otp_service.telnyx.requests import WhatsAppTemplate
from otp_service.telnyx.responses import OutboundMessage
from otp_service.telnyx.transport import Timeouts
from tests.conftest import wait_until

from .sandbox_carrier import BRITON, PERSON, PROFILE, SHORT_CODE, TOLL_FREE, SandboxCarrier, sms


def _whatsapp(client: TelnyxClient) -> Any:
    template = WhatsAppTemplate("otp_code", "en_US", "804519", "dlv_1")
    return client.submit(sms("whatsapp", sender=TOLL_FREE, whatsapp=template), idempotency_key="key-1")


def _later() -> datetime:
    return datetime.now(UTC) + timedelta(hours=1)


def _scheduled(client: TelnyxClient) -> str:
    return client.schedule(to=PERSON, text="Hi", send_at=_later(), sender=TOLL_FREE).id


def _mobile(client: TelnyxClient) -> str:
    return next(client.list_mobile_numbers()).id


def _order(client: TelnyxClient) -> Any:
    return client.create_bulk_update(messaging_profile_id=PROFILE, numbers=["+18880000000"])


OPERATIONS: dict[str, tuple[str, Callable[[TelnyxClient], Any]]] = {
    "send": ("POST /messages", lambda c: c.submit(sms("generic"), idempotency_key="k")),
    "send long code": ("POST /messages/long_code", lambda c: c.submit(sms("long_code"), idempotency_key="k")),
    "send number pool": ("POST /messages/number_pool", lambda c: c.submit(sms("number_pool"), idempotency_key="k")),
    "send short code": ("POST /messages/short_code", lambda c: c.submit(sms("short_code"), idempotency_key="k")),
    "send WhatsApp": ("POST /messages/whatsapp", _whatsapp),
    "send group MMS": (
        "POST /messages/group_mms",
        lambda c: c.send_group_mms(sender=TOLL_FREE, to=[PERSON], text="Hi", idempotency_key="k"),
    ),
    "schedule": ("POST /messages/schedule", _scheduled),
    "cancel scheduled": ("DELETE /messages/{id}", lambda c: c.cancel_scheduled(_scheduled(c))),
    "retrieve": ("GET /messages/{id}", lambda c: c.retrieve(_scheduled(c))),
    "list opt-outs": ("GET /messaging_optouts", lambda c: c.opt_out_page(1, messaging_profile_id=PROFILE)),
    "list numbers": ("GET /phone_numbers/messaging", lambda c: next(c.list_numbers())),
    "show number": ("GET /phone_numbers/{id}/messaging", lambda c: c.show_number(TOLL_FREE)),
    "update number": ("PATCH /phone_numbers/{id}/messaging", lambda c: c.update_number(TOLL_FREE, tags=["otp"])),
    "list mobile numbers": ("GET /mobile_phone_numbers/messaging", _mobile),
    "show mobile number": (
        "GET /mobile_phone_numbers/{id}/messaging",
        lambda c: c.show_mobile_number(_mobile(c)),
    ),
    "create bulk update": ("POST /messaging_numbers_bulk_updates", _order),
    "show bulk update": (
        "GET /messaging_numbers_bulk_updates/{id}",
        lambda c: c.show_bulk_update(_order(c).order_id),
    ),
}
"""Every operation of the contract: method and path, and how our client asks for it."""


@pytest.mark.parametrize("name", OPERATIONS)
def test_every_operation_works_on_both_sides(sandbox: SandboxCarrier, name: str) -> None:
    """The client asks for it where the carrier has it, and understands what the sandbox answers."""
    where, ask = OPERATIONS[name]
    assert ask(sandbox.client) is not None
    last = sandbox.control.get("/sandbox/journal").json()["requests"][-1]
    method, path = where.split()
    shape = "/v2" + path.replace("{id}", "[^/]+")
    assert (last["method"], last["status"]) == (method, 200)
    assert re.fullmatch(shape, last["path"].partition("?")[0]), last["path"]


def test_the_table_has_all_operations() -> None:
    """Seventeen of them, and no two the same."""
    assert len({where for where, _ in OPERATIONS.values()}) == len(OPERATIONS) == 17


@pytest.mark.parametrize(
    ("kind", "to"),
    [
        ("generic", PERSON),
        ("long_code", PERSON),
        ("short_code", PERSON),
        ("number_pool", PERSON),
        ("alphanumeric", BRITON),
    ],
)
def test_every_kind_of_sms_arrives(sandbox: SandboxCarrier, kind: str, to: str) -> None:
    """Each kind of sender is accepted, rings the phone, and can be asked for until it was delivered."""
    outcome = sandbox.client.send(sms(kind, to), idempotency_key="key-1")
    assert isinstance(outcome, Accepted)
    assert outcome.status == "queued"

    def delivered() -> bool:
        report = sandbox.client.retrieve(outcome.message_id)
        return report is not None and report.status == "delivered" and report.to == to

    wait_until(delivered, what="the report")
    assert [message["id"] for message in sandbox.inbox(to)] == [outcome.message_id]


def test_a_whatsapp_template_arrives(sandbox: SandboxCarrier) -> None:
    """An authentication template brings its code to the phone."""
    template = WhatsAppTemplate("otp_code", "en_US", "804519", "dlv_1")
    outcome = sandbox.client.send(sms("whatsapp", sender=TOLL_FREE, whatsapp=template), idempotency_key="key-1")
    assert isinstance(outcome, Accepted)
    (message,) = wait_until(lambda: sandbox.inbox(PERSON), what="the message")
    assert "804519" in message["text"]


def test_a_group_message_reaches_everybody(sandbox: SandboxCarrier) -> None:
    """Group MMS: one message, several phones."""
    people = ["+12025550144", "+12025550145"]
    sent = sandbox.client.send_group_mms(sender=TOLL_FREE, to=people, text="Alert", idempotency_key="key-1")
    assert [recipient.number for recipient in sent.to] == people
    wait_until(lambda: all(sandbox.inbox(phone) for phone in people), what="the messages")


def test_a_scheduled_message_can_be_withdrawn_once(sandbox: SandboxCarrier) -> None:
    """Schedule, show, cancel; a second cancel is refused, and so is what is too near."""
    later = datetime.now(UTC) + timedelta(hours=1)
    scheduled = sandbox.client.schedule(to=PERSON, text="Hi", send_at=later, sender=TOLL_FREE)
    assert scheduled.to[0].status == "scheduled"
    assert isinstance(sandbox.client.show_message(scheduled.id), OutboundMessage)
    assert sandbox.client.cancel_scheduled(scheduled.id).to[0].status == "cancelled"
    with pytest.raises(RefusedError):
        sandbox.client.cancel_scheduled(scheduled.id)
    with pytest.raises(RefusedError):
        sandbox.client.schedule(to=PERSON, text="Hi", send_at=datetime.now(UTC), sender=TOLL_FREE)


def test_the_shell_gets_messages_and_refusals(sandbox: SandboxCarrier) -> None:
    """`submit` returns the whole message, or raises with the carrier's own code."""
    message = sandbox.client.submit(sms("number_pool"), idempotency_key="key-1")
    assert message.sender is not None
    assert message.messaging_profile_id == PROFILE
    with pytest.raises(RefusedError) as refusal:
        sandbox.client.submit(sms(sender="+12025550199"))
    assert refusal.value.code == "40305"
    with pytest.raises(NotFoundError):
        sandbox.client.show_message("00000000-0000-0000-0000-000000000000")
    assert sandbox.client.retrieve("00000000-0000-0000-0000-000000000000") is None


def test_a_wrong_key_stops_everything() -> None:
    """A key the carrier does not know is refused, for everybody."""
    with SandboxServer(api_key="KEY") as server, TelnyxClient("WRONG", f"{server.url}/v2") as client:
        outcome = client.send(sms(), idempotency_key="key-1")
    assert isinstance(outcome, Refused)
    assert outcome.action is Action.STOP_ALL


def test_the_same_key_sends_once(sandbox: SandboxCarrier) -> None:
    """A repeat gets the first answer and rings nobody; the same key with another body is refused as our bug."""
    first = sandbox.client.send(sms(), idempotency_key="key-1")
    assert sandbox.client.send(sms(), idempotency_key="key-1") == first
    other = sandbox.client.send(sms(text="another"), idempotency_key="key-1")
    assert isinstance(other, Refused)
    assert (other.code, other.action) == ("10027", Action.BAD_REQUEST)
    wait_until(lambda: sandbox.inbox(PERSON), what="the message")
    assert len(sandbox.inbox(PERSON)) == 1


def test_a_stop_blocks_and_a_start_lifts(sandbox: SandboxCarrier) -> None:
    """STOP refuses every sender of the profile as an opt-out and stands in the list; START ends both."""
    sandbox.reply(PERSON, "STOP")
    for kind in ("long_code", "number_pool", "short_code"):
        outcome = sandbox.client.send(sms(kind), idempotency_key=f"key-{kind}")
        assert isinstance(outcome, Refused)
        assert (outcome.code, outcome.action, outcome.opted_out) == ("40300", Action.STOP_PERSON, True)
    (block,) = sandbox.client.list_opt_outs(messaging_profile_id=PROFILE)
    assert (block.to, block.sender, block.keyword) == (PERSON, TOLL_FREE, "STOP")
    assert abs(block.created_ms / 1000 - time()) < 60
    sandbox.reply(PERSON, "START")
    assert isinstance(sandbox.client.send(sms(), idempotency_key="key-2"), Accepted)
    assert list(sandbox.client.list_opt_outs()) == []


def test_opt_outs_are_listed_over_pages_with_every_filter(sandbox: SandboxCarrier) -> None:
    """Profile, sender, time, redaction and page size each do what they say."""
    people = [f"+1202555{n:04}" for n in range(100, 105)]
    for person in people:
        sandbox.reply(person, "STOP")
    moment = datetime.now(UTC)
    listed = sandbox.client.list_opt_outs
    assert [block.to for block in listed(page_size=2)] == people
    assert len(list(listed(sender=TOLL_FREE, since=moment - timedelta(minutes=1), until=moment))) == 5
    assert list(listed(since=moment + timedelta(minutes=1))) == []
    assert list(listed(until=moment - timedelta(minutes=1))) == []
    assert list(listed(messaging_profile_id="00000000-0000-0000-0000-000000000000")) == []
    assert not {block.to for block in listed(redacted=True)} & set(people)


def test_numbers_are_listed_over_pages_with_every_filter(sandbox: SandboxCarrier) -> None:
    """All numbers come once, and each filter narrows them as it says."""
    listed = sandbox.client.list_numbers
    everything = [number.phone_number for number in listed()]
    assert len(everything) == len(set(everything)) >= 22
    assert [number.phone_number for number in listed(page_size=5)] == everything
    assert {number.type for number in listed()} == {"tollfree", "longcode", "shortcode"}
    assert {number.phone_number for number in listed(messaging_profile_id=PROFILE)} >= {TOLL_FREE, SHORT_CODE}
    assert [number.phone_number for number in listed(phone_numbers=[TOLL_FREE])] == [TOLL_FREE]
    assert len(list(listed(phone_numbers=[TOLL_FREE, "+18880000001"]))) == 2
    assert {number.phone_number for number in listed(containing="888000")} == {f"+188800000{n:02}" for n in range(10)}
    assert [number.phone_number for number in listed(type="shortcode")] == [SHORT_CODE]
    rising = [number.phone_number for number in listed(containing="888000", sort="asc")]
    assert rising == sorted(rising)
    assert [number.phone_number for number in listed(containing="888000", sort="desc")] == rising[::-1]


def test_a_number_is_shown_and_changed(sandbox: SandboxCarrier) -> None:
    """By id and in E.164; a profile can be given and taken away, and what is not mentioned stays."""
    (number,) = sandbox.client.list_numbers(phone_numbers=["+18880000003"])
    assert number.messaging_profile_id is None
    assert sandbox.client.show_number("+18880000003") == sandbox.client.show_number(number.id) == number
    changed = sandbox.client.update_number(number.id, messaging_profile_id=PROFILE, tags=["otp"])
    assert (changed.messaging_profile_id, changed.tags) == (PROFILE, ("otp",))
    assert sandbox.client.update_number(number.id).messaging_profile_id == PROFILE
    taken = sandbox.client.update_number("+18880000003", messaging_profile_id="")
    assert (taken.messaging_profile_id, taken.tags) == (None, ("otp",))
    assert sandbox.client.show_number(TOLL_FREE).health is not None
    with pytest.raises(NotFoundError):
        sandbox.client.show_number("1")


def test_mobile_numbers_are_listed_and_shown(sandbox: SandboxCarrier) -> None:
    """Mobile numbers have a list and a page of their own."""
    (mobile,) = sandbox.client.list_mobile_numbers()
    assert sandbox.client.show_mobile_number(mobile.id) == mobile
    assert mobile.health is None
    with pytest.raises(NotFoundError):
        sandbox.client.show_number(mobile.id)


def test_numbers_are_moved_in_bulk(sandbox: SandboxCarrier) -> None:
    """An order is made, can be asked for until nothing is pending, and has done what it says."""
    numbers = [f"+188800000{n:02}" for n in range(10)]
    order = sandbox.client.create_bulk_update(messaging_profile_id=PROFILE, numbers=[*numbers, "+18885550000"])
    done = wait_until(
        lambda: (found := sandbox.client.show_bulk_update(order.order_id)) and not found.pending and found,
        what="the order",
    )
    assert (sorted(done.success), done.failed) == (numbers, ("+18885550000",))
    assert all(number.messaging_profile_id == PROFILE for number in sandbox.client.list_numbers(phone_numbers=numbers))


@pytest.mark.parametrize(
    ("mode", "outcome"),
    [
        ("http_500", Unknown),
        ("http_429", NotSent),
        ("timeout", Unknown),
        ("reset_after_request", Unknown),
        ("half_body", Unknown),
    ],
)
def test_a_repeat_after_any_fault_is_one_sms(mode: str, outcome: type) -> None:
    """After each mishap the same bytes with the same key bring exactly one message to the phone."""
    with (
        SandboxServer() as server,
        TelnyxClient("KEY", f"{server.url}/v2", timeouts=Timeouts(read_s=1.0 if mode == "timeout" else 30.0)) as client,
        httpx.Client(base_url=server.url, trust_env=False, timeout=20) as control,
    ):
        sandbox = SandboxCarrier(client, control, b"")
        sandbox.chaos(send={"mode": mode})
        request = sms()
        assert isinstance(client.send(request, idempotency_key="key-1"), outcome)
        sandbox.chaos(send={"mode": "ok"})
        accepted = wait_until(
            lambda: isinstance(found := client.send(request, idempotency_key="key-1"), Accepted) and found,
            what="an answer",
        )
        wait_until(lambda: (found := client.retrieve(accepted.message_id)) and found.status == "delivered")
        assert [message["id"] for message in sandbox.inbox(PERSON)] == [accepted.message_id]
