"""`doctor` asks each risk hook, and says what is wrong with it."""

from pathlib import Path

from otp_service.config import Settings
from otp_service.diagnosis.result import CheckResult
from otp_service.diagnosis.risk import check_risk_hooks
from otp_service.receivers.signatures import generate
from tests.config.test_callbacks import ONE, app, load
from tests.receivers.risk_receiver import RiskReceiver, risk_receiver
from tests.telnyx.clients import closed_port


def settings_for(tmp_path: Path, receiver: RiskReceiver, *lines: str, secret: str = ONE) -> Settings:
    """The configuration of one app that asks the receiver."""
    url = f'url = "http://127.0.0.1:{receiver.port}/"'
    named = app("shop", "[apps.shop.risk]", url, "allow_private = true", "timeout_ms = 2000", *lines)
    return load(tmp_path, named, OTP_RISK_SECRET_SHOP=secret)


def test_a_hook_is_asked_about_nobody(tmp_path: Path) -> None:
    """The question says that it is a test, with a fictitious number."""
    with risk_receiver() as receiver:
        receiver.answer = {"decision": "step_up"}
        (found,) = check_risk_hooks(settings_for(tmp_path, receiver))
        assert found == CheckResult("risk hook of shop", True, "127.0.0.1, 2000 ms, then allow; answers step_up")
        (question,) = receiver.questions
        assert (question["test"], question["to"], question["request_id"]) == (True, "+12025550100", None)


def test_what_is_wrong_is_said(tmp_path: Path) -> None:
    """Each cause with what to look at; what was configured stands before it."""
    with risk_receiver() as receiver:
        settings = settings_for(tmp_path, receiver, 'on_failure = "deny"', secret=generate(bytes, ed25519=True)[0])
        receiver.status = 401
        (found,) = check_risk_hooks(settings)
        assert (found.ok, found.detail) == (
            False,
            "127.0.0.1, 2000 ms, then deny; it does not answer with status 200; is its secret ours?",
        )
        receiver.status, receiver.answer = 200, {"decision": "maybe"}
        (found,) = check_risk_hooks(settings)
        assert found.detail.endswith("its answer has no decision: allow, deny or step_up")
    with closed_port() as receiver.port:
        (found,) = check_risk_hooks(settings_for(tmp_path, receiver))
        assert found.detail.endswith("it cannot be reached")
    assert list(check_risk_hooks(load(tmp_path, app("shop")))) == []
