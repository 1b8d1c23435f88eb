"""`messages`, `numbers` and `optouts` at a shell, against a sandbox on a socket: every operation, every refusal.

Most run in this process, which is quick; what concerns pipes, terminals and signals runs as a process of its own.
"""

import json
import os
import pty
import re
import secrets
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
import redis

from otp_service import config, keyring
from otp_service.cli import carrier, main
from otp_service.domain.delivery import Action
from otp_service.sandbox.optouts import Block
from otp_service.sandbox.seeds import POOL, SandboxSender
from otp_service.sandbox.server import SandboxServer
from otp_service.storage.schema import Keys
from tests.conftest import clean_environ, wait_until

PROFILE = "abc85f64-5717-4562-b3fc-2c9600000000"
TOLL_FREE, SHORT_CODE, MOBILE = "+18445550001", "12345", "+13127367407"
PERSON, OTHER, BRITON = "+12025550143", "+12025550144", "+447911123456"
NOBODY = "00000000-0000-0000-0000-000000000000"
KEY = "KEY0123456789"


@dataclass
class Shell:
    """A shell whose environment names the sandbox and its key, and nothing else of the service."""

    server: SandboxServer
    capsys: pytest.CaptureFixture[str]
    control: httpx.Client

    def run(self, *words: str) -> tuple[int, str, str]:
        """Run a command: exit status, stdout, stderr."""
        self.capsys.readouterr()
        try:
            status = main.main(words)
        except SystemExit as ended:
            status = int(ended.code or 0)
        out, err = self.capsys.readouterr()
        return status, out, err

    def shows(self, *words: str) -> str:
        """What a command that succeeds prints for people."""
        status, out, err = self.run(*words)
        assert (status, err) == (0, ""), err
        return out

    def data(self, *words: str) -> Any:
        """What a command that succeeds prints for programs."""
        return json.loads(self.shows(*words, "--json"))

    def refused(self, *words: str, status: int = 1) -> str:
        """The one sentence of a command that fails."""
        ended, out, err = self.run(*words)
        assert (ended, out) == (status, ""), (out, err)
        assert err.count("\n") == 1, err
        assert "Traceback" not in err
        assert KEY not in err
        return err

    def inbox(self, phone: str) -> list[dict[str, Any]]:
        """What arrived on a phone."""
        found: list[dict[str, Any]] = self.control.get(f"/sandbox/phones/{phone}/messages").json()["messages"]
        return found

    def reply(self, phone: str, text: str) -> None:
        """A person replies to the toll-free number."""
        answer = self.control.post(f"/sandbox/phones/{phone}/messages", json={"to": TOLL_FREE, "text": text})
        answer.raise_for_status()

    def chaos(self, **settings: Any) -> None:
        """Have the carrier misbehave."""
        self.control.put("/sandbox/chaos", json=settings).raise_for_status()

    def requests(self) -> list[dict[str, Any]]:
        """What the carrier was asked so far."""
        found: list[dict[str, Any]] = self.control.get("/sandbox/journal").json()["requests"]
        return found

    @property
    def environ(self) -> dict[str, str]:
        """The environment for a process of its own."""
        return clean_environ(TELNYX_BASE_URL=f"{self.server.url}/v2", TELNYX_API_KEY=KEY)


@pytest.fixture
def shell(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Iterator[Shell]:
    """A sandbox of its own, and a shell in an empty directory that has no configuration, no keyring and no store."""
    for name in list(os.environ):
        if name.startswith(("OTP_", "TELNYX_")):
            monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)
    with (
        SandboxServer(api_key=KEY, senders=[SandboxSender("whatsapp", PROFILE, "+15551234567")]) as server,
        httpx.Client(base_url=server.url, trust_env=False, timeout=20) as control,
    ):
        monkeypatch.setenv("TELNYX_BASE_URL", f"{server.url}/v2")
        monkeypatch.setenv("TELNYX_API_KEY", KEY)
        yield Shell(server, capsys, control)


def later(**delta: float) -> str:
    """A moment from now on, in RFC 3339."""
    return (datetime.now(UTC) + timedelta(**delta)).isoformat().replace("+00:00", "Z")


class TestSend:
    """`messages send` reaches a person by every kind of sender."""

    @pytest.mark.parametrize(
        ("words", "path", "to"),
        [
            (["--from", TOLL_FREE], "/v2/messages", PERSON),
            (["--profile", PROFILE], "/v2/messages", PERSON),
            (["--kind", "long_code", "--from", TOLL_FREE], "/v2/messages/long_code", PERSON),
            (["--kind", "number_pool", "--profile", PROFILE], "/v2/messages/number_pool", PERSON),
            (["--kind", "short_code", "--from", SHORT_CODE], "/v2/messages/short_code", PERSON),
            (["--kind", "alphanumeric", "--from", "Acme", "--profile", PROFILE], "/v2/messages", BRITON),
            (["--kind", "whatsapp", "--from", TOLL_FREE], "/v2/messages/whatsapp", PERSON),
        ],
    )
    def test_every_kind_arrives(self, shell: Shell, words: list[str], path: str, to: str) -> None:
        """It goes by the operation of its kind, and `--json` is the carrier's data of the message on the phone."""
        if "whatsapp" in words:
            shell.reply(to, "Good morning")  # free text is carried within a day of the person's own last message
        data = shell.data("messages", "send", "--to", to, "--text", "Hello", *words)
        (message,) = wait_until(lambda: shell.inbox(to), what="the message")
        assert (data["record_type"], data["id"], message["text"]) == ("message", message["id"], "Hello")
        assert shell.requests()[0]["path"] == path

    def test_a_whatsapp_template_brings_its_code(self, shell: Shell) -> None:
        """With --template the text is the code that the approved template shows."""
        words = ("--kind", "whatsapp", "--from", TOLL_FREE, "--template", "otp_code", "--language", "de")
        data = shell.data("messages", "send", "--to", PERSON, "--text", "804519", *words)
        assert data["body"]["template"]["language"]["code"] == "de"
        wait_until(lambda: "804519" in str(shell.inbox(PERSON)), what="the code")

    def test_people_read_facts_without_the_number_and_the_text(self, shell: Shell) -> None:
        """The person's number is masked and the text, which may be a code, is not repeated."""
        out = shell.shows("messages", "send", "--from", TOLL_FREE, "--to", PERSON, "--text", "804519 is your code")
        assert re.search(r"^to +\+1\*{6}0143  queued$", out, re.MULTILINE)
        assert "804519" not in out
        assert PERSON not in out

    def test_every_send_has_a_key_of_its_own(self, shell: Shell) -> None:
        """A repeated command is another message, unless it is given the same key."""
        send = ("messages", "send", "--from", TOLL_FREE, "--to", PERSON, "--text", "Hello")
        first, second = shell.data(*send), shell.data(*send)
        assert first["id"] != second["id"]
        again = [shell.data(*send, "--idempotency-key", "mine") for _ in range(2)]
        assert again[0]["id"] == again[1]["id"]
        keys = [request["headers"]["Idempotency-Key"] for request in shell.requests()]
        assert (len(set(keys)), keys[2:]) == (3, ["mine", "mine"])

    @pytest.mark.parametrize("mode", ["http_500", "reset_after_request", "half_body"])
    def test_a_lost_answer_tells_the_key_that_makes_it_safe(self, shell: Shell, mode: str) -> None:
        """It is never repeated by itself; with the key from the sentence the phone rings once."""
        send = ("messages", "send", "--from", TOLL_FREE, "--to", PERSON, "--text", "Hello")
        shell.chaos(send={"mode": mode})
        sentence = shell.refused(*send)
        assert len(shell.requests()) == 1
        found = re.search(r"--idempotency-key ([0-9a-f]{32}) ", sentence)
        assert found, sentence
        shell.chaos(send={"mode": "ok"})
        sent = shell.data(*send, "--idempotency-key", found[1])
        wait_until(lambda: shell.inbox(PERSON), what="the message")
        assert [message["id"] for message in shell.inbox(PERSON)] == [sent["id"]]

    def test_too_many_requests_says_when(self, shell: Shell) -> None:
        """The carrier's own wait is passed on."""
        shell.chaos(send={"mode": "http_429"})
        sentence = shell.refused("messages", "send", "--from", TOLL_FREE, "--to", PERSON, "--text", "Hello")
        assert "try again in 1 s" in sentence

    @pytest.mark.parametrize(
        ("words", "part", "status"),
        [
            (["--from", TOLL_FREE, "--to", "2025550143", "--text", "x"], "E.164", 2),
            (["--from", TOLL_FREE, "--to", "", "--text", "x"], "E.164", 2),
            (["--from", TOLL_FREE, "--to", PERSON, "--text", " "], "--text", 2),
            (["--from", TOLL_FREE, "--to", PERSON], "--text", 2),
            (["--kind", "pigeon", "--to", PERSON, "--text", "x"], "pigeon", 2),
            (["--from", TOLL_FREE, "--to", PERSON, "--text", "x", "--idempotency-key", ""], "--idempotency-key", 2),
            (["--from", TOLL_FREE, "--to", PERSON, "--text", "x", "--idempotency-key", "a b"], "idempotency key", 1),
            (["--to", PERSON, "--text", "x"], "--from", 1),
            (["--kind", "number_pool", "--to", PERSON, "--text", "x"], "--profile", 1),
            (["--kind", "number_pool", "--from", TOLL_FREE, "--to", PERSON, "--text", "x"], "--from", 1),
            (["--kind", "long_code", "--to", PERSON, "--text", "x"], "--from", 1),
            (["--kind", "alphanumeric", "--from", "Acme", "--to", BRITON, "--text", "x"], "--profile", 1),
            (["--from", TOLL_FREE, "--template", "otp", "--to", PERSON, "--text", "1"], "--template", 1),
            (
                ["--kind", "whatsapp", "--from", TOLL_FREE, "--template", "otp", "--to", PERSON, "--text", "1" * 16],
                "15 characters",
                1,
            ),
            (["--from", "+18449999999", "--to", PERSON, "--text", "x"], "40305", 1),
            (["--kind", "short_code", "--from", TOLL_FREE, "--to", PERSON, "--text", "x"], "40305", 1),
            (["--profile", NOBODY, "--to", PERSON, "--text", "x"], "40305", 1),
            (["--from", TOLL_FREE, "--to", "+11234567890", "--text", "x"], "40310", 1),
            (["--from", TOLL_FREE, "--to", PERSON, "--text", "x" * 1531], "40302", 1),
            (["--profile", PROFILE, "--from", "Acme", "--to", PERSON, "--text", "x"], "40301", 1),
        ],
    )  # fmt: skip
    def test_what_cannot_be_sent(self, shell: Shell, words: list[str], part: str, status: int) -> None:
        """One sentence that explains what is wrong, the carrier's code included, and a status that is not 0."""
        assert part in shell.refused("messages", "send", *words, status=status)

    def test_an_opted_out_person_is_not_written_to(self, shell: Shell) -> None:
        """The sentence has the carrier's code, and that only the person can lift it."""
        shell.reply(PERSON, "STOP")
        sentence = shell.refused("messages", "send", "--from", TOLL_FREE, "--to", PERSON, "--text", "Hello")
        assert "40300" in sentence
        assert "only their own START lifts that" in sentence


@pytest.mark.parametrize("action", Action)
def test_every_refusal_says_what_to_do(action: Action) -> None:
    """Whatever class of error the carrier's code belongs to, the command has a sentence for it."""
    assert carrier._ADVICE[action]


class TestGroupAndSchedule:
    """`messages send-group`, `schedule`, `cancel`, `show`."""

    def test_a_group_hears_of_it_at_once(self, shell: Shell) -> None:
        """One message to everybody."""
        words = ("--from", TOLL_FREE, "--to", PERSON, "--to", OTHER, "--text", "Outage at 9")
        data = shell.data("messages", "send-group", *words)
        assert (data["type"], [one["phone_number"] for one in data["to"]]) == ("MMS", [PERSON, OTHER])
        wait_until(lambda: shell.inbox(PERSON) and shell.inbox(OTHER), what="the messages")
        assert "Idempotency-Key" in shell.requests()[0]["headers"]

    @pytest.mark.parametrize(
        ("words", "part", "status"),
        [
            (["--from", TOLL_FREE, "--text", "x"], "--to", 2),
            (["--from", TOLL_FREE, "--text", "x", *[w for n in range(9) for w in ("--to", f"+1202555019{n}")]], "8", 1),
            (["--from", TOLL_FREE, "--text", "x", "--to", PERSON, "--to", BRITON], "40310", 1),
            (["--from", SHORT_CODE, "--text", "x", "--to", PERSON], "40305", 1),
        ],
    )
    def test_what_no_group_can_be_told(self, shell: Shell, words: list[str], part: str, status: int) -> None:
        """Too many, abroad, nobody, by a number that cannot: one sentence each."""
        assert part in shell.refused("messages", "send-group", *words, status=status)

    def test_a_message_is_scheduled_shown_and_withdrawn(self, shell: Shell) -> None:
        """A caller's reminder: made, looked at, taken back, and then neither sent nor withdrawn once more."""
        words = ("--from", TOLL_FREE, "--to", PERSON, "--text", "Your new factor is active", "--at", later(hours=1))
        made = shell.data("messages", "schedule", *words)
        assert made["to"][0]["status"] == "scheduled"
        assert "scheduled" in shell.shows("messages", "show", made["id"])
        withdrawn = shell.data("messages", "cancel", made["id"])
        assert (withdrawn["id"], withdrawn["to"][0]["status"]) == (made["id"], "cancelled")
        assert shell.data("messages", "show", made["id"])["to"][0]["status"] == "cancelled"
        assert "not scheduled (any more)" in shell.refused("messages", "cancel", made["id"])

    @pytest.mark.parametrize(
        ("at", "part", "status"),
        [
            ("tomorrow", "tomorrow", 2),
            ("2026-12-01", "2026-12-01", 2),
            ("2026-12-01T09:30:00", "2026-12-01T09:30:00", 2),
            ("2026-13-01T09:30:00Z", "2026-13-01", 2),
            ("", "is not a time", 2),
        ],
    )
    def test_a_time_that_is_none(self, shell: Shell, at: str, part: str, status: int) -> None:
        """Only RFC 3339 with a zone is a time."""
        words = ("--from", TOLL_FREE, "--to", PERSON, "--text", "x", "--at", at)
        assert part in shell.refused("messages", "schedule", *words, status=status)

    @pytest.mark.parametrize("delta", [{"minutes": 4}, {"days": 6}, {"days": -1}])
    def test_too_soon_and_too_late(self, shell: Shell, delta: dict[str, float]) -> None:
        """The sentence has how far ahead the time may be."""
        words = ("--from", TOLL_FREE, "--to", PERSON, "--text", "x", "--at", later(**delta))
        assert "--at must lie 5 minutes to 5 days ahead" in shell.refused("messages", "schedule", *words)

    def test_a_schedule_needs_a_sender(self, shell: Shell) -> None:
        """A pool's profile will do."""
        words = ("messages", "schedule", "--to", PERSON, "--text", "x", "--at", later(hours=1))
        assert "--from" in shell.refused(*words)
        assert shell.data(*words, "--profile", PROFILE)["from"]["phone_number"] in POOL

    def test_a_message_to_us_is_shown(self, shell: Shell) -> None:
        """Also what a person wrote can be looked up: masked for people, whole for programs."""
        message_id = self._reply(shell)
        out = shell.shows("messages", "show", message_id)
        assert re.search(r"^from +\+1\*{6}0143$", out, re.MULTILINE)
        assert "That was not me" not in out
        assert shell.data("messages", "show", message_id)["text"] == "That was not me"

    @staticmethod
    def _reply(shell: Shell) -> str:
        answer = shell.control.post(
            f"/sandbox/phones/{PERSON}/messages", json={"to": TOLL_FREE, "text": "That was not me"}
        )
        return str(answer.raise_for_status().json()["id"])

    @pytest.mark.parametrize("verb", ["show", "cancel"])
    @pytest.mark.parametrize("message", [NOBODY, "nonsense", "../numbers", "..", "", "ü" * 300])
    def test_a_message_that_there_is_not(self, shell: Shell, verb: str, message: str) -> None:
        """One sentence, whatever stands there for an id."""
        shell.refused("messages", verb, message)


class TestNumbers:
    """`numbers list`, `show`, `update`, `assign`."""

    def test_the_list_is_complete(self, shell: Shell) -> None:
        """All numbers with their profile and health; a profile's; the mobile ones apart."""
        everything = shell.data("numbers", "list")
        assert {TOLL_FREE, SHORT_CODE, *POOL} < {number["phone_number"] for number in everything}
        mine = shell.data("numbers", "list", "--profile", PROFILE)
        assert {number["messaging_profile_id"] for number in mine} == {PROFILE}
        assert [number["phone_number"] for number in shell.data("numbers", "list", "--mobile")] == [MOBILE]
        assert shell.data("numbers", "list", "--mobile", "--profile", PROFILE) == []
        out = shell.shows("numbers", "list")
        assert re.search(rf"^\{TOLL_FREE} .* tollfree .* {PROFILE} .* 100% ", out, re.MULTILINE)

    def test_a_number_is_shown_by_its_id_and_by_itself(self, shell: Shell) -> None:
        """Both names lead to the same number, also for a mobile one."""
        one = shell.data("numbers", "show", TOLL_FREE)
        assert shell.data("numbers", "show", one["id"]) == one
        assert shell.data("numbers", "show", MOBILE, "--mobile")["phone_number"] == MOBILE
        assert TOLL_FREE in shell.shows("numbers", "show", TOLL_FREE)
        assert "-" in shell.shows("numbers", "show", MOBILE, "--mobile")

    def test_an_update_changes_what_is_named(self, shell: Shell) -> None:
        """Profile and tags can be set and taken away; what is not named stays."""
        number = "+18880000003"
        assert shell.data("numbers", "update", number, "--profile", PROFILE)["messaging_profile_id"] == PROFILE
        tagged = shell.data("numbers", "update", number, "--tag", "otp", "--tag", "us")
        assert (tagged["messaging_profile_id"], tagged["tags"]) == (PROFILE, ["otp", "us"])
        assert shell.data("numbers", "update", number, "--profile", "")["messaging_profile_id"] is None
        assert "otp, us" in shell.shows("numbers", "show", number)
        assert shell.data("numbers", "update", number, "--tag", "")["tags"] == []

    def test_many_numbers_are_moved_and_the_order_is_followed(self, shell: Shell) -> None:
        """The command ends when all are moved, and they are in the profile then."""
        numbers = [f"+1888000000{n}" for n in range(10)]
        order = shell.data("numbers", "assign", "--profile", PROFILE, *numbers, numbers[0])
        assert (sorted(order["success"]), order["pending"], order["failed"]) == (numbers, [], [])
        assert set(numbers) < {number["phone_number"] for number in shell.data("numbers", "list", "--profile", PROFILE)}
        out = shell.shows("numbers", "assign", "--profile", "", numbers[0])
        assert re.search(rf"^\{numbers[0]} +moved", out, re.MULTILINE)

    def test_a_number_that_cannot_be_moved_fails_the_command(self, shell: Shell) -> None:
        """The others are moved, the result is printed, and the status is 1."""
        status, out, err = shell.run("numbers", "assign", "--profile", PROFILE, "+18880000001", "+18885550000")
        assert status == 1
        assert re.search(r"^\+18880000001 +moved *$", out, re.MULTILINE)
        assert re.search(r"^\+18885550000 +failed *$", out, re.MULTILINE)
        assert "1 of 2 numbers could not be moved: +18885550000" in err

    def test_an_order_can_be_left_and_followed_later(self, shell: Shell) -> None:
        """--no-wait prints the order as it is, --order goes on with it."""
        made = shell.data("numbers", "assign", "--no-wait", "--profile", PROFILE, "+18880000001", "+18880000002")
        assert len(made["pending"]) == 2
        done = shell.data("numbers", "assign", "--order", made["order_id"])
        assert (done["order_id"], done["pending"]) == (made["order_id"], [])

    @pytest.mark.parametrize(
        ("words", "part", "status"),
        [
            (["show", NOBODY], "numbers list", 1),
            (["show", ".."], "id", 1),
            (["show", MOBILE], "numbers list", 1),
            (["show", TOLL_FREE, "--mobile"], "numbers list", 1),
            (["list", "--profile", "nonsense"], "10015", 1),
            (["update", TOLL_FREE], "--profile or --tag", 1),
            (["update", NOBODY, "--tag", "x"], "10005", 1),
            (["update", TOLL_FREE, "--profile", NOBODY], "no such profile", 1),
            (["update", TOLL_FREE, *["--tag", "x"] * 51], "10033", 1),
            (["assign", "--profile", PROFILE], "at least one number", 1),
            (["assign", "+18880000001"], "--profile", 1),
            (["assign", "--profile", PROFILE, "8880000001"], "E.164", 2),
            (["assign", "--profile", NOBODY, "+18880000001"], "no such messaging profile", 1),
            (["assign", "--order", NOBODY], "no such order", 1),
            (["assign", "--order", NOBODY, "+18880000001"], "--order", 1),
        ],
    )
    def test_what_cannot_be_done(self, shell: Shell, words: list[str], part: str, status: int) -> None:
        """One sentence that explains what is wrong."""
        assert part in shell.refused("numbers", *words, status=status)


class TestOptOuts:
    """`optouts list` and `sync`."""

    def test_the_list_is_read_to_its_end(self, shell: Shell) -> None:
        """Over all pages; by profile and by time; masked for people and whole for programs."""
        for n in range(600):
            shell.server.carrier.optouts.add(Block(PROFILE, person(n), TOLL_FREE, "STOP", time.time() - 86_400))
        shell.reply(PERSON, "STOP")
        assert [one["to"] for one in shell.data("optouts", "list")] == [*map(person, range(600)), PERSON]
        assert [one["to"] for one in shell.data("optouts", "list", "--since", later(hours=-1))] == [PERSON]
        assert shell.data("optouts", "list", "--profile", NOBODY) == []
        out = shell.shows("optouts", "list", "--profile", PROFILE, "--since", later(hours=-1))
        assert re.search(rf"^\+1\*{{6}}0143 +{PROFILE} +\{TOLL_FREE} +STOP ", out, re.MULTILINE)
        assert PERSON not in out
        assert not any("redaction" in str(request["path"]) for request in shell.requests())

    def test_a_time_that_is_none(self, shell: Shell) -> None:
        """Only RFC 3339 with a zone is a time."""
        assert "is not a time" in shell.refused("optouts", "list", "--since", "yesterday", status=2)

    def test_sync_names_everything_it_lacks(self, shell: Shell) -> None:
        """It alone needs the keyring and the configuration; both are reported at once."""
        status, out, errors = shell.run("optouts", "sync")
        assert (status, out) == (1, "")
        assert "OTP_KEYRING is not set" in errors
        assert "no app is configured" in errors
        assert errors.count("\n") == 3


class TestTheCarrier:
    """Where the carrier is and whether it lets us in, for every command alike."""

    COMMANDS = (
        ("messages", "send", "--from", TOLL_FREE, "--to", PERSON, "--text", "x"),
        ("messages", "send-group", "--from", TOLL_FREE, "--to", PERSON, "--text", "x"),
        ("messages", "schedule", "--from", TOLL_FREE, "--to", PERSON, "--text", "x", "--at", "2030-01-01T00:00:00Z"),
        ("messages", "cancel", NOBODY),
        ("messages", "show", NOBODY),
        ("optouts", "list"),
        ("numbers", "list"),
        ("numbers", "list", "--mobile"),
        ("numbers", "show", TOLL_FREE),
        ("numbers", "show", MOBILE, "--mobile"),
        ("numbers", "update", TOLL_FREE, "--tag", "x"),
        ("numbers", "assign", "--profile", PROFILE, "+18880000001"),
        ("numbers", "assign", "--order", NOBODY),
    )

    @pytest.mark.parametrize("words", COMMANDS, ids=lambda words: " ".join(words[:3]))
    def test_a_wrong_key(self, shell: Shell, monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...]) -> None:
        """The sentence names the variable."""
        monkeypatch.setenv("TELNYX_API_KEY", "WRONG")
        assert "check TELNYX_API_KEY" in shell.refused(*words)

    @pytest.mark.parametrize("words", COMMANDS, ids=lambda words: " ".join(words[:3]))
    def test_no_carrier(self, shell: Shell, monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...]) -> None:
        """Nobody listens there."""
        monkeypatch.setenv("TELNYX_BASE_URL", "http://127.0.0.1:1/v2")
        assert "check TELNYX_BASE_URL" in shell.refused(*words)

    @pytest.mark.parametrize("words", COMMANDS, ids=lambda words: " ".join(words[:3]))
    def test_no_key(self, shell: Shell, monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...]) -> None:
        """Without a key nothing is asked."""
        monkeypatch.delenv("TELNYX_API_KEY")
        assert "TELNYX_API_KEY is not set" in shell.refused(*words)
        assert shell.requests() == []

    @pytest.mark.parametrize(
        "url", ["ftp://x/v2", "nonsense", "http://user:secret@127.0.0.1/v2", "http://127.0.0.1/?a=1"]
    )
    def test_an_address_that_is_none(self, shell: Shell, monkeypatch: pytest.MonkeyPatch, url: str) -> None:
        """One sentence, and no password in it."""
        monkeypatch.setenv("TELNYX_BASE_URL", url)
        sentence = shell.refused("numbers", "list")
        assert "URL" in sentence
        assert "secret" not in sentence

    def test_something_else_answers(self, shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
        """An address without its version is found out."""
        monkeypatch.setenv("TELNYX_BASE_URL", shell.server.url)
        assert "TELNYX_BASE_URL" in shell.refused("numbers", "list")

    def test_the_key_may_come_from_a_file(self, shell: Shell, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
        """TELNYX_API_KEY_FILE names it, as for the service."""
        monkeypatch.delenv("TELNYX_API_KEY")
        (tmp_path / "key").write_text(f"{KEY}\n")
        monkeypatch.setenv("TELNYX_API_KEY_FILE", str(tmp_path / "key"))
        assert shell.data("numbers", "show", TOLL_FREE)["phone_number"] == TOLL_FREE


def person(n: int) -> str:
    """The n-th of many people."""
    return f"+1202{2_000_000 + n}"


SLOW = (sys.executable, "-m", "otp_service", "messages", "send", "--from", TOLL_FREE, "--to", PERSON, "--text", "x")


def on_terminal(command: tuple[str, ...], environ: dict[str, str]) -> tuple[int, str, str]:
    """Run a command whose stderr is a terminal and whose stdout is a pipe: status, stdout, what the terminal showed."""
    ours, theirs = pty.openpty()
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=theirs, env=environ | {"TERM": "xterm"})
    os.close(theirs)
    shown = bytearray()

    def read() -> None:
        # On Linux reading fails when the last writer has gone.
        while True:
            try:
                part = os.read(ours, 4096)
            except OSError:
                return
            shown.extend(part)

    reader = threading.Thread(target=read)
    reader.start()
    out, _ = process.communicate(timeout=30)
    reader.join()
    os.close(ours)
    return process.returncode, out.decode(), shown.decode(errors="replace")


def heeding_ctrl_c() -> None:
    """A shell that starts the tests in the background lets them ignore Ctrl-C, and whatever they start as well."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


class TestProgress:
    """A person who waits sees that something goes on; a program sees nothing of it."""

    def test_a_terminal_shows_a_bar_after_two_seconds(self, shell: Shell) -> None:
        """On stderr only, and it is gone at the end."""
        shell.chaos(send={"mode": "slow", "latency_ms": 2_800})
        status, out, shown = on_terminal((*SLOW, "--json"), shell.environ)
        assert (status, json.loads(out)["record_type"]) == (0, "message")
        assert "Sending" in shown

    def test_a_quick_command_shows_none(self, shell: Shell) -> None:
        """Nothing flickers."""
        status, _, shown = on_terminal((*SLOW, "--json"), shell.environ)
        assert (status, shown) == (0, "")

    def test_a_pipe_shows_none(self, shell: Shell) -> None:
        """However long it takes."""
        shell.chaos(send={"mode": "slow", "latency_ms": 2_800})
        done = subprocess.run(SLOW, env=shell.environ, capture_output=True, timeout=30, check=True)
        assert done.stderr == b""

    def test_an_order_that_is_left_says_how_to_come_back(self, shell: Shell) -> None:
        """Ctrl-C ends the following, not the order."""
        numbers = [f"+1{area}5550100" for area in range(200, 900)]
        command = (sys.executable, "-m", "otp_service", "numbers", "assign", "--profile", PROFILE, *numbers)
        process = subprocess.Popen(
            command,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=shell.environ,
            text=True,
            preexec_fn=heeding_ctrl_c,  # noqa: PLW1509 - it takes no lock
        )
        wait_until(lambda: len(shell.requests()) >= 2, 10, "the first look at the order")
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=10)
        assert process.returncode == 130
        found = re.search(r"numbers assign --order (\S+)\n", err)
        assert found, err
        status, _, err = shell.run("numbers", "assign", "--order", found[1])
        assert (status, "numbers could not be moved" in err) == (1, True)


@dataclass
class Installation:
    """A configuration, a keyring and a store, beside the sandbox."""

    environ: dict[str, str]
    store: "redis.Redis"
    keys: Keys
    ring: keyring.Keyring

    def sync(self) -> "subprocess.Popen[str]":
        """Begin `optouts sync --json`."""
        command = [sys.executable, "-m", "otp_service", "optouts", "sync", "--json"]
        return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=self.environ, text=True)

    def blocked(self, number: str) -> bool:
        """Whether the registry has the person as opted out of the profile."""
        found = self.store.hget(self.keys.optouts(self.ring.ids.number_hash(number)), PROFILE)
        return str(found or "").startswith("1|")


@pytest.fixture
def installation(shell: Shell, tmp_path: Path, redis_server: object, redis_url: str) -> Iterator[Installation]:
    """An installation whose carrier is the sandbox."""
    ring = tmp_path / "keyring.json"
    raw = keyring.create(secrets.token_bytes, "2026-01-01T00:00:00Z")
    ring.touch(mode=0o600)
    ring.write_bytes(raw)
    toml = tmp_path / "otp-service.toml"
    toml.write_text(config.DEV_TOML)
    environ = shell.environ | {"OTP_CONFIG": str(toml), "OTP_KEYRING": str(ring), "OTP_REDIS_URL": redis_url}
    with redis.Redis.from_url(redis_url, decode_responses=True) as store:
        yield Installation(environ, store, Keys(config.load(environ).shards), keyring.parse(raw))


def ended(process: "subprocess.Popen[str]") -> Any:
    """The JSON of a command that succeeds."""
    out, err = process.communicate(timeout=60)
    assert (process.returncode, err) == (0, "")
    return json.loads(out)


class TestSync:
    """`optouts sync` and the store's registry."""

    def test_everybody_is_in_the_registry(self, shell: Shell, installation: Installation) -> None:
        """The second time nothing is news; somebody who opts out between the two is found."""
        for n in range(600):
            shell.server.carrier.optouts.add(Block(PROFILE, person(n), TOLL_FREE, "STOP", time.time() - 86_400))
        (first,) = ended(installation.sync())
        assert (first["messaging_profile_id"], first["changed"], first["skipped"]) == (PROFILE, 600, 0)
        assert all(installation.blocked(person(n)) for n in range(600))
        shell.reply(PERSON, "STOP")
        (second,) = ended(installation.sync())
        assert second == {"messaging_profile_id": PROFILE, "read": 1, "changed": 1, "skipped": 0, "lifted": 0}
        assert installation.blocked(PERSON)

    def test_a_start_that_never_reached_us_is_made_up_for(self, shell: Shell, installation: Installation) -> None:
        """The person is on the carrier's list no more, and nobody else is lifted."""
        for n in range(300):
            shell.server.carrier.optouts.add(Block(PROFILE, person(n), TOLL_FREE, "STOP", time.time() - 86_400))
        ended(installation.sync())
        shell.server.carrier.optouts.remove(PROFILE, person(7))
        (done,) = ended(installation.sync())
        assert done["lifted"] == 1
        assert [n for n in range(300) if not installation.blocked(person(n))] == [7]

    def test_a_pass_that_is_killed_goes_on_where_it_was(self, shell: Shell, installation: Installation) -> None:
        """kill -9 in the middle: the next one reads the rest, and nobody is missing."""
        people = 5_000
        for n in range(people):
            shell.server.carrier.optouts.add(Block(PROFILE, person(n), TOLL_FREE, "STOP", time.time() - 86_400))
        cursor = installation.keys.sync_cursor(PROFILE)
        process = installation.sync()
        wait_until(lambda: 0 < int(str(installation.store.hget(cursor, "page") or 0)) < 16, 30, "the middle")
        process.kill()
        process.communicate()
        assert process.returncode == -signal.SIGKILL
        left = int(str(installation.store.hget(cursor, "page")))
        assert 0 < left < 16
        # The dead reader's lease would end by itself within a minute.
        installation.store.delete(installation.keys.sync_lease())
        (done,) = ended(installation.sync())
        assert done["read"] <= (left + 1) * 250 < people
        missing = [n for n in range(people) if not installation.blocked(person(n))]
        assert missing == []

    def test_a_carrier_that_fails_is_told(self, shell: Shell, installation: Installation) -> None:
        """The sentence is the carrier's problem, not a stack of ours."""
        installation.environ["TELNYX_API_KEY"] = "WRONG"
        process = installation.sync()
        out, err = process.communicate(timeout=30)
        assert (process.returncode, out, err.count("\n")) == (1, "", 1)
        assert "10009" in err
