"""The records of running processes: written, read and forgotten by the store's clock; what differs is named."""

from typing import Any

import pytest

from otp_service.domain.fleet import (
    API,
    KEPT_MS,
    WORKER,
    ProcessRecord,
    differences,
    webhook_verdicts,
    wrong_clocks,
)
from otp_service.storage import readiness
from otp_service.storage.fleet import Fleet
from otp_service.storage.schema.encodings import ProcessEntry

from .harness import StoreHarness


def record(**changes: Any) -> ProcessRecord:
    """One of a process that is as all others."""
    same: dict[str, Any] = {
        "role": API,
        "host": "a",
        "pid": 1,
        "version": "1.0",
        "configuration": {"apps": "c1", "senders": "s1"},
        "keyring": "k1",
        "key_ids": ("x",),
        "webhook_keys": "w1",
    }
    return ProcessRecord(**(same | changes))


@pytest.fixture
def fleet(harness: StoreHarness) -> Fleet:
    """That of the harness."""
    return Fleet(harness.store, harness.scripts, harness.keys)


def test_each_process_is_seen_until_it_ends(harness: StoreHarness, fleet: Fleet) -> None:
    """What was said is read again; a process that ends is forgotten at once, all of them by themselves."""
    other = record(role=WORKER, pid=2, webhook_keys="", ahead_ms=7)
    fleet.write("p1", record())
    fleet.write("p2", other)
    fleet.write("p1", record(webhooks_good=3))
    assert fleet.live() == [record(webhooks_good=3), other]
    fleet.forget("p2")
    assert fleet.live() == [record(webhooks_good=3)]
    assert 0 < harness.raw.pttl(harness.keys.processes()) <= KEPT_MS


@pytest.mark.parametrize("age_ms", [KEPT_MS + 1_000, -KEPT_MS - 1_000])
def test_a_process_that_was_killed_is_gone(harness: StoreHarness, fleet: Fleet, age_ms: int) -> None:
    """Nobody sees it, and the next one that says something removes it; also if the store's clock was set back."""
    fleet.write("p1", record())
    (entry,) = harness.raw.hvals(harness.keys.processes())
    said_at, said = ProcessEntry.parse(entry)
    harness.raw.hset(harness.keys.processes(), "p1", ProcessEntry.pack(int(said_at) - age_ms, said))
    assert fleet.live() == []
    fleet.write("p2", record(pid=2))
    assert harness.raw.hkeys(harness.keys.processes()) == ["p2"]


@pytest.mark.parametrize("text", ["", "x", "1|", "{now}|{{}}", "{now}|[]", "{now}|\x00"])
def test_what_cannot_be_read_is_no_process(harness: StoreHarness, fleet: Fleet, text: str) -> None:
    """A process of another version may say other things."""
    fleet.write("p1", record())
    harness.raw.hset(harness.keys.processes(), "p2", text.format(now=harness.now()))
    assert fleet.live() == [record()]


@pytest.mark.parametrize(
    ("change", "subject"),
    [
        ({"version": "2.0"}, "version"),
        ({"configuration": {"apps": "c2", "senders": "s1"}}, "configuration"),
        ({"keyring": "k2"}, "keyring"),
        ({"key_ids": ("x", "y")}, "keys"),
        ({"webhook_keys": "w2"}, "webhook key"),
    ],
)
def test_what_differs_is_named(change: dict[str, Any], subject: str) -> None:
    """With the processes on each side; what a process does not say is no difference."""
    assert list(differences([record(), record(pid=2, webhook_keys="", configuration={})])) == []
    (found,) = differences([record(), record(pid=2, host="b", **change)])
    assert found.subject == subject
    assert all(name in found.detail for name in ("api 1 on a", "api 2 on b"))


def test_settings_that_differ_are_named_together() -> None:
    """One line where the same processes stand on each side, another line for other sides."""
    same = {"prices.default": "1", "store.replicas": "1", "apps.brand": "1"}
    second, third = record(pid=2, configuration=same | {"apps.brand": "2"}), record(pid=3, configuration=same)
    first = record(pid=1, configuration=same | {"prices.default": "2", "store.replicas": "2"})
    brand, both = sorted((one.detail for one in differences([first, second, third])), key=len)
    assert brand.startswith("apps.brand: not the same everywhere (api 1 on a, api 3 on a · as opposed to · api 2 on a)")
    assert both.startswith(
        "prices.default, store.replicas: not the same everywhere (api 1 on a · as opposed to · api 2"
    )
    more = {"apps": "2", "apps.brand": "2", "appsx.y": "2"}
    (found,) = differences(
        [record(configuration={"apps": "1", "apps.brand": "1", "appsx.y": "1"}), record(pid=2, configuration=more)]
    )
    assert found.detail.startswith("apps, appsx.y: ")
    many = [record(pid=pid, configuration={f"s{n:02}": str(pid) for n in range(20)}) for pid in (1, 2)]
    (found,) = differences(many)
    assert "s11 and 8 more" in found.detail


def test_what_a_process_is_stands_in_one_line() -> None:
    """Version, configuration, keyring with its keys, and the clock; another configuration has another name."""
    facts = record(key_ids=("x", "y"), ahead_ms=-1_500).facts
    assert facts.startswith("version 1.0, configuration ")
    assert facts.endswith(", keyring k1 with x, y, clock -1.5 s")
    assert record(configuration={"apps": "c2"}).facts.split(", ")[1] != facts.split(", ")[1]


def test_a_wrong_clock_is_named() -> None:
    """More than two seconds ahead or behind."""
    skews = (2_001, -2_001, 2_000, -2_000, 0)
    found = [one.detail for one in wrong_clocks([record(pid=pid, ahead_ms=ms) for pid, ms in enumerate(skews)])]
    assert ["ahead of" in found[0], "behind" in found[1], len(found)] == [True, True, 2]


@pytest.mark.parametrize(
    ("before", "after", "side"), [(0, 10**15, 0), (10**15, 10**15 + 1, 1), (0, 1, -1)], ids=["same", "ahead", "behind"]
)
def test_the_clock_is_compared_with_the_stores(harness: StoreHarness, before: int, after: int, side: int) -> None:
    """What the question took is no difference; what is more is one, on either side."""
    clock = iter((before, after))
    ahead_ms = readiness.clock_ahead_ms(harness.store, lambda: next(clock))
    assert (ahead_ms > 0) - (ahead_ms < 0) == side


def test_a_webhook_key_by_which_no_signature_is_good_is_told() -> None:
    """One good signature anywhere proves the key; without any webhook nothing is known."""
    assert list(webhook_verdicts([record(), record(pid=2)])) == []
    assert list(webhook_verdicts([record(webhooks_refused=5), record(pid=2, webhooks_good=1)])) == []
    (found,) = webhook_verdicts([record(webhooks_good=9), record(pid=2, webhook_keys="w2", webhooks_refused=2)])
    assert "TELNYX_PUBLIC_KEY (w2) is not the key that signs" in found.detail
