"""`messages` at a shell, against a sandbox on a socket: every operation, every refusal."""

import re

import pytest

from otp_service.cli import carrier
from otp_service.domain.delivery import Action
from otp_service.sandbox.seeds import POOL
from tests.conftest import wait_until

from .carrier_shell import BRITON, NOBODY, OTHER, PERSON, PROFILE, SHORT_CODE, TOLL_FREE, Shell, later


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
    def test_a_lost_answer_names_the_key_for_a_safe_repeat(self, shell: Shell, mode: str) -> None:
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

    def test_a_group_message_is_sent_at_once(self, shell: Shell) -> None:
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
    def test_what_no_group_can_be_sent(self, shell: Shell, words: list[str], part: str, status: int) -> None:
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
