"""A hundred requests at once from three processes, each in a thread of its own: never one more than a limit allows."""

from collections import Counter
from typing import Any

from otp_service import bootstrap

from .conftest import ApiHarness
from .days import stay_within_a_day
from .three_processes import ask, processes

START = "/verify/start"
PASSED, REFUSED = (201, ""), (429, "rate_limited")


def starts(api: ApiHarness, count: int, **members: Any) -> list[dict[str, Any]]:
    """Starts for as many numbers."""
    return [{"to": api.number(), **members} for _ in range(count)]


def test_three_processes_count_as_one(api: ApiHarness) -> None:
    """Starts by a word of the caller, wrong codes by address; and where two limits refuse, no slot is lost for good."""
    key, guessing = api.key("limited"), api.key("guessed")
    verifications = [api.started(api.number(), "guessed") for _ in range(51)]
    guesses = [{"verification_id": one, "code": api.wrong(one), "client_ip": "198.51.100.77"} for one in verifications]
    with processes(api) as running:
        answers = ask(running, key, starts(api, 102, limit_keys={"crowd": "a"}), START)
        assert answers == Counter({PASSED: 37, REFUSED: 65})
        answers = ask(running, guessing, guesses)
        assert answers == Counter({(422, "code_incorrect"): 2, (429, "too_many_wrong_codes"): 49})
        stay_within_a_day(api)
        answers = ask(running, api.key("spending"), starts(api, 102), START)
        with bootstrap.open_spending(api.settings) as table:
            assert list(table.read("spending").counted.values()) == [120_000]
        assert answers == Counter({PASSED: 12, (403, "guard_refused"): 90})
        both = {"limit_keys": {"crowd": "b"}, "device_id": "crowded"}
        answers = ask(running, key, starts(api, 102, **both), START)
    passed = answers[PASSED]
    assert answers == Counter({PASSED: passed, REFUSED: 102 - passed})
    assert passed <= 2
    in_a_row = [api.call("POST", START, body, key=key).status for body in starts(api, 3, **both)]
    assert in_a_row.count(201) == 2 - passed
    alone = [api.call("POST", START, body, key=key).status for body in starts(api, 36, limit_keys=both["limit_keys"])]
    assert alone.count(201) == 35
