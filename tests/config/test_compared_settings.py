"""What processes tell each other of their configuration: which settings differ, and nothing of what is in them."""

from pathlib import Path

import pytest

from otp_service import config
from otp_service.bootstrap.fleet import configuration_parts
from otp_service.domain.ids import Ids

SECRET = "whsec_" + "c2VjcmV0" * 4
BASE = """
[senders.pool]
kind = "number_pool"
messaging_profile_id = "profile"
[apps.shop]
brand = "Acme"
route = ["pool"]
callback_url = "https://shop.example/hook"
[apps.other]
brand = "Other"
route = ["pool"]
"""


def parts(tmp_path: Path, more: str = "", **environ: str) -> dict[str, str]:
    """The settings of a process with this file, by keyed hashes."""
    path = tmp_path / "c.toml"
    path.write_text(BASE + more)
    secret = {"OTP_CALLBACK_SECRET_SHOP": SECRET, "TELNYX_API_KEY": "KEY0"}
    loaded = config.load({"OTP_CONFIG": str(path), **secret, **environ})
    return configuration_parts(loaded, Ids(bytes(32)))


@pytest.mark.parametrize(
    ("more", "environ", "differs"),
    [
        ("[prices]\nsegments = {US = 0.01}\n", {}, {"prices.segments"}),
        ('[prices]\ncurrency = "EUR"\ndefault = 0.1\n', {}, {"prices.currency", "prices.default"}),
        ("[prices]\nwhatsapp = {US = 0.01}\n", {}, {"prices.whatsapp"}),
        ('[store]\nafter_restart = "end_codes"\n', {}, {"store.after_restart"}),
        ("[store]\nreplicas = 1\n", {}, {"store.after_restart", "store.replicas"}),
        ("[audit]\nkeep_webhooks = false\n", {}, {"audit.keep_webhooks"}),
        ('[apps.more]\nbrand = "More"\nroute = ["pool"]\n', {}, {"apps"}),
        ("max_checks = 3\n", {}, {"apps.max_checks"}),
        ("", {"TELNYX_API_KEY": "KEY1"}, {"carrier's key"}),
        ("", {"OTP_CALLBACK_SECRET_SHOP": "whsec_" + "b3RoZXI0" * 4}, {"apps.callback"}),
    ],
)
def test_each_setting_that_differs_has_its_name(
    tmp_path: Path, more: str, environ: dict[str, str], differs: set[str]
) -> None:
    """An app that one process has alone says nothing about the settings of the others."""
    one, other = parts(tmp_path), parts(tmp_path, more, **environ)
    found = {name for name in one if one[name] != other[name]}
    assert {name for name in found if name.partition(".")[0] not in found or "." not in name} == differs


def test_no_setting_shows_what_is_in_it(tmp_path: Path) -> None:
    """Names, and keyed hashes of eight digits."""
    found = parts(tmp_path, "[store]\nreplicas = 1\n[prices]\nsegments = {US = 0.01}\n")
    assert all(len(value) == 8 for value in found.values())
    assert not any(word in str(found) for word in (SECRET, "KEY0", "shop", "0.01"))
