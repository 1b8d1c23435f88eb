"""Whether the risk hooks answer: each is asked once, with a number that belongs to nobody."""

from collections.abc import Iterator
from contextlib import closing

import msgspec

from ..bootstrap.risk import risk_receivers
from ..config import Settings
from ..domain.risk import RiskHook, RiskQuestion
from .result import CheckResult

_WHAT_TO_DO = {
    "status": "it does not answer with status 200; is its secret ours?",
    "body": "its answer has no decision: allow, deny or step_up",
    "late": "it does not answer within timeout_ms",
    "private_address": "its host leads into a private network; see allow_private",
    "bad_certificate": "its TLS certificate is not trusted or is for another name",
}


def check_risk_hooks(settings: Settings) -> Iterator[CheckResult]:
    """One line for each app that has a hook."""
    with closing(risk_receivers(settings)) as receivers:
        for app, hook in settings.policy.risk_hooks.items():
            answer = receivers.ask(app, "risk_doctor", msgspec.json.encode(_question(app)))
            said = (
                f"answers {answer.word}" if answer.decision else _WHAT_TO_DO.get(answer.failure, "it cannot be reached")
            )
            yield CheckResult(f"risk hook of {app}", answer.decision is not None, f"{_facts(hook)}; {said}")


def _facts(hook: RiskHook) -> str:
    return f"{hook.endpoint.host}, {hook.timeout_ms} ms, then {hook.on_failure}"


def _question(app: str) -> RiskQuestion:
    return RiskQuestion(
        request_id=None,
        app=app,
        purpose="login",
        channel="sms",
        to="+12025550100",
        person="0" * 32,
        country="US",
        number_type="fixed_line_or_mobile",
        client_ip=None,
        test=True,
    )
