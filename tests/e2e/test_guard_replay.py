"""`guard replay` over a store with recorded starts."""

import os
from pathlib import Path

import pytest

from otp_service.cli.guard_replay import WHY_UNREAD
from otp_service.domain.audit import EventType
from otp_service.domain.guard.policy import GuardPolicy
from otp_service.domain.guard.record import Unread

from ..storage.guard import GuardedApp
from ..storage.harness import StoreHarness
from ..storage.nodes import three
from .in_process import Commands

CONFIGURATION = """
[senders.pool]
kind = "number_pool"
messaging_profile_id = "abc85f64-5717-4562-b3fc-2c9600000000"

[apps.shop]
brand = "Acme"
route = ["pool"]
"""


@pytest.fixture
def commands(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], redis_url: str, tmp_path: Path
) -> Commands:
    """A shell that has this store and a configuration with the app."""
    for name in [name for name in os.environ if name.startswith(("OTP_", "TELNYX_"))]:
        monkeypatch.delenv(name)
    (tmp_path / "otp.toml").write_text(CONFIGURATION, encoding="utf-8")
    monkeypatch.setenv("OTP_CONFIG", str(tmp_path / "otp.toml"))
    monkeypatch.setenv("OTP_REDIS_URL", redis_url)
    monkeypatch.setenv("OTP_DATA_DIR", str(tmp_path))
    return Commands(capsys)


def test_another_policy_is_tried_on_the_recorded_starts(
    redis_server: object, redis_url: str, commands: Commands, tmp_path: Path
) -> None:
    """The same policy shows no difference, another one shows it; a file that is none is one sentence."""
    policy = tmp_path / "policy.toml"
    harness = StoreHarness.open(redis_url)
    try:
        app = GuardedApp(harness, GuardPolicy(block_1k_in_6h=3))
        for line in range(5):
            app.start(f"+1202330{7_000 + line}")
        app.approve("+12023307000")
    finally:
        harness.close()
    policy.write_text("block_1k_in_6h = 3", encoding="utf-8")
    (same,) = commands.data("guard", "replay", "--policy", str(policy)).values()
    assert (same["starts"], same["judged"], same["refused_then"], same["refused_now"]) == (5, 5, 2, 2)
    assert same["newly_refused"] == same["newly_sent"] == 0
    assert same["refused_now_by"] == {"block_1k": 2}
    policy.write_text("block_1k_in_6h = 4\n[countries]\nCA = 'off'", encoding="utf-8")
    (wider,) = commands.data("guard", "replay", "--policy", str(policy), "--app", "shop").values()
    assert (wider["refused_now"], wider["newly_sent"]) == (1, 1)
    assert "shop: refused now by block_1k 1" in commands.shows("guard", "replay", "--policy", str(policy))
    policy.write_text("known_for = '1d'\nmonitor = '0s'\nblock_1k_in_6h = 3", encoding="utf-8")
    assert commands.data("guard", "replay", "--policy", str(policy)) == {"shop": same}
    policy.write_text("known_for = 'long'", encoding="utf-8")
    assert "known_for" in commands.refused("guard", "replay", "--policy", str(policy))
    policy.write_text("block = 4", encoding="utf-8")
    assert "unknown field `block`" in commands.refused("guard", "replay", "--policy", str(policy))
    assert "cannot read" in commands.refused("guard", "replay", "--policy", str(tmp_path / "none.toml"))
    assert "no app 'other'" in commands.refused("guard", "replay", "--policy", str(tmp_path), "--app", "other")


def test_starts_that_were_not_read_are_told(
    redis_server: object, redis_url: str, commands: Commands, tmp_path: Path
) -> None:
    """With why, for people and for programs; every reason has its words."""
    policy = tmp_path / "policy.toml"
    policy.write_text("block_1k_in_6h = 3", encoding="utf-8")
    harness = StoreHarness.open(redis_url)
    try:
        app = GuardedApp(harness, GuardPolicy(block_1k_in_6h=3))
        for line in range(5):
            app.start(f"+1202330{8_000 + line}")
        detail = '{"code": "guard_refused", "limit": "block_1k"}'
        for number in ("+12023308100", "+12023308101"):
            number_hash = harness.hash_of(number)
            shard = harness.keys.shard(number_hash)
            harness.scripts.call(
                "audit/append",
                {"audit": harness.keys.audit(shard), "throttle": harness.keys.throttle(shard, number)},
                event_type=EventType.REFUSED,
                detail=detail,
                throttle_ms=0,
                app="shop",
                mask="+1",
                number_hash=number_hash,
            )
        harness.raw.xadd(harness.keys.audit(0), {"later": "form"})
    finally:
        harness.close()
    (found,) = commands.data("guard", "replay", "--policy", str(policy)).values()
    assert (found["unread"], found["judged"]) == ({"lost": 2, "unknown_event": 1}, 5)
    shown = commands.shows("guard", "replay", "--policy", str(policy))
    assert "shop: 2 starts were not read, because what the guard noted of them is not on record" in shown
    assert "shop: 1 start was not read, because the events have an unknown form" in shown
    assert set(WHY_UNREAD) == set(Unread)


@pytest.mark.cluster
def test_a_dead_shard_ends_a_replay(
    commands: Commands, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """One sentence that says what to do, and no result over a part; afterwards there is one."""
    policy = tmp_path / "policy.toml"
    policy.write_text("block_1k_in_6h = 3", encoding="utf-8")
    with three(tmp_path_factory.mktemp("three")) as nodes:
        monkeypatch.setenv("OTP_REDIS_URL", nodes.url)
        harness = StoreHarness.open(nodes.url)
        try:
            harness.outbox.open()
            app = GuardedApp(harness, GuardPolicy(block_1k_in_6h=3))
            for line in range(12):
                app.start(f"+1202{340 + line}8000")
            needed = nodes.index_of(harness.raw, harness.keys.shard_count())
        finally:
            harness.close()
        for dead in {0, 1, 2} - {needed}:
            with nodes.hanging(dead):
                sentence = commands.refused("guard", "replay", "--policy", str(policy))
            assert "does not respond, so the record is not whole and nothing is compared" in sentence
            assert "`otp-service doctor`" in sentence
        (found,) = commands.data("guard", "replay", "--policy", str(policy)).values()
        assert found["starts"] == 12
