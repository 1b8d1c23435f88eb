"""What `audit verify` cannot prove of a ledger's tables, and why that matters to nobody who relies on the record.

By `table.column` for what may be changed, by `table removed` and `table inserted` for rows; `(0-0)` are positions that
say that nothing was read, and `(gap)` those of a shard of which events were lost. A test changes every column of every
table, and finds that all others are named.
"""

from collections.abc import Mapping

_WHEN = "a time that only sorts rows or is shown; what counts has its time in what was signed"
_BRINGING = "when a checkpoint is brought to whom again; at worst it comes late or twice, which doctor tells"
_UNREAD = "of a shard without records: its stream is read from its beginning, with or without the row"
_EVENT = "the row waits for its event to be recorded; afterwards the signed event is what counts"

UNPROVEN: Mapping[str, str] = {
    "positions (0-0).shard": _UNREAD,
    "positions (0-0) removed": _UNREAD,
    "positions (0-0) inserted": _UNREAD,
    "positions (gap).counted": "nobody knows how many entries were lost; the records say how many are here",
    "erasures inserted": "after a gap its event may be lost; it excuses no more than events say",
    "erasures.at_ms": "within its year: the year is in the tombstone, and an erasure's time is in its event",
    "gaps.at_ms": _WHEN,
    "gaps.recorded": _EVENT,
    "gaps.accepted_ms": "whether doctor still warns of the gap; that somebody accepted it is an event of its own",
    "gaps removed": _EVENT,
    "log_ends.at_ms": _WHEN,
    "log_ends.recorded": _EVENT,
    "log_ends removed": _EVENT,
    "log_checkpoints.at_ms": _WHEN,
    "log_witnesses.at_ms": "a cosignature has its own time within it",
    "log_witnesses removed": "a witness keeps what it cosigned, and --witness demands it",
    "log_timestamps.response": "its hash of the checkpoint is compared; whose answer it is, the authority's "
    "certificates say (--tsa-ca, with evidence)",
    "log_timestamps.at_ms": "the answer has its own time within it",
    "log_timestamps removed": "no record needs a timestamp; evidence says since when it has one",
    "log_outlets.target": _BRINGING,
    "log_outlets.checkpoint": _BRINGING,
    "log_outlets.again_ms": _BRINGING,
    "log_outlets.failures": _BRINGING,
    "log_outlets removed": _BRINGING,
    "log_outlets inserted": _BRINGING,
    "migration.at_ms": _WHEN,
}
