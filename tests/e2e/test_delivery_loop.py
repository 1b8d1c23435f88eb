"""Every accepted start ends, and says how: failover, breakers, silence, resends, denial, against the real service.

The code's life is short here, so that the ends can be waited for. Every scenario has senders and profiles of its own.
What takes long (the closing of what nothing more is heard of) begins first and is looked at last.
"""

import json
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from ..conftest import start_dev, stop_dev
from .service_client import ServiceClient, code_in, one_key_one_body, within

LIFE_S = 12
LOST_MODES = ("timeout", "reset_after_request", "half_body")
PAIRS = (
    *("held", "queued", "down", "pumped", "landline", "sticky", "stopped", "unknown_quiet", "limited"),
    *("silent", "dropped", "mixed", "chatty", "backwards", "half_known"),
    *(f"lost_{mode}" for mode in LOST_MODES),
)
ALONE = ("alone_500", "alone_429", "resend", "refusing", "slow_rate", "denied")
ENDS = {"delivered", "failed", "unconfirmed", "expired", "suppressed"}


def address(sender: str) -> str:
    """The number of a scenario's sender: `x`, its second `x_b`."""
    names = [*PAIRS, *(f"{pair}_b" for pair in PAIRS), *ALONE, "stopped_same_profile"]
    return f"+1312555{600 + names.index(sender):04d}"


def profile(sender: str) -> str:
    """The messaging profile of a sender; `x_same_profile` has the profile of `x`."""
    return str(uuid.uuid5(uuid.NAMESPACE_DNS, f"loop {sender.removesuffix('_same_profile')}"))


def configuration() -> str:
    """Two senders and an app for each pair, one for each that stands alone."""

    def sender(name: str, kind: str = "long_code", rate: int = 100, more: str = "") -> str:
        return (
            f'[senders.{name}]\nkind = "{kind}"\nfrom = "{address(name)}"\nrate_per_s = {rate}\n'
            f'messaging_profile_id = "{profile(name)}"\n{more}'
        )

    def app(name: str, route: list[str], more: str) -> str:
        return (
            f'[apps.{name}]\nbrand = "Loop"\nroute = {json.dumps(route)}\ncode_ttl = "{LIFE_S}s"\n'
            f'sent_within = "2s"\n{more}\n'
        )

    parts = []
    for name in PAIRS:
        kind = ("whatsapp", 100, 'template = "otp_code"') if name == "chatty" else ("long_code",)
        second = sender(f"{name}_b", *kind)
        route = [name, "stopped_same_profile", f"{name}_b"] if name == "stopped" else [name, f"{name}_b"]
        waits = '["9s"]' if name == "half_known" else '["1s", "1s"]'
        parts += [sender(name), second, app(name, route, f"resend_after = {waits}")]
    parts += [sender("stopped_same_profile")]
    for name in ALONE:
        parts += [sender(name, rate=5 if name == "slow_rate" else 100)]
        more = 'denial_words = ["NO", "nicht ich"]' if name == "denied" else 'resend_after = ["2s", "2s"]'
        parts += [app(name, [name], more)]
    return "\n".join(parts)


@pytest.fixture(scope="module")
def service_client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServiceClient]:
    """Caller, phones and carrier of a service with this configuration. No reset: scenarios run at the same time."""
    directory: Path = tmp_path_factory.mktemp("loop")
    (directory / "scenarios.toml").write_text(configuration())
    dev = start_dev(directory / "state", OTP_CONFIG=str(directory / "scenarios.toml"))
    made = ServiceClient({**dev.env, "OTP_CONFIG": str(directory / "scenarios.toml"), "OTP_KEYRING": ""})
    try:
        yield made
    finally:
        made.close()
        stop_dev(dev)


class Scenario:
    """One number, started at a scenario's app. `chaos` sets the carrier's behaviour for its first sender."""

    def __init__(self, service_client: ServiceClient, name: str, number: str = "", **chaos: object) -> None:
        self.service_client, self.name = service_client, name
        if chaos:
            self.carrier(name, **chaos)
        self.number = number or service_client.number()
        self.id = service_client.started(self.number, name)

    def carrier(self, sender: str, **chaos: object) -> None:
        """How the carrier treats a sender from now on."""
        self.service_client.chaos(senders={address(sender): chaos})

    def deliveries(self) -> list[dict[str, Any]]:
        """The deliveries now."""
        found: list[dict[str, Any]] = self.service_client.show(self.id, self.name)["deliveries"]
        return found

    def told(self) -> list[tuple[str, str, str | None]]:
        """Sender, status and reason of each."""
        return [(d["sender"], d["status"], d["error"] and d["error"]["code"]) for d in self.deliveries()]

    def comes_to(self, *wanted: tuple[str, str, str | None], timeout_s: float = 20) -> None:
        """Wait until the deliveries are these."""
        try:
            within(timeout_s, lambda: self.told() == list(wanted), "the end")
        except AssertionError:
            raise AssertionError(f"{self.name}: {self.told()}, not {wanted}") from None

    def ends_by(self, *senders: str) -> None:
        """Wait until one of these senders has delivered it."""
        wanted = {(sender, "delivered", None) for sender in senders}
        within(20, lambda: wanted & set(self.told()), f"{self.name}: a delivery")

    def closes(self) -> None:
        """Everything has ended a minute after the code's life, and every end but a delivery has its reason."""
        over = lambda: all(d["status"] in ENDS for d in self.deliveries())  # noqa: E731
        within(LIFE_S + 62, over, f"the end of {self.name}")
        for sender, status, reason in self.told():
            assert status == "delivered" or reason, (self.name, sender, status)

    def froms(self) -> list[str]:
        """The senders of all requests for this number, in order."""
        return [entry["body"]["from"] for entry in self.service_client.sends(self.number)]

    def texts(self) -> list[str]:
        """The codes on the handset."""
        return [code_in(str(message["text"])) for message in self.service_client.inbox(self.number)]

    def approves(self) -> None:
        """The code on the handset is the right one."""
        assert self.service_client.check(self.id, self.service_client.code(self.number), self.name).status_code == 200


def at_once(*acts: Callable[[], None]) -> None:
    """Run these at the same time; all failures are reported."""
    with ThreadPoolExecutor(len(acts)) as pool:
        failures = [future.exception() for future in [pool.submit(act) for act in acts]]
    found = [failure for failure in failures if failure is not None]
    if found:
        raise AssertionError("\n".join(f"{type(one).__name__}: {one}" for one in found)) from found[0]


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
    """A carrier queue, a lost answer, a refusal, a failed receipt: each claims the next sender once, same code."""

    def by_queue() -> None:
        # It says that it holds the message for longer than the code lives: at once.
        scenario = next(one for one in long_ones if one.name == "held")
        within(
            6, lambda: [d[:2] for d in scenario.told()] == [("held", "sent"), ("held_b", "delivered")], "the way round"
        )
        scenario.approves()

    def not_sent_in_time() -> None:
        # It holds it for less than the code's life, but longer than the app wants to wait: it is asked first.
        scenario = Scenario(service_client, "queued", wait_seconds=9)
        within(8, lambda: [d[0] for d in scenario.told()] == ["queued", "queued_b"], "the way round")
        assert scenario.service_client.events(scenario.id, scenario.name).count("delivery.fell_back") == 1
        scenario.comes_to(("queued", "delivered", None), ("queued_b", "delivered", None))
        assert len(set(scenario.texts())) == 1

    def answer_lost(mode: str) -> None:
        scenario = next(one for one in long_ones if one.name == f"lost_{mode}")
        within(20, lambda: scenario.told()[1:] == [(f"lost_{mode}_b", "delivered", None)], "the second sender")
        assert len(set(scenario.texts())) == 1
        assert len(scenario.texts()) <= 2

    def no_answer() -> None:
        scenario = next(one for one in long_ones if one.name == "unknown_quiet")
        within(20, lambda: scenario.told()[1:] == [("unknown_quiet_b", "delivered", None)], "the second sender")
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
    within(10, lambda: service_client.deliveries(payment, "chatty") == ["failed"], "the failure")
    scenario.carrier("chatty", delivery={"outcome": "delivered"})
    stopped = service_client.number()
    service_client.reply(stopped, "STOP", address("chatty"))
    refused = within(6, lambda: _if(service_client.start(stopped, "chatty"), 403), "the opt-out")
    assert refused.json()["code"] == "opted_out"
    assert service_client.sends(number)[1:] == []
    # Asked for by WhatsApp, it is the SMS that stands behind.
    person = service_client.number()
    scenario.carrier("chatty_b", delivery={"outcome": "delivery_failed", "error_code": "41000"})
    other = service_client.started(person, "chatty", channel="whatsapp")
    within(10, lambda: service_client.deliveries(other, "chatty") == ["failed", "delivered"], "the SMS")
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


def _circuits(service_client: ServiceClient) -> dict[str, float]:
    text = service_client.client.get(service_client.url + "/metrics").text
    lines = [line for line in text.splitlines() if line.startswith("otp_circuit_open{")]
    return {line.split('"')[1]: float(line.rsplit(" ", 1)[1]) for line in lines}


def test_breakers(service_client: ServiceClient) -> None:
    """Faults in a row: codes take the other sender at once; then a probe finds that the sender is well again."""

    def down() -> None:
        scenarios = [Scenario(service_client, "down", send={"mode": "http_500"}) for _ in range(6)]
        within(10, lambda: _circuits(service_client).get("sender:down", 0) > 0, "the open breaker")
        for scenario in scenarios:
            scenario.ends_by("down_b")
            assert len(scenario.texts()) == 1
        scenarios[0].carrier("down", send={"mode": "ok"})

        def closed() -> bool:
            scenario = Scenario(service_client, "down")
            within(15, lambda: scenario.told()[-1][1] == "delivered", "the delivery")
            return _circuits(service_client)["sender:down"] == 0

        within(45, closed, "the closed breaker")
        Scenario(service_client, "down").comes_to(("down", "delivered", None))

    def pumped() -> None:
        # A refusal of the carrier counts at once, and for a day.
        first = Scenario(service_client, "pumped", delivery={"outcome": "delivery_failed", "error_code": "40020"})
        first.comes_to(("pumped", "failed", "40020"), ("pumped_b", "delivered", None))
        assert within(5, lambda: _circuits(service_client).get("sender:pumped"), "the open breaker") == 1
        time.sleep(1)
        for _ in range(3):
            scenario = Scenario(service_client, "pumped")
            scenario.comes_to(("pumped_b", "delivered", None))
            assert scenario.froms() == [address("pumped_b")]

    at_once(down, pumped)


def test_resends(service_client: ServiceClient) -> None:
    """The same code; a duplicate click sends nothing; what was never accepted costs no cool-down."""

    def again() -> None:
        scenario = Scenario(service_client, "resend")
        scenario.comes_to(("resend", "delivered", None))
        click = service_client.start(scenario.number, "resend")
        if click.status_code == 429:
            assert (click.json()["code"], click.json()["sends_left"]) == ("resend_too_soon", 2)
            assert 0 < click.json()["resend_in"] <= 2
            assert len(scenario.froms()) == 1
        second = within(6, lambda: _if(service_client.start(scenario.number, "resend"), 200), "the second send")
        assert second.json()["verification_id"] == scenario.id
        # It fails, and what worked works on.
        within(6, lambda: len(scenario.texts()) == 2, "the second SMS")
        scenario.carrier("resend", delivery={"outcome": "delivery_failed", "error_code": "40008"})
        third = within(6, lambda: _if(service_client.start(scenario.number, "resend"), 200), "the third send")
        assert (third.json()["sends_left"], third.json()["resend_in"]) == (0, None)
        within(6, lambda: scenario.told()[-1] == ("resend", "failed", "40008"), "the failure")
        last = service_client.start(scenario.number, "resend")
        assert (last.status_code, last.json()["sends_left"], last.json()["resend_in"]) == (429, 0, None)
        assert len(set(scenario.texts())) == 1
        scenario.approves()

    def given_back() -> None:
        # The carrier refuses the sender: nothing was accepted, and nobody has to wait.
        api = {"Authorization": f"Bearer {service_client.env['TELNYX_API_KEY']}"}
        url = f"{service_client.env['TELNYX_BASE_URL']}/phone_numbers/{address('refusing')}/messaging"
        service_client.client.patch(url, json={"messaging_profile_id": ""}, headers=api).raise_for_status()
        scenario = Scenario(service_client, "refusing")
        within(10, lambda: scenario.told()[0][1] == "failed", "the refusal")
        assert scenario.told()[0][2] == "40305"
        answer = service_client.start(scenario.number, "refusing")
        assert answer.status_code == 200, answer.text
        assert answer.json()["sends_left"] == 2

    def kept() -> None:
        # One sender's answer is lost and the next refuses: the person may have it, so the cool-down stays.
        api = {"Authorization": f"Bearer {service_client.env['TELNYX_API_KEY']}"}
        url = f"{service_client.env['TELNYX_BASE_URL']}/phone_numbers/{address('half_known_b')}/messaging"
        service_client.client.patch(url, json={"messaging_profile_id": ""}, headers=api).raise_for_status()
        quiet = {"drop_rate": 1.0}
        scenario = Scenario(service_client, "half_known", send={"mode": "reset_after_request"}, webhooks=quiet)
        within(10, lambda: scenario.told()[1:] == [("half_known_b", "failed", "40305")], "the refusal")
        assert len(scenario.texts()) == 1
        assert service_client.start(scenario.number, "half_known").status_code == 429

    at_once(again, given_back, kept)


def _if(answer: Any, status: int) -> Any:
    return answer if answer.status_code == status else None


def test_that_was_not_me(service_client: ServiceClient) -> None:
    """NO to the code's SMS ends the verification, with its event; the word is the app's, the number the code's."""

    def says(word: str) -> None:
        scenario = Scenario(service_client, "denied")
        scenario.comes_to(("denied", "delivered", None))
        code = scenario.service_client.code(scenario.number)
        service_client.reply(scenario.number, word, address("denied"))
        within(6, lambda: service_client.show(scenario.id, "denied")["status"] == "denied", "the denial")
        answer = service_client.check(scenario.id, code, "denied")
        assert (answer.status_code, answer.json()["code"]) == (410, "verification_denied")
        assert service_client.events(scenario.id, "denied")[-1] == "verification.denied"
        events = service_client.call("GET", f"/audit/events?verification={scenario.id}", app="denied").json()["events"]
        assert [event["type"] for event in events].count("verification.denied") == 1

    def says_something_else() -> None:
        scenario = Scenario(service_client, "denied")
        scenario.comes_to(("denied", "delivered", None))
        service_client.reply(scenario.number, "NO", address("resend"))
        service_client.reply(scenario.number, "no idea what this is", address("denied"))
        time.sleep(2)
        assert service_client.show(scenario.id, "denied")["status"] == "pending"

    at_once(lambda: says("NO"), lambda: says("No!"), lambda: says("nicht ich"), says_something_else)


def test_a_sender_keeps_its_own_rate(service_client: ServiceClient) -> None:
    """Twenty codes by a sender of five a second: four seconds, and none is missing."""
    with ThreadPoolExecutor(8) as pool:
        scenarios = list(pool.map(lambda _: Scenario(service_client, "slow_rate"), range(20)))
    for scenario in scenarios:
        scenario.comes_to(("slow_rate", "delivered", None))
    sends = [
        entry for entry in service_client.sandbox("GET", "/sandbox/journal")["requests"] if _from(entry, "slow_rate")
    ]
    times = sorted(datetime.fromisoformat(entry["received_at"]).timestamp() for entry in sends)
    assert len(times) == 20
    assert times[-1] - times[0] >= 3.0
    # Never many at once, on the busiest machine: any ten are well more than a second's worth.
    assert min(late - early for early, late in zip(times, times[9:], strict=False)) >= 1.0


def _from(entry: dict[str, Any], sender: str) -> bool:
    return isinstance(entry["body"], dict) and entry["body"].get("from") == address(sender)


def test_silence_is_asked_about(service_client: ServiceClient) -> None:
    """No webhook comes: the carrier is asked by message id, ten seconds after the send at the latest."""
    scenario = Scenario(service_client, "dropped", webhooks={"drop_rate": 1.0})
    scenario.comes_to(("dropped", "delivered", None), timeout_s=15)
    (send,) = service_client.sends(scenario.number)
    message_id = service_client.inbox(scenario.number)[0]["id"]
    asked = _asks(service_client, message_id)
    took = asked[0] - datetime.fromisoformat(send["answered_at"]).timestamp()
    assert took <= 11


def _asks(service_client: ServiceClient, message_id: str) -> list[float]:
    journal = service_client.sandbox("GET", "/sandbox/journal")["requests"]
    found = [e for e in journal if e["method"] == "GET" and e["path"] == f"/v2/messages/{message_id}"]
    return [datetime.fromisoformat(entry["received_at"]).timestamp() for entry in found]


def test_a_mixture(service_client: ServiceClient) -> None:
    """Half of the answers lost or refused, webhooks dropped, doubled, forged and out of order: every code arrives."""
    everything = {"duplicate": 2, "reorder": True, "forge_rate": 0.3, "drop_rate": 0.3}
    stop = threading.Event()

    def moods() -> None:
        modes = ("http_500", "reset_after_request", "http_429", "half_body")
        for turn in range(1000):
            mood = {"send": {"mode": modes[turn % 4], "rate": 0.5}, "webhooks": everything}
            service_client.chaos(senders={address("mixed"): mood, address("mixed_b"): {"webhooks": everything}})
            if stop.wait(0.3):
                return

    weather = threading.Thread(target=moods)
    weather.start()
    try:
        with ThreadPoolExecutor(8) as pool:
            scenarios = list(pool.map(lambda _: Scenario(service_client, "mixed"), range(30)))
        for scenario in scenarios:
            scenario.ends_by("mixed", "mixed_b")
    finally:
        stop.set()
        weather.join()
    for scenario in scenarios:
        assert len(set(scenario.texts())) == 1
        one_key_one_body(service_client.sends(scenario.number))
        told = service_client.events(scenario.id, "mixed")
        assert told.count("delivery.fell_back") <= 1
        if len(scenario.texts()) == 2:
            assert {"delivery.unknown", "delivery.fell_back"} <= set(told), told


def test_everything_ends_with_a_reason(service_client: ServiceClient, long_ones: list[Scenario]) -> None:
    """A minute after the code's life nothing is under way; what nobody confirmed is called so; nothing came late."""
    for scenario in long_ones:
        scenario.closes()
    by_name = {scenario.name: scenario for scenario in long_ones}
    assert by_name["silent"].told()[0] == ("silent", "unconfirmed", "no_receipt")
    assert by_name["unknown_quiet"].told()[0] == ("unknown_quiet", "unconfirmed", "answer_lost")
    assert by_name["alone_500"].told() == [("alone_500", "unconfirmed", "answer_lost")]
    assert by_name["alone_429"].told() == [("alone_429", "expired", "code_expired")]
    for mode in LOST_MODES:
        assert by_name[f"lost_{mode}"].told()[0][1] == "unconfirmed"
    for scenario in long_ones:
        shown = service_client.show(scenario.id, scenario.name)
        ended = datetime.fromisoformat(shown["expires_at"]).timestamp()
        sends = service_client.sends(scenario.number)
        assert all(datetime.fromisoformat(entry["received_at"]).timestamp() < ended for entry in sends), scenario.name
        one_key_one_body(sends)
        assert service_client.events(scenario.id, scenario.name).count("delivery.fell_back") <= 1
    silent = by_name["silent"]
    expires = datetime.fromisoformat(service_client.show(silent.id, "silent")["expires_at"]).timestamp()
    asked = _asks(service_client, service_client.inbox(silent.number)[0]["id"])
    assert len([at for at in asked if at > expires]) == 1
