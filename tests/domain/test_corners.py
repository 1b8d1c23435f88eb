"""Corners of the rules, each once: what a reader of one rule alone would not think of trying."""

import base64
import hmac
import json
from pathlib import Path

import pytest

from otp_service import config, keyring
from otp_service.config import load, load_carrier
from otp_service.domain import codes, failover, phone, routing
from otp_service.domain.audit import Position
from otp_service.domain.delivery import RANK, Action, DeliveryStatus, Refused, from_carrier
from otp_service.domain.errors import ConfigError
from otp_service.domain.message import Autofill, render
from otp_service.domain.message_templates import TEMPLATES
from otp_service.domain.optout import Wish
from otp_service.domain.policy import App, Channel, Sender, SenderKind
from otp_service.domain.receipt import TYPE, Claims, decode, encode
from otp_service.domain.replies import read
from otp_service.keyring import KeyringError

# ---- codes --------------------------------------------------------------------------------------------------------


def test_every_number_below_a_million_is_a_code_of_its_own() -> None:
    """All of them, one by one: a million chances give a million codes, so a uniform chance gives a uniform code."""
    chances = iter(range(10**6))
    drawn = {codes.draw(6, lambda below: next(chances)) for _ in range(10**6)}
    assert len(drawn) == 10**6
    assert {len(code) for code in drawn} == {6}


# ---- words --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("locale", sorted(TEMPLATES))
@pytest.mark.parametrize("autofill", [None, Autofill(web_origin="example.com"), Autofill(android_hash="FA+9qCX9VSu")])
def test_a_name_keeps_its_accents(locale: str, autofill: Autofill | None) -> None:
    """Who is paid stands in the message as the caller wrote it: nobody approves a payment to a changed name."""
    payee = "Íñigo Pérez Ródenas âêú"
    text = render(
        code="123456", brand="Cafó", lifetime_s=300, locale=locale, context={"payee": payee}, autofill=autofill
    )
    assert payee in text
    assert "Cafó" in text


@pytest.mark.parametrize(
    "text",
    [
        "\u201cSTOP\u201d",
        "\u00abstop\u00bb",
        "STOP \U0001f6d1",
        "\u200bSTOP\u200b",
        "STOP\u2026",
        "please stop",
        "Stop, please!",
        "pls stop",
        "\U0001d412\U0001d413\U0001d40e\U0001d40f",
        "*STOP*",
        "_stop_",
        "STOP\r\n",
        "\u00a0stop\u00a0",
    ],
)
def test_what_phones_put_around_a_word_does_not_hide_it(text: str) -> None:
    """Curly quotes, emoji, invisible spaces, bold letters and courtesy: it is a STOP all the same."""
    assert read(text).wish is Wish.STOP


@pytest.mark.parametrize("text", ["please", "please wait", "pleasestop", "please help me stop smoking"])
def test_courtesy_alone_asks_for_nothing(text: str) -> None:
    """A please makes no wish out of other words."""
    assert read(text).wish is None


# ---- deliveries ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("word", "status"),
    [
        *[(word, DeliveryStatus.SENT) for word in ("queued", "scheduled", "sending", "sent")],
        *[(word, DeliveryStatus.DELIVERED) for word in ("delivered", "read")],
        *[(word, DeliveryStatus.UNCONFIRMED) for word in ("delivery_unconfirmed", "dlr_timeout")],
        *[(word, DeliveryStatus.FAILED) for word in ("delivery_failed", "sending_failed", "failed")],
        *[(word, DeliveryStatus.FAILED) for word in ("gw_timeout", "expired", "cancelled")],
        *[(word, None) for word in ("SENT", "sent ", "received", "webhook_delivered", "unknown", "suppressed")],
    ],
)
def test_every_word_of_the_carrier_has_one_meaning(word: str, status: DeliveryStatus | None) -> None:
    """A word of the carrier's vocabulary moves a delivery to one place; any other changes nothing, not even ours."""
    assert from_carrier(word) is status


def test_what_the_carrier_says_outranks_what_we_know_alone() -> None:
    """A receipt always moves a delivery that waits; the better news wins over the worse."""
    ours = max(RANK[status] for status in (DeliveryStatus.QUEUED, DeliveryStatus.SENDING, DeliveryStatus.UNKNOWN))
    assert ours < RANK[DeliveryStatus.SENT] < RANK[DeliveryStatus.UNCONFIRMED]
    assert RANK[DeliveryStatus.DELIVERED] == max(RANK.values())
    # What we ended ourselves is still corrected by a receipt that says more.
    assert RANK[DeliveryStatus.SUPPRESSED] == RANK[DeliveryStatus.EXPIRED] < RANK[DeliveryStatus.UNCONFIRMED]


@pytest.mark.parametrize(
    ("number", "reached"),
    [
        ("+12025550143", False),
        ("+14165550123", False),
        ("+17872345678", False),
        ("+18765550143", True),
        ("+447400123456", True),
    ],
)
def test_a_name_is_never_a_sender_in_us_canada_and_puerto_rico(number: str, *, reached: bool) -> None:
    """There carriers drop such messages; elsewhere, also elsewhere under +1, the name may send."""
    name = Sender("name", SenderKind.ALPHANUMERIC, "p", "ACME", 1.0)
    app = App("a", "A", (name,), countries=frozenset("*"))
    assert routing.candidates(app, Channel.SMS, phone.parse(number)) == ((name,) if reached else ())


@pytest.mark.parametrize("number", ["+881612345678", "+883510012345", "+979123456789", "+80012345678"])
def test_no_countrys_numbers_are_blocked_even_for_everywhere(number: str) -> None:
    """`countries = ["*"]` means all countries, and these ranges are of none."""
    assert routing.destination_blocked(phone.parse(number))


def test_a_retry_that_was_refused_may_go_to_the_next_sender() -> None:
    """When a sender's tries are used up, the next one of the route gets its turn."""
    assert failover.may_fail_over(Refused("1", "", Action.RETRY))


@pytest.mark.parametrize("text", [f"{2**64}-0", f"0-{2**64}", f"{10**38}-0", "", "-", "1", "1-", "-1", "1-1-1", "1--1"])
def test_a_place_that_the_store_cannot_count_to_is_none(text: str) -> None:
    """The store's ids have 64 bits in both halves: a made-up cursor beyond them is refused before the store sees it."""
    with pytest.raises(ValueError, match="not a position"):
        Position.read(text)
    last = 2**64 - 1
    assert Position.read(f"{last}-{last}") == Position(last, last)


# ---- receipts and the keyring ---------------------------------------------------------------------------------------


def ring_file(seed: int = 0) -> bytes:
    """A keyring file without chance."""
    return keyring.create(lambda size: bytes((seed + place) % 256 for place in range(size)), "2026-01-01T00:00:00Z")


RING = keyring.parse(ring_file())
CLAIMS = Claims("https://otp.example", "shop", "00ff", "login", "sms", "", "jti", "vrf_x", 1_790_000_000)


def b64(raw: bytes) -> str:
    """base64url without padding."""
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def test_the_public_key_is_no_secret_of_a_hash() -> None:
    """The classic confusion of algorithms: an HMAC keyed with the published key, however written, is no receipt."""
    (published,) = RING.jwks()["keys"]
    raw = base64.urlsafe_b64decode(published["x"] + "=")
    head, body, _ = encode(CLAIMS, RING.active_kid, RING.sign).split(".")
    confused = b64(json.dumps({"alg": "HS256", "typ": TYPE, "kid": RING.active_kid}).encode())
    for secret in (raw, raw.hex().encode(), published["x"].encode(), json.dumps(published).encode()):
        for first in (confused, head):
            forged = hmac.digest(secret, f"{first}.{body}".encode(), "sha256")
            assert decode(f"{first}.{body}.{b64(forged)}", RING.verify) is None
            assert decode(f"{first}.{body}.{b64(forged * 2)}", RING.verify) is None


def test_a_receipt_is_smaller_than_what_is_read_of_one() -> None:
    """The longest names that a configuration and a caller can bring still make a receipt that is read again."""
    longest = Claims("https://" + "i" * 192, "a" * 32, "f" * 32, "ü" * 32, "whatsapp", "f" * 64, "j" * 64, "v" * 36, 1)
    token = encode(longest, RING.active_kid, RING.sign)
    assert decode(token, RING.verify) == longest.payload()


def spoiled(**changes: object) -> bytes:
    """A good keyring with a second key that differs from the first by these members."""
    data = json.loads(ring_file())
    data["keys"].append({**data["keys"][0], "kid": "k2", **changes})
    return json.dumps(data).encode()


@pytest.mark.parametrize(
    ("raw", "says"),
    [
        (spoiled(kid=json.loads(ring_file())["keys"][0]["kid"]), "two keys"),
        (spoiled(kid="a:b"), "kid"),
        (spoiled(kid=""), "kid"),
        (spoiled(kid="a b"), "kid"),
        (spoiled(kid="k2\n"), "kid"),
        (spoiled(kid=5), "kid"),
        (spoiled(kid=None), "kid"),
        (spoiled(kid=["k2"]), "kid"),
        (spoiled(state="next"), "state"),
        (spoiled(active_from="soon"), "active_from"),
        (spoiled(active_from=5), "active_from"),
        (spoiled(active_from="2026-01-01T00:00:00"), "active_from"),
        (spoiled(state=None), "state"),
    ],
)
def test_a_key_that_would_be_lost_in_silence_is_refused(raw: bytes, says: str) -> None:
    """Two keys of one id, an id that no seal can name, a state that nobody knows: refused, and no secret is told."""
    with pytest.raises(KeyringError, match=says) as refused:
        keyring.parse(raw)
    assert json.loads(raw)["keys"][0]["secret"] not in str(refused.value)


def test_rotation_is_bounded_by_nothing_but_the_file() -> None:
    """After twenty rotations one key is active, and what the first one made is still opened and believed."""
    raw = ring_file()
    first = keyring.parse(raw)
    for turn in range(20):
        raw = keyring.rotate(raw, lambda size, turn=turn: bytes([turn]) * size, "2026-02-01T00:00:00Z")  # type: ignore[misc]
    last = keyring.parse(raw)
    assert [item["state"] for item in json.loads(raw)["keys"]].count("active") == 1
    assert last.open(first.seal(b"x")) == b"x"
    assert last.verify(first.active_kid, first.sign(b"m"), b"m")
    assert len(last.jwks()["keys"]) == 21


def test_a_broken_keyring_is_not_rotated() -> None:
    """Nothing is written over a file that could not be read."""
    with pytest.raises(KeyringError):
        keyring.rotate(b"{}", bytes, "2026-02-01T00:00:00Z")


def test_no_secret_of_the_file_is_shown_by_the_ring() -> None:
    """Neither as it stands in the file nor as bytes nor in hex."""
    data = json.loads(ring_file(7))
    ring = keyring.parse(ring_file(7))
    shown = f"{ring!r} {ring} {keyring.RootKey.derive('k', bytes(32))!r}"
    for text in (data["index_key"], data["keys"][0]["secret"]):
        raw = base64.b64decode(text)
        assert text not in shown
        assert raw.hex() not in shown
        assert repr(raw) not in shown


# ---- configuration --------------------------------------------------------------------------------------------------


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


@pytest.mark.parametrize("name", ["OTP_REDIS_URL", "TELNYX_API_KEY", "TELNYX_PUBLIC_KEY"])
def test_an_empty_secret_file_is_refused(tmp_path: Path, name: str) -> None:
    """A secret that has not been written yet is not taken for none: no other store, no missing key found out later."""
    (tmp_path / "secret").write_text(" \n")
    with pytest.raises(ConfigError, match=f"{name}_FILE"):
        load({f"{name}_FILE": str(tmp_path / "secret")}, tmp_path)
    (tmp_path / "secret").write_bytes(b"\xff\xfe")
    with pytest.raises(ConfigError, match=f"{name}_FILE"):
        load({f"{name}_FILE": str(tmp_path / "secret")}, tmp_path)


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
    told = {"OTP_SHARDS": "3", "OTP_QUEUE_MAX": "7", "OTP_ISSUER": "env", "OTP_LOG_LEVEL": "Error"}
    settings = load({"OTP_CONFIG": str(path), **told})
    assert (settings.shards, settings.queue_max, settings.issuer, settings.log_level) == (3, 7, "env", "ERROR")
    empty = dict.fromkeys(["OTP_PUBLIC_URL", "OTP_REDIS_URL", "OTP_KEYRING", "OTP_METRICS_DIR", "TELNYX_BASE_URL"], "")
    assert load({"OTP_CONFIG": str(path), **dict.fromkeys(told, ""), **empty}) == plain


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
