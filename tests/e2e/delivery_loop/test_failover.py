"""The next sender delivers: for every cause, over another channel, and first the next time; and every start ends.

The last test waits for the end of the scenarios that the first one began.
"""

import time
from datetime import datetime

import pytest

from ..service_client import ServiceClient, at_once, one_key_one_body, within
from .scenario import LOST_MODES, Scenario, address, polls_of, with_status


@pytest.fixture(scope="module")
def long_ones(service_client: ServiceClient) -> list[Scenario]:
    """The scenarios that last longer than the code's life."""
    quiet = {"drop_rate": 1.0}
    begun = [
        Scenario(service_client, "silent", delivery={"outcome": "none"}, webhooks=quiet),
        Scenario(service_client, "unknown_quiet", send={"mode": "http_500"}),
        Scenario(service_client, "held", wait_seconds=60),
        Scenario(service_client, "alone_500", send={"mode": "http_500"}),
        Scenario(service_client, "alone_429", send={"mode": "http_429"}),
    ]
    return begun + [
        Scenario(service_client, f"lost_{mode}", send={"mode": mode}, webhooks=quiet) for mode in LOST_MODES
    ]


def test_the_next_sender_has_it_for_every_cause(service_client: ServiceClient, long_ones: list[Scenario]) -> None:
    """A carrier queue, a lost answer, a refusal, a failed report: each claims the next sender once, same code."""

    def by_queue() -> None:
        # It says that it holds the message for longer than the code lives: at once.
        scenario = next(one for one in long_ones if one.name == "held")
        within(
            60,
            lambda: [d[:2] for d in scenario.outcomes()] == [("held", "sent"), ("held_b", "delivered")],
            "the failover",
        )
        scenario.approves()

    def not_sent_in_time() -> None:
        # It holds it for less than the code's life, but longer than the app wants to wait: it is asked first.
        scenario = Scenario(service_client, "queued", wait_seconds=9)
        within(60, lambda: [d[0] for d in scenario.outcomes()] == ["queued", "queued_b"], "the failover")
        assert scenario.service_client.events(scenario.id, scenario.name).count("delivery.fell_back") == 1
        scenario.comes_to(("queued", "delivered", None), ("queued_b", "delivered", None))
        assert len(set(scenario.texts())) == 1

    def answer_lost(mode: str) -> None:
        scenario = next(one for one in long_ones if one.name == f"lost_{mode}")
        within(60, lambda: scenario.outcomes()[1:] == [(f"lost_{mode}_b", "delivered", None)], "the second sender")
        assert len(set(scenario.texts())) == 1
        assert len(scenario.texts()) <= 2

    def no_answer() -> None:
        scenario = next(one for one in long_ones if one.name == "unknown_quiet")
        within(60, lambda: scenario.outcomes()[1:] == [("unknown_quiet_b", "delivered", None)], "the second sender")
        assert len(scenario.texts()) == 1
        # The one that was left behind is not asked again.
        before = scenario.froms()
        time.sleep(4)
        assert scenario.froms() == before

    def limited() -> None:
        # It asks for patience, and the app has none: nothing had left, so there is one SMS.
        scenario = Scenario(service_client, "limited", send={"mode": "http_429"})
        scenario.comes_to(("limited", "failed", "not_sent_in_time"), ("limited_b", "delivered", None))
        assert len(scenario.texts()) == 1

    def backwards() -> None:
        # Told twice, in the wrong order, with forgeries: one failure, one way round.
        scenario = Scenario(
            service_client,
            "backwards",
            delivery={"outcome": "delivery_failed", "error_code": "40002"},
            webhooks={"reorder": True, "duplicate": 3, "forge_rate": 1.0},
        )
        scenario.comes_to(("backwards", "failed", "40002"), ("backwards_b", "delivered", None))
        assert scenario.froms() == [address("backwards"), address("backwards_b")]
        scenario.approves()

    def landline() -> None:
        # No sender would fare better.
        scenario = Scenario(service_client, "landline", delivery={"outcome": "delivery_failed", "error_code": "40001"})
        scenario.comes_to(("landline", "failed", "40001"))
        time.sleep(3)
        assert scenario.froms() == [address("landline")]
        assert scenario.texts() == []

    def stopped() -> None:
        # Never another sender of a profile that the person has stopped; one of another profile is.
        number = service_client.number()
        service_client.chaos(senders={address("stopped"): {"webhooks": {"drop_rate": 1.0}}})
        service_client.reply(number, "STOP", address("stopped"))
        scenario = Scenario(service_client, "stopped", number)
        scenario.comes_to(("stopped", "suppressed", "40300"), ("stopped_b", "delivered", None))
        assert scenario.froms() == [address("stopped"), address("stopped_b")]

    at_once(
        by_queue,
        not_sent_in_time,
        *(lambda mode=mode: answer_lost(mode) for mode in LOST_MODES),
        no_answer,
        limited,
        backwards,
        landline,
        stopped,
    )


def test_sms_first_and_whatsapp_behind(service_client: ServiceClient) -> None:
    """The same code by the template when the SMS fails; never for a person who stopped the SMS, nor for a payment."""
    scenario = Scenario(service_client, "chatty", delivery={"outcome": "delivery_failed", "error_code": "40008"})
    scenario.comes_to(("chatty", "failed", "40008"), ("chatty_b", "delivered", None))
    assert [entry["path"] for entry in service_client.sends(scenario.number)] == [
        "/v2/messages/long_code",
        "/v2/messages/whatsapp",
    ]
    scenario.approves()
    # The template has no room for what is to be confirmed.
    number = service_client.number()
    payment = service_client.started(number, "chatty", context={"amount": "20 EUR", "payee": "Bob"})
    within(60, lambda: service_client.deliveries(payment, "chatty") == ["failed"], "the failure")
    scenario.carrier("chatty", delivery={"outcome": "delivered"})
    stopped = service_client.number()
    service_client.reply(stopped, "STOP", address("chatty"))
    refused = within(60, lambda: with_status(service_client.start(stopped, "chatty"), 403), "the opt-out")
    assert refused.json()["code"] == "opted_out"
    assert service_client.sends(number)[1:] == []
    # Asked for by WhatsApp, it is the SMS that stands behind.
    person = service_client.number()
    scenario.carrier("chatty_b", delivery={"outcome": "delivery_failed", "error_code": "41000"})
    other = service_client.started(person, "chatty", channel="whatsapp")
    within(60, lambda: service_client.deliveries(other, "chatty") == ["failed", "delivered"], "the SMS")
    scenario.carrier("chatty_b", delivery={"outcome": "delivered"})


def test_the_sender_that_reached_the_person_is_asked_first(service_client: ServiceClient) -> None:
    """And no longer when it has failed."""
    scenario = Scenario(service_client, "sticky", delivery={"outcome": "delivery_failed", "error_code": "40002"})
    scenario.comes_to(("sticky", "failed", "40002"), ("sticky_b", "delivered", None))
    scenario.approves()
    scenario.carrier("sticky", delivery={"outcome": "delivered"})
    again = Scenario(service_client, "sticky", scenario.number)
    again.comes_to(("sticky_b", "delivered", None))
    again.approves()
    scenario.carrier("sticky_b", delivery={"outcome": "delivery_failed", "error_code": "40002"})
    third = Scenario(service_client, "sticky", scenario.number)
    third.comes_to(("sticky_b", "failed", "40002"), ("sticky", "delivered", None))


def test_everything_ends_with_a_reason(service_client: ServiceClient, long_ones: list[Scenario]) -> None:
    """A minute after the code's life nothing is under way; what nobody confirmed is called so; nothing came late."""
    for scenario in long_ones:
        scenario.closes()
    by_name = {scenario.name: scenario for scenario in long_ones}
    assert by_name["silent"].outcomes()[0] == ("silent", "unconfirmed", "no_receipt")
    assert by_name["unknown_quiet"].outcomes()[0] == ("unknown_quiet", "unconfirmed", "answer_lost")
    assert by_name["alone_500"].outcomes() == [("alone_500", "unconfirmed", "answer_lost")]
    assert by_name["alone_429"].outcomes() == [("alone_429", "expired", "code_expired")]
    for mode in LOST_MODES:
        assert by_name[f"lost_{mode}"].outcomes()[0][1] == "unconfirmed"
    for scenario in long_ones:
        shown = service_client.show(scenario.id, scenario.name)
        ended = datetime.fromisoformat(shown["expires_at"]).timestamp()
        sends = service_client.sends(scenario.number)
        assert all(datetime.fromisoformat(entry["received_at"]).timestamp() < ended for entry in sends), scenario.name
        one_key_one_body(sends)
        assert service_client.events(scenario.id, scenario.name).count("delivery.fell_back") <= 1
    silent = by_name["silent"]
    expires = datetime.fromisoformat(service_client.show(silent.id, "silent")["expires_at"]).timestamp()
    asked = polls_of(service_client, service_client.inbox(silent.number)[0]["id"])
    assert len([at for at in asked if at > expires]) == 1
