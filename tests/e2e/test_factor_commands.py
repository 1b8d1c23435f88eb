"""The commands `verify` and `factors`, beside a running `otp-service dev`."""

import io
import json
import sys
from typing import Any

import pyotp
import pytest

from otp_service.cli.main import main

from ..conftest import Dev
from .service_client import ServiceClient


class Typed:
    """A shell of this process: what a command prints. One that fails prints one sentence, and nothing else."""

    def __init__(self, capsys: pytest.CaptureFixture[str]) -> None:
        self._capsys = capsys

    def __call__(self, *words: str) -> str:
        """The output of a command that succeeds."""
        status, (out, err) = main(words), self._capsys.readouterr()
        assert status == 0, err
        return out

    def json(self, *words: str) -> Any:
        """The same with --json, parsed."""
        return json.loads(self(*words, "--json"))

    def refusal(self, *words: str) -> str:
        """The sentence of a command that fails."""
        status, (out, err) = main(words), self._capsys.readouterr()
        assert (status, out, err.count("\n")) == (1, "", 1)
        return err.strip()


@pytest.fixture
def typed(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Typed:
    """A shell without variables of the service."""
    for name in ("OTP_URL", "OTP_API_KEY", "OTP_API_KEY_FILE"):
        monkeypatch.delenv(name, raising=False)
    return Typed(capsys)


def test_a_person_is_enrolled_and_logs_in_from_a_shell(
    shared_dev: Dev, service_client: ServiceClient, typed: Typed, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The QR code in the terminal, confirm, a code by SMS, a recovery code, list, remove."""
    for name, value in shared_dev.env.items():
        monkeypatch.setenv(name, value)
    number = service_client.number()
    subject = f"shell-{number}"
    drawn = typed("factors", "enroll", subject, "--label", "Phone")
    assert "█" in drawn
    facts = dict(line.split() for line in drawn.splitlines() if line.startswith(("secret", "factor_id")))
    app, factor_id = pyotp.TOTP(facts["secret"]), facts["factor_id"]
    with service_client.store() as store:
        moment: Any = store.time()
    assert typed.json("factors", "confirm", factor_id, app.at(moment[0]))[0]["status"] == "active"
    approved = typed.json("verify", "check", app.at(moment[0] + 30), "--subject", subject)
    assert (approved["kind"], approved["status"]) == ("totp", "approved")
    person = ("--subject", subject, "--purpose", "bind")
    assert "pending" in typed("verify", "start", "--to", number, *person, "--proof", approved["receipt"])
    assert "sms" in typed("verify", "check", service_client.code(number), *person)
    codes = typed("factors", "codes", subject).split()
    assert "recovery_code" in typed("verify", "check", codes[0], "--subject", subject)
    assert [one["kind"] for one in typed.json("factors", "list", subject)] == ["totp", "sms", "recovery_code"]
    assert f"+1******{number[-4:]}" in typed("factors", "list", subject)
    assert typed.refusal("verify", "check", codes[0], "--subject", subject).endswith("(code_used)")
    for code in codes[1:]:
        assert service_client.call("POST", "/verify/check", {"subject": subject, "code": code}).status_code == 200
    assert typed("factors", "list", subject).split()[-1] == "0"
    assert typed("factors", "lift", subject, "--reason", "called") == "lifted: 0 wrong codes in a row\n"
    assert typed("factors", "remove", factor_id) == f"removed {factor_id}\n"
    assert typed.refusal("factors", "remove", factor_id).endswith("(factor_not_found)")


def test_what_is_missing_is_said(typed: Typed, monkeypatch: pytest.MonkeyPatch) -> None:
    """No address, an address where nobody answers, nobody named."""
    assert "OTP_URL" in typed.refusal("factors", "list", "x")
    monkeypatch.setenv("OTP_URL", "http://127.0.0.1:1")
    monkeypatch.setenv("OTP_API_KEY", "otp_x")
    assert "does not answer" in typed.refusal("factors", "list", "x")
    assert "--subject" in typed.refusal("verify", "check", "123456")


class Terminal(io.StringIO):
    """A terminal at which nothing is typed but the end (Ctrl-D)."""

    def isatty(self) -> bool:
        """It is one."""
        return True


def test_the_end_at_the_prompt_is_no_mistake(shared_dev: Dev, typed: Typed, monkeypatch: pytest.MonkeyPatch) -> None:
    """The app can be confirmed later; no traceback."""
    for name, value in shared_dev.env.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(sys, "stdin", Terminal())
    assert "factor_id" in typed("factors", "enroll", "undecided")
