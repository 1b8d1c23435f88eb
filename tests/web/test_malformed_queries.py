"""Query parameters and cursors that are not what the contract asks for."""

import base64
import json

import pytest

from .conftest import ApiHarness

QUERIES = [
    "limit=0",
    "limit=00001",
    "app=x&type=`$.app",
    "limit=5&type=`$.limit",
    "type=a - at `$.app`",
    "limit=1001",
    "limit=-1",
    "limit=abc",
    "limit=1e2",
    "limit=%D9%A1",
    "limit=" + "9" * 5000,
    "limit=1&limit=2",
    "limit=",
    "nope=1",
    "cursor=x",
    "cursor=%00",
    "cursor=%FF",
    "cursor=" + "A" * 5000,
    "cursor=W10",
    "cursor=e30",
    "cursor=MQ",
    "since=yesterday",
    "since=2026-13-01T00:00:00Z",
    "since=2026-01-01",
    "since=1960-01-01T00:00:00Z",
    "since=99999-01-01T00:00:00Z",
    "until=2026-01-01T00:00:00",
    "until=2026-01-01T00:00:00Z%0A",
    "until=0001-01-01T00:00:00%2B23:59",
    "type=nope",
    "type=",
    "type=delivery.sent&type=nope",
    "app=a&app=b",
    "=",
    "%FF=%FE",
    "a" * 5000 + "=1",
]


@pytest.mark.parametrize("query", QUERIES, ids=range(len(QUERIES)))
def test_queries_that_cannot_be_meant(api: ApiHarness, query: str) -> None:
    """Unknown, repeated, unreadable or impossible parameters of the audit query are 400, not ignored."""
    api.call("GET", f"/audit/events?{query}").problem(400, "invalid_request")


def test_the_parameter_that_is_wrong_is_named_whatever_its_value_says(api: ApiHarness) -> None:
    """A value that looks like a path of the parser blames no other parameter."""
    problem = api.call("GET", "/audit/events?limit=5&type=`$.limit").problem(400, "invalid_request")
    assert [error["pointer"] for error in problem["errors"]] == ["?type"]


def test_cursors_that_nobody_gave(api: ApiHarness) -> None:
    """A cursor of the right shape with positions the store cannot have is 400, or reads on from there; never 503."""
    api.started(api.number())
    for position in ("0-0", "9" * 20 + "-0", "0-" + "9" * 25, "18446744073709551616-0", "18446744073709551615-1", "-"):
        raw = json.dumps([position] * api.settings.shards).encode()
        cursor = base64.urlsafe_b64encode(raw).rstrip(b"=").decode()
        assert api.call("GET", f"/audit/events?cursor={cursor}").status in (200, 400), position


@pytest.mark.parametrize(
    "query",
    [
        "type=delivery.sent&type=check.failed",
        "limit=1000",
        "app=nobody",
        "since=2026-01-01T00:00:00%2B01:00",
        "until=9999-12-31T23:59:59-23:59",
    ],
)
def test_queries_that_are_meant(api: ApiHarness, query: str) -> None:
    """Repeated types, the largest page, an app without events, times with a zone."""
    assert api.call("GET", f"/audit/events?{query}").status == 200


def test_a_number_whose_plus_sign_was_not_escaped(api: ApiHarness) -> None:
    """The plus sign of a query arrives as a space. The number is found all the same; other blanks are no number."""
    number = api.number()
    api.started(number)
    escaped, typed = (api.call("GET", f"/audit/events?number={sign}{number[1:]}").json for sign in ("%2B", "+"))
    assert typed == escaped
    assert typed["events"]
    for other in (f"++{number[1:]}", f"%20%20{number[1:]}", f"+{number[1:]}+", number[1:]):
        api.call("GET", f"/audit/events?number={other}").problem(422, "invalid_number")
