"""A ledger in a file, without a store: the log signs whatever records there are."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from .harness import SignedHarness


@pytest.fixture
def signed(tmp_path: Path) -> Iterator[SignedHarness]:
    """An empty ledger and its log."""
    made = SignedHarness(tmp_path / "ledger.db")
    try:
        yield made
    finally:
        made.database.close()


@pytest.fixture
def log(signed: SignedHarness, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> SignedHarness:
    """A log of ten records that every command finds by the environment."""
    for name in [name for name in os.environ if name.startswith(("OTP_", "TELNYX_"))]:
        monkeypatch.delenv(name)
    ring = tmp_path / "keyring.json"
    ring.touch(0o600)
    ring.write_bytes(signed.raw)
    monkeypatch.setenv("OTP_KEYRING", str(ring))
    monkeypatch.setenv("OTP_LEDGER_URL", f"sqlite:///{signed.path}")
    monkeypatch.setenv("OTP_PUBLIC_URL", "https://otp.example")
    monkeypatch.setenv("OTP_REDIS_URL", "redis://127.0.0.1:1")
    monkeypatch.chdir(tmp_path)
    signed.append({"type": "verification.refused", "app": "default", "verification": "v1", "n": 1})
    signed.append_many(9)
    return signed
