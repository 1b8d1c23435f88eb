"""Every accepted start ends, and says how."""

import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime

from ..service_client import ServiceClient, one_key_one_body
from .scenario import LOST_MODES, Scenario, address


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
