"""The kinds of breach that the judge knows: each is one broken promise of the service."""

from dataclasses import dataclass

LOST, STUCK, DUPLICATE, UNTRUE = "lost", "stuck", "duplicate", "untrue status"
FALSE, DOUBLE, BUDGET, GAP = "false approval", "double approval", "over budget", "audit gap"
REFUSED, LATE, BYTES, TWICE = "false refusal", "late send", "changed bytes", "pending twice"
UNEXPECTED, LEFT, ACCIDENT = "unexpected response", "left in the store", "accident"
OPTED_OUT, DENIED, SPENT = "opt-out ignored", "denial ignored", "number's budget ignored"
CONTEXT, FOREIGN, FORGED = "context ignored", "another's verification", "forged webhook believed"
CALLBACK, SILENT, SLOW = "callback lost", "no response", "slow response"
SHARDS = "other shards refused"
RECORD = "the record speaks against it"
BREACHES = (
    *(LOST, STUCK, DUPLICATE, FALSE, DOUBLE, BUDGET, GAP, REFUSED, UNTRUE, LATE, BYTES, TWICE, UNEXPECTED, LEFT),
    *(OPTED_OUT, DENIED, SPENT, CONTEXT, FOREIGN, FORGED, CALLBACK, SILENT, SLOW, SHARDS, RECORD),
)
BY_SLOWNESS = frozenset(
    {STUCK, DUPLICATE, REFUSED, LATE, UNEXPECTED, LEFT, OPTED_OUT, DENIED, CALLBACK, SILENT, SLOW, SHARDS}
)
"""What a machine can cause that runs nothing for seconds. All others are broken promises on any machine."""

ALL_BREACHES = (*BREACHES, ACCIDENT)


@dataclass(frozen=True, slots=True)
class Breach:
    """One broken promise: its kind, what it concerns, and what was found."""

    kind: str
    subject: str
    detail: str
