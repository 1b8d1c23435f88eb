"""`[[limits]]` of the configuration: what is read, and what is told of what cannot be used."""

from pathlib import Path

import pytest

from otp_service.domain.policy import CountedBy, Limit, LimitEvent, LimitKey, LimitMode, NamedLimit

from .reading import read
from .test_faults import lines

APP = """
[senders.pool]
kind = "number_pool"
messaging_profile_id = "p-1"
[apps.shop]
brand = "Acme"
route = ["pool"]
"""


def test_an_entry_is_read(tmp_path: Path) -> None:
    """With all that it may have; and with as little as it must have: it counts starts of all apps, and refuses."""
    text = """
[[limits]]
name = "offices"
key = ["client_ip", "custom:tenant"]
event = "send"
rules = [{limit = 3, per = "10m"}, {limit = 9, per = "24h"}]
mode = "monitor"
apps = ["shop"]
[[limits]]
name = "words"
key = "custom"
rules = [{limit = 1, per = 60}]
"""
    offices, words = read(tmp_path, APP + text).policy.limits
    assert offices == NamedLimit(
        "offices",
        (CountedBy(LimitKey.CLIENT_IP), CountedBy(LimitKey.CUSTOM, "tenant")),
        LimitEvent.SEND,
        (Limit(3, 600_000), Limit(9, 86_400_000)),
        LimitMode.MONITOR,
        frozenset({"shop"}),
    )
    assert words == NamedLimit("words", (CountedBy(LimitKey.CUSTOM),), LimitEvent.START, (Limit(1, 60_000),))


BAD = """
[[limits]]
name = "starts_per_app"
key = "pigeon"
event = "login"
rules = []
mode = "warn"
apps = ["bank"]
[[limits]]
name = "twice"
key = []
rules = [{limit = 1, per = "0s"}]
colour = "red"
[[limits]]
name = "twice"
key = ["app", "app"]
rules = [{limit = 0, per = "1h"}]
[[limits]]
event = "wrong_code"
key = ["number", "country"]
[[limits]]
name = "no name"
key = "custom:"
rules = 7
"""


def test_all_faults_are_reported_at_once(tmp_path: Path) -> None:
    """Each names its entry, its key and its value."""
    head, *faults = lines(tmp_path, APP + BAD)
    told = dict(line.strip().split(": ", 1) for line in faults)
    assert head == f"the configuration has {len(faults)} faults:"
    assert len(told) == len(faults) == 18
    for where, value in {
        "limits[0].name": "'starts_per_app'",
        "limits[0].key": "'pigeon'",
        "limits[0].event": "'login'",
        "limits[0].rules": "at least one",
        "limits[0].mode": "'warn'",
        "limits[0].apps": "'bank'",
        "limits[1].colour": "unknown key",
        "limits[1].key": "must name",
        "limits[1].rules": "at least 1s",
        "limits[2].key": "'app' is in the list twice",
        "limits[2].name": "'twice'",
        "limits[2].rules[0].limit": "1",
        "limits[3].name": "missing",
        "limits[3].rules": "missing",
        "limits[3].key": "'country'",
        "limits[4].name": "'no name'",
        "limits[4].key": "'custom:'",
        "limits[4].rules": "a list",
    }.items():
        assert value in told[where], where


@pytest.mark.parametrize("text", ["limits = 7", "[limits]\nname = 'x'"])
def test_what_is_no_list_of_tables_is_said(tmp_path: Path, text: str) -> None:
    """One line, with what to write."""
    assert lines(tmp_path, f"{text}\n{APP}") == ["limits: must be a list of tables; write [[limits]]"]
