"""`keyring status`, `reseal` and `retire` over a store that holds what an old key sealed."""

import json
import os
import secrets
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import redis

from otp_service import config, keyring
from otp_service.cli.keyring_file import replace
from otp_service.doctor import diagnose
from otp_service.domain.fleet import API, ProcessRecord
from otp_service.keyring import Keyring
from otp_service.storage.fleet import Fleet

from ..storage.harness import StoreHarness, fresh_number, word
from .in_process import Commands

LONG_AGO = "2026-01-01T00:00:00Z"


@pytest.fixture
def harness(redis_server: "redis.Redis", redis_url: str) -> Iterator[StoreHarness]:
    """An empty store."""
    with closing(StoreHarness.open(redis_url)) as opened:
        yield opened


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A keyring file with an old key and the active one, which took over long ago."""
    made = tmp_path / "keyring.json"
    made.touch(0o600)
    made.write_bytes(keyring.rotate(keyring.create(secrets.token_bytes, LONG_AGO), secrets.token_bytes, LONG_AGO))
    return made


@pytest.fixture
def commands(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], redis_url: str, path: Path
) -> Commands:
    """A shell that has this file and this store."""
    for name in [name for name in os.environ if name.startswith(("OTP_", "TELNYX_"))]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("OTP_REDIS_URL", redis_url)
    monkeypatch.setenv("OTP_KEYRING", str(path))
    return Commands(capsys)


def rings(path: Path) -> tuple[Keyring, Keyring]:
    """The ring of before the rotation, and the whole one."""
    content = json.loads(path.read_text())
    old = {**content, "keys": [{**content["keys"][0], "state": "active"}]}
    return keyring.parse(json.dumps(old).encode()), keyring.parse(path.read_bytes())


def keys_of(commands: Commands) -> dict[str, Any]:
    """The keys by id, as `status` shows them."""
    return {key["kid"]: key for key in commands.data("keyring", "status")["keys"]}


def say(harness: StoreHarness, *kids: str) -> None:
    """A process of the API has these keys."""
    record = ProcessRecord(role=API, host="a", pid=7, version="1", keyring="k", key_ids=kids)
    Fleet(harness.store, harness.scripts, harness.keys).write("p7", record)


def test_an_old_key_is_retired_when_nothing_needs_it(harness: StoreHarness, commands: Commands, path: Path) -> None:
    """Refused with what is in the way, each thing once; `reseal` carries over; `doctor` says what is left."""
    old, ring = rings(path)
    harness.ring = old
    harness.start(fresh_number())
    digest = word()
    harness.idempotency.reserve(digest, "f", "o")
    harness.idempotency.complete(digest, "o", 200, old.seal(b"{}"))
    assert commands.data("keyring", "accept") == {"index_fingerprint": ring.fingerprint}

    assert keys_of(commands)[old.active_kid]["needed_for"] == {"pending codes": 1, "answers of checks": 1}
    shown = commands.shows("keyring", "status")
    assert "1 answers of checks, 1 pending codes" in shown
    said = {one.name: one for one in diagnose(config.load(os.environ))}["old keys"]
    assert said.ok
    assert f"{old.active_kid} for 1 answers of checks" in said.detail

    say(harness, old.active_kid)
    before = path.read_bytes()
    refused = commands.refused("keyring", "retire", old.active_kid)
    assert all(part in refused for part in ("1 pending codes", "keyring reseal", f"{ring.active_kid} yet (api 7 on a)"))
    assert f"active key {ring.active_kid} yet (api 7 on a)" in commands.refused("keyring", "reseal")
    assert keys_of(commands)[ring.active_kid]["missing_in"] == ["api 7 on a"]

    say(harness, old.active_kid, ring.active_kid)
    assert commands.data("keyring", "reseal") == {"resealed": 1, "changed_meanwhile": 0, "unreadable": 0}
    assert commands.data("keyring", "reseal")["resealed"] == 0
    assert "1 pending codes" in commands.refused("keyring", "retire", old.active_kid)
    assert path.read_bytes() == before
    harness.raw.delete(*(key for key in harness.all_keys() if ":secrets:" in key))
    assert commands.data("keyring", "retire", old.active_kid)["retired"] == old.active_kid
    assert keys_of(commands)[old.active_kid]["state"] == "retired"
    now = keyring.parse(path.read_bytes())
    assert [key["kid"] for key in now.jwks()["keys"]] == [ring.active_kid]
    assert now.open(old.seal(b"x")) == b"x"


def test_a_key_whose_receipts_may_be_good_is_not_retired(harness: StoreHarness, commands: Commands, path: Path) -> None:
    """Nor the active one, nor one that waits, nor one that is not there; and never without asking the store."""
    commands.data("keyring", "accept")
    (first, second), ring = json.loads(path.read_text())["keys"], keyring.parse(path.read_bytes())
    assert second["kid"] == ring.active_kid
    assert "is active" in commands.refused("keyring", "retire", second["kid"])
    waiting = commands.data("keyring", "rotate", "--after", "1h")["next_kid"]
    assert "is next" in commands.refused("keyring", "retire", waiting)
    assert "there is no key 'k0' in" in commands.refused("keyring", "retire", "k0")
    commands.data("keyring", "rotate", "--after", "0s")
    assert "receipts that it signed may be good" in commands.refused("keyring", "retire", second["kid"])
    del os.environ["OTP_REDIS_URL"]
    assert "OTP_REDIS_URL is not set" in commands.refused("keyring", "retire", first["kid"])
    assert "OTP_REDIS_URL is not set" in commands.refused("keyring", "reseal")
    assert commands.run("keyring", "status", "--json")[2].startswith("OTP_REDIS_URL is not set")
    path.chmod(0o644)
    assert "run: chmod 600" in commands.run("keyring", "status")[2]


def test_what_another_key_sealed_is_found(harness: StoreHarness, commands: Commands, path: Path) -> None:
    """A file that lacks a key: `status` and `doctor` name it, `reseal` leaves its values and says so."""
    commands.data("keyring", "accept")
    harness.idempotency.reserve("d", "f", "o")
    harness.idempotency.complete("d", "o", 200, "kffffffff:AAAA")
    assert commands.data("keyring", "status")["unknown_keys"] == {"kffffffff": {"answers of checks": 1}}
    assert "kffffffff is not in this file" in commands.shows("keyring", "status")
    said = {one.name: one for one in diagnose(config.load(os.environ))}["old keys"]
    assert (said.ok, "kffffffff" in said.detail) == (False, True)
    status, out, err = commands.run("keyring", "reseal", "--json")
    assert (status, json.loads(out)["unreadable"], err.count("\n")) == (1, 1, 1)


def test_the_store_of_another_keyring_is_not_touched(
    harness: StoreHarness, commands: Commands, path: Path, tmp_path: Path
) -> None:
    """Its values are another's: `status` says so and shows the file, the others refuse."""
    commands.data("keyring", "accept")
    foreign = tmp_path / "foreign.json"
    foreign.touch(0o600)
    replace(foreign, keyring.rotate(keyring.create(secrets.token_bytes, LONG_AGO), secrets.token_bytes, LONG_AGO))
    kid = json.loads(foreign.read_text())["keys"][0]["kid"]
    status, out, err = commands.run("keyring", "status", str(foreign), "--json")
    assert (status, json.loads(out)["keys"][0]["needed_for"], "another keyring" in err) == (0, None, True)
    assert "another keyring" in commands.refused("keyring", "reseal", str(foreign))
    assert "another keyring" in commands.refused("keyring", "retire", kid, str(foreign))
