"""Commands of `ledger` and `audit` over a real store: exports in every format, resumption, copies, erasure."""

import csv
import json
import os
import re
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from otp_service import bootstrap
from otp_service.config import DEV_TOML, load
from otp_service.domain.export_lines import COLUMNS
from otp_service.keyring import create
from otp_service.ledger import writing
from otp_service.ledger.database import open_database
from otp_service.ledger.records import RecordEncoder
from otp_service.ledger.writing import Gap
from otp_service.storage.callers import process

from ..e2e.in_process import Commands
from ..storage.harness import CODE, StoreHarness, fresh_number
from .harness import ledger_over


@pytest.fixture
def commands(
    server_harness: StoreHarness,
    redis_url: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> Commands:
    """Of an installation whose ledger has three logins, and whose store has one more event."""
    keyring, config = tmp_path / "keyring.json", tmp_path / "otp.toml"
    keyring.write_bytes(create(lambda n: bytes(range(n)), "2026-01-01T00:00:00Z"))
    keyring.chmod(0o600)
    config.write_text(DEV_TOML)
    environ = {"OTP_REDIS_URL": redis_url, "OTP_KEYRING": str(keyring), "OTP_CONFIG": str(config)}
    for name, value in environ.items():
        monkeypatch.setenv(name, value)
    bootstrap.accept_keyring(load(environ))
    for _ in range(3):
        server_harness.check(server_harness.start(fresh_number()).reference, CODE)
    with ledger_over(server_harness, tmp_path / "ledger.db") as ledger:
        ledger.export_all()
    server_harness.optouts.record_unclear("0" * 20, "+1", None)
    return Commands(capsys)


def test_an_export_has_every_record_in_every_format(commands: Commands, tmp_path: Path) -> None:
    """JSON lines, CSV and syslog say the same; what is in no file yet is added by the next one."""
    lines = [json.loads(line) for line in commands.shows("audit", "export").splitlines()]
    assert [line["ledger_seq"] for line in lines] == list(range(1, 10))
    assert {line["type"] for line in lines} == {"verification.started", "delivery.queued", "verification.approved"}
    assert {line["process"] for line in lines} == {process()}
    assert all(re.fullmatch(r"\+1\*+\d{4}", line["to"]) for line in lines)
    assert [line["n"] for line in lines if line["verification_id"] == lines[0]["verification_id"]] == [1, 2, 3]
    rows = list(csv.DictReader(commands.shows("audit", "export", "--format", "csv").splitlines()))
    assert [row["seq"] for row in rows] == [line["seq"] for line in lines]
    assert tuple(rows[0]) == COLUMNS
    assert [json.loads(row["detail"]) for row in rows] == [line["detail"] for line in lines]
    messages = commands.shows("audit", "export", "--format", "syslog", "--after", "8").splitlines()
    assert len(messages) == 1
    assert re.match(r"<110>1 \d{4}-\S+Z \S+ otp-service - \S+ \[event@32473 (\w+=\"[^\"]*\" ?)+\] \{", messages[0])
    assert commands.shows("audit", "export", "--since", "2999-01-01T00:00:00Z") == ""


def test_an_export_goes_on_where_it_was_cut_off(commands: Commands, tmp_path: Path) -> None:
    """What stands behind the last position is written anew, and nothing comes twice."""
    out = tmp_path / "audit.csv"
    whole = commands.shows("audit", "export", "--format", "csv")
    assert "9 records" in commands.run("audit", "export", "--format", "csv", "--out", str(out))[2]
    assert stat.S_IMODE(out.stat().st_mode) == 0o600
    assert "cannot be written" in commands.refused("audit", "export", "--out", str(out))
    with out.open("a") as file:
        file.write("half a li")
    assert "0 records" in commands.run("audit", "export", "--format", "csv", "--out", str(out), "--resume")[2]
    assert out.read_text() == whole
    assert "go on with --format csv" in commands.refused("audit", "export", "--out", str(out), "--resume")
    words = ("audit", "export", "--format", "csv", "--out", str(out), "--resume", "--since", "2026-01-01T00:00:00Z")
    assert "go on without --since" in commands.refused(*words)
    out.write_text("another")
    assert "another file" in commands.refused("audit", "export", "--format", "csv", "--out", str(out), "--resume")
    assert out.read_text() == "another"
    assert "say nothing" in commands.refused("audit", "export", "--out", f"{out}.other", "--resume")
    assert "--out" in commands.refused("audit", "export", "--resume")


def test_the_tail_shows_ledger_and_store_as_one(commands: Commands) -> None:
    """Also what has left the store; exports are on record."""
    commands.shows("audit", "export")
    kinds = [event["type"] for event in map(json.loads, commands.shows("audit", "tail", "--json").splitlines())]
    assert len(kinds) == 12
    assert {"audit.exported", "audit.read", "reply.unclear", "verification.approved"} <= set(kinds)


def recorded(commands: Commands) -> dict[str, dict[str, Any]]:
    """The last event of each type."""
    lines = commands.shows("audit", "tail", "--json").splitlines()
    return {event["type"]: event for event in map(json.loads, lines)}


def test_a_copy_and_the_end_of_a_warning(commands: Commands, tmp_path: Path) -> None:
    """`ledger backup` and `ledger accept-restore`."""
    copy = tmp_path / "copy.db"
    assert commands.data("ledger", "backup", str(copy)) == {"file": str(copy), "records": 9}
    assert "File exists" in commands.refused("ledger", "backup", str(copy))
    assert commands.data("ledger", "accept-restore") == {"accepted": 0}
    events = recorded(commands)
    assert events["ledger.copied"]["detail"] == {"records": 9}
    assert events["ledger.copied"]["by"]["address"].startswith("shell:")
    assert "ledger.accepted" not in events
    database = open_database(f"sqlite:///{tmp_path}/ledger.db")
    before = writing.state(database)
    nothing: Any = None
    encoder = RecordEncoder(nothing, nothing)
    assert writing.append(database, encoder, before, [], {}, gaps=[Gap("g", 1, {"reason": "lost"})])
    database.close()
    assert commands.data("ledger", "accept-restore") == {"accepted": 1}
    assert recorded(commands)["ledger.accepted"]["detail"] == {"gaps": 1}


def test_a_copy_is_made_without_a_store(commands: Commands, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It may be lost: then the copy is what is left."""
    monkeypatch.setenv("OTP_REDIS_URL", "redis://127.0.0.1:1")
    assert commands.data("ledger", "backup", str(tmp_path / "copy.db"))["records"] == 9


def test_erasing_by_a_command(commands: Commands) -> None:
    """Says what it did; a number that was never here is erased from nothing."""
    assert commands.data("audit", "erase", "+13125550000")["records"] == 0
    assert "E.164" in commands.refused("audit", "erase", "12")


def test_the_tail_has_the_filters_of_the_api(commands: Commands) -> None:
    """Type, verification, delivery, app and number; what it looked for is on record, and a number is not."""
    shown = [json.loads(line) for line in commands.shows("audit", "tail", "--json").splitlines()]
    one = next(event for event in shown if event["type"] == "verification.started")

    def seen(*words: str) -> list[str]:
        return [json.loads(line)["seq"] for line in commands.shows("audit", "tail", "--json", *words).splitlines()]

    of_one = [event["seq"] for event in shown if event["verification_id"] == one["verification_id"]]
    assert seen("--verification", one["verification_id"]) == of_one
    approved = [event["seq"] for event in shown if event["type"] == "verification.approved"]
    assert seen("--type", "verification.approved") == approved
    queued = next(event for event in shown if event["type"] == "delivery.queued")
    assert seen("--delivery", queued["delivery_id"]) == [queued["seq"]]
    assert seen("--app", "shop", "--type", "delivery.queued", "--type", "reply.unclear") == [
        event["seq"] for event in shown if event["type"] == "delivery.queued"
    ]
    assert seen("--number", "+13125559999") == []
    assert seen("--verification", "nonsense") == []
    assert "number" in commands.refused("audit", "tail", "--number", "12")
    assert "is no type of event" in commands.run("audit", "tail", "--type", "verification")[2]
    asked = [event["detail"] for event in map(json.loads, commands.shows("audit", "tail", "--json").splitlines())]
    looked = [one for one in asked if one.get("command") == "audit tail"]
    assert {"number", "verification", "delivery", "app", "type"} <= {name for one in looked for name in one}
    assert [one["number"] for one in looked if "number" in one] == [True]
    assert "13125559999" not in json.dumps(asked)


def test_the_tail_goes_on_where_it_was(commands: Commands, tmp_path: Path, server_harness: StoreHarness) -> None:
    """Nothing twice and nothing left out; a file of something else is refused. It is on record once a minute."""
    kept = tmp_path / "position"
    words = ("audit", "tail", "--json", "--type", "reply.unclear", "--position", str(kept))
    assert len(commands.shows(*words).splitlines()) == 1
    assert stat.S_IMODE(kept.stat().st_mode) == 0o600
    assert commands.shows(*words) == ""
    server_harness.raw.delete(*server_harness.raw.keys("*unclear*"))
    server_harness.optouts.record_unclear("1" * 20, "+1", None)
    assert [json.loads(line)["type"] for line in commands.shows(*words).splitlines()] == ["reply.unclear"]
    reads = commands.shows("audit", "tail", "--json", "--type", "audit.read").splitlines()
    assert len([one for one in map(json.loads, reads) if one["detail"]["type"] == ["reply.unclear"]]) == 1
    kept.write_text("1-1\n")
    assert "shards" in commands.refused(*words)
    kept.write_text("nonsense")
    assert "says nothing" in commands.refused(*words)


def test_a_tail_that_nobody_reads_stays_where_it_was(commands: Commands, tmp_path: Path) -> None:
    """What was not taken from it, as behind `head`, comes again the next time."""
    kept = tmp_path / "position"
    words = ("audit", "tail", "--json", "--type", "reply.unclear", "--position", str(kept))
    reader, writer = os.pipe()
    os.close(reader)
    command = [sys.executable, "-m", "otp_service", *words]
    buffered = os.environ | {"PYTHONUNBUFFERED": ""}
    subprocess.run(command, stdout=writer, stderr=subprocess.DEVNULL, check=False, env=buffered)
    os.close(writer)
    assert not kept.exists()
    assert len(commands.shows(*words).splitlines()) == 1
