"""The configurations that records name, as the ledger has them."""

import json
from collections.abc import Iterator, Sequence
from typing import Any

from sqlalchemy import Connection, select

from ..ledger.database import Database
from ..ledger.tables import CONFIGURATIONS, RECORDS
from ..transparency.bundled_policies import is_named, named_by

PORTION = 500


def named_policies(database: Database, seqs: Sequence[int]) -> dict[str, str]:
    """Hash (`sha256:…`) to canonical JSON, of those that the ledger has. Raises LedgerUnavailable."""
    with database.reading() as connection:
        names = named_by(_leaves(connection, seqs))
        if not names:
            return {}
        known = connection.execute(select(CONFIGURATIONS.c.hash).order_by(CONFIGURATIONS.c.hash)).scalars().all()
        wanted = [policy for policy in known if is_named(policy, names)]
        return {policy: _content(connection, policy) for policy in wanted}


def _leaves(connection: Connection, seqs: Sequence[int]) -> Iterator[dict[str, Any]]:
    for begin in range(0, len(seqs), PORTION):
        wanted = select(RECORDS.c.leaf).where(RECORDS.c.seq.in_(seqs[begin : begin + PORTION]))
        for leaf in connection.execute(wanted).scalars():
            try:
                read = json.loads(leaf)
            except ValueError:
                continue  # it is no record: the bundle will be refused
            if isinstance(read, dict):
                yield read


def _content(connection: Connection, policy: str) -> str:
    return str(connection.execute(select(CONFIGURATIONS.c.content).where(CONFIGURATIONS.c.hash == policy)).scalar_one())
