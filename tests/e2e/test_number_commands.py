"""`numbers` and `optouts` at a shell, against a sandbox on a socket: every operation, every refusal."""

import re
import time

import pytest

from otp_service.sandbox.optouts import Block
from otp_service.sandbox.seeds import POOL

from .carrier_shell import MOBILE, NOBODY, PERSON, PROFILE, SHORT_CODE, TOLL_FREE, Shell, later, person


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
