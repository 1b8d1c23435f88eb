"""A large ledger: how fast its pages are, whatever is asked for, and how long the work on the whole takes.

    python -m tests.ledger --rows 10000000

A million records are made-up logins that the code of the worker wrote, the others copies of them. Then pages are read
by each filter and each pair of filters from random places. Each line says how long that took, and how many times as
long as a plain read of as many rows by their numbers. `--keep DIR` leaves ledger and keyring there, and uses what is
there already. `--commands all` also times commands over the ledger, `short` those that do not read all of it.
"""

import argparse
import secrets
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from statistics import median

from otp_service import keyring
from otp_service.clock import clock_ms, rfc3339
from otp_service.domain.audit import Event
from otp_service.domain.continuity import Reached
from otp_service.domain.record_page import EVENTS_PER_ENTRY
from otp_service.keyring import Keyring
from otp_service.ledger import reading, writing
from otp_service.ledger.database import Database, open_database
from otp_service.ledger.migrations import migrate
from otp_service.ledger.records import RecordEncoder
from otp_service.ledger.writing import State

from .copying import copy_rows
from .made_up import BUSY, YEAR_MS, Logins
from .reads import LargeLedger, Measured
from .whole import time_the_whole

WRITTEN = 700_000
"""So many records are written by the service's own code; copies of them are made by the database."""

MOST = 16 * WRITTEN
LOGINS = 4_000
"""So many are written in one transaction."""


def fill(database: Database, ring: Keyring, events: int) -> None:
    """Write so many events, about. Indices are made at the end, which is much faster."""
    indices, times = without_indices(database), max(1, round(events / WRITTEN))
    encoder, state = RecordEncoder(ring.seal, secrets.token_bytes), writing.state(database)
    began = time.perf_counter()
    ended_ms = clock_ms() - (times - 1) * YEAR_MS  # each copy is a year later
    for portion in Logins(ring, min(events, WRITTEN), ended_ms).portions(LOGINS):
        state = appended(database, encoder, state, portion)
    say(f"{state.size} records written in {time.perf_counter() - began:.0f} s, without indices")
    size = copy_rows(database, state.size, times - 1, ring.ids.number_hash(BUSY))
    with database.writing() as connection:
        for index in indices:
            connection.exec_driver_sql(index)
    say(f"{size} records in {time.perf_counter() - began:.0f} s, with copies and indices")


def write_more(database: Database, ring: Keyring) -> None:
    """Write some more as the exporter does, and print how fast that was."""
    encoder, state = RecordEncoder(ring.seal, secrets.token_bytes), writing.state(database)
    times = []
    for portion in Logins(ring, min(30_000, state.size), clock_ms(), 60_000, state.size).portions(180):
        began, used = time.perf_counter(), time.thread_time()
        state = appended(database, encoder, state, portion)
        times.append(((time.perf_counter() - began) / len(portion), (time.thread_time() - used) / len(portion)))
    wall, cpu = (1 / median(column) for column in zip(*times, strict=True))
    say(f"written in portions of a thousand: {wall:.0f} records a second, {cpu:.0f} a second of CPU")


def without_indices(database: Database) -> list[str]:
    """Drop the indices by which records are found; the statements that make them again."""
    where = {"sqlite": "SELECT name, sql FROM sqlite_master WHERE tbl_name = 'records' AND sql LIKE 'CREATE INDEX%'"}
    of_postgres = (
        "SELECT indexname, indexdef FROM pg_indexes WHERE tablename = 'records' AND indexname <> 'records_pkey'"
    )
    with database.writing() as connection:
        found = connection.exec_driver_sql(where.get(database.engine.dialect.name, of_postgres)).all()
        for name, _ in found:
            connection.exec_driver_sql(f"DROP INDEX {name}")
    return [sql for _, sql in found]


def appended(database: Database, encoder: RecordEncoder, state: State, events: Sequence[Event]) -> State:
    """The state after these events were written."""
    reached, count = {}, Counter(event.shard for event in events)
    for event in events:
        before = state.reached.get(event.shard, Reached()).counted
        entry = f"{event.position.ms}-{event.position.counter // EVENTS_PER_ENTRY}"
        reached[event.shard] = Reached(entry, before + count[event.shard])
    after = writing.append(database, encoder, state, events, reached)
    assert after is not None, "nobody else writes here"
    return after


def ring_in(directory: Path) -> Keyring:
    """The keyring of the directory; a new one if there is none."""
    path = directory / "keyring.json"
    if not path.exists():
        path.write_bytes(keyring.create(secrets.token_bytes, rfc3339(clock_ms())))
        path.chmod(0o600)
    return keyring.parse(path.read_bytes(), clock_ms())


def run(directory: Path, args: argparse.Namespace) -> None:
    """Fill, read, print."""
    ring, path = ring_in(directory), None if args.url else directory / "ledger.db"
    database = open_database(args.url or f"sqlite:///{path}")
    began = time.perf_counter()
    migrate(database)
    say(f"{time.perf_counter() - began:.2f} s for the steps that were missing")
    if reading.size(database) == 0:
        fill(database, ring, args.rows)
    if path is not None:
        say(f"{path.stat().st_size / reading.size(database):.0f} bytes each")
    if args.reads:
        write_more(database, ring)
        pages(database, ring, path, args.reads)
    database.close()
    if args.commands and path is not None:
        for line in time_the_whole(directory, short=args.commands == "short"):
            say(line)


def pages(database: Database, ring: Keyring, path: Path | None, reads: int) -> None:
    """Read pages, and print how long that took."""
    large = LargeLedger(database, ring.open, ring.ids.number_hash(BUSY), path)
    for cold in (False, True) if path is not None else (False,):
        about = "nothing of the file in memory" if cold else "the file in memory"
        say(f"\n{about:40} rows   p50 ms  p95 ms  p95 CPU  of plain")
        for measured in large.measure(max(1, reads // 10) if cold else reads, cold=cold):
            say(line_of(measured))
    large.close()


def line_of(one: Measured) -> str:
    """As it is printed."""
    (usual, most), (_, cpu) = one.page_ms, one.cpu_ms
    return f"{one.name:38} {one.rows:6.1f} {usual:8.2f} {most:7.2f} {cpu:8.2f} {one.ratio:7.1f} x"


def say(line: str) -> None:
    """For people."""
    print(line, flush=True)  # noqa: T201


def build_parser() -> argparse.ArgumentParser:
    """Its options."""
    parser = argparse.ArgumentParser(prog="python -m tests.ledger", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("--rows", type=int, default=1_000_000, help="records in the ledger (default 1,000,000)")
    parser.add_argument("--reads", type=int, default=200, help="reads of each filter (default 200)")
    parser.add_argument("--url", help="of an empty database (default: a file of SQLite that is removed at the end)")
    parser.add_argument("--keep", type=Path, metavar="DIR", help="work in this directory, and leave all there")
    parser.add_argument("--commands", choices=("short", "all"), help="also time these commands over it (SQLite)")
    return parser


def main(words: Sequence[str] | None = None) -> None:
    """The command."""
    parser = build_parser()
    args = parser.parse_args(words)
    if args.rows > MOST:
        parser.error(f"--rows: at most {MOST}")
    with tempfile.TemporaryDirectory() as directory:
        if args.keep is not None:
            args.keep.mkdir(mode=0o700, parents=True, exist_ok=True)
        run(args.keep or Path(directory), args)


if __name__ == "__main__":
    main()
