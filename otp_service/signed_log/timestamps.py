"""Timestamps of others (RFC 3161) over checkpoints, once a day: asked for and verified by the program `openssl`.

A timestamp says that a checkpoint was there at a time, by somebody who is neither the log nor its operator.
"""

import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import Connection, insert, select

from ..ledger.database import Database
from .bringing import Post
from .log_store import SignedCheckpoint
from .openssl_ts import openssl_ts
from .outlets import NotTaken
from .tables import CHECKPOINTS, TIMESTAMPS

EVERY_MS = 86_400_000
ASKED, ANSWERED = "application/timestamp-query", "application/timestamp-reply"


@dataclass(frozen=True, slots=True)
class Timestamp:
    """`response` (RFC 3161, DER) over the bytes of `note`, a checkpoint of `size` records."""

    size: int
    note: str
    response: bytes


@dataclass(frozen=True, slots=True)
class ToTimestamping:
    """Asks for a timestamp of the newest checkpoint and keeps it. `authorities`: certificates (PEM) that count."""

    database: Database
    post: Post
    authorities: Path
    now_ms: Callable[[], int]
    every_ms: int = EVERY_MS
    target: str = "timestamp_url"

    def bring(self, newest: SignedCheckpoint) -> None:
        """Raises NotTaken, ServiceError."""
        with tempfile.TemporaryDirectory() as directory:
            response = self._stamped(newest.note.encode(), Path(directory))
        values = {"checkpoint": newest.id, "response": response, "at_ms": self.now_ms()}
        same = select(TIMESTAMPS.c.checkpoint).where(TIMESTAMPS.c.checkpoint == newest.id)
        with self.database.writing() as connection:
            # A worker that was slower than its lease may find that another one has brought it: the first answer stays.
            if connection.execute(same).first() is None:
                connection.execute(insert(TIMESTAMPS).values(**values))

    def _stamped(self, note: bytes, directory: Path) -> bytes:
        data, query, response = directory / "note", directory / "query", directory / "response"
        data.write_bytes(note)
        # A nonce of its own is in each query, and the answer has to repeat it: no old answer is taken.
        fault = openssl_ts("-query", "-data", str(data), "-sha256", "-cert", "-out", str(query))
        if fault is not None:
            raise NotTaken(f"no query can be made: {fault}")
        answer = self.post(query.read_bytes(), ASKED)
        if answer.status != 200:
            raise NotTaken(f"it answers with status {answer.status}")
        response.write_bytes(answer.body)
        words = ("-verify", "-queryfile", str(query), "-in", str(response), "-CAfile", str(self.authorities))
        fault = openssl_ts(*words)
        if fault is not None:
            raise NotTaken(f"its timestamp is not good: {fault}")
        return bytes(answer.body)


_STAMPED = select(CHECKPOINTS.c.size, CHECKPOINTS.c.note, TIMESTAMPS.c.response).join_from(
    TIMESTAMPS, CHECKPOINTS, TIMESTAMPS.c.checkpoint == CHECKPOINTS.c.id
)


def all_timestamps(connection: Connection) -> list[Timestamp]:
    """All that there are, oldest first."""
    rows = connection.execute(_STAMPED.order_by(CHECKPOINTS.c.id))
    return [Timestamp(size, note, bytes(response)) for size, note, response in rows]


def timestamp_for(connection: Connection, last_seq: int, most: int) -> Timestamp | None:
    """Of the timestamps of checkpoints with at most `most` records the first that has record `last_seq`, else the last.

    The first is the one that says most: since then the record cannot have been made.
    """
    known = _STAMPED.where(CHECKPOINTS.c.size > 0, CHECKPOINTS.c.size <= most)
    first = known.where(CHECKPOINTS.c.size >= last_seq).order_by(CHECKPOINTS.c.id).limit(1)
    latest = known.order_by(CHECKPOINTS.c.id.desc()).limit(1)
    row = connection.execute(first).first() or connection.execute(latest).first()
    return None if row is None else Timestamp(row[0], row[1], bytes(row[2]))
