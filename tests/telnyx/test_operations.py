"""The typed operations: what they ask the carrier, and what they make of its answers."""

import json
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qs

import httpx
import pytest

from otp_service.domain.delivery import Action, DeliveryReport, Refused
from otp_service.telnyx.client import TelnyxClient
from otp_service.telnyx.exceptions import NotFoundError, RefusedError, TelnyxError, UnknownOutcomeError
from otp_service.telnyx.requests import build_send
from otp_service.telnyx.responses import InboundMessage, OutboundMessage

PERSON = "+12025550143"
OURS = "+18445550001"
PROFILE = "abc85f64-5717-4562-b3fc-2c9600000000"
AT = datetime(2026, 11, 23, 19, 0, tzinfo=UTC)
MESSAGE = {
    "id": "40385f64-5717-4562-b3fc-2c963f66afa6",
    "direction": "outbound",
    "to": [{"phone_number": PERSON, "status": "delivered"}],
    "webhook_url": "https://otp.example/webhooks/telnyx/dlv_1",
    "received_at": "2026-11-23T19:00:00Z",
    "completed_at": "2026-11-23T19:00:02Z",
}
NUMBER = {"id": "1293384261075731499", "phone_number": OURS, "type": "tollfree"}
BULK = {"order_id": "o-1", "success": [], "pending": [OURS], "failed": []}


class Asked:
    """One request as the carrier sees it."""

    def __init__(self, request: httpx.Request) -> None:
        raw_path, _, query = request.url.raw_path.decode().partition("?")
        self.line = f"{request.method} {raw_path.removeprefix('/v2')}"
        self.query = {name: values[0] for name, values in parse_qs(query).items()}
        self.body = json.loads(request.content) if request.content else None
        self.key = request.headers.get("idempotency-key")


class Carrier:
    """Answers every request with the same, and remembers what was asked."""

    def __init__(self, body: Any, status: int = 200) -> None:
        self.asked: list[Asked] = []
        self._answer = (status, body)

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.asked.append(Asked(request))
        status, body = self._answer
        return httpx.Response(status, json=body)

    @property
    def client(self) -> TelnyxClient:
        """A client of this carrier; it has no connection that would want closing."""
        return TelnyxClient("KEY", "http://carrier.test/v2/", transport=httpx.MockTransport(self))


Ask = Callable[[TelnyxClient], Any]
OPERATIONS: list[tuple[str, Ask, Any, str, Any]] = [
    (
        "group MMS",
        lambda c: c.send_group_mms(sender=OURS, to=[PERSON, OURS], text="Alert", idempotency_key="k"),
        {"data": MESSAGE | {"from": OURS}},
        "POST /messages/group_mms",
        {"from": OURS, "to": [PERSON, OURS], "text": "Alert"},
    ),
    (
        "schedule",
        lambda c: c.schedule(to=PERSON, text="Hi", send_at=AT, messaging_profile_id=PROFILE, webhook_url="https://h"),
        {"data": MESSAGE},
        "POST /messages/schedule",
        {
            "to": PERSON,
            "messaging_profile_id": PROFILE,
            "text": "Hi",
            "send_at": "2026-11-23T19:00:00Z",
            "webhook_url": "https://h",
        },
    ),
    ("cancel", lambda c: c.cancel_scheduled("a b/+"), MESSAGE, "DELETE /messages/a%20b%2F%2B", None),
    ("retrieve", lambda c: c.show_message("id-1"), {"data": MESSAGE}, "GET /messages/id-1", None),
    ("number", lambda c: c.show_number(OURS), {"data": NUMBER}, "GET /phone_numbers/%2B18445550001/messaging", None),
    (
        "update",
        lambda c: c.update_number("1", messaging_profile_id="", messaging_product="A2P", tags=["a"]),
        {"data": NUMBER},
        "PATCH /phone_numbers/1/messaging",
        {"messaging_profile_id": "", "messaging_product": "A2P", "tags": ["a"]},
    ),
    ("update nothing", lambda c: c.update_number("1"), {"data": NUMBER}, "PATCH /phone_numbers/1/messaging", {}),
    (
        "mobile number",
        lambda c: c.show_mobile_number(OURS),
        {"data": NUMBER},
        "GET /mobile_phone_numbers/%2B18445550001/messaging",
        None,
    ),
    (
        "bulk update",
        lambda c: c.create_bulk_update(messaging_profile_id=PROFILE, numbers=[OURS], assign_only=True),
        {"data": BULK},
        "POST /messaging_numbers_bulk_updates",
        {"messaging_profile_id": PROFILE, "numbers": [OURS], "assign_only": True},
    ),
    (
        "bulk unassign",
        lambda c: c.create_bulk_update(messaging_profile_id="", numbers=[OURS]),
        {"data": BULK},
        "POST /messaging_numbers_bulk_updates",
        {"messaging_profile_id": "", "numbers": [OURS]},
    ),
    (
        "bulk status",
        lambda c: c.show_bulk_update("o/1"),
        {"data": BULK},
        "GET /messaging_numbers_bulk_updates/o%2F1",
        None,
    ),
]
NAMES = [name for name, *_ in OPERATIONS]


@pytest.mark.parametrize(("_name", "ask", "answer", "line", "body"), OPERATIONS, ids=NAMES)
def test_an_operation_asks_what_the_carrier_documents(_name: str, ask: Ask, answer: Any, line: str, body: Any) -> None:
    """Method, percent-encoded path and body are the documented ones, and the answer comes back typed and whole."""
    carrier = Carrier(answer)
    value = ask(carrier.client)
    (asked,) = carrier.asked
    assert (asked.line, asked.body) == (line, body)
    assert value.raw == answer.get("data", answer)


@pytest.mark.parametrize(("_name", "ask", "_answer", "_line", "_body"), OPERATIONS, ids=NAMES)
@pytest.mark.parametrize("answer", [{}, {"data": None}, {"data": []}, {"data": {"id": {}}}, [], "x", 7, None])
def test_an_answer_without_what_was_asked_for_is_unknown(
    _name: str, ask: Ask, _answer: Any, _line: str, _body: Any, answer: Any
) -> None:
    """A success that cannot be read is no success, and no other exception either."""
    with pytest.raises(UnknownOutcomeError):
        ask(Carrier(answer).client)


@pytest.mark.parametrize(("_name", "ask", "_answer", "_line", "_body"), OPERATIONS, ids=NAMES)
@pytest.mark.parametrize("wrapped", [True, False])
def test_a_refusal_is_raised_with_code_and_action(
    _name: str, ask: Ask, _answer: Any, _line: str, _body: Any, wrapped: bool
) -> None:
    """Errors come in an envelope or bare; both give code, title, status and what to do."""
    error = {"code": "40305", "title": "Invalid 'from' address"}
    with pytest.raises(RefusedError) as refusal:
        ask(Carrier({"errors": [error]} if wrapped else error, 422).client)
    assert refusal.value.status == 422
    assert refusal.value.refusal == Refused("40305", "Invalid 'from' address", Action.STOP_SENDER)


def test_cancel_reads_the_bare_message_and_a_wrapped_one() -> None:
    """The one operation that answers without `data` is read either way."""
    assert Carrier(MESSAGE).client.cancel_scheduled("x").id == MESSAGE["id"]
    assert Carrier({"data": MESSAGE}).client.cancel_scheduled("x").id == MESSAGE["id"]


def test_group_messages_take_a_key_and_schedules_none() -> None:
    """A key goes out where the carrier honours it, and only there."""
    for _, ask, answer, line, _ in OPERATIONS:
        carrier = Carrier(answer)
        ask(carrier.client)
        assert carrier.asked[0].key == ("k" if line.endswith("group_mms") else None)


@pytest.mark.parametrize("kind", ["generic", "long_code", "short_code", "number_pool", "alphanumeric"])
def test_submit_returns_the_message_of_any_kind(kind: str) -> None:
    """The shell's send: built once, sent once, with a key, and the carrier's message comes back."""
    carrier = Carrier({"data": MESSAGE})
    request = build_send(
        kind, to=PERSON, text="Hi", sender=OURS, messaging_profile_id=PROFILE, webhook_url=None, whatsapp=None
    )
    assert carrier.client.submit(request, idempotency_key="key-1").id == MESSAGE["id"]
    assert carrier.asked[0].key == "key-1"


def test_submit_believes_no_success_with_errors() -> None:
    """A 200 that lists errors proves nothing."""
    request = build_send("long_code", to=PERSON, text="x", sender=OURS, messaging_profile_id=None, webhook_url=None)
    contradiction = {"data": MESSAGE, "errors": [{"code": "40310", "title": "x"}]}
    with pytest.raises(UnknownOutcomeError):
        Carrier(contradiction).client.submit(request)


def test_retrieve_gives_a_receipt() -> None:
    """A message asked for says the same as its webhook would: status, latest time, and our delivery."""
    assert Carrier({"data": MESSAGE}).client.retrieve(str(MESSAGE["id"])) == DeliveryReport(
        str(MESSAGE["id"]), PERSON, "delivered", 1_795_460_402_000, None, "dlv_1"
    )


@pytest.mark.parametrize(("status", "code"), [(404, "10005"), (404, "49999"), (400, "40303"), (422, "10005")])
def test_a_message_the_carrier_does_not_know_is_none(status: int, code: str) -> None:
    """Unknown, or older than the ten days the carrier keeps: no result."""
    carrier = Carrier({"errors": [{"code": code, "title": "Not found"}]}, status)
    assert carrier.client.retrieve("x") is None
    with pytest.raises(NotFoundError):
        carrier.client.show_message("x")


@pytest.mark.parametrize("message", [MESSAGE | {"to": []}, MESSAGE | {"direction": "inbound", "from": PERSON}])
def test_a_message_without_a_status_is_not_taken_for_absent(message: dict[str, Any]) -> None:
    """Without a recipient's status, or with a message to us, there is no receipt; None would mean there is none."""
    with pytest.raises(UnknownOutcomeError):
        Carrier({"data": message}).client.retrieve("x")


def test_messages_of_both_directions_are_shown() -> None:
    """The operation serves what we sent and what people wrote."""
    assert isinstance(Carrier({"data": MESSAGE}).client.show_message("x"), OutboundMessage)
    written = MESSAGE | {"direction": "inbound", "from": PERSON}
    assert isinstance(Carrier({"data": written}).client.show_message("x"), InboundMessage)


@pytest.mark.parametrize("identifier", ["", ".", ".."])
def test_an_id_that_would_change_the_path_is_refused(identifier: str) -> None:
    """Dots and nothing would ask for something else than one message."""
    carrier = Carrier({"data": MESSAGE})
    for ask in (carrier.client.show_message, carrier.client.show_number, carrier.client.cancel_scheduled):
        with pytest.raises(ValueError, match="empty"):
            ask(identifier)
    assert carrier.asked == []


class PagedCarrier:
    """A WSGI carrier whose lists have several pages."""

    def __init__(self, entries: list[dict[str, Any]]) -> None:
        self.entries = entries
        self.queries: list[dict[str, str]] = []
        self.paths: list[str] = []

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        query = {name: values[0] for name, values in parse_qs(environ["QUERY_STRING"]).items()}
        self.queries.append(query)
        self.paths.append(environ["PATH_INFO"])
        page, size = int(query["page[number]"]), int(query["page[size]"])
        pages = -(-len(self.entries) // size)
        meta = {"page_number": page, "page_size": size, "total_pages": pages, "total_results": len(self.entries)}
        start_response("200 OK", [("Content-Type", "application/json")])
        return [json.dumps({"data": self.entries[(page - 1) * size : page * size], "meta": meta}).encode()]


def client_of(carrier: PagedCarrier) -> TelnyxClient:
    """A client of the WSGI carrier in this process."""
    return TelnyxClient("KEY", "http://carrier.test/v2", transport=httpx.WSGITransport(app=carrier))


OPT_OUTS = [
    {"to": f"+1202555{n:04}", "from": OURS, "messaging_profile_id": PROFILE, "keyword": "STOP"} for n in range(7)
]


def test_a_list_runs_over_all_its_pages() -> None:
    """Every entry comes exactly once and in order, whatever the size of a page."""
    for size in (1, 2, 3, 7, 250):
        carrier = PagedCarrier(OPT_OUTS)
        found = [entry.to for entry in client_of(carrier).list_opt_outs(page_size=size)]
        assert found == [entry["to"] for entry in OPT_OUTS]
        assert len(carrier.queries) == -(-7 // size)
    assert list(client_of(PagedCarrier([])).list_opt_outs()) == []


def test_a_list_is_lazy() -> None:
    """A page is asked for when its first entry is wanted, not before."""
    carrier = PagedCarrier(OPT_OUTS)
    entries = client_of(carrier).list_opt_outs(page_size=2)
    assert carrier.queries == []
    next(entries)
    next(entries)
    assert len(carrier.queries) == 1
    next(entries)
    assert len(carrier.queries) == 2


def test_every_filter_of_opt_outs() -> None:
    """Profile, sender, both bounds of time and redaction go out under the carrier's names, on every page."""
    carrier = PagedCarrier(OPT_OUTS)
    entries = client_of(carrier).list_opt_outs(
        messaging_profile_id=PROFILE, sender=OURS, since=AT, until=AT, redacted=True, page_size=4
    )
    assert len(list(entries)) == 7
    for page, query in enumerate(carrier.queries, 1):
        assert query == {
            "filter[messaging_profile_id]": PROFILE,
            "filter[from]": OURS,
            "created_at[gte]": "2026-11-23T19:00:00Z",
            "created_at[lte]": "2026-11-23T19:00:00Z",
            "redaction_enabled": "true",
            "page[size]": "4",
            "page[number]": str(page),
        }


def test_every_filter_of_numbers() -> None:
    """Profile, numbers, part of a number, type and order go out under the carrier's names."""
    carrier = PagedCarrier([NUMBER])
    found = client_of(carrier).list_numbers(
        messaging_profile_id=PROFILE, phone_numbers=[OURS, PERSON], containing="844", type="tollfree", sort="desc"
    )
    assert [number.phone_number for number in found] == [OURS]
    assert carrier.paths == ["/v2/phone_numbers/messaging"]
    assert carrier.queries == [
        {
            "filter[messaging_profile_id]": PROFILE,
            "filter[phone_number]": f"{OURS},{PERSON}",
            "filter[phone_number][contains]": "844",
            "filter[type]": "tollfree",
            "sort[phone_number]": "desc",
            "page[size]": "250",
            "page[number]": "1",
        }
    ]


def test_mobile_numbers_are_listed() -> None:
    """Mobile numbers come from their own list."""
    carrier = PagedCarrier([NUMBER, NUMBER])
    assert len(list(client_of(carrier).list_mobile_numbers(page_size=1))) == 2
    assert set(carrier.paths) == {"/v2/mobile_phone_numbers/messaging"}


@pytest.mark.parametrize("size", [0, 251, -1])
def test_a_page_size_the_carrier_would_refuse_is_our_mistake(size: int) -> None:
    """The mistake is raised at the call, not when the first entry is wanted."""
    with pytest.raises(ValueError, match="1 to 250"):
        client_of(PagedCarrier([])).list_numbers(page_size=size)


GOOD_META = {"page_number": 1, "page_size": 1, "total_pages": 2, "total_results": 2}


@pytest.mark.parametrize(
    "answer",
    [
        {"data": OPT_OUTS[:1]},
        {"data": OPT_OUTS[:1], "meta": {}},
        {"data": OPT_OUTS[:1], "meta": GOOD_META},
        {"data": [{"from": OURS}], "meta": GOOD_META},
        {"data": [None], "meta": GOOD_META},
        {"data": None, "meta": GOOD_META},
        {"meta": GOOD_META},
        [],
    ],
)
def test_a_list_never_looks_complete_when_it_is_not(answer: Any) -> None:
    """A page without its place, a page that repeats and an unreadable entry end in an exception, never in silence."""
    with pytest.raises(UnknownOutcomeError):
        list(Carrier(answer).client.list_opt_outs())


def test_a_static_mock_is_read_and_left() -> None:
    """One answer for every page, which calls itself the second of three: its entries come once, and it ends."""
    meta = {"page_number": 2, "page_size": 1, "total_pages": 3, "total_results": 3}
    assert len(list(Carrier({"data": OPT_OUTS[:1], "meta": meta}).client.list_opt_outs())) == 1


def test_a_refusal_on_a_later_page_is_raised() -> None:
    """The opt-outs of the first page alone do not pass for all of them."""
    answers = iter([(200, {"data": OPT_OUTS[:1], "meta": GOOD_META}), (401, {"code": "10009", "title": "No"})])

    def answer(_: httpx.Request) -> httpx.Response:
        status, body = next(answers)
        return httpx.Response(status, json=body)

    with TelnyxClient("KEY", "http://carrier.test/v2", transport=httpx.MockTransport(answer)) as client:
        entries = client.list_opt_outs()
        assert next(entries).to == OPT_OUTS[0]["to"]
        with pytest.raises(RefusedError):
            next(entries)


def test_exceptions_show_no_number() -> None:
    """What an operation raises may be printed and logged."""
    error = {"code": "40300", "title": f"Blocked {PERSON}", "detail": f"to '{PERSON}'"}
    with pytest.raises(TelnyxError) as refusal:
        Carrier({"errors": [error]}, 403).client.show_number(PERSON)
    assert PERSON[1:] not in str(refusal.value)
    assert PERSON[1:] not in repr(refusal.value)
