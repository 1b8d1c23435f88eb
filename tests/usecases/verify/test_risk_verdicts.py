"""What the risk hooks refused lately, by a clock that the test moves."""

from otp_service.domain.risk import Decision, RiskAnswer
from otp_service.usecases.verify.risk_verdicts import MOST, VERDICT_S, RiskVerdicts

DENIED = RiskAnswer(Decision.DENY, "sim_changed")


def test_a_refusal_is_kept_for_its_time() -> None:
    """From its own question on; what allows, and what was not answered, is not kept."""
    now = [0.0]
    verdicts = RiskVerdicts(lambda: now[0])
    verdicts.keep(b"denied", DENIED)
    verdicts.keep(b"allowed", RiskAnswer(Decision.ALLOW))
    verdicts.keep(b"failed", RiskAnswer(None, failure="late"))
    assert [verdicts.find(name) for name in (b"denied", b"allowed", b"failed")] == [DENIED, None, None]
    now[0] = VERDICT_S - 0.1
    assert verdicts.find(b"denied") is DENIED
    now[0] = VERDICT_S
    assert verdicts.find(b"denied") is None


def test_so_many_are_kept() -> None:
    """The oldest goes first; one that is kept again is new."""
    verdicts = RiskVerdicts(lambda: 0.0)
    for n in range(MOST):
        verdicts.keep(str(n).encode(), DENIED)
    verdicts.keep(b"0", DENIED)
    verdicts.keep(b"more", DENIED)
    assert [verdicts.find(name) for name in (b"0", b"1", b"2", b"more")] == [DENIED, None, DENIED, DENIED]
