"""`[prices]`: what a part of an SMS costs, by country."""

from pathlib import Path

import pytest

from otp_service import config
from otp_service.domain.errors import ConfigError
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
