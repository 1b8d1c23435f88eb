"""Breakers and rates: a sender that is down is passed over, and each sender keeps its own rate."""

import time
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from typing import Any

from ..service_client import ServiceClient, at_once, within
from .scenario import Scenario, address


def _circuits(service_client: ServiceClient) -> dict[str, float]:
    text = service_client.call("GET", "/metrics").text
    lines = [line for line in text.splitlines() if line.startswith("otp_circuit_open{")]
    return {line.split('"')[1]: float(line.rsplit(" ", 1)[1]) for line in lines}


def test_breakers(service_client: ServiceClient) -> None:
    """Faults in a row: codes take the other sender at once; then a probe finds that the sender is well again."""

    def down() -> None:
        scenarios = [Scenario(service_client, "down", send={"mode": "http_500"}) for _ in range(6)]
        within(60, lambda: _circuits(service_client).get("sender:down", 0) > 0, "the open breaker")
        for scenario in scenarios:
            scenario.ends_by("down_b")
            assert len(scenario.texts()) == 1
        scenarios[0].carrier("down", send={"mode": "ok"})

        def closed() -> bool:
            scenario = Scenario(service_client, "down")
            within(60, lambda: scenario.outcomes()[-1][1] == "delivered", "the delivery")
            return _circuits(service_client)["sender:down"] == 0

        def first_again() -> bool:
            scenario = Scenario(service_client, "down")
            scenario.ends_by("down", "down_b")
            return scenario.outcomes() == [("down", "delivered", None)]

        within(90, closed, "the closed breaker")
        # Not in the same moment: each part of a process believes for half a second what it has read.
        within(60, first_again, "the first sender")

    def pumped() -> None:
        # A refusal of the carrier counts at once, and for a day.
        first = Scenario(service_client, "pumped", delivery={"outcome": "delivery_failed", "error_code": "40020"})
        first.comes_to(("pumped", "failed", "40020"), ("pumped_b", "delivered", None))
        assert within(60, lambda: _circuits(service_client).get("sender:pumped"), "the open breaker") == 1

        def passed_over() -> bool:
            scenario = Scenario(service_client, "pumped")
            scenario.ends_by("pumped_b")
            return scenario.froms() == [address("pumped_b")]

        # Each process believes for a moment what it has read.
        within(60, passed_over, "a code that passes it over")
        for _ in range(3):
            scenario = Scenario(service_client, "pumped")
            scenario.comes_to(("pumped_b", "delivered", None))
            assert scenario.froms() == [address("pumped_b")]

    at_once(down, pumped)


def test_a_sender_keeps_its_own_rate(service_client: ServiceClient) -> None:
    """Twenty codes by a sender of five a second: four seconds, and none is missing."""
    began = time.time()
    with ThreadPoolExecutor(8) as pool:
        scenarios = list(pool.map(lambda _: Scenario(service_client, "slow_rate"), range(20)))
    for scenario in scenarios:
        scenario.comes_to(("slow_rate", "delivered", None))
    sends = [
        entry for entry in service_client.sandbox("GET", "/sandbox/journal")["requests"] if _from(entry, "slow_rate")
    ]
    times = sorted(datetime.fromisoformat(entry["received_at"]).timestamp() for entry in sends)
    assert len(times) == 20
    # A busy machine delays some, so that they come with the next ones: none comes before its turn.
    assert all(at - began >= place / 5 - 1 for place, at in enumerate(times))
    assert times[-1] - began >= 3.0


def _from(entry: dict[str, Any], sender: str) -> bool:
    return isinstance(entry["body"], dict) and entry["body"].get("from") == address(sender)
