"""`RateLimit-Policy` and `RateLimit` on starts: Structured Fields that a client can obey, and nothing of the person."""

import re
from dataclasses import replace

from otp_service import bootstrap

from .conftest import Answer, ApiHarness

ITEM = re.compile(r'"([a-z_./0-9]+)"((?:;[a-z]+=[0-9]+)+)')
"""A string with integer parameters, the part of RFC 9651 that the draft uses."""


def items(text: str | None) -> dict[str, dict[str, int]]:
    """The members of a list by name."""
    found = {}
    for member in (text or "").split(", "):
        match = ITEM.fullmatch(member)
        assert match is not None, text
        parameters = [part.split("=") for part in match[2][1:].split(";")]
        found[match[1]] = {name: int(value) for name, value in parameters}
    return found


def refused(answer: Answer) -> tuple[str, dict[str, int]]:
    """The one policy that refuses, which stands among the policies; its time is that of Retry-After."""
    assert answer.status == 429
    ((name, state),) = items(answer.header("RateLimit")).items()
    assert name in items(answer.header("RateLimit-Policy"))
    assert state == {"r": 0, "t": int(answer.header("Retry-After") or 0)}
    return name, state


def test_a_start_tells_its_limits(api: ApiHarness) -> None:
    """Each window of each limit by a name of its own, with quota and window; a repeat too."""
    number = api.number()
    answer = api.start(number, "twice", client_ip="203.0.113.9")
    assert answer.header("RateLimit") is None
    policies = items(answer.header("RateLimit-Policy"))
    assert policies["service.sends_per_number/600"] == {"q": 5, "w": 600}
    assert policies["service.sends_per_number/86400"] == {"q": 20, "w": 86400}
    assert policies["starts_per_number/3600"] == {"q": 50, "w": 3600}
    assert policies["starts_per_client_ip/60"] == {"q": 1000, "w": 60}
    assert policies["resend_after/3600"] == {"q": 2, "w": 3600}
    repeat = api.start(number, "twice")
    assert (repeat.status, items(repeat.header("RateLimit-Policy"))) == (200, policies)
    assert "pk" not in str(answer.headers)


def test_a_start_that_is_told_again_tells_them_too(api: ApiHarness) -> None:
    """Under its Idempotency-Key: a client that lost the first answer misses nothing."""
    body, key = {"to": api.number()}, {"Idempotency-Key": "told-again"}
    first, again = (api.call("POST", "/verify/start", body, headers=key) for _ in range(2))
    assert (again.status, again.header("Idempotent-Replayed"), again.json) == (201, "true", first.json)
    assert again.header("RateLimit-Policy") == first.header("RateLimit-Policy")


def test_an_app_that_is_gone_gets_its_reply_again(api: ApiHarness) -> None:
    """Of its limits nothing is known any more."""
    body, key = {"to": api.number()}, {"Idempotency-Key": "told-again"}
    first = api.call("POST", "/verify/start", body, headers=key)
    apps = {name: app for name, app in api.settings.policy.apps.items() if name != "default"}
    without = replace(api.settings, policy=replace(api.settings.policy, apps=apps))
    bootstrap.accept_keyring(without)  # the store of each test is empty at first, and says nothing of its keyring
    later = ApiHarness(bootstrap.build_web(without), without, api.vault, api.seed, api.store)
    told = later.call("POST", "/verify/start", body, key=api.key(), headers=key)
    assert (told.status, told.json, told.header("RateLimit-Policy")) == (201, first.json, None)


def test_a_start_tells_no_limit_that_it_cannot_meet(api: ApiHarness) -> None:
    """An entry of wrong codes refuses checks alone, one in monitor mode nobody; the others are told."""
    told = {
        app: items(api.start(api.number(), app).header("RateLimit-Policy")) for app in ("guessed", "watched", "limited")
    }
    assert "guesses/3600" not in told["guessed"]
    assert "wrong_codes_per_number/86400" in told["guessed"]
    assert "watched/3600" not in told["watched"]
    assert told["limited"]["accounts/3600"] == {"q": 2, "w": 3600}


def test_a_refusal_names_the_limit_and_its_time(api: ApiHarness) -> None:
    """The ladder, the caps, wrong codes, an address, an app: a client that waits `t` seconds passes."""
    number = api.number()
    api.started(number, purpose="a")
    assert refused(api.start(number, purpose="a"))[0] == "resend_after/3600"
    for purpose in "bcde":
        api.started(number, purpose=purpose)
    assert refused(api.start(number, purpose="f"))[0] == "service.sends_per_number/600"
    guessed = api.number()
    started = api.started(guessed, "strict")
    for _ in range(2):
        api.check(started, api.wrong(started), "strict")
    assert refused(api.start(guessed, "strict"))[0] == "wrong_codes_per_number/3600"
    api.started(api.number(), "capped")
    assert refused(api.start(api.number(), "capped"))[0] == "starts_per_app/3600"
    address = {"client_ip": "203.0.113.10"}
    api.started(api.number(), "address", **address)
    assert refused(api.start(api.number(), "address", **address))[0] == "starts_per_client_ip/3600"


def test_other_answers_say_nothing_of_limits(api: ApiHarness) -> None:
    """Neither a refusal that no limit made, nor a dry run, nor a check."""
    number = api.number()
    for answer in (
        api.start("+447400123456"),
        api.start(number, dry_run=True),
        api.check(api.started(number), "000000", to=api.number()),
    ):
        assert answer.header("RateLimit") is None
        assert answer.header("RateLimit-Policy") is None
