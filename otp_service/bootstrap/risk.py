"""The risk hooks of the apps."""

import time
from collections.abc import Callable

from .. import telemetry
from ..clock import clock_ms
from ..config import Settings
from ..keyring_reload import ReloadedKeyring
from ..receivers.risk import RiskReceivers, Run, run_here
from ..storage.callers import request_id
from ..storage.refused_starts import RefusedStarts
from ..usecases.verify import AskRisk
from .senders import alert
from .stores import Stores


def risk_receivers(settings: Settings, run: Run = run_here) -> RiskReceivers:
    """The receivers of one process. `run`: how a question is asked without making its caller's thread wait."""
    return RiskReceivers(settings.policy.risk_hooks, now_ms=clock_ms, run=run)


def ask_risk(
    settings: Settings,
    stores: Stores,
    *,
    keyring: ReloadedKeyring,
    receivers: RiskReceivers,
    token_bytes: Callable[[int], bytes],
) -> AskRisk:
    """What starts ask."""
    return AskRisk(
        receivers=receivers,
        refused=RefusedStarts(stores.scripts, stores.keys),
        vault=keyring,
        token_bytes=token_bytes,
        request_id=request_id,
        count=lambda app, word: telemetry.count(telemetry.RISK, app, word),
        alert=alert(settings, stores).risk_hook,
        monotonic=time.monotonic,
    )
