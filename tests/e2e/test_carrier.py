"""A carrier that misbehaves in every way of the contract: one SMS in the end, or none and a stated reason."""

import time
from datetime import datetime
from typing import Any

import pytest

from otp_service import bootstrap, config

from .service_client import SHARED_PROFILE, ServiceClient, at_once, one_key_one_body, profile_of, sender_of, within


class Scenario:
    """One number started at one scenario's sender. The carrier's behaviour is set before the start."""

    def __init__(self, service_client: ServiceClient, name: str, **chaos: object) -> None:
        self.service_client = service_client
        self.name = name
        service_client.chaos_for(name, **chaos)
        self.number = service_client.number()
        service_client.key(name)
        self.began = time.monotonic()
        self.id = service_client.started(self.number, name)

    def statuses(self) -> list[str]:
        """The deliveries' statuses."""
        return self.service_client.deliveries(self.id, self.name)

    def reaches(self, *statuses: str, timeout_s: float = 60) -> None:
        """Wait until the deliveries stand so."""
        wanted = list(statuses)
        within(timeout_s, lambda: self.statuses() == wanted, f"{self.name}: {wanted}, not {self.statuses()}, ")

    def tries(self, at_least: int, timeout_s: float = 60) -> None:
        """Wait for so many requests at the carrier."""
        within(
            timeout_s, lambda: len(self.service_client.sends(self.number)) >= at_least, f"{self.name}: {at_least} tries"
        )

    def behave(self) -> None:
        """From now on the carrier takes requests."""
        self.service_client.chaos_for(self.name, send={"mode": "ok"})

    def one_sms(self) -> None:
        """Exactly one SMS, the same key and bytes for every try, and the code in it is right."""
        assert len(self.service_client.inbox(self.number)) == 1, self.name
        sends = self.service_client.sends(self.number)
        one_key_one_body(sends)
        delivery = self.service_client.show(self.id, self.name)["deliveries"][0]["delivery_id"]
        for entry in sends:
            headers = {key.lower(): value for key, value in entry["headers"].items()}
            if entry["body"]["from"] == sender_of(self.name):
                assert headers["idempotency-key"] == delivery
        assert self.service_client.check(self.id, self.service_client.code(self.number), self.name).status_code == 200


def test_every_way_to_lose_a_request_or_an_answer(service_client: ServiceClient) -> None:
    """500s and 429s are tried again; lost answers never make a second SMS, with and without webhooks."""

    def refused(name: str) -> None:
        scenario = Scenario(service_client, name, send={"mode": name})
        scenario.tries(3)
        assert service_client.inbox(scenario.number) == []
        scenario.behave()
        scenario.reaches("delivered")
        scenario.one_sms()

    def answer_lost(name: str) -> None:
        # The webhook reports what the answer should have said.
        scenario = Scenario(service_client, name, send={"mode": name})
        scenario.reaches("delivered")
        scenario.one_sms()

    def slow() -> None:
        scenario = Scenario(service_client, "slow", send={"mode": "slow", "latency_ms": 1500})
        scenario.reaches("delivered")
        scenario.one_sms()

    def all_lost(name: str, mode: str) -> None:
        # No answer and no webhook: the same bytes again under the same key, until the carrier answers; then it is
        # asked what became of it.
        scenario = Scenario(service_client, name, send={"mode": mode}, webhooks={"drop_rate": 1.0})
        scenario.tries(2, 90)
        assert scenario.statuses() in (["unknown"], ["sending"])
        scenario.behave()
        scenario.reaches("delivered", timeout_s=90)
        scenario.one_sms()

    def held() -> None:
        scenario = Scenario(service_client, "wait", wait_seconds=6)
        within(60, lambda: scenario.statuses() == ["sent"], "the carrier's acceptance")
        scenario.reaches("delivered")
        scenario.one_sms()

    at_once(
        lambda: refused("http_500"),
        lambda: refused("http_429"),
        lambda: answer_lost("timeout"),
        lambda: answer_lost("reset_after_request"),
        lambda: answer_lost("half_body"),
        slow,
        lambda: all_lost("quiet_timeout", "timeout"),
        lambda: all_lost("quiet_reset", "reset_after_request"),
        lambda: all_lost("quiet_half", "half_body"),
        held,
    )


def test_an_expired_code_is_never_sent(service_client: ServiceClient) -> None:
    """While nothing gets through, the code's life ends, and with it the tries, also when the carrier heals."""

    def never_taken(name: str, mode: str, *ends: str) -> None:
        scenario = Scenario(service_client, name, send={"mode": mode})
        scenario.tries(1)
        within(
            60, lambda: service_client.show(scenario.id, scenario.name)["status"] == "expired", "the end of the code"
        )
        scenario.behave()
        within(60, lambda: scenario.statuses()[0] in ends, f"one of {ends}")
        tried = service_client.sends(scenario.number)
        time.sleep(2)
        assert len(service_client.sends(scenario.number)) == len(tried)
        assert service_client.inbox(scenario.number) == []
        assert service_client.check(scenario.id, "123456", scenario.name).json()["code"] == "verification_expired"
        ended = datetime.fromisoformat(service_client.show(scenario.id, scenario.name)["expires_at"])
        assert max(datetime.fromisoformat(entry["received_at"]) for entry in tried) < ended

    def perhaps_taken() -> None:
        # It may have been sent, and was: it stays unknown until a report comes, and nothing is sent again.
        service_client.chaos_for("short_timeout", send={"mode": "timeout"}, webhooks={"drop_rate": 1.0})
        scenario = Scenario(service_client, "short_timeout")
        within(
            60, lambda: service_client.show(scenario.id, scenario.name)["status"] == "expired", "the end of the code"
        )
        within(60, lambda: scenario.statuses() == ["unknown"], "the word that nobody knows")
        assert len(service_client.inbox(scenario.number)) == 1

    at_once(
        lambda: never_taken("short_429", "http_429", "expired"),
        # Who answers 500 may have sent it all the same: nobody knows, unless a webhook comes.
        lambda: never_taken("short_500", "http_500", "expired", "unknown"),
        perhaps_taken,
    )


def test_every_outcome_and_every_way_to_report_it(service_client: ServiceClient) -> None:
    """Delivered, failed, unconfirmed, silent; reported twice, in the wrong order, too early, forged, or not at all."""

    def ends(name: str, *statuses: str, **chaos: Any) -> None:
        scenario = Scenario(service_client, name, **chaos)
        scenario.reaches(*statuses)
        events = service_client.events(scenario.id, name)
        for status in ("delivered", "failed", "unconfirmed"):
            assert events.count(f"delivery.{status}") == statuses.count(status), (name, events)

    def failed(name: str, outcome: str) -> None:
        # The next sender of the route brings it, once.
        scenario = Scenario(service_client, name, delivery={"outcome": outcome, "error_code": "40008"})
        scenario.reaches("failed", "delivered")
        first, second = service_client.show(scenario.id, name)["deliveries"]
        assert (first["sender"], second["sender"]) == (name, "backup")
        assert first["error"]["code"] == "40008"
        assert first["carrier_status"] == outcome
        assert service_client.events(scenario.id, name).count("delivery.fell_back") == 1
        scenario.one_sms()

    def silent() -> None:
        scenario = Scenario(service_client, "silent", delivery={"outcome": "none"})
        scenario.reaches("sent")
        within(60, lambda: service_client.inbox(scenario.number), "the SMS")
        assert scenario.statuses() == ["sent"]

    def forged(name: str, outcome: str, end: str) -> None:
        scenario = Scenario(service_client, name, delivery={"outcome": outcome}, webhooks={"forge_rate": 1.0})
        scenario.reaches(end)
        time.sleep(1.5)
        assert scenario.statuses() == [end]

    def dropped() -> None:
        scenario = Scenario(service_client, "drop", webhooks={"drop_rate": 1.0})
        scenario.reaches("delivered")
        assert any(
            entry["method"] == "GET" and entry["path"].startswith("/v2/messages/")
            for entry in service_client.sandbox("GET", "/sandbox/journal")["requests"]
        )
        scenario.one_sms()

    at_once(
        lambda: ends("delivered", "delivered"),
        lambda: ends("unconfirmed", "unconfirmed", delivery={"outcome": "delivery_unconfirmed"}),
        lambda: ends("duplicate", "delivered", webhooks={"duplicate": 5}),
        lambda: ends("reorder", "delivered", webhooks={"reorder": True, "duplicate": 2}),
        lambda: ends("early", "delivered", webhooks={"early": True}, send={"mode": "slow", "latency_ms": 700}),
        lambda: failed("delivery_failed", "delivery_failed"),
        lambda: failed("sending_failed", "sending_failed"),
        silent,
        lambda: forged("forge", "delivered", "delivered"),
        lambda: forged("forge_failed", "delivery_failed", "failed"),
        dropped,
    )


def test_stop_and_start(service_client: ServiceClient) -> None:
    """STOP on the handset: 403 with how to come back, within a moment; START: the code comes again."""
    number = service_client.number()
    first = service_client.started(number)
    assert service_client.check(first, service_client.code(number)).status_code == 200
    service_client.reply(number, "Stop")
    state = within(60, lambda: _opt_out(service_client, number), "the opt-out")
    assert (state["keyword"], state["source"]) == ("STOP", "inbound")
    answer = service_client.start(number)
    assert (answer.status_code, answer.json()["code"]) == (403, "opted_out")
    assert "START" in answer.json()["resubscribe"]
    before = len(service_client.sends(number))
    assert service_client.start(number).status_code == 403
    assert len(service_client.sends(number)) == before
    service_client.reply(number, "START")
    verification = within(60, lambda: _started(service_client, number), "the way back")
    within(60, lambda: service_client.deliveries(verification) == ["delivered"], "the delivery")
    record = service_client.call("GET", f"/audit/events?number={number.replace('+', '%2B')}").json()["events"]
    types = [event["type"] for event in record]
    assert types.index("optout.added") < types.index("optout.removed")


def _opt_out(service_client: ServiceClient, number: str) -> Any:
    """What the registry holds against the number on the usual senders' profile, if anything."""
    profiles = service_client.call("GET", f"/optouts/{number.replace('+', '%2B')}", app="fallback").json()["profiles"]
    state = {item["messaging_profile_id"]: item for item in profiles}[SHARED_PROFILE]
    return state if state["opted_out"] else None


def _started(service_client: ServiceClient, number: str) -> Any:
    answer = service_client.start(number)
    return answer.json()["verification_id"] if answer.status_code == 201 else None


def test_a_start_whose_webhook_is_lost_is_made_up_for(service_client: ServiceClient) -> None:
    """STOP, a START that never reaches us, and the carrier's list is empty: reading the whole list opens the way."""
    number, silent = service_client.number(), service_client.number()
    service_client.reply(number, "STOP")
    service_client.reply(silent, "ARRÊT")  # the carrier does not know the word, so its list says nothing about it
    within(60, lambda: _opt_out(service_client, number) and _opt_out(service_client, silent), "the opt-outs")
    service_client.chaos(webhooks={"drop_rate": 1.0})
    service_client.reply(number, "START")
    service_client.chaos(webhooks={"drop_rate": 0.0})
    assert service_client.start(number).status_code == 403
    bootstrap.sync_optouts(config.load(service_client.env), lambda *_: None)
    assert service_client.start(number).status_code == 201
    assert service_client.start(silent).status_code == 403
    record = service_client.call("GET", f"/audit/events?number={number.replace('+', '%2B')}").json()["events"]
    (lifted,) = [event for event in record if event["type"] == "optout.removed"]
    assert lifted["detail"]["source"] == "list"


def test_a_quote_of_our_text_opts_nobody_out(service_client: ServiceClient) -> None:
    """A reaction to the very SMS changes nothing; a reply that is not understood is on record, without its text."""
    number = service_client.number()
    first = service_client.started(number)
    service_client.code(number)
    text = service_client.inbox(number)[0]["text"]
    for quote in (text, f"Liked “{text}”", f"Reacted 👍 to “{text}”", f"> {text}"):
        service_client.reply(number, quote)
    service_client.reply(number, "we must stop sending money there")

    def noted() -> Any:
        path = f"/audit/events?number={number.replace('+', '%2B')}&type=reply.unclear"
        return service_client.call("GET", path).json()["events"]

    (event,) = within(60, noted, "the unclear reply")
    assert (event["to"][-4:], event["app"]) == (number[-4:], None)
    assert "money" not in str(event)
    assert _opt_out(service_client, number) is None
    assert service_client.show(first)["status"] == "pending"
    service_client.reply(number, "Stop. Thank you\nSent from my iPhone")
    within(60, lambda: _opt_out(service_client, number), "the opt-out")


def test_a_block_that_only_the_carrier_knows(service_client: ServiceClient) -> None:
    """The carrier refuses with 40300: recorded as an opt-out, and the sender of another profile brings the code."""
    number = service_client.number()
    service_client.key("fallback")
    service_client.chaos(webhooks={"drop_rate": 1.0})
    service_client.reply(number, "STOP")
    service_client.chaos(webhooks={"drop_rate": 0.0})
    verification = service_client.started(number, "fallback")
    within(
        60, lambda: service_client.deliveries(verification, "fallback") == ["suppressed", "delivered"], "the failover"
    )
    first, second = service_client.show(verification, "fallback")["deliveries"]
    assert (first["error"]["code"], second["sender"]) == ("40300", "reserve")
    # From now on the blocked profile is not even tried.
    profiles = service_client.call("GET", f"/optouts/{number.replace('+', '%2B')}", app="fallback").json()["profiles"]
    state = {item["messaging_profile_id"]: item for item in profiles}
    assert (state[SHARED_PROFILE]["opted_out"], state[SHARED_PROFILE]["source"]) == (True, "carrier")
    assert state[profile_of("reserve")]["opted_out"] is False
    assert service_client.start(number).json()["code"] == "opted_out"
    other = service_client.started(number, "fallback", purpose="other")
    assert [item["sender"] for item in service_client.show(other, "fallback")["deliveries"]] == ["reserve"]


@pytest.mark.parametrize("outcome", ["delivery_failed", "sending_failed"])
def test_a_failure_of_the_last_sender_is_reported(service_client: ServiceClient, outcome: str) -> None:
    """When the whole route has failed, the deliveries say why and the verification is still pending."""
    service_client.chaos(delivery={"outcome": outcome, "error_code": "40008"})
    number = service_client.number()
    verification = service_client.started(number)
    within(60, lambda: service_client.deliveries(verification) == ["failed", "failed"], "both failures")
    shown = service_client.show(verification)
    assert shown["status"] == "pending"
    assert [item["error"]["code"] for item in shown["deliveries"]] == ["40008", "40008"]
