"""Two apps on one service: what one of them can read says nothing about the customers of the other."""

import json
import re
from collections.abc import Callable

import pytest

from .conftest import OTHER_PROFILE, Answer, ApiHarness
from .webhook_events import finalized

READERS = ("audit:read", "optouts:read", "verify")
MINE, THEIRS = "default", "backed"


def plus(number: str) -> str:
    """The number as a part of a URL."""
    return number.replace("+", "%2B")


def scrubbed(answer: Answer) -> tuple[int, str, list[str]]:
    """An answer without the id of its request and the seconds that run down."""
    names = sorted(name for name, _ in answer.headers)
    text = re.sub(r"req_[0-9a-f]{24}", "REQUEST", answer.body.decode())
    return answer.status, re.sub(r'"(expires_in|resend_in)":[0-9]+', "", text), names


def readings(api: ApiHarness, person: str, mine: str) -> list[tuple[int, str, list[str]]]:
    """Everything that `MINE` may read of this person and of its own verification, in every form and page size."""
    key = api.key(MINE, *READERS)
    paths = [f"/verify/{mine}", f"/optouts/{plus(person)}"]
    filters = ["", f"number={plus(person)}", f"app={THEIRS}", f"verification={mine}", "type=optout.added"]
    filters += ["type=verification.started", "type=webhook.rejected", "since=2020-01-01T00:00:00Z"]
    paths += [f"/audit/events?{query}&limit={limit}" for query in filters for limit in (1, 2, 1000)]
    found = [api.call("GET", path, key=key) for path in paths]
    found.append(api.call("POST", "/verify/check", {"to": person, "code": "123456"}, key=key))
    answers = [scrubbed(answer) for answer in found]
    return answers + [scrubbed(page) for page in following(api, key)]


def following(api: ApiHarness, key: str) -> list[Answer]:
    """All pages of the record, one event each."""
    pages = [api.call("GET", "/audit/events?limit=1", key=key)]
    while pages[-1].json["next_cursor"]:
        pages.append(api.call("GET", f"/audit/events?limit=1&cursor={pages[-1].json['next_cursor']}", key=key))
    return pages


def is_started(api: ApiHarness, person: str) -> None:
    """A code is sent."""
    api.started(person, THEIRS)


def is_guessed(api: ApiHarness, person: str) -> None:
    """Wrong codes, and the right one."""
    verification = api.started(person, THEIRS)
    api.check(verification, api.wrong(verification), THEIRS)
    api.check(verification, api.code(verification), THEIRS)


def is_refused(api: ApiHarness, person: str) -> None:
    """A start that comes too soon."""
    api.started(person, THEIRS)
    api.start(person, THEIRS).problem(429, "resend_too_soon")


def is_denied(api: ApiHarness, person: str) -> None:
    """The person says that it was not them."""
    api.started(person, THEIRS)
    api.opt_out(person, text="NO")


def opts_out(api: ApiHarness, person: str) -> None:
    """Of a profile that only other apps use."""
    api.opt_out(person, OTHER_PROFILE)


def is_reached(api: ApiHarness, person: str) -> None:
    """A message arrives."""
    delivery = api.started(person, THEIRS).replace("vrf_", "dlv_") + "-1"
    api.hook(finalized(person, delivery, "delivered"))
    assert api.store.keys("*:sticky:*")


@pytest.mark.parametrize("happens", [is_started, is_guessed, is_refused, is_denied, opts_out, is_reached])
def test_what_an_app_reads_says_nothing_of_anothers_customer(
    api: ApiHarness, happens: Callable[[ApiHarness, str], None]
) -> None:
    """Byte for byte the same before and after the person became a customer of the other app, cursors too."""
    person = api.number()
    mine = [api.started(api.number(), MINE) for _ in range(3)]
    before = readings(api, person, mine[0])
    happens(api, person)
    happens(api, api.number())
    assert readings(api, person, mine[0]) == before
    again = api.start(person, MINE)
    assert again.status == 201
    assert [delivery["sender"] for delivery in again.json["deliveries"]] == ["pool"]


def test_hashes_of_a_number_are_an_apps_own(api: ApiHarness) -> None:
    """Two apps that compare their records find no common person: each has its own `sub`."""
    person = api.number()
    subs = {app: api.start(person, app).json["sub"] for app in (MINE, THEIRS)}
    for app, sub in subs.items():
        page = api.call("GET", "/audit/events", key=api.key(app, "audit:read")).json
        assert {event["number_hash"] for event in page["events"]} == {sub, None}
    everything = json.dumps(api.call("GET", "/audit/events", key=api.key(MINE, "audit:all")).json)
    assert api.vault.ids.number_hash(person) not in everything
