"""How fast pages of a large ledger are: `python -m tests.ledger --rows 10000000`.

Fills a ledger with made-up logins, then reads pages of 100 records by each filter from random moments. Each line has
the 95th percentile, and its ratio to reading 100 records by their numbers.
"""

import argparse
import random
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from sqlalchemy import insert, select, update

from otp_service.domain.audit import Position
from otp_service.ledger.database import Database, open_database
from otp_service.ledger.migrations import migrate
from otp_service.ledger.pages import page_query
from otp_service.ledger.tables import LEDGER, RECORDS

from ..storage.harness import SHARDS

TYPES = ("verification.started", "delivery.queued", "delivery.sending", "delivery.sent", "verification.approved")
APPS = ("shop", "bank", "mail")
EVERY_MS = 7
BEGAN_MS = 1_790_000_000_000
BATCH = 10_000
PAGE = 100
READS = 200


def rows(first: int, last: int) -> Iterator[dict[str, Any]]:
    """Made-up records with these numbers: five of each login, three apps, a number for each four logins."""
    for seq in range(first, last + 1):
        login, step = divmod(seq, len(TYPES))
        token = f"{login:032d}"
        yield {
            "seq": seq,
            "leaf": b"x" * 450,
            "leaf_hash": seq.to_bytes(32, "big"),
            "shard": login % SHARDS,
            "at_ms": BEGAN_MS + seq * EVERY_MS,
            "counter": 0,
            "type": TYPES[step],
            "app": APPS[login % len(APPS)],
            "verification": token,
            "delivery": f"dlv_{token}-1" if 0 < step < 4 else None,
            "message_id": f"msg-{login}" if step == 3 else None,
            "number_hash": f"{login // 4:020x}",
        }


def fill(database: Database, count: int) -> None:
    """Append so many records."""
    for first in range(1, count + 1, BATCH):
        last = min(first + BATCH - 1, count)
        with database.writing() as connection:
            connection.execute(insert(RECORDS), list(rows(first, last)))
            connection.execute(update(LEDGER).values(size=last))


def filters(count: int) -> dict[str, Callable[[], dict[str, str]]]:
    """What is asked for, by the name of the filter."""

    def login() -> int:
        return random.randrange(count // len(TYPES))

    return {
        "all": dict,
        "type": lambda: {"type": random.choice(TYPES)},
        "app": lambda: {"app": random.choice(APPS)},
        "app+type": lambda: {"app": random.choice(APPS), "type": random.choice(TYPES)},
        "verification": lambda: {"verification": f"{login():032d}"},
        "delivery": lambda: {"delivery": f"dlv_{login():032d}-1"},
        "number": lambda: {"number_hash": f"{login() // 4:020x}"},
        "message": lambda: {"message_id": f"msg-{login()}"},
    }


def p95_ms(read: Callable[[], object]) -> float:
    """The 95th percentile of many reads, in milliseconds."""
    times = []
    for _ in range(READS):
        began = time.perf_counter()
        read()
        times.append((time.perf_counter() - began) * 1000)
    return sorted(times)[int(READS * 0.95)]


def page(database: Database, count: int, ask: Callable[[], dict[str, str]]) -> None:
    """One page from a random moment; of one person or verification, from the beginning."""
    wanted = {name: frozenset({value}) for name, value in ask().items()}
    of_one = wanted.keys() - {"app", "type"}
    moment = BEGAN_MS if of_one else BEGAN_MS + random.randrange(count) * EVERY_MS
    query = page_query([Position(moment, 0)] * SHARDS, range(SHARDS), None, PAGE, wanted)
    assert query is not None
    with database.reading() as connection:
        connection.execute(query).all()


def plain(database: Database, count: int) -> None:
    """As many records by their numbers."""
    first = random.randrange(max(1, count - PAGE))
    with database.reading() as connection:
        connection.execute(select(RECORDS).where(RECORDS.c.seq.between(first, first + PAGE - 1))).all()


def main() -> None:
    """Fill, read, print."""
    parser = argparse.ArgumentParser(prog="python -m tests.ledger", description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000, help="records in the ledger (default 1,000,000)")
    parser.add_argument("--url", help="of an empty database (default: a file of SQLite that is removed at the end)")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / "ledger.db"
        database = open_database(args.url or f"sqlite:///{path}")
        migrate(database)
        began = time.perf_counter()
        fill(database, args.rows)
        size = f", {path.stat().st_size / args.rows:.0f} bytes each" if path.exists() else ""
        print(f"{args.rows} records in {time.perf_counter() - began:.0f} s{size}")  # noqa: T201 - it is for people
        usual = p95_ms(lambda: plain(database, args.rows))
        print(f"{'by number':14} {usual:7.2f} ms")  # noqa: T201
        for name, ask in filters(args.rows).items():
            found = p95_ms(lambda ask=ask: page(database, args.rows, ask))  # type: ignore[misc]
            print(f"{name:14} {found:7.2f} ms  x {found / usual:.1f}")  # noqa: T201
        database.close()


if __name__ == "__main__":
    main()
