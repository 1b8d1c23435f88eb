"""What may stand in an app's callback settings; what may not is refused in a sentence that names the key."""

import base64
from pathlib import Path

import pytest

from otp_service import config
from otp_service.config import Settings
from otp_service.domain.errors import ConfigError

SENDER = '[senders.pool]\nkind = "number_pool"\nmessaging_profile_id = "p-1"\n'
URL = 'callback_url = "https://hooks.example.com/otp"'
ONE, TWO = ("whsec_" + base64.b64encode(bytes([n]) * 24).decode() for n in (1, 2))


def app(name: str, *lines: str) -> str:
    """An app of this name with these lines."""
    return f'[apps.{name}]\nbrand = "Acme"\nroute = ["pool"]\n' + "\n".join(lines) + "\n"


def load(tmp_path: Path, *apps: str, **environ: str) -> Settings:
    """Load a file with these apps."""
    path = tmp_path / "c.toml"
    path.write_text(SENDER + "".join(apps))
    return config.load({"OTP_CONFIG": str(path), **environ})


def refusal(tmp_path: Path, *apps: str, **environ: str) -> str:
    """The sentence of the refusal."""
    with pytest.raises(ConfigError) as refused:
        load(tmp_path, *apps, **environ)
    assert ONE not in refused.value.detail
    return refused.value.detail


def test_an_app_without_an_address_gets_no_callbacks(tmp_path: Path) -> None:
    """No address, no callbacks, no secret needed."""
    assert load(tmp_path, app("shop")).policy.endpoints == {}


@pytest.mark.parametrize("name", ["shop", "web-shop", "Web_Shop"])
def test_the_secret_comes_from_the_environment_or_a_file(tmp_path: Path, name: str) -> None:
    """By the app's own variable, by its _FILE, or by a path in the app's table; the first wins."""
    for name in ("a", "b"):
        (tmp_path / name).touch(0o600)
    (tmp_path / "a").write_text(f"{ONE}\n{TWO}\n")
    (tmp_path / "b").write_text(TWO)
    variable = "OTP_CALLBACK_SECRET_" + name.upper().replace("-", "_")
    named = f'callback_secret_file = "{tmp_path / "b"}"'

    def secrets(*lines: str, **environ: str) -> tuple[str, ...]:
        return load(tmp_path, app(name, URL, *lines), **environ).policy.endpoints[name].secrets

    assert secrets(**{variable: ONE}) == (ONE,)
    assert secrets(**{f"{variable}_FILE": str(tmp_path / "a")}) == (ONE, TWO)
    assert secrets(named) == (TWO,)
    assert secrets(named, **{variable: ONE}) == (ONE,)


def test_settings_do_not_show_secrets_or_paths(tmp_path: Path) -> None:
    """Their repr has neither the secret nor the address, whose path may hold a token."""
    text = repr(load(tmp_path, app("shop", URL), OTP_CALLBACK_SECRET_SHOP=ONE))
    assert ONE not in text
    assert "hooks.example.com" not in text


def test_no_secret_no_start(tmp_path: Path) -> None:
    """The sentence names the key, the variable, and the command that makes one."""
    fault = refusal(tmp_path, app("web-shop", URL))
    for word in ("apps.web-shop.callback_url", "OTP_CALLBACK_SECRET_WEB_SHOP", "callback_secret_file", "keygen"):
        assert word in fault


@pytest.mark.parametrize("secret", ["hunter2", "whsec_c2hvcnQ=", "whsec_!", f"{ONE} {ONE}"])
def test_a_secret_that_cannot_sign(tmp_path: Path, secret: str) -> None:
    """The sentence names where it came from and does not repeat it."""
    fault = refusal(tmp_path, app("shop", URL), OTP_CALLBACK_SECRET_SHOP=secret)
    assert fault.startswith("OTP_CALLBACK_SECRET_SHOP: ")
    assert secret.partition("_")[2] not in fault or not secret.partition("_")[2]


def test_a_secret_file_that_cannot_be_read(tmp_path: Path) -> None:
    """Each way of naming it is named in the sentence."""
    missing = str(tmp_path / "none")
    assert "OTP_CALLBACK_SECRET_SHOP_FILE" in refusal(tmp_path, app("shop", URL), OTP_CALLBACK_SECRET_SHOP_FILE=missing)
    assert "apps.shop.callback_secret_file" in refusal(
        tmp_path, app("shop", URL, f'callback_secret_file = "{missing}"')
    )


@pytest.mark.parametrize(
    ("first", "second", "variable"),
    [
        ("web-shop", "web_shop", "OTP_CALLBACK_SECRET_WEB_SHOP"),
        ("shop", "Shop", "OTP_CALLBACK_SECRET_SHOP"),
        ("shop", "shop-file", "OTP_CALLBACK_SECRET_SHOP_FILE"),
        ("shop_file", "shop", "OTP_CALLBACK_SECRET_SHOP_FILE"),
    ],
)
def test_two_apps_do_not_share_a_variable(tmp_path: Path, first: str, second: str, variable: str) -> None:
    """One would be signed with the other's secret; the sentence names both and the variable."""
    (tmp_path / "s").touch(0o600)
    (tmp_path / "s").write_text(ONE)
    lines = (URL, f'callback_secret_file = "{tmp_path / "s"}"')
    fault = refusal(tmp_path, app(first, *lines), app(second, *lines))
    assert f"apps.{second}.callback_url" in fault
    assert f"{variable} " in fault
    assert repr(first) in fault
    # Without an address of its own the other app has no variable.
    assert list(load(tmp_path, app(first, *lines), app(second)).policy.endpoints) == [first]


@pytest.mark.parametrize(
    "url",
    [
        "http://hooks.example.com/",
        "https://127.0.0.1/",
        "https://hooks.example.com:6379/",
        "file:///x",
        "https://u@h.io",
    ],
)
def test_an_address_that_is_not_allowed(tmp_path: Path, url: str) -> None:
    """Judged when the configuration is read (the whole table is in tests/domain)."""
    fault = refusal(tmp_path, app("shop", f'callback_url = "{url}"'), OTP_CALLBACK_SECRET_SHOP=ONE)
    assert fault.startswith("apps.shop.callback_url: ")


def test_a_closed_network_is_allowed_by_name(tmp_path: Path) -> None:
    """`callback_allow_private` lets http and loopback through, and is nothing without an address."""
    lines = ('callback_url = "http://127.0.0.1:9/x"', "callback_allow_private = true")
    settings = load(tmp_path, app("shop", *lines), OTP_CALLBACK_SECRET_SHOP=ONE)
    assert settings.policy.endpoints["shop"].allow_private
    assert "callback_url" in refusal(tmp_path, app("shop", "callback_allow_private = true"))
