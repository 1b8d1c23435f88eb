"""Sending again, and a person who denies the start."""

import time

from ..service_client import ServiceClient, at_once, within
from .scenario import Scenario, address, with_status


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
        restart = lambda: with_status(service_client.start(scenario.number, "resend"), 200)  # noqa: E731
        second = within(60, restart, "the second send")
        assert second.json()["verification_id"] == scenario.id
        # It fails, and what worked works on.
        within(60, lambda: len(scenario.texts()) == 2, "the second SMS")
        scenario.carrier("resend", delivery={"outcome": "delivery_failed", "error_code": "40008"})
        third = within(60, restart, "the third send")
        assert (third.json()["sends_left"], third.json()["resend_in"]) == (0, None)
        within(60, lambda: scenario.outcomes()[-1] == ("resend", "failed", "40008"), "the failure")
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
        within(60, lambda: scenario.outcomes()[0][1] == "failed", "the refusal")
        assert scenario.outcomes()[0][2] == "40305"
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
        within(60, lambda: scenario.outcomes()[1:] == [("half_known_b", "failed", "40305")], "the refusal")
        assert len(scenario.texts()) == 1
        assert service_client.start(scenario.number, "half_known").status_code == 429

    at_once(again, given_back, kept)


def test_that_was_not_me(service_client: ServiceClient) -> None:
    """NO to the code's SMS ends the verification, with its event; the word is the app's, the number the code's."""

    def says(word: str) -> None:
        scenario = Scenario(service_client, "denied")
        scenario.comes_to(("denied", "delivered", None))
        code = scenario.service_client.code(scenario.number)
        service_client.reply(scenario.number, word, address("denied"))
        within(60, lambda: service_client.show(scenario.id, "denied")["status"] == "denied", "the denial")
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
