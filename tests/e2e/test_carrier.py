"""A carrier that misbehaves in every way of the contract: one SMS in the end, or none and a stated reason."""

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from typing import Any

import pytest

from otp_service import bootstrap, config

from .stage import SHARED_PROFILE, Stage, one_key_one_body, profile_of, sender_of, within


class Scene:
    """One number started at one scene's sender, whose carrier behaves as told from before the start."""

    def __init__(self, stage: Stage, name: str, **chaos: object) -> None:
        self.stage = stage
        self.name = name
        stage.chaos_for(name, **chaos)
        self.number = stage.number()
        stage.key(name)
        self.began = time.monotonic()
        self.id = stage.started(self.number, name)

    def statuses(self) -> list[str]:
        """The deliveries' statuses."""
        return self.stage.deliveries(self.id, self.name)

    def reaches(self, *statuses: str, timeout_s: float = 30) -> None:
        """Wait until the deliveries stand so."""
        wanted = list(statuses)
        within(timeout_s, lambda: self.statuses() == wanted, f"{self.name}: {wanted}, not {self.statuses()}, ")

    def tries(self, at_least: int, timeout_s: float = 30) -> None:
        """Wait for so many requests at the carrier."""
        within(timeout_s, lambda: len(self.stage.sends(self.number)) >= at_least, f"{self.name}: {at_least} tries")

    def behave(self) -> None:
        """From now on the carrier takes requests."""
        self.stage.chaos_for(self.name, send={"mode": "ok"})

    def one_sms(self) -> None:
        """Exactly one SMS, the same key and bytes for every try, and the code in it is right."""
        assert len(self.stage.inbox(self.number)) == 1, self.name
        sends = self.stage.sends(self.number)
        one_key_one_body(sends)
        delivery = self.stage.show(self.id, self.name)["deliveries"][0]["delivery_id"]
        for entry in sends:
            headers = {key.lower(): value for key, value in entry["headers"].items()}
            if entry["body"]["from"] == sender_of(self.name):
                assert headers["idempotency-key"] == delivery
        assert self.stage.check(self.id, self.stage.code(self.number), self.name).status_code == 200


def at_once(*acts: Callable[[], None]) -> None:
    """Play scenes beside one another; all their failures are told."""
    with ThreadPoolExecutor(len(acts)) as pool:
        failures = [future.exception() for future in [pool.submit(act) for act in acts]]
    found = [failure for failure in failures if failure is not None]
    if found:
        raise AssertionError("\n".join(f"{type(failure).__name__}: {failure}" for failure in found)) from found[0]


def test_every_way_to_lose_a_request_or_an_answer(stage: Stage) -> None:
    """500s and 429s are tried again; lost answers never make a second SMS, with and without webhooks to tell."""

    def refused(name: str) -> None:
        scene = Scene(stage, name, send={"mode": name})
        scene.tries(3)
        assert stage.inbox(scene.number) == []
        scene.behave()
        scene.reaches("delivered")
        scene.one_sms()

    def answer_lost(name: str) -> None:
        # The webhook tells what the answer should have told.
        scene = Scene(stage, name, send={"mode": name})
        scene.reaches("delivered")
        scene.one_sms()

    def slow() -> None:
        scene = Scene(stage, "slow", send={"mode": "slow", "latency_ms": 1500})
        scene.reaches("delivered")
        scene.one_sms()

    def all_lost(name: str, mode: str) -> None:
        # No answer and no webhook: the same bytes again under the same key, until the carrier answers; then it is
        # asked what became of it.
        scene = Scene(stage, name, send={"mode": mode}, webhooks={"drop_rate": 1.0})
        scene.tries(2, 40)
        assert scene.statuses() in (["unknown"], ["sending"])
        scene.behave()
        scene.reaches("delivered", timeout_s=50)
        scene.one_sms()

    def held() -> None:
        scene = Scene(stage, "wait", wait_seconds=2)
        within(5, lambda: scene.statuses() == ["sent"], "the carrier's acceptance")
        scene.reaches("delivered")
        scene.one_sms()

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


def test_an_expired_code_is_never_sent(stage: Stage) -> None:
    """While nothing gets through, the code's life ends, and with it the tries, also when the carrier heals."""

    def never_taken(name: str, mode: str, *ends: str) -> None:
        scene = Scene(stage, name, send={"mode": mode})
        scene.tries(2)
        within(15, lambda: stage.show(scene.id, scene.name)["status"] == "expired", "the end of the code")
        scene.behave()
        within(10, lambda: scene.statuses()[0] in ends, f"one of {ends}")
        tried = stage.sends(scene.number)
        time.sleep(2)
        assert len(stage.sends(scene.number)) == len(tried)
        assert stage.inbox(scene.number) == []
        assert stage.check(scene.id, "123456", scene.name).json()["code"] == "verification_expired"
        ended = datetime.fromisoformat(stage.show(scene.id, scene.name)["expires_at"])
        assert max(datetime.fromisoformat(entry["received_at"]) for entry in tried) < ended

    def perhaps_taken() -> None:
        # It may have been sent, and was: it stays unknown until somebody tells, and nothing is sent again.
        stage.chaos_for("short_timeout", send={"mode": "timeout"}, webhooks={"drop_rate": 1.0})
        scene = Scene(stage, "short_timeout")
        within(15, lambda: stage.show(scene.id, scene.name)["status"] == "expired", "the end of the code")
        within(15, lambda: scene.statuses() == ["unknown"], "the word that nobody knows")
        assert len(stage.inbox(scene.number)) == 1

    at_once(
        lambda: never_taken("short_429", "http_429", "expired"),
        # Who answers 500 may have sent it all the same: nobody knows, unless a webhook tells.
        lambda: never_taken("short_500", "http_500", "expired", "unknown"),
        perhaps_taken,
    )


def test_every_outcome_and_every_way_to_tell_it(stage: Stage) -> None:
    """Delivered, failed, unconfirmed, silent; told twice, in the wrong order, too early, forged, or not at all."""

    def ends(name: str, *statuses: str, **chaos: Any) -> None:
        scene = Scene(stage, name, **chaos)
        scene.reaches(*statuses)
        told = stage.events(scene.id, name)
        for status in ("delivered", "failed", "unconfirmed"):
            assert told.count(f"delivery.{status}") == statuses.count(status), (name, told)

    def failed(name: str, outcome: str) -> None:
        # The next sender of the route brings it, once.
        scene = Scene(stage, name, delivery={"outcome": outcome, "error_code": "40008"})
        scene.reaches("failed", "delivered")
        first, second = stage.show(scene.id, name)["deliveries"]
        assert (first["sender"], second["sender"]) == (name, "backup")
        assert first["error"]["code"] == "40008"
        assert first["carrier_status"] == outcome
        assert stage.events(scene.id, name).count("delivery.fell_back") == 1
        scene.one_sms()

    def silent() -> None:
        scene = Scene(stage, "silent", delivery={"outcome": "none"})
        scene.reaches("sent")
        within(5, lambda: stage.inbox(scene.number), "the SMS")
        assert scene.statuses() == ["sent"]

    def forged(name: str, outcome: str, end: str) -> None:
        scene = Scene(stage, name, delivery={"outcome": outcome}, webhooks={"forge_rate": 1.0})
        scene.reaches(end)
        time.sleep(1.5)
        assert scene.statuses() == [end]

    def dropped() -> None:
        scene = Scene(stage, "drop", webhooks={"drop_rate": 1.0})
        scene.reaches("sent", timeout_s=10)
        scene.reaches("delivered", timeout_s=30)
        assert any(
            entry["method"] == "GET" and entry["path"].startswith("/v2/messages/")
            for entry in stage.sandbox("GET", "/sandbox/journal")["requests"]
        )
        scene.one_sms()

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


def test_stop_and_start(stage: Stage) -> None:
    """STOP on the handset: 403 with how to come back, within a moment; START: the code comes again."""
    number = stage.number()
    first = stage.started(number)
    assert stage.check(first, stage.code(number)).status_code == 200
    stage.reply(number, "Stop")
    state = within(5, lambda: _opt_out(stage, number), "the opt-out")
    assert (state["keyword"], state["source"]) == ("STOP", "inbound")
    answer = stage.start(number)
    assert (answer.status_code, answer.json()["code"]) == (403, "opted_out")
    assert "START" in answer.json()["resubscribe"]
    before = len(stage.sends(number))
    assert stage.start(number).status_code == 403
    assert len(stage.sends(number)) == before
    stage.reply(number, "START")
    verification = within(5, lambda: _started(stage, number), "the way back")
    within(5, lambda: stage.deliveries(verification) == ["delivered"], "the delivery")
    record = stage.call("GET", f"/audit/events?number={number.replace('+', '%2B')}").json()["events"]
    types = [event["type"] for event in record]
    assert types.index("optout.added") < types.index("optout.removed")


def _opt_out(stage: Stage, number: str) -> Any:
    """What the registry holds against the number on the usual senders' profile, if anything."""
    profiles = stage.call("GET", f"/optouts/{number.replace('+', '%2B')}").json()["profiles"]
    state = {item["messaging_profile_id"]: item for item in profiles}[SHARED_PROFILE]
    return state if state["opted_out"] else None


def _started(stage: Stage, number: str) -> Any:
    answer = stage.start(number)
    return answer.json()["verification_id"] if answer.status_code == 201 else None


def test_a_start_whose_webhook_is_lost_is_made_up_for(stage: Stage) -> None:
    """STOP, a START that never reaches us, and the carrier's list is empty: reading the whole list opens the way."""
    number, silent = stage.number(), stage.number()
    stage.reply(number, "STOP")
    stage.reply(silent, "ARRÊT")  # the carrier does not know the word, so its list says nothing about it
    within(5, lambda: _opt_out(stage, number) and _opt_out(stage, silent), "the opt-outs")
    stage.chaos(webhooks={"drop_rate": 1.0})
    stage.reply(number, "START")
    stage.chaos(webhooks={"drop_rate": 0.0})
    assert stage.start(number).status_code == 403
    bootstrap.sync_optouts(config.load(stage.env), lambda *_: None)
    assert stage.start(number).status_code == 201
    assert stage.start(silent).status_code == 403
    record = stage.call("GET", f"/audit/events?number={number.replace('+', '%2B')}").json()["events"]
    (lifted,) = [event for event in record if event["type"] == "optout.removed"]
    assert lifted["detail"]["source"] == "list"


def test_a_quote_of_our_text_opts_nobody_out(stage: Stage) -> None:
    """A reaction to the very SMS changes nothing; a reply that is not understood is on record, without its text."""
    number = stage.number()
    first = stage.started(number)
    stage.code(number)
    text = stage.inbox(number)[0]["text"]
    for quote in (text, f"Liked “{text}”", f"Reacted 👍 to “{text}”", f"> {text}"):
        stage.reply(number, quote)
    stage.reply(number, "we must stop sending money there")

    def noted() -> Any:
        path = f"/audit/events?number={number.replace('+', '%2B')}&type=reply.unclear"
        return stage.call("GET", path).json()["events"]

    (event,) = within(5, noted, "the unclear reply")
    assert (event["to"][-4:], event["app"]) == (number[-4:], None)
    assert "money" not in str(event)
    assert _opt_out(stage, number) is None
    assert stage.show(first)["status"] == "pending"
    stage.reply(number, "Stop. Thank you\nSent from my iPhone")
    within(5, lambda: _opt_out(stage, number), "the opt-out")


def test_a_block_that_only_the_carrier_knows(stage: Stage) -> None:
    """The carrier refuses with 40300: recorded as an opt-out, and the sender of another profile brings the code."""
    number = stage.number()
    stage.key("fallback")
    stage.chaos(webhooks={"drop_rate": 1.0})
    stage.reply(number, "STOP")
    stage.chaos(webhooks={"drop_rate": 0.0})
    verification = stage.started(number, "fallback")
    within(10, lambda: stage.deliveries(verification, "fallback") == ["suppressed", "delivered"], "the fall-back")
    first, second = stage.show(verification, "fallback")["deliveries"]
    assert (first["error"]["code"], second["sender"]) == ("40300", "reserve")
    # From now on the blocked profile is not even tried.
    profiles = stage.call("GET", f"/optouts/{number.replace('+', '%2B')}").json()["profiles"]
    state = {item["messaging_profile_id"]: item for item in profiles}
    assert (state[SHARED_PROFILE]["opted_out"], state[SHARED_PROFILE]["source"]) == (True, "carrier")
    assert state[profile_of("reserve")]["opted_out"] is False
    assert stage.start(number).json()["code"] == "opted_out"
    other = stage.started(number, "fallback", purpose="other")
    assert [item["sender"] for item in stage.show(other, "fallback")["deliveries"]] == ["reserve"]


@pytest.mark.parametrize("outcome", ["delivery_failed", "sending_failed"])
def test_a_failure_of_the_last_sender_is_told(stage: Stage, outcome: str) -> None:
    """When the whole route has failed, the deliveries say why and the verification is still pending."""
    stage.chaos(delivery={"outcome": outcome, "error_code": "40008"})
    number = stage.number()
    verification = stage.started(number)
    within(10, lambda: stage.deliveries(verification) == ["failed", "failed"], "both failures")
    shown = stage.show(verification)
    assert shown["status"] == "pending"
    assert [item["error"]["code"] for item in shown["deliveries"]] == ["40008", "40008"]
