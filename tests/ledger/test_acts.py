"""What an operator does at a shell is on record, with who typed it; a person it is about is masked and found."""

from pathlib import Path

import pytest

from otp_service import bootstrap, config
from otp_service.domain.audit import Event, EventType
from otp_service.keyring import create, rotate

from ..e2e.in_process import Commands
from ..storage.harness import StoreHarness
from .harness import read_all

NUMBER = "+12025550143"


@pytest.fixture
def commands(
    server_harness: StoreHarness,
    redis_url: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> Commands:
    """Of an installation whose carrier cannot be reached."""
    ring, toml = tmp_path / "keyring.json", tmp_path / "otp.toml"
    first = create(lambda n: bytes(range(n)), "2026-01-01T00:00:00Z")
    ring.write_bytes(rotate(first, lambda n: bytes(range(9, 9 + n)), "2026-01-02T00:00:00Z"))
    ring.chmod(0o600)
    callback = 'callback_url = "https://shop.example/otp"\n'
    toml.write_text(config.DEV_TOML.replace("[apps.default]\n", f"[apps.default]\n{callback}"))
    named = {"OTP_REDIS_URL": redis_url, "OTP_KEYRING": str(ring), "OTP_CONFIG": str(toml)}
    carrier = {"TELNYX_API_KEY": "KEY_x", "TELNYX_BASE_URL": "http://127.0.0.1:1/v2"}
    secret = {"OTP_CALLBACK_SECRET_DEFAULT": f"whsec_{'QUFB' * 8}"}
    for name, value in {**named, **carrier, **secret}.items():
        monkeypatch.setenv(name, value)
    assert server_harness.raw.ping()
    bootstrap.accept_keyring(config.load({**named, **carrier, **secret}))
    return Commands(capsys)


def recorded(harness: StoreHarness) -> list[Event]:
    """Everything on record that a shell caused, in order."""
    return [event for event in read_all(harness.audit, 100) if (event.address or "").startswith("shell:")]


ACTS: tuple[tuple[str, EventType], ...] = (
    ("keyring accept", EventType.KEYRING_ACCEPTED),
    ("keyring reseal", EventType.KEYRING_RESEALED),
    ("keyring retire k00010203", EventType.KEYRING_RETIRED),
    ("keyring rotate", EventType.KEYRING_ROTATED),
    ("callbacks replay --dead", EventType.CALLBACKS_REPLAYED),
    ("outbox dead --replay", EventType.OUTBOX_REPLAYED),
    ("replicas lower", EventType.REPLICAS_LOWERED),
    (f"messages send --from +18445550001 --to {NUMBER} --text Hello", EventType.CARRIER_SENT),
    ("messages cancel 40385f64-5717-4562-b3fc-2c963f66afa6", EventType.CARRIER_CHANGED),
    ("messages show 40385f64-5717-4562-b3fc-2c963f66afa6", EventType.CARRIER_READ),
    ("optouts list", EventType.CARRIER_READ),
    ("numbers update +18445550001 --tag otp", EventType.CARRIER_CHANGED),
    ("numbers assign --profile p +18445550001", EventType.CARRIER_CHANGED),
    ("guard safelist add CA --reason Ticket", EventType.SAFE_LISTED),
)


def test_an_act_at_a_shell_is_on_record(commands: Commands, server_harness: StoreHarness) -> None:
    """Also what the carrier was asked for and did not answer. The text of a message is not."""
    for words, kind in ACTS:
        before = len(recorded(server_harness))
        status, out, err = commands.run(*words.split())
        assert "not on record" not in err, err
        new = recorded(server_harness)[before:]
        assert [event.type for event in new] == [kind], (words, status, out, err)
    events = recorded(server_harness)
    (sent,) = [event for event in events if event.type == EventType.CARRIER_SENT]
    assert (sent.mask, sent.number_hash) == ("+1******0143", server_harness.hash_of(NUMBER))
    assert set(sent.detail) == {"command", "idempotency_key"}
    assert NUMBER not in repr([event.fields for event in events])
    assert "Hello" not in repr([event.fields for event in events])


def test_without_a_store_there_is_no_record(
    commands: Commands, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A keyring is rotated all the same, without a word; a store that is named and away is told of."""
    monkeypatch.delenv("OTP_REDIS_URL")
    commands.shows("keyring", "rotate", str(tmp_path / "keyring.json"))
    monkeypatch.setenv("OTP_REDIS_URL", f"unix://{tmp_path}/nobody")
    status, _, err = commands.run("keyring", "rotate", str(tmp_path / "keyring.json"))
    assert (status, "this is not on record (keyring.rotated)" in err) == (0, True), err
