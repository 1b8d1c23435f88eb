"""Silence of the carrier, and a mixture of faults: everybody gets one code."""

import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime

from ..service_client import ServiceClient, one_key_one_body
from .scenario import Scenario, address, polls_of


def test_silence_is_asked_about(service_client: ServiceClient) -> None:
    """No webhook comes: the carrier is asked by message id, ten seconds after the send at the latest."""
    scenario = Scenario(service_client, "dropped", webhooks={"drop_rate": 1.0})
    scenario.comes_to(("dropped", "delivered", None), timeout_s=60)
    (send,) = service_client.sends(scenario.number)
    message_id = service_client.inbox(scenario.number)[0]["id"]
    asked = polls_of(service_client, message_id)
    took = asked[0] - datetime.fromisoformat(send["answered_at"]).timestamp()
    # Without that question the next one would be at the end of the code, after five minutes.
    assert took <= 40


def test_a_mixture_of_faults_delivers_every_code(service_client: ServiceClient) -> None:
    """Half of the answers lost or refused, webhooks dropped, doubled, forged and out of order: every code arrives."""
    everything = {"duplicate": 2, "reorder": True, "forge_rate": 0.3, "drop_rate": 0.3}
    stop = threading.Event()

    def change() -> None:
        modes = ("http_500", "reset_after_request", "http_429", "half_body")
        for turn in range(1000):
            mood = {"send": {"mode": modes[turn % 4], "rate": 0.5}, "webhooks": everything}
            service_client.chaos(senders={address("mixed"): mood, address("mixed_b"): {"webhooks": everything}})
            if stop.wait(0.3):
                return

    changing = threading.Thread(target=change)
    changing.start()
    try:
        with ThreadPoolExecutor(8) as pool:
            scenarios = list(pool.map(lambda _: Scenario(service_client, "mixed"), range(30)))
        for scenario in scenarios:
            scenario.ends_by("mixed", "mixed_b")
    finally:
        stop.set()
        changing.join()
    for scenario in scenarios:
        assert len(set(scenario.texts())) == 1
        one_key_one_body(service_client.sends(scenario.number))
        events = service_client.events(scenario.id, "mixed")
        assert events.count("delivery.fell_back") <= 1
        if len(scenario.texts()) == 2:
            assert {"delivery.unknown", "delivery.fell_back"} <= set(events), events
