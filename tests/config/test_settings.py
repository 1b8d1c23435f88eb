"""The configuration: every key can be set, and what is not understood is refused by its name."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from otp_service import config
from otp_service.config import duration_ms, load
from otp_service.domain.errors import ConfigError
from otp_service.domain.policy import Channel, Limit

from .reading import read, refusal

SENDERS = """
[senders.pool]
kind = "number_pool"
messaging_profile_id = "p-1"

[senders.backup]
kind = "long_code"
from = "+18445550001"
messaging_profile_id = "p-1"
"""
APP = """
[apps.default]
brand = "Acme"
route = ["pool", "backup"]
"""


def test_the_defaults_are_the_contracts(tmp_path: Path) -> None:
    """What a short file leaves out."""
    settings = read(tmp_path, SENDERS + APP)
    app = settings.policy.apps["default"]
    assert (app.code_length, app.code_ttl_ms, app.max_checks) == (6, 300_000, 5)
    assert app.resend_after_ms == (30_000, 60_000, 120_000)
    assert app.countries == {"US", "CA"}
    assert app.wrong_codes_per_number == (Limit(20, 86_400_000),)
    assert [sender.name for sender in app.route] == ["pool", "backup"]
    assert [sender.rate_per_s for sender in app.route] == [20, 20]
    assert settings.shards == 16


def test_the_developers_configuration_is_valid(tmp_path: Path) -> None:
    """What `otp-service dev` runs with when there is none."""
    settings = read(tmp_path, config.DEV_TOML)
    assert list(settings.policy.senders) == ["pool", "backup"]
    assert {sender.rate_per_s for sender in settings.policy.senders.values()} == {50}


def test_every_key_of_an_app_can_be_set(tmp_path: Path) -> None:
    """All keys of an app at once."""
    settings = read(
        tmp_path,
        SENDERS
        + """
[senders.short]
kind = "short_code"
from = "12345"
messaging_profile_id = "p-2"
[senders.name]
kind = "alphanumeric"
from = "ACME"
messaging_profile_id = "p-2"
rate_per_s = 2.5
[senders.wa]
kind = "whatsapp"
from = "+18445550002"
messaging_profile_id = "p-3"
template = "otp"
template_language = "de"
[apps.bank]
brand = "Bank"
route = ["short", "name", "wa"]
code_length = 8
code_ttl = "10m"
max_checks = 3
resend_after = ["10s", 20]
countries = ["*"]
wrong_codes_per_number = [{limit = 5, per = "1h"}, {limit = 20, per = "24h"}]
starts_per_number = [{limit = 3, per = "10m"}]
""",
    )
    app = settings.policy.apps["bank"]
    assert (app.code_length, app.code_ttl_ms, app.max_checks) == (8, 600_000, 3)
    assert app.resend_after_ms == (10_000, 20_000)
    assert app.wrong_codes_per_number == (Limit(5, 3_600_000), Limit(20, 86_400_000))
    assert app.may_send_to("DE")
    assert app.may_send_to(None)
    assert [sender.rate_per_s for sender in app.route] == [1000, 2.5, 20]
    assert app.route[2].channel is Channel.WHATSAPP


def test_the_limits_of_a_number_over_all_apps(tmp_path: Path) -> None:
    """Defaults as documented; values of the file are taken; the limit of wrong codes is never below an app's own."""
    defaults = read(tmp_path, SENDERS + APP).policy.per_number
    assert defaults.sends == (Limit(5, 600_000), Limit(10, 3_600_000), Limit(20, 86_400_000))
    assert defaults.wrong_codes == (Limit(40, 86_400_000),)
    wide = APP + 'wrong_codes_per_number = [{limit = 3, per = "1h"}, {limit = 60, per = "24h"}]\n'
    assert read(tmp_path, SENDERS + wide).policy.per_number.wrong_codes == (Limit(60, 86_400_000),)
    text = """
[service]
sends_per_number = [{limit = 2, per = "30s"}]
wrong_codes_per_number = [{limit = 60, per = "24h"}, {limit = 80, per = 172800}]
"""
    given = read(tmp_path, SENDERS + wide + text).policy.per_number
    assert given.sends == (Limit(2, 30_000),)
    assert given.wrong_codes == (Limit(60, 86_400_000), Limit(80, 172_800_000))
    assert read(tmp_path, SENDERS + APP + "[service]\nsends_per_number = []").policy.per_number.sends == ()


def test_what_becomes_of_codes_when_the_store_was_restarted(tmp_path: Path) -> None:
    """On a single server they go on; where another server takes over they end; the file has the last word."""
    text = SENDERS + APP
    for url, ended in (("redis://h", False), ("unix:///s", False), ("rediss+sentinel://h/m", True)):
        assert (read(tmp_path, text, OTP_REDIS_URL=url).after_restart == "end_codes") is ended
    for url, replicas in (("redis://h", 0), ("redis+sentinel://h/m", 1), ("redis+cluster://h", None)):
        assert read(tmp_path, text, OTP_REDIS_URL=url).expected_replicas == replicas
    waiting = read(tmp_path, f"{text}[store]\nreplicas = 2")
    assert (waiting.expected_replicas, waiting.after_restart) == (2, "end_codes")
    for chosen in ("keep_codes", "end_codes"):
        assert read(tmp_path, f'{text}[store]\nafter_restart = "{chosen}"').after_restart == chosen


BAD_APPS = {
    'colour = "red"': "colour",
    "code_length = 5": "code_length",
    "code_length = 11": "code_length",
    'code_length = "6"': "code_length",
    'code_ttl = "601s"': "code_ttl",
    "code_ttl = 601": "code_ttl",
    'code_ttl = "11m"': "code_ttl",
    'code_ttl = "0s"': "code_ttl",
    'code_ttl = "5 m"': "code_ttl",
    'code_ttl = "-1s"': "code_ttl",
    "code_ttl = true": "code_ttl",
    "code_ttl = 1.5": "code_ttl",
    "max_checks = 0": "max_checks",
    "max_checks = 21": "max_checks",
    'countries = ["usa"]': "countries",
    "countries = []": "countries",
    'countries = ["us"]': "countries",
    "wrong_codes_per_number = []": "wrong_codes_per_number",
    'wrong_codes_per_number = [{limit = 101, per = "24h"}]': "wrong_codes_per_number",
    'wrong_codes_per_number = [{limit = 0, per = "24h"}]': "wrong_codes_per_number",
    'wrong_codes_per_number = [{limit = 1, per = "0s"}]': "wrong_codes_per_number",
    'wrong_codes_per_number = [{limit = 1, per = "1h", x = 1}]': "x",
    'starts_per_number = [{limit = 1, per = "soon"}]': "starts_per_number",
    'resend_after = ["soon"]': "resend_after",
    "resend_after = [" + '"1s",' * 17 + "]": "resend_after",
}


@pytest.mark.parametrize("line", list(BAD_APPS))
def test_an_unusable_value_of_an_app_is_named(tmp_path: Path, line: str) -> None:
    """No start with a value that would weaken the app or be silently ignored; the key stands in the sentence."""
    fault = refusal(tmp_path, SENDERS + APP + line)
    assert BAD_APPS[line] in fault
    assert "apps.default" in fault
    assert "\n" not in fault


@pytest.mark.parametrize(
    ("text", "named"),
    [
        (SENDERS + APP + "[other]\nx = 1", "other"),
        (SENDERS + APP.replace('"backup"', '"nobody"'), "nobody"),
        (SENDERS + APP.replace('"backup"', '"pool"'), "apps.default.route"),
        (SENDERS + APP.replace('["pool", "backup"]', "[]"), "apps.default"),
        (SENDERS + APP.replace('"Acme"', '"Acme\\n"'), "apps.default.brand"),
        (SENDERS + APP.replace('"Acme"', '"Call 12345"'), "apps.default.brand"),
        (SENDERS + APP.replace('"Acme"', '""'), "apps.default"),
        (SENDERS + APP.replace("apps.default", 'apps."a b"'), "apps.a b"),
        (SENDERS + APP.replace("apps.default", 'apps."a:b"'), "apps.a:b"),
        (SENDERS.replace("number_pool", "pigeon") + APP, "senders.pool"),
        (SENDERS.replace('from = "+18445550001"\n', "") + APP, "senders.backup.from"),
        (SENDERS.replace("+18445550001", "18445550001") + APP, "senders.backup.from"),
        (SENDERS.replace('kind = "number_pool"', 'kind = "number_pool"\nfrom = "+18445550001"'), "senders.pool.from"),
        (SENDERS.replace('kind = "number_pool"', 'kind = "number_pool"\nrate_per_s = 0'), "senders.pool"),
        (SENDERS.replace('kind = "number_pool"', 'kind = "number_pool"\ntemplate = "x"'), "senders.pool.template"),
        (SENDERS.replace('kind = "long_code"', 'kind = "whatsapp"'), "senders.backup.template"),
        (SENDERS.replace('kind = "long_code"', 'kind = "short_code"'), "senders.backup.from"),
        (SENDERS.replace('kind = "long_code"', 'kind = "alphanumeric"'), "senders.backup.from"),
        ("senders = 1", "senders"),
        ("[service]\nshards = 0", "service"),
        ("[service]\nshards = 257", "service"),
        ("[service]\ncolour = 1", "colour"),
        ('[audit]\nretention = "x"', "audit.retention"),
        ("[audit]\nbacklog_max = 0", "audit.backlog_max"),
        ('[audit]\nkeep_webhooks = "x"', "audit.keep_webhooks"),
        ('[service]\npublic_url = "ftp://x"', "public_url"),
        ('[service]\nsends_per_number = [{limit = 0, per = "1h"}]', "service"),
        ('[service]\nsends_per_number = [{limit = 5, per = "soon"}]', "service.sends_per_number"),
        ('[service]\nsends_per_number = [{limit = 5, per = "0s"}]', "service.sends_per_number"),
        ("[service]\nwrong_codes_per_number = []", "service.wrong_codes_per_number"),
        ('[service]\nwrong_codes_per_number = [{limit = 101, per = "24h"}]', "service.wrong_codes_per_number"),
        (
            SENDERS + APP + '\n[service]\nwrong_codes_per_number = [{limit = 19, per = "24h"}]',
            "service.wrong_codes_per_number",
        ),
        ("not toml", "otp-service.toml"),
    ],
)
def test_an_unusable_file_is_refused_by_name(tmp_path: Path, text: str, named: str) -> None:
    """Unknown tables and keys, missing senders, wrong addresses: one sentence that names the place."""
    assert named in refusal(tmp_path, text)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("OTP_SHARDS", "0"),
        ("OTP_SHARDS", "１６"),
        ("OTP_SHARDS", "1e3"),
        ("OTP_QUEUE_MAX", "-1"),
        ("OTP_LOG_LEVEL", "loud"),
        ("OTP_REDIS_URL", "memcached://user:secret@x"),
        ("TELNYX_BASE_URL", "api.telnyx.com"),
        ("TELNYX_API_KEY_FILE", "/nowhere"),
        ("OTP_CONFIG", "/nowhere"),
    ],
)
def test_an_unusable_variable_is_refused_by_name(tmp_path: Path, name: str, value: str) -> None:
    """The sentence names the variable and repeats no secret."""
    with pytest.raises(ConfigError) as refused:
        load({name: value}, tmp_path)
    assert name in refused.value.detail
    assert "secret" not in refused.value.detail


@pytest.mark.parametrize(
    ("url", "local"),
    [
        ("http://127.0.0.1:8081/v2", True),
        ("http://127.9.9.9/v2", True),
        ("http://[::1]:8081/v2", True),
        ("http://LOCALHOST:8081/v2", True),
        ("https://api.telnyx.com/v2", False),
        ("http://localhost.example/v2", False),
        ("http://127.0.0.1.example/v2", False),
        ("http://user@127.0.0.1@example.com/v2", False),
        ("http://192.168.0.1/v2", False),
        ("http://[::2]/v2", False),
        ("", False),
    ],
)
def test_only_a_carrier_on_loopback_is_the_sandbox(tmp_path: Path, url: str, *, local: bool) -> None:
    """By the host alone; by default the carrier is the real one. Fictitious numbers depend on it."""
    assert load({"TELNYX_BASE_URL": url}, tmp_path).carrier_on_loopback is local


def test_the_environment_wins_and_secrets_may_lie_in_files(tmp_path: Path) -> None:
    """Environment over file; NAME_FILE for secrets, without their line end."""
    secret = tmp_path / "key"
    secret.touch(0o600)
    secret.write_text("KEY-from-file\n", encoding="utf-8")
    text = '[service]\nshards = 4\npublic_url = "https://file.example"'
    settings = read(
        tmp_path, text, OTP_SHARDS="8", OTP_PUBLIC_URL="https://env.example/", TELNYX_API_KEY_FILE=str(secret)
    )
    assert (settings.shards, settings.public_url) == (8, "https://env.example")
    assert settings.issuer == "https://env.example"
    assert settings.telnyx_api_key == "KEY-from-file"


def test_a_public_url_of_the_file_is_looked_at_whatever_the_environment_has(tmp_path: Path) -> None:
    """A fault does not wait until the variable is unset."""
    said = refusal(tmp_path, '[service]\npublic_url = "otp.example"', OTP_PUBLIC_URL="https://env.example")
    assert said.startswith("service.public_url: ")


def test_settings_show_no_secret(tmp_path: Path) -> None:
    """They may stand in a log by accident."""
    shown = repr(read(tmp_path, SENDERS + APP, TELNYX_API_KEY="KEY-s3cret", OTP_REDIS_URL="redis://:s3cret@h:1/0"))
    assert "s3cret" not in shown


def test_without_a_file_there_is_no_app(tmp_path: Path) -> None:
    """The defaults of the developer's command are not those of production."""
    settings = load({}, tmp_path)
    assert not settings.policy.apps
    assert settings.config_path is None
    (tmp_path / config.DEFAULT_FILE).write_text(SENDERS + APP, encoding="utf-8")
    assert "default" in load({}, tmp_path).policy.apps


@given(st.integers(0, 10**7 - 1), st.sampled_from("smhd"))
def test_a_duration_is_what_it_says(count: int, unit: str) -> None:
    """Seconds, minutes, hours, days; a bare number is seconds."""
    factor = {"s": 1, "m": 60, "h": 3_600, "d": 86_400}[unit]
    assert duration_ms(f"{count}{unit}", "x") == count * factor * 1_000
    assert duration_ms(count, "x") == count * 1_000
