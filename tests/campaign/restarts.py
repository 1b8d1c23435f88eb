"""Which restarts of the store may have ended what began before: the judge takes no other one for a reason.

Behind Sentinel and in a Cluster each failover ends codes and receipts, and so does each restart of a primary. A hang, a
partition or a planned failover without an election ends none. A single server that is killed has lost nothing, so what
began before goes on, unless a process that lived just before could not say so.
"""

from otp_service.storage.store_runs import GIVE_UP_MS, JUDGE_MS, RECENT_MS

from .case import API_FAULTS, Case
from .evidence import Fault

ANOTHER_RUN = frozenset({"elected", "kill_primary", "shard_down"})
PROCESS_FAULTS = API_FAULTS | {"kill_worker", "stop_worker"}
NOTICED_S = 3.0
"""An election is on record so late at most: each server is asked, and one that hangs does not respond."""

MARGIN_S = 1.0
BEFORE_S = RECENT_MS / 1000 + MARGIN_S
"""Who beat so shortly before the store was killed has to vote."""

AFTER_S = GIVE_UP_MS / 1000 + MARGIN_S
BUSY_S = (GIVE_UP_MS - JUDGE_MS) / 1000 / 4
"""A machine that kept the campaign from running for so long may have kept a process from voting in time."""


def may_have_ended(case: Case, began: float, ended: float) -> bool:
    """Whether what began then may be over for this reason alone."""
    if case.during(ANOTHER_RUN, began, ended + NOTICED_S):
        return True
    kills = [fault for fault in case.evidence.faults if fault.kind == "kill_store"]
    return any(kill.began <= ended and kill.ended >= began and _may_lack_a_vote(case, kill) for kill in kills)


def _may_lack_a_vote(case: Case, kill: Fault) -> bool:
    """Whether a process was missing, or the server had been late in writing its file."""
    since, until = kill.began - BEFORE_S, kill.ended + AFTER_S
    busy = case.paused_s(since, until) > BUSY_S
    return busy or case.evidence.slow_disk or case.during(PROCESS_FAULTS, since, until)
