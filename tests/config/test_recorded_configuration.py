"""The configuration on record: everything that decides, and no secret."""

import json
from dataclasses import fields
from pathlib import Path

from otp_service.bootstrap.configuration import configuration_hash, configuration_of
from otp_service.domain.explaining.configuration import NOT_ON_RECORD, read_policy
from otp_service.domain.policy import App

from .test_callbacks import ONE, TWO, app, load

SECRETS = {"OTP_CALLBACK_SECRET_SHOP": ONE, "OTP_RISK_SECRET_SHOP": TWO}
LINES = (
    'callback_url = "https://hooks.example.com/callback-token"',
    "[[apps.shop.test_numbers]]",
    'number = "+13125550142"',
    'code = "424242"',
    "[apps.shop.risk]",
    'url = "https://risk.example.com/risk-token"',
)
LIMIT = '[[limits]]\nname = "devices"\nkey = "device"\nevent = "start"\nrules = [{limit = 3, per = "1h"}]\n'


def test_no_secret_stands_on_record(tmp_path: Path) -> None:
    """Neither what signs, nor a path that may hold a token, nor the code of a test number, nor the whole number."""
    recorded = configuration_of(load(tmp_path, app("shop", *LINES), **SECRETS))
    text = json.dumps(recorded)
    for hidden in (ONE, TWO, "callback-token", "risk-token", "424242", "3125550142"):
        assert hidden not in text
    shop = recorded["apps"]["shop"]
    assert (shop["callback"]["host"], shop["risk"]["endpoint"]["host"]) == ("hooks.example.com", "risk.example.com")
    assert shop["test_numbers"] == ["+1******0142"]


def test_whatever_decides_changes_the_hash(tmp_path: Path) -> None:
    """Limits and times of keeping as well as an app's own settings."""
    files: tuple[list[str], ...] = (
        [],
        [LIMIT],
        [LIMIT.replace("3", "4")],
        ['[retention]\nverifications = "48h"\n'],
        [app("b")],
    )
    hashes = [configuration_hash(load(tmp_path, app("a"), *more)) for more in files]
    assert len(set(hashes)) == len(files)


def test_decisions_can_be_recomputed_from_it(tmp_path: Path) -> None:
    """What the rules need of apps, senders and limits is read from it as it was."""
    own = ("starts_per_app = [{limit = 9, per = '1m'}]", "max_checks = 3", "[apps.shop.guard]", "mode = 'monitor'")
    policy = load(tmp_path, app("shop", *own)).policy
    found = read_policy(json.loads(json.dumps(configuration_of(load(tmp_path, app("shop", *own))))))
    assert (found.per_number, found.senders, found.apps["shop"].route) == (
        policy.per_number,
        policy.senders,
        policy.apps["shop"].route,
    )
    for member in {one.name for one in fields(App)} - NOT_ON_RECORD:
        assert getattr(found.apps["shop"], member) == getattr(policy.apps["shop"], member), member
