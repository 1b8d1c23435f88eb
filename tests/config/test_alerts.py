"""What may stand in [alerts] and in service.optout_sync; what may not is refused in a sentence that names the key."""

from pathlib import Path

import pytest

from otp_service import config
from otp_service.config import Settings
from otp_service.domain.errors import ConfigError
from otp_service.domain.policy import OnCall


def load(tmp_path: Path, toml: str) -> Settings:
    """Settings from a file with this text."""
    path = tmp_path / "otp-service.toml"
    path.write_text(toml)
    return config.load({"OTP_CONFIG": str(path)})


def test_people_on_call_are_read(tmp_path: Path) -> None:
    """Up to eight numbers, US or Canada, and our own to send from; a repr shows none of theirs."""
    people = [f"+1202555{n:04}" for n in range(190, 197)] + ["+14165550123"]
    settings = load(tmp_path, f'[alerts]\nfrom = "+18445550001"\nto = {people}')
    assert settings.on_call == OnCall("+18445550001", tuple(people))
    assert not any(number in repr(settings) for number in people)


def test_nobody_is_on_call_unless_named(tmp_path: Path) -> None:
    """Without the table nobody is alerted, and the list of opt-outs is read every quarter of an hour."""
    settings = load(tmp_path, "")
    assert (settings.on_call, settings.optout_sync_ms) == (None, 900_000)


@pytest.mark.parametrize(
    ("toml", "key"),
    [
        ('[alerts]\nto = ["+12025550190"]', "from"),
        ('[alerts]\nfrom = "+18445550001"', "to"),
        ('[alerts]\nfrom = "+18445550001"\nto = []', "to"),
        ('[alerts]\nfrom = "12345"\nto = ["+12025550190"]', "alerts.from"),
        ('[alerts]\nfrom = "+18445550001"\nto = ["2025550190"]', "alerts.to"),
        ('[alerts]\nfrom = "+18445550001"\nto = ["+447911123456"]', "alerts.to"),
        ('[alerts]\nfrom = "+18445550001"\nto = ["+12025550190", "+12025550190"]', "alerts.to"),
        (f'[alerts]\nfrom = "+18445550001"\nto = {[f"+1202555{n:04}" for n in range(190, 199)]}', "alerts"),
        ('[alerts]\nfrom = "+18445550001"\nto = ["+12025550190"]\nmail = "a@b.c"', "mail"),
        ("alerts = 1", "alerts"),
        ('[service]\noptout_sync = "0s"', "service.optout_sync"),
        ('[service]\noptout_sync = "often"', "service.optout_sync"),
        ("[paging]", "paging"),
    ],
)
def test_what_is_not_understood_is_refused(tmp_path: Path, toml: str, key: str) -> None:
    """One sentence that names the key, and no number in it."""
    with pytest.raises(ConfigError) as refused:
        load(tmp_path, toml)
    assert key in refused.value.detail
    assert "20255501" not in refused.value.detail


def test_the_carrier_s_commands_need_the_carrier_s_variables_only(tmp_path: Path) -> None:
    """URL and key come from the environment or a file, with the carrier's own address by default."""
    (tmp_path / "key").touch(0o600)
    (tmp_path / "key").write_text("KEY\n")
    environ = {"TELNYX_API_KEY_FILE": str(tmp_path / "key"), "OTP_CONFIG": "/does/not/exist"}
    access = config.load_carrier(environ)
    assert (access.api_key, access.base_url) == ("KEY", "https://api.telnyx.com/v2")
    assert "KEY" not in repr(access)
    with pytest.raises(ConfigError, match="TELNYX_API_KEY is not set"):
        config.load_carrier({})
    with pytest.raises(ConfigError, match="TELNYX_BASE_URL"):
        config.load_carrier(environ | {"TELNYX_BASE_URL": "ftp://x"})
