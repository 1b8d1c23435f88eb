"""`[apps.NAME.factors]`: which kinds count for a purpose, as a list or with the `acr` that receipts then have."""

from pathlib import Path

import pytest

from otp_service.domain.factors import FactorKind

from .reading import read, refusal
from .test_settings import APP, SENDERS

TABLE = SENDERS + APP + "\n[apps.default.factors]\n"


def test_a_policy_may_name_an_acr(tmp_path: Path) -> None:
    """Beside a plain list; a purpose of which nothing is said takes all kinds and names nothing."""
    app = read(tmp_path, TABLE + 'login = ["sms"]\npay = {kinds = ["totp"], acr = "urn:x:strong"}\n').policy.apps[
        "default"
    ]
    assert (app.counts("login"), app.counts("pay")) == (frozenset({FactorKind.SMS}), frozenset({FactorKind.TOTP}))
    assert (app.counts("other"), app.acr) == (frozenset(FactorKind), {"pay": "urn:x:strong"})


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("pay = []", "length at least 1"),
        ('pay = ["voice"]', "voice"),
        ('pay = {kinds = ["totp"]}', "required field `acr`"),
        ('pay = {kinds = ["totp"], acr = ""}', "length at least 1"),
        ('pay = {kinds = ["totp"], acr = "two words"}', "ASCII without blanks"),
        ('pay = {kinds = [], acr = "urn:x:strong"}', "length at least 1"),
        ('pay = {kinds = ["totp"], acr = "urn:x", level = 2}', "unknown field `level`"),
    ],
)
def test_what_is_no_policy(tmp_path: Path, line: str, words: str) -> None:
    """Refused at load, by its key."""
    said = refusal(tmp_path, TABLE + line + "\n")
    assert said.startswith(("apps.default.factors.pay", "apps.default.factors: "))
    assert words in said


@pytest.mark.parametrize("value", ['["sms", "voice"]', '{kinds = ["sms", "voice"], acr = "urn:x:strong"}'])
def test_a_kind_that_there_is_not(tmp_path: Path, value: str) -> None:
    """The refusal names the purpose and the place, and says which kinds there are."""
    said = refusal(tmp_path, TABLE + f'login = ["sms"]\npay = {value}\n')
    place = "pay.kinds[1]" if "acr" in value else "pay[1]"
    assert said == f"apps.default.factors.{place}: 'voice' is unknown; write one of totp, recovery_code, sms"


def test_each_wrong_entry_of_a_table_is_a_fault_by_its_key(tmp_path: Path) -> None:
    """Countries of the guard, prices: the key is named, and all faults are told at once."""
    guard = '\n[apps.default.guard.countries]\nUS = "on"\nCA = "off"\nMX = 1\n'
    said = refusal(tmp_path, SENDERS + APP + guard + '[prices]\nsegments = {US = "x"}\n')
    assert "apps.default.guard.countries.US: 'on' is unknown; write one of off, monitor, enforce" in said
    assert "apps.default.guard.countries.MX: must be text in quotes, not a whole number" in said
    assert "prices.segments.US: must be a number, not text in quotes" in said
    assert "countries.CA" not in said
