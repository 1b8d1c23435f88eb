"""What may stand in `[apps.x.risk]`; what may not is refused in a sentence that names the key."""

from pathlib import Path

import pytest

from otp_service.domain.addresses import KeptClientIp
from otp_service.domain.callback import Endpoint
from otp_service.domain.risk import Decision, RiskHook, SentNumber

from .test_callbacks import ONE, TWO, app, load, refusal

URL = 'url = "https://risk.example.com/otp"'


def risky(name: str, *lines: str) -> str:
    """An app with these lines in its hook."""
    return app(name, f"[apps.{name}.risk]", *lines)


def test_a_hook_is_read_with_its_defaults_and_without(tmp_path: Path) -> None:
    """Secrets from the environment; 300 ms, and an answer that does not come changes nothing."""
    endpoint = Endpoint("https://risk.example.com/otp", (ONE, TWO))
    read = load(tmp_path, risky("web-shop", URL), OTP_RISK_SECRET_WEB_SHOP=f"{ONE} {TWO}").policy.risk_hooks
    assert read == {"web-shop": RiskHook(endpoint, 300, Decision.ALLOW, SentNumber.FULL, KeptClientIp.HASHED)}
    (tmp_path / "s").touch(0o600)
    (tmp_path / "s").write_text(ONE)
    lines = (
        'url = "http://10.0.0.7:9/x"',
        f'secret_file = "{tmp_path / "s"}"',
        "allow_private = true",
        "timeout_ms = 2000",
        'on_failure = "step_up"',
        'number = "masked"',
        'client_ip = "none"',
    )
    hook = load(tmp_path, risky("shop", *lines)).policy.apps["shop"].risk
    endpoint = Endpoint("http://10.0.0.7:9/x", (ONE,), True)
    assert hook == RiskHook(endpoint, 2000, Decision.STEP_UP, SentNumber.MASKED, KeptClientIp.NONE)
    assert load(tmp_path, app("shop")).policy.risk_hooks == {}


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        ((), "apps.shop.risk.url: missing"),
        ((URL, "timeout_ms = 5000"), "apps.shop.risk.timeout_ms: must be a whole number of at most 2000"),
        ((URL, 'on_failure = "ask"'), "apps.shop.risk.on_failure: 'ask' is unknown; write one of allow, deny, step_up"),
        ((URL, 'number = "hashed"'), "apps.shop.risk.number: 'hashed' is unknown; write one of full, masked"),
        ((URL, "retries = 3"), "apps.shop.risk.retries: unknown key"),
        (('url = "http://risk.example.com/"',), "apps.shop.risk.url: must be https (http only with allow_private)"),
        (('url = "https://127.0.0.1/"',), "apps.shop.risk.url: must name its host"),
    ],
)
def test_a_fault_names_its_key(tmp_path: Path, lines: tuple[str, ...], said: str) -> None:
    """And says what to write instead."""
    assert said in refusal(tmp_path, risky("shop", *lines), OTP_RISK_SECRET_SHOP=ONE)


def test_questions_need_a_secret_of_their_own_app(tmp_path: Path) -> None:
    """None is a fault, as is one that would be two apps'."""
    assert "apps.shop.risk: questions are signed, and there is no secret" in refusal(tmp_path, risky("shop", URL))
    both = refusal(tmp_path, risky("a", URL), risky("A", URL), OTP_RISK_SECRET_A=ONE)
    assert both == "apps.A.risk: OTP_RISK_SECRET_A would also belong to the app 'a'; give one of them another name"
