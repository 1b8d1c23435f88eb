"""What the use cases need from outside: each suite runs on the fake, and on our client over the sandbox carrier."""

import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, HTTPServer

import httpx
import pytest

from otp_service.domain.callback import Answer, Callback, Endpoint
from otp_service.domain.delivery import Accepted, Action, DeliveryReport, Refused
from otp_service.domain.optout_list import Block
from otp_service.domain.policy import Sender, SenderKind
from otp_service.receivers.client import Receivers as RealReceivers
from otp_service.sandbox import optouts as sandbox
from otp_service.sandbox.app import create_app
from otp_service.sandbox.carrier import Carrier as Sandbox
from otp_service.sandbox.numbers import Health
from otp_service.telnyx.client import TelnyxClient
from otp_service.telnyx.gateway import Gateway
from otp_service.usecases.ports import BlockList, Carrier, HealthReports, Pager, Receivers

from ..fakes import FakeBlockList, FakeCarrier, FakeHealthReports, FakePager, FakeReceivers

PROFILE, OTHER_PROFILE = "abc85f64-5717-4562-b3fc-2c9600000000", "0c0ffee0-5717-4562-b3fc-2c9600000000"
PERSON, OURS = "+12025550143", "+18445550001"
OWN = Sender("own", SenderKind.LONG_CODE, PROFILE, OURS, 1.0)
NAME = Sender("name", SenderKind.ALPHANUMERIC, PROFILE, "Acme", 1.0)
REFUSED = Refused("10009", "Authentication failed", Action.STOP_ALL)


@dataclass
class Outside:
    """Each port of the carrier."""

    carrier: Carrier
    pager: Pager
    blocks: BlockList
    health: HealthReports


def _fakes(*, accepting: bool) -> Outside:
    outcome = Accepted("m1", "queued") if accepting else REFUSED
    listed = {PROFILE: [Block(person(n), PROFILE, "STOP", n * 1_000) for n in range(1, 8)]}
    carrier = FakeCarrier(outcome, DeliveryReport("m1", PERSON, "queued"))
    return Outside(carrier, FakePager(outcome), FakeBlockList(listed), FakeHealthReports({"own": (0.5, 0.1)}))


def _prepare(carrier: Sandbox) -> None:
    for n in range(1, 8):
        carrier.optouts.add(sandbox.Block(PROFILE, person(n), OURS, "STOP", float(n)))
    number = carrier.numbers.get(OURS)
    assert number is not None
    number.health = Health(sent=100, finished=100, delivered=50, spam=10)


@pytest.fixture(params=["fake", "sandbox"])
def kind(request: pytest.FixtureRequest) -> str:
    """On which of the two the suite runs."""
    return str(request.param)


@pytest.fixture(params=[True])
def outside(kind: str, request: pytest.FixtureRequest) -> Iterator[Outside]:
    """Seven people have opted out, one a second; one of our numbers has figures. The parameter: our key is right."""
    if kind == "fake":
        yield _fakes(accepting=request.param)
        return
    carrier = Sandbox(api_key="KEY")
    _prepare(carrier)
    key, transport = "KEY" if request.param else "wrong", httpx.WSGITransport(app=create_app(carrier))
    with TelnyxClient(key, "http://sandbox.test/v2", transport=transport) as client:
        made = Gateway(client)
        yield Outside(made, made, made, made)
    carrier.close()


def person(n: int) -> str:
    """The n-th person's number."""
    return f"+1202555{n:04d}"


def composed(carrier: Carrier, to: str = PERSON) -> bytes:
    """A request to send a code."""
    return carrier.compose(
        OWN, to=to, text="123456 is your code", code="123456", webhook_url="https://otp.example/w", delivery_id="dlv_1"
    )


def test_a_request_is_the_same_bytes_each_time(outside: Outside) -> None:
    """Each message has its own."""
    assert composed(outside.carrier) == composed(outside.carrier)
    assert composed(outside.carrier) != composed(outside.carrier, person(9))
    assert PERSON.encode() in composed(outside.carrier)


def test_an_accepted_message_has_a_report(outside: Outside) -> None:
    """By its id; of others nothing is known. The same key again is the same message."""
    request = composed(outside.carrier)
    outcomes = [outside.carrier.send(request, idempotency_key="dlv_1", within_s=60) for _ in range(2)]
    assert isinstance(outcomes[0], Accepted)
    assert outcomes[1] == outcomes[0]
    report = outside.carrier.fetch_report(outcomes[0].message_id)
    assert report is not None
    assert (report.message_id, report.to) == (outcomes[0].message_id, PERSON)
    assert outside.carrier.fetch_report("40385f64-5717-4562-b3fc-2c963f66afa6") is None


@pytest.mark.parametrize("outside", [False], indirect=True)
def test_a_refusal_is_an_outcome(outside: Outside) -> None:
    """Nothing is raised."""
    outcome = outside.carrier.send(composed(outside.carrier), idempotency_key="dlv_1", within_s=60)
    assert isinstance(outcome, Refused)
    assert isinstance(outside.pager.page_people(OURS, [PERSON], "text", idempotency_key="a"), Refused)


def test_people_are_paged_at_once(outside: Outside) -> None:
    """One message to all of them."""
    assert isinstance(outside.pager.page_people(OURS, [PERSON, person(9)], "text", idempotency_key="a"), Accepted)


def listed(blocks: BlockList, profile: str, since_ms: int, until_ms: int | None) -> list[Block]:
    """All pages of a part of the list."""
    first = blocks.blocks(profile, since_ms=since_ms, until_ms=until_ms, page=1)
    pages = [
        first,
        *(
            blocks.blocks(profile, since_ms=since_ms, until_ms=until_ms, page=number)
            for number in range(2, first.total_pages + 1)
        ),
    ]
    found = [block for page in pages for block in page.blocks]
    assert [page.number for page in pages] == list(range(1, len(pages) + 1))
    assert {page.total_results for page in pages} == {len(found)}
    return found


@pytest.mark.parametrize(
    ("since_ms", "until_ms", "numbers"),
    [(0, None, range(1, 8)), (2_000, 6_000, range(2, 7)), (7_000, None, [7]), (7_001, None, []), (0, 999, [])],
)
def test_a_part_of_the_list_is_read_page_by_page(
    outside: Outside, since_ms: int, until_ms: int | None, numbers: list[int]
) -> None:
    """Both ends included; of another profile there is nothing."""
    expected = [Block(person(n), PROFILE, "STOP", n * 1_000) for n in numbers]
    assert listed(outside.blocks, PROFILE, since_ms, until_ms) == expected
    assert listed(outside.blocks, OTHER_PROFILE, since_ms, until_ms) == []


def test_senders_without_figures_are_left_out(outside: Outside) -> None:
    """The others have two ratios."""
    assert outside.health.health([OWN, NAME]) == {"own": (0.5, 0.1)}
    assert outside.health.health([NAME]) == {}


# ---- the apps' receivers ------------------------------------------------------------------------------------------


class _Gone(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        """Whatever comes."""
        self.rfile.read(int(self.headers["content-length"]))
        self.send_response(410)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Nothing is printed."""


@pytest.fixture
def receivers(kind: str) -> Iterator[Receivers]:
    """An app whose endpoint is gone for good."""
    if kind == "fake":
        yield FakeReceivers(Answer(410, "status 410"))
        return
    with HTTPServer(("127.0.0.1", 0), _Gone) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        endpoint = Endpoint(f"http://127.0.0.1:{server.server_port}/in", ("whsec_" + "A" * 44,), True)
        yield RealReceivers({"shop": endpoint}, now_ms=lambda: 1_790_000_000_000)
        server.shutdown()
        thread.join()


def test_what_a_receiver_says_is_an_answer(receivers: Receivers) -> None:
    """Nothing is raised; the status is its own, with a reason unless it accepts."""
    callback = Callback("evt_1", "shop", "check.failed", "vrf_x", json.dumps({}))
    answer = receivers.post(callback)
    assert (answer, answer.accepted) == (Answer(410, "status 410"), False)
