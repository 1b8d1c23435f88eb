"""A ledger with a log over it, and short helpers for what the tests do with them."""

import base64
import hashlib
import json
import secrets
import shutil
from pathlib import Path
from typing import Any

from sqlalchemy import delete, insert, select, text, update

from otp_service import keyring
from otp_service.clock import rfc3339
from otp_service.domain.canonical_json import canonical
from otp_service.domain.record_page import EVENTS_PER_ENTRY
from otp_service.keyring import Keyring
from otp_service.ledger.database import Database, open_database
from otp_service.ledger.migrations import migrate
from otp_service.ledger.tables import LEDGER, LOG_ENDS, PERSONS, POSITIONS, RECORDS, WEBHOOKS
from otp_service.signed_log.log_store import LogStore
from otp_service.signed_log.reading import LogReader
from otp_service.signed_log.signers import signers_of
from otp_service.signed_log.signing import LogSigner
from otp_service.transparency.checkpoints import LogKeys
from otp_service.transparency.tree import leaf_hash

ORIGIN = "otp.example/audit"
BEGAN_MS = 1_790_000_000_000


class SignedHarness:
    """A database, a keyring and a clock of its own. `raw` is the keyring's file."""

    def __init__(self, path: Path, raw: bytes = b"") -> None:
        self.path = path
        self.database: Database = open_database(f"sqlite:///{path}")
        migrate(self.database)
        self.raw = raw or keyring.create(secrets.token_bytes, "2026-01-01T00:00:00Z")
        self.now_ms = BEGAN_MS
        self.origin = ORIGIN
        self.size = 0
        self.entry = (0, -1)
        self.first_key = signers_of(lambda: self.ring)(ORIGIN)[0].key

    @classmethod
    def copy(cls, made: "SignedHarness", path: Path) -> "SignedHarness":
        """The same log in a file of its own. `made` is closed."""
        shutil.copy(made.path, path)
        copied = cls(path, made.raw)
        copied.size, copied.now_ms, copied.first_key = made.size, made.now_ms, made.first_key
        copied.entry = made.entry
        return copied

    @property
    def ring(self) -> Keyring:
        """The keyring as it is now."""
        return keyring.parse(self.raw, self.now_ms)

    @property
    def signer(self) -> LogSigner:
        """What a worker has."""
        return LogSigner(self.database, self.origin, signers_of(lambda: self.ring), lambda: self.now_ms)

    @property
    def reader(self) -> LogReader:
        """What the API has."""
        return LogReader(self.database)

    @property
    def keys(self) -> LogKeys:
        """What somebody knows who trusts the first key."""
        return LogKeys(self.first_key, self.reader.keys()[1])

    def rotate(self) -> None:
        """Another key signs from now on."""
        self.raw = keyring.rotate(self.raw, secrets.token_bytes, "2026-01-02T00:00:00Z")

    def append(self, *events: dict[str, Any]) -> None:
        """Append records, as the exporter does: each is an entry of its own in the stream of shard 0."""
        records, persons = [], []
        webhooks = [self._kept(seq, event) for seq, event in enumerate(events, self.size + 1) if "webhook" in event]
        for seq, event in enumerate(events, self.size + 1):
            record, person = self._encoded(seq, event)
            records.append(record)
            persons += [person] if person else []
        self.size += len(events)
        with self.database.writing() as connection:
            if records:
                connection.execute(insert(RECORDS), records)
            connection.execute(update(LEDGER).values(size=self.size))
            if self.size:
                position = {"shard": 0, "entry": "{}-{}".format(*self.entry), "counted": self.size}
                connection.execute(delete(POSITIONS).where(POSITIONS.c.shard == 0))
                connection.execute(insert(POSITIONS).values(position))
            if persons:
                connection.execute(insert(PERSONS), persons)
            if webhooks:
                connection.execute(insert(WEBHOOKS), webhooks)

    def _kept(self, seq: int, event: dict[str, Any]) -> dict[str, Any]:
        sealed = self.ring.seal(event["webhook"].packed())
        at_ms = event.get("at_ms", BEGAN_MS)
        return {"seq": seq, "at_ms": at_ms, "number_hash": event["values"]["number_hash"], "sealed": sealed}

    def append_many(self, count: int) -> None:
        """Append records that say nothing."""
        self.append(*({"type": "scope.refused"} for _ in range(count)))

    def _encoded(self, seq: int, event: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any] | None]:
        values = event.get("values")
        person, sealed = None, ""
        if values:
            salt = secrets.token_bytes(32)
            person = f"sha256:{hashlib.sha256(salt + canonical(values)).hexdigest()}"
            sealed = self.ring.seal(json.dumps({**values, "salt": base64.b64encode(salt).decode()}).encode())
        verification = event.get("verification")
        told = {
            "v": 1,
            "seq": seq,
            "shard": 0,
            "at": rfc3339(event.get("at_ms", BEGAN_MS)),
            "type": event["type"],
            "app": event.get("app"),
            "verification_id": f"vrf_{verification}" if verification else None,
            "n": event.get("n"),
            "delivery_id": event.get("delivery"),
            "policy": event.get("policy"),
            "detail": event.get("detail", {}),
            "by": {"key_id": None, "request_id": None, "address": None},
            "person": person,
        }
        if "webhook" in event:
            told["webhook"] = event["webhook"].commitment
        leaf = canonical(told)
        at_ms = event.get("at_ms", BEGAN_MS)
        self.entry = (at_ms, self.entry[1] + 1 if self.entry[0] == at_ms else 0)
        row = {
            "seq": seq,
            "leaf": leaf,
            "leaf_hash": leaf_hash(leaf),
            "shard": 0,
            "at_ms": at_ms,
            "counter": self.entry[1] * EVENTS_PER_ENTRY,
            "type": event["type"],
            "app": event.get("app"),
            "verification": verification,
            "delivery": event.get("delivery"),
            "message_id": event.get("message_id"),
            "number_hash": (values or {}).get("number_hash"),
            "person": seq if values else None,
        }
        return row, {"id": seq, "number_hash": row["number_hash"], "sealed": sealed} if values else None

    def run(self, sql: str, **values: Any) -> None:
        """Change the database behind everybody's back."""
        with self.database.writing() as connection:
            connection.execute(text(sql), values)

    def told_ends(self) -> list[str]:
        """What the table of ends says, row by row."""
        with self.database.reading() as connection:
            return list(connection.execute(select(LOG_ENDS.c.detail)).scalars())

    def notes(self) -> list[str]:
        """Every checkpoint."""
        with self.database.reading() as connection:
            return list(LogStore(connection).notes())
