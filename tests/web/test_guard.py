"""The pumping guard at the edge: what a refused caller is told, logins that ended well otherwise, and its commands."""

import json

import pytest

from otp_service import bootstrap
from otp_service.domain.errors import InvalidRequest

from ..conftest import wait_until
from .conftest import ApiHarness
from .people import Person


def number(line: int) -> str:
    """A number of one block of 1,000."""
    return f"+12023302{line:03d}"


def spent(api: ApiHarness) -> None:
    """The block's budget is spent."""
    assert [api.start(number(line)).status for line in range(6)] == [201] * 5 + [403]


def test_a_refusal_says_why_and_how_else(api: ApiHarness) -> None:
    """The budget, and the other ways of the subject; it shows no number."""
    spent(api)
    problem = api.start(number(10)).problem(403, "guard_refused")
    assert (problem["reason"], problem["alternatives"]) == ("block_1k", [])
    api.call("POST", "/factors/totp", {"subject": "ann"})
    preview = api.start(number(10), dry_run=True)
    assert preview.status == 200
    assert preview.json["would"] == "refuse"
    assert preview.json["refused_by"] == {"code": "guard_refused", "limit": "block_1k", "retry_after": None}


def test_numbers_for_examples_are_left_alone_with_a_sandbox(api: ApiHarness) -> None:
    """An honest test of many starts from one caller is never refused: the exchange 555 of any area code."""
    calls = [api.start(f"+1202555{line:04d}", client_ip="198.51.100.7") for line in range(0, 1_200, 24)]
    assert {call.status for call in calls} == {201}


def test_a_known_user_and_another_app_have_their_own(api: ApiHarness) -> None:
    """Budgets are an app's; a start whose caller knows the user costs half."""
    spent(api)
    assert api.start(number(11), "other").status == 201
    assert [api.start(f"+12023303{line:03d}", known_user=True).status for line in range(11)] == [201] * 10 + [403]


def test_a_login_that_ended_well_otherwise_makes_room(api: ApiHarness) -> None:
    """Its app says so, once; another app's is not found."""
    started = api.started(number(50))
    assert [api.start(number(line)).status for line in range(5)] == [201] * 4 + [403]
    path = f"/verify/{started}/completed"
    api.call("POST", path, key="other").problem(404, "verification_not_found")
    api.call("POST", path, {"more": 1}).problem(400, "invalid_request")
    assert [api.call("POST", path).status for _ in range(2)] == [200, 200]
    timeline = api.call("GET", f"/verify/{started}").json["timeline"]
    assert [entry["event"] for entry in timeline].count("verification.completed") == 1
    assert [api.start(number(line)).status for line in range(60, 62)] == [201, 403]


def test_what_the_person_denied_cannot_be_completed(api: ApiHarness) -> None:
    """It says why, and is no event; what was canceled can be."""
    denied, canceled = api.started(number(50)), api.started(number(51))
    (record,) = api.store.keys(f"*:verification:{denied.removeprefix('vrf_')}")
    api.store.hset(record, "status", "denied")
    for _ in range(2):
        api.call("POST", f"/verify/{denied}/completed").problem(410, "verification_denied")
    timeline = api.call("GET", f"/verify/{denied}").json["timeline"]
    assert "verification.completed" not in [entry["event"] for entry in timeline]
    assert api.call("POST", f"/verify/{canceled}/cancel").json["status"] == "canceled"
    assert api.call("POST", f"/verify/{canceled}/completed").json["status"] == "canceled"
    assert [api.start(number(line)).status for line in range(5)] == [201] * 4 + [403]


def test_an_approval_by_another_factor_makes_room(api: ApiHarness) -> None:
    """Of the person to whose number the code was sent; it is given back in the background."""
    person = Person(api, "user-50")
    api.started(number(50), subject=person.subject)
    assert [api.start(number(line)).status for line in range(5)] == [201] * 4 + [403]
    assert person.check(person.recovery_codes()[0]).status == 200
    wait_until(lambda: api.start(number(60)).status == 201, what="the room")


def test_the_safe_list_is_changed_by_command(api: ApiHarness) -> None:
    """Each change is an event; a block is named by its beginning, and shown as a keyed hash."""
    with bootstrap.open_guard(api.settings) as parts:
        assert parts.edit.add("+12023309***", "office")
        assert not parts.edit.add("+12023309***", "office")
        assert parts.edit.add("CA", "test")
        assert parts.edit.add(number(1), "Ticket 4711")
        for wrong in ("2025550143", "XX0"):
            with pytest.raises(InvalidRequest):
                parts.edit.add(wrong, "test")
        listed = parts.safe_list.all()
        assert {name.partition(":")[0] for name in listed} == {"block", "country", "number"}
        assert all(parts.edit.remove(name, "done") for name in listed)
        assert not parts.safe_list.all()
    events = api.call("GET", "/audit/events?type=guard.safe_listed").json["events"]
    assert len(events) == 3
    assert "2023309" not in json.dumps(events)
    number_hash = api.vault.ids.number_hash(number(1))
    # The hash of a number stands where it can be erased, in the form for readers; no detail holds it.
    assert [event["detail"]["entry"] for event in events if event["number_hash"]] == ["number"]
    assert number_hash not in json.dumps(events)
    found = api.call("GET", f"/audit/events?number=%2B{number(1)[1:]}").json["events"]
    assert [event["type"] for event in found] == ["guard.safe_listed", "guard.safe_removed"]


def test_the_states_of_budgets_can_be_read(api: ApiHarness) -> None:
    """As `guard status` prints them: those of countries, and of all of them."""
    spent(api)
    with bootstrap.open_guard(api.settings) as parts:
        state = parts.states.read("default", api.settings.policy.apps["default"].guard)
    levels = {(one.region, one.budget): (round(one.level), one.most) for one in state.budgets}
    assert state.only_reports
    assert (levels["US", "country"], levels["", "total"]) == ((5, 20), (5, 60))
