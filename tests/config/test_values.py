"""Single values of the configuration: addresses, secrets, tables, rates and durations."""

from pathlib import Path

import pytest

from otp_service import config
from otp_service.config import load, load_carrier
from otp_service.domain.errors import ConfigError
from tests.domain.keyrings import RING, ring_file


@pytest.mark.parametrize("name", ["OTP_PUBLIC_URL", "TELNYX_BASE_URL"])
@pytest.mark.parametrize(
    "url",
    [
        "http://[::1",
        "http://::1]",
        "http://h:99999",
        "http://h:port",
        "http://h:0",
        "http://",
        "https:///path",
        "http://h?x=1",
        "http://h/?",
        "http://h/#",
        "http://a b",
        "http://h\nx",
        "//h",
        "javascript:alert(1)",
    ],
)
def test_what_is_no_address_is_refused(tmp_path: Path, name: str, url: str) -> None:
    """Also what the standard library stumbles over: one sentence that names the variable, never a traceback."""
    with pytest.raises(ConfigError, match="(?i)" + name.removeprefix("OTP_")):
        load({name: url}, tmp_path)


@pytest.mark.parametrize(
    "url", ["redis://user:s3cret@[::1", "redis:s3cret", "REDIS://s3cret@h", "http://s3cret@h", "h:1"]
)
def test_a_store_that_cannot_be_named_is_refused_without_its_password(tmp_path: Path, url: str) -> None:
    """The variable is named; what stands in it is not, for it may hold a password."""
    with pytest.raises(ConfigError, match="OTP_REDIS_URL") as refused:
        load({"OTP_REDIS_URL": url}, tmp_path)
    assert "s3cret" not in refused.value.detail


@pytest.mark.parametrize(
    "scheme", ["redis", "rediss", "redis+sentinel", "rediss+sentinel", "redis+cluster", "rediss+cluster", "unix"]
)
def test_every_documented_scheme_of_a_store_is_taken(tmp_path: Path, scheme: str) -> None:
    """TLS to every kind of store, also behind Sentinel."""
    url = f"{scheme}://127.0.0.1:1/main"
    assert load({"OTP_REDIS_URL": url}, tmp_path).redis_url == url


@pytest.mark.parametrize("name", ["OTP_REDIS_URL", "TELNYX_API_KEY", "TELNYX_PUBLIC_KEY"])
def test_an_empty_secret_file_is_refused(tmp_path: Path, name: str) -> None:
    """A secret that has not been written yet is not taken for none: no other store, no missing key found out later."""
    (tmp_path / "secret").touch(0o600)
    (tmp_path / "secret").write_text(" \n")
    with pytest.raises(ConfigError, match=f"{name}_FILE"):
        load({f"{name}_FILE": str(tmp_path / "secret")}, tmp_path)
    (tmp_path / "secret").write_bytes(b"\xff\xfe")
    with pytest.raises(ConfigError, match=f"{name}_FILE"):
        load({f"{name}_FILE": str(tmp_path / "secret")}, tmp_path)


@pytest.mark.parametrize("name", ["OTP_REDIS_URL", "TELNYX_API_KEY", "TELNYX_PUBLIC_KEY"])
def test_a_secret_file_that_anybody_else_may_touch_is_refused(tmp_path: Path, name: str) -> None:
    """As the keyring: reading or writing, group or others; the sentence is the command that puts it right."""
    path = tmp_path / "secret"
    path.write_text("unix:///s")
    for mode in (0o640, 0o604, 0o620, 0o602):
        path.chmod(mode)
        with pytest.raises(ConfigError, match=f"{name}_FILE: .*chmod 600 {path}"):
            load({f"{name}_FILE": str(path)}, tmp_path)
    for mode in (0o600, 0o400):
        path.chmod(mode)
        load({f"{name}_FILE": str(path)}, tmp_path)


def test_a_secret_itself_wins_over_its_file(tmp_path: Path) -> None:
    """The file is not even read then."""
    environ = {"TELNYX_API_KEY": "KEY-1", "TELNYX_API_KEY_FILE": "/nowhere"}
    assert load(environ, tmp_path).telnyx_api_key == "KEY-1"
    assert load_carrier(environ).api_key == "KEY-1"


EVERYTHING = """
[senders.pool]
kind = "number_pool"
messaging_profile_id = "p-1"
[apps.default]
brand = "Acme"
route = ["pool"]
starts_per_app = [{limit = 1, per = "1s"}]
[service]
shards = 2
queue_max = 5
issuer = "file"
[alerts]
from = "+18445550001"
to = ["+12025550190"]
"""


@pytest.mark.parametrize(
    ("line", "names"),
    [
        ("[senders.pool]", "senders.pool"),
        ("[apps.default]", "apps.default"),
        ("[service]", "service"),
        ("[alerts]", "alerts"),
    ],
)
def test_an_unknown_key_is_refused_in_every_table(tmp_path: Path, line: str, names: str) -> None:
    """A misspelt key is never taken for its default; table and key are named."""
    path = tmp_path / "c.toml"
    path.write_text(EVERYTHING.replace(line, f"{line}\nmispelt = 1"))
    with pytest.raises(ConfigError) as refused:
        load({"OTP_CONFIG": str(path)})
    assert names in refused.value.detail
    assert "mispelt" in refused.value.detail


@pytest.mark.parametrize("table", ["senders", "apps", "service", "alerts", "senders.pool", "apps.default"])
@pytest.mark.parametrize("value", ["1", '"x"', "[]", "true", "1979-05-27"])
def test_what_is_no_table_is_refused(tmp_path: Path, table: str, value: str) -> None:
    """Where a table belongs, nothing else is taken, whatever TOML can write."""
    path = tmp_path / "c.toml"
    path.write_text(f"{table} = {value}")
    with pytest.raises(ConfigError, match=table):
        load({"OTP_CONFIG": str(path)})


@pytest.mark.parametrize("rate", ["nan", "inf", "-inf", "-1", "0", "1e300", "true", '"20"'])
def test_a_rate_is_a_number_that_can_be_counted_with(tmp_path: Path, rate: str) -> None:
    """TOML can write numbers that no clock understands."""
    path = tmp_path / "c.toml"
    path.write_text(EVERYTHING.replace("[senders.pool]", f"[senders.pool]\nrate_per_s = {rate}"))
    with pytest.raises(ConfigError, match=r"senders\.pool.*rate_per_s"):
        load({"OTP_CONFIG": str(path)})


def test_every_variable_wins_over_its_key(tmp_path: Path) -> None:
    """One by one; an empty variable is none."""
    path = tmp_path / "c.toml"
    path.write_text(EVERYTHING)
    plain = load({"OTP_CONFIG": str(path)})
    assert (plain.shards, plain.queue_max, plain.issuer, plain.log_level) == (2, 5, "file", "INFO")
    environ = {"OTP_SHARDS": "3", "OTP_QUEUE_MAX": "7", "OTP_ISSUER": "env", "OTP_LOG_LEVEL": "Error"}
    settings = load({"OTP_CONFIG": str(path), **environ})
    assert (settings.shards, settings.queue_max, settings.issuer, settings.log_level) == (3, 7, "env", "ERROR")
    empty = dict.fromkeys(["OTP_PUBLIC_URL", "OTP_REDIS_URL", "OTP_KEYRING", "OTP_METRICS_DIR", "TELNYX_BASE_URL"], "")
    assert load({"OTP_CONFIG": str(path), **dict.fromkeys(environ, ""), **empty}) == plain


@pytest.mark.parametrize(
    "value", ["", "5", "m", "5 m", "5M", "5ms", "1.5h", "-5s", "5m\n", "٥m", "12345678s", "5m5s", "P1D"]
)
def test_what_is_no_duration_is_refused_by_name(value: str) -> None:
    """One number and one unit, nothing else; the key is named."""
    with pytest.raises(ConfigError, match=r"the\.key"):
        config.duration_ms(value, "the.key")


@pytest.mark.parametrize("mode", [0o604, 0o620, 0o601, 0o660, 0o777])
def test_a_keyring_that_anybody_else_may_touch_is_refused(tmp_path: Path, mode: int) -> None:
    """Reading, writing or running, group or others: the sentence is the command that puts it right."""
    path = tmp_path / "ring"
    path.write_bytes(ring_file())
    path.chmod(mode)
    with pytest.raises(ConfigError, match=f"chmod 600 {path}"):
        config.load_keyring(load({"OTP_KEYRING": str(path)}, tmp_path))


def test_a_keyring_for_the_owner_alone_is_read(tmp_path: Path) -> None:
    """0600 and the stricter 0400."""
    path = tmp_path / "ring"
    path.write_bytes(ring_file())
    for mode in (0o600, 0o400):
        path.chmod(mode)
        assert config.load_keyring(load({"OTP_KEYRING": str(path)}, tmp_path)).active_kid == RING.active_kid
