"""`[prices]`: what a part of an SMS costs, by country."""

from pathlib import Path

import pytest

from otp_service import config
from otp_service.domain.errors import ConfigError
from otp_service.domain.policy import Channel
from otp_service.domain.prices import Prices


def test_prices_are_read_and_faults_named(tmp_path: Path) -> None:
    """Without the table there are none."""
    path = tmp_path / "c.toml"
    path.write_text('[prices]\ncurrency = "EUR"\nsegments = {US = 0.0079, CA = 1}\n')
    assert config.load({"OTP_CONFIG": str(path)}).prices == Prices("EUR", {"US": 0.0079, "CA": 1.0})
    path.write_text('[prices]\ncurrency = "euro"\nsegments = {UK = 0.1}\n')
    with pytest.raises(ConfigError) as refused:
        config.load({"OTP_CONFIG": str(path)})
    assert "prices.currency" in refused.value.detail
    assert "prices.segments: 'UK' is no country" in refused.value.detail
    path.write_text("")
    assert config.load({"OTP_CONFIG": str(path)}).prices == Prices()


APP = """
[senders.pool]
kind = "number_pool"
messaging_profile_id = "profile"
[apps.shop]
brand = "Acme"
route = ["pool"]
daily_spend_limit = 50
"""


@pytest.mark.parametrize(
    ("countries", "prices", "fault"),
    [
        ('["US", "CA"]', "segments = {US = 0.01, CA = 0.02}", ""),
        ('["US", "CA"]', "default = 0.1", ""),
        ('["*"]', "default = 0", ""),
        ('["US", "CA"]', "segments = {US = 0.01}", "there is no price for CA; write segments = {CA = 0.1} in [prices]"),
        ('["*"]', "segments = {US = 0.01}", "the app sends to all countries; write default = 0.1 in [prices]"),
    ],
)
def test_a_limit_needs_a_price_for_each_country(tmp_path: Path, countries: str, prices: str, fault: str) -> None:
    """What is missing is said, and how it is written."""
    path = tmp_path / "c.toml"
    path.write_text(f"{APP}countries = {countries}\n[prices]\n{prices}\n")
    if not fault:
        assert config.load({"OTP_CONFIG": str(path)}).policy.apps["shop"].spend_limit == 50_000_000
        return
    with pytest.raises(ConfigError) as refused:
        config.load({"OTP_CONFIG": str(path)})
    assert f"apps.shop.daily_spend_limit: {fault}" in refused.value.detail


@pytest.mark.parametrize(("limit", "micros"), [("1e-6", 1), ("0.000_001_2", 2), ("9.99e-7", 0), ("1e-10", 0)])
def test_a_limit_of_less_than_is_counted_is_refused(tmp_path: Path, limit: str, micros: int) -> None:
    """It would be another limit than the one that is written, or none that anything can be compared with."""
    path = tmp_path / "c.toml"
    path.write_text(APP.replace("= 50", f"= {limit}") + "[prices]\ndefault = 0.1\n")
    if micros:
        assert config.load({"OTP_CONFIG": str(path)}).policy.apps["shop"].spend_limit == micros
        return
    with pytest.raises(ConfigError) as refused:
        config.load({"OTP_CONFIG": str(path)})
    assert "apps.shop.daily_spend_limit: must be at least 0.000001" in refused.value.detail


def test_the_expected_price_of_a_message() -> None:
    """Of each part of an SMS; of a message by WhatsApp, or else of a part; a number of no country costs the most."""
    prices = Prices("USD", {"US": 0.0079, "CA": 0.0085}, {"US": 0.015})
    assert prices.expected("US", Channel.SMS, 2) == 15_800
    assert prices.expected("US", Channel.WHATSAPP, 1) == 15_000
    assert prices.expected("CA", Channel.WHATSAPP, 3) == 8_500
    assert prices.expected(None, Channel.SMS, 1) == 8_500
    assert Prices(default=0.1).expected("DE", Channel.SMS, 1) == 100_000
    assert Prices(default=0.000_000_1).expected("DE", Channel.SMS, 1) == 1
