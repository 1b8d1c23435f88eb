"""What happens to a message when every sender of its route is held."""

from dataclasses import replace

import httpx
import pytest

from otp_service.domain.circuit import HOLDS_AFTER
from otp_service.domain.optout_list import OptOut

from .delivery_service import APP, FAST_POOL, Service, failing, first, refusal
from .harness import SHOP, StoreHarness, fresh_number, word

ALONE = replace(SHOP, route=(FAST_POOL,))


def hold_all(service: Service, code: str) -> None:
    """By so many numbers as it takes, at every sender of the route; the refused messages end with the reason."""
    for _ in range(HOLDS_AFTER):
        ref = service.start(refusal(code))
        assert {status for _, status in service.outcomes(ref)} == {"failed"}


@pytest.mark.parametrize("code", ["40305", "40312", "40010", "10009", "20100", "40333"])
def test_a_route_that_is_held_is_tried_all_the_same(service: Service, code: str) -> None:
    """The next person's message permits out if the carrier takes it, and that ends the hold by which it went."""
    hold_all(service, code)
    assert service.open_breakers() != set()
    ref = service.start()
    assert service.outcomes(ref)[-1][1] == "sent"
    assert set(service.outcomes(ref)[:-1]) <= {("pool", "failed")}
    # Whoever it was, the sender is well again.
    assert service.outcomes(service.start())[-1][1] == "sent"


@pytest.mark.parametrize("code", ["40305", "10009"])
def test_the_only_sender_is_tried_though_it_is_held(server_harness: StoreHarness, code: str) -> None:
    """Refused again, the delivery has the carrier's reason; taken, the breaker closes."""
    service = Service(server_harness, ALONE)
    hold_all(service, code)
    requests = len(service.sent)
    ref = service.start(refusal(code))
    assert service.outcomes(ref) == [("pool", "failed")]
    assert service.harness.record(ref)["1:error_code"] == code
    assert len(service.sent) == requests + 1
    assert service.outcomes(service.start()) == [("pool", "sent")]
    assert service.open_breakers() == set()


def test_the_sender_whose_hold_ends_sooner_is_tried(service: Service) -> None:
    """The one before it gives way, and its delivery says what stood in the way."""
    service.start(first(refusal("40020"), refusal("40333")))
    assert service.open_breakers() == {"sender:pool", "profile:profile-b"}
    number = fresh_number()
    ref = service.harness.start(number, APP).reference
    midnight_is_later = service.harness.raw.hget(service.harness.keys.circuit("sender:pool"), "open_until_ms")
    assert int(midnight_is_later) > int(
        service.harness.raw.hget(service.harness.keys.circuit("profile:profile-b"), "open_until_ms")
    )
    service.work(ref)
    assert service.outcomes(ref) == [("pool", "failed"), ("backup", "sent")]
    assert service.harness.record(ref)["1:error_code"] == "40020"
    assert "lets nothing through" in service.harness.record(ref)["1:error_title"]


def test_a_sender_that_is_not_left_for_this_person_is_no_better_one(service: Service) -> None:
    """They have stopped its profile: the held sender tries, instead of handing the message to nobody."""
    for _ in range(HOLDS_AFTER):
        service.start(first(refusal("40305")))
    assert service.open_breakers() == {"sender:pool"}
    number = fresh_number()
    command = service.harness.start_command(number, APP)
    stop = OptOut("profile-b", True, service.harness.now(), "STOP", "inbound")
    service.harness.optouts.record(command.reference.number_hash, "+1***", stop, word("evt"))
    ref = service.harness.start(number, APP).reference
    service.work(ref)
    assert service.outcomes(ref) == [("pool", "sent")]


def test_what_may_have_been_sent_is_not_handed_on(service: Service) -> None:
    """Its answer is lost and its sender held meanwhile: the same bytes go again, by the same sender."""
    number = fresh_number()
    service.odd[number] = failing(httpx.ReadTimeout)
    ref = service.harness.start(number, APP).reference
    service.work(ref)
    assert service.outcomes(ref) == [("pool", "unknown")]
    for _ in range(HOLDS_AFTER):
        service.start(first(refusal("40305")))
    assert service.open_breakers() == {"sender:pool"}
    del service.odd[number]
    service.persist(ref)
    assert service.outcomes(ref) == [("pool", "sent")]
    tries = [body for body in service.sent if body["to"] == number]
    assert tries[0] == tries[-1]
