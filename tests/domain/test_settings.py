"""Configuration, keyring, routes: what is not understood is refused, and the refusal names the key."""

import base64
import json
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from otp_service import config, keyring
from otp_service.config import Settings, duration_ms, load
from otp_service.domain import failover, phone, routing
from otp_service.domain.delivery import Action, Refused
from otp_service.domain.errors import ConfigError, KeyUnknown, SealBroken
from otp_service.domain.policy import App, Channel, Limit, Sender, SenderKind
from otp_service.keyring import KeyringError

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


def read(tmp_path: Path, text: str, **environ: str) -> Settings:
    """Load a file of this text."""
    path = tmp_path / "otp-service.toml"
    path.write_text(text, encoding="utf-8")
    return load({"OTP_CONFIG": str(path), **environ})


def refusal(tmp_path: Path, text: str, **environ: str) -> str:
    """The sentence of the refusal; one line."""
    with pytest.raises(ConfigError) as refused:
        read(tmp_path, text, **environ)
    return refused.value.detail


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
        ('[service]\naudit_retention = "x"', "service.audit_retention"),
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
    secret.write_text("KEY-from-file\n", encoding="utf-8")
    text = '[service]\nshards = 4\npublic_url = "https://file.example"'
    settings = read(
        tmp_path, text, OTP_SHARDS="8", OTP_PUBLIC_URL="https://env.example/", TELNYX_API_KEY_FILE=str(secret)
    )
    assert (settings.shards, settings.public_url) == (8, "https://env.example")
    assert settings.issuer == "https://env.example"
    assert settings.telnyx_api_key == "KEY-from-file"


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


# ---- the keyring --------------------------------------------------------------------------------------------------


def fresh(seed: int = 0) -> bytes:
    """A keyring file."""
    return keyring.create(lambda n: bytes((seed + i) % 256 for i in range(n)), "2026-01-01T00:00:00Z")


def test_what_one_generation_sealed_the_next_opens() -> None:
    """Rotation loses nothing: old boxes open, old peppers stay available, the new key is used for new data."""
    raw = fresh()
    old = keyring.parse(raw)
    new = keyring.parse(keyring.rotate(raw, lambda n: b"\x09" * n, "2026-02-01T00:00:00Z"))
    assert new.open(old.seal(b"secret")) == b"secret"
    assert new.fingerprint == old.fingerprint
    assert set(new.peppers) == {old.active_kid, new.active_kid}
    assert new.active_kid != old.active_kid
    with pytest.raises(KeyUnknown) as unknown:
        old.open(new.seal(b"secret"))
    assert unknown.value.kid == new.active_kid


@given(st.binary(max_size=100), st.integers(0, 10**6), st.integers(1, 255))
def test_a_changed_box_does_not_open(plain: bytes, place: int, flip: int) -> None:
    """Every byte is authenticated, and no two boxes are alike."""
    ring = keyring.parse(fresh())
    sealed = ring.seal(plain)
    assert ring.open(sealed) == plain
    assert ring.seal(plain) != sealed
    kid, _, text = sealed.partition(":")
    raw = bytearray(base64.b64decode(text))
    raw[place % len(raw)] ^= flip
    with pytest.raises(SealBroken):
        ring.open(f"{kid}:{base64.b64encode(raw).decode()}")


@pytest.mark.parametrize("sealed", ["", ":", "x", "a b:AAAA", "ä:AAAA", "k00010203:", "k00010203:!!", "k00010203:AAAA"])
def test_what_is_no_box_does_not_open(sealed: str) -> None:
    """Malformed or changed: our own exception."""
    with pytest.raises(SealBroken):
        keyring.parse(fresh()).open(sealed)


def test_the_purposes_have_keys_of_their_own() -> None:
    """Pepper, seal and signature are derived apart; the ring's repr shows ids only."""
    raw = fresh()
    ring = keyring.parse(raw)
    (pepper,) = ring.peppers.values()
    assert len(pepper) == 32
    assert pepper != base64.b64decode(json.loads(raw)["index_key"])
    assert pepper.hex() not in repr(ring)
    root = keyring.RootKey.derive("k1", bytes(32))
    assert repr(root) == "RootKey(kid='k1')"


def _spoiled(**changes: Any) -> bytes:
    data = json.loads(fresh())
    for name, value in changes.items():
        if value is None:
            del data[name]
        else:
            data[name] = value
    return json.dumps(data).encode()


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"{",
        b"[]",
        b"null",
        b'"x"',
        b"[" * 50_000,
        b"\xff",
        _spoiled(version=2),
        _spoiled(version=None),
        _spoiled(index_key=None),
        _spoiled(index_key="AAAA"),
        _spoiled(index_key="!" * 44),
        _spoiled(index_key=1),
        _spoiled(keys=[]),
        _spoiled(keys=[{}]),
        _spoiled(keys={"a": 1}),
        _spoiled(keys=[{"kid": "k", "state": "verify", "secret": base64.b64encode(bytes(32)).decode()}]),
        _spoiled(keys=[{"kid": "k", "state": "active", "secret": base64.b64encode(bytes(31)).decode()}]),
    ],
)
def test_what_is_no_keyring_is_refused(raw: bytes) -> None:
    """With a sentence that holds no secret, and never another exception."""
    with pytest.raises(KeyringError):
        keyring.parse(raw)


def test_a_keyring_that_others_can_read_is_refused(tmp_path: Path) -> None:
    """Mode 0600 or nothing; missing and broken files are named too."""
    path = tmp_path / "ring.json"
    settings = load({"OTP_KEYRING": str(path)}, tmp_path)
    with pytest.raises(ConfigError, match="OTP_KEYRING"):
        config.load_keyring(settings)
    path.write_bytes(fresh())
    path.chmod(0o640)
    with pytest.raises(ConfigError, match="chmod 600"):
        config.load_keyring(settings)
    path.chmod(0o600)
    assert config.load_keyring(settings).active_kid
    path.write_bytes(b"{}")
    with pytest.raises(ConfigError, match="OTP_KEYRING"):
        config.load_keyring(settings)
    with pytest.raises(ConfigError, match="OTP_KEYRING"):
        config.load_keyring(load({}, tmp_path))


# ---- routes -------------------------------------------------------------------------------------------------------


def sender(kind: SenderKind) -> Sender:
    """A sender of this kind."""
    return Sender(kind, kind, "p", None, 1.0)


ROUTE = tuple(sender(kind) for kind in SenderKind)
US, DE = phone.parse("+12025550143"), phone.parse("+4915112345678")


def test_a_route_serves_channel_and_country_in_the_operators_order() -> None:
    """WhatsApp by WhatsApp only; names never to the US, Canada and Puerto Rico."""
    app = App("a", "A", ROUTE)
    assert [one.kind for one in routing.candidates(app, Channel.WHATSAPP, US)] == ["whatsapp"]
    assert [one.kind for one in routing.candidates(app, Channel.SMS, US)] == ["long_code", "number_pool", "short_code"]
    assert "alphanumeric" in [one.kind for one in routing.candidates(app, Channel.SMS, DE)]


def test_the_other_channels_senders_stand_behind() -> None:
    """They bring the code when none of the channel asked for could; country rules hold for them too."""
    app = App("a", "A", ROUTE)
    assert [one.kind for one in routing.other_channel_senders(app, Channel.SMS, US)] == ["whatsapp"]
    assert [one.kind for one in routing.other_channel_senders(app, Channel.WHATSAPP, US)] == [
        "long_code",
        "number_pool",
        "short_code",
    ]


def test_ranges_of_no_country_are_blocked() -> None:
    """Satellite and premium numbering is never a person's phone."""
    assert routing.destination_blocked(phone.Phone("+881612345678", None, 881))
    assert not routing.destination_blocked(US)


@pytest.mark.parametrize(
    ("refused", "helps"),
    [
        (Refused("1", "", Action.NEXT_SENDER), True),
        (Refused("1", "", Action.STOP_SENDER), True),
        (Refused("1", "", Action.STOP_PERSON), False),
        (Refused("20100", "no funds", Action.STOP_ALL), False),
        (Refused("77777", "HTTP 402 with an unknown code", Action.STOP_ALL), True),
        (Refused("1", "", Action.STOP_PERSON, opted_out=True), True),
    ],
)
def test_another_sender_is_asked_where_that_can_help(refused: Refused, helps: bool) -> None:
    """A dead line or a locked account is the same for every sender; a block is one profile's."""
    assert failover.may_fail_over(refused) is helps


def test_countries_are_the_operators() -> None:
    """A number of no region passes only where everything does."""
    app = App("a", "A", ROUTE)
    assert app.may_send_to("US")
    assert not app.may_send_to("DE")
    assert not app.may_send_to(None)
    assert {field.name for field in fields(App)} >= {"countries", "route"}


# ---- the loop of a delivery -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("line", "named"),
    [
        ('denial_words = ["STOP"]', "denial_words"),
        ('denial_words = ["no", "Unsubscribe!"]', "denial_words"),
        ('denial_words = ["start"]', "denial_words"),
        ('denial_words = ["help"]', "denial_words"),
        ('denial_words = ["?!"]', "denial_words"),
        ('sent_within = "0s"', "sent_within"),
        ('sent_within = "11m"', "sent_within"),
        ('sent_within = "soon"', "sent_within"),
        ('countries = ["UK"]', "the United Kingdom is GB"),
        ('countries = ["XX"]', "countries"),
        ('strategy = "cheapest"', "strategy"),
    ],
)
def test_an_unusable_rule_of_delivery_is_named(tmp_path: Path, line: str, named: str) -> None:
    """A word that already means something else, a time that cannot be, a country that is none, an unknown strategy."""
    text = (
        f'[senders.p]\nkind = "number_pool"\nmessaging_profile_id = "a"\n[apps.a]\nbrand = "A"\nroute = ["p"]\n{line}\n'
    )
    assert named in refusal(tmp_path, text)


def test_the_rules_of_delivery_can_be_set(tmp_path: Path) -> None:
    """The bounds themselves are good; denial words are kept as they are compared."""
    text = '[senders.p]\nkind = "number_pool"\nmessaging_profile_id = "a"\n[apps.a]\nbrand = "A"\nroute = ["p"]\n'
    more = 'sent_within = "1s"\nstrategy = "healthiest"\ndenial_words = ["  Not ME! "]\ncountries = ["GB"]\n'
    app = read(tmp_path, text + more).policy.apps["a"]
    assert (app.sent_within_ms, app.strategy, app.denial_words) == (1_000, "healthiest", frozenset({"not me"}))
    assert read(tmp_path, text + 'sent_within = "10m"\ndenial_words = []\n').policy.apps["a"].sent_within_ms == 600_000
