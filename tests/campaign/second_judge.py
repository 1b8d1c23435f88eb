"""The service's own judge of its record: `audit check`, each decision recomputed, and `audit verify`.

They know the ledger alone. Both run from the source that runs the campaign, also where the service that is judged is
a changed copy: a broken service does not judge itself. They cannot see what is not on record: what callers were told,
what reached a phone, what the carrier was asked. A start without an end counts after a quarter of an hour only, so a
run of a few minutes shows none.
"""

import json
import sqlite3
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from .cluster import Cluster

EXPORTED_WITHIN_S = 30.0
COMMAND_S = 120.0
MOST_TOLD = 50


def second_judge(cluster: Cluster, events: int) -> list[str]:
    """What the commands say of the ledger, once it has so many events: a line for each promise that was not kept."""
    exported = _wait_for(cluster.directory / "ledger.db", events)
    told = [*_checked(cluster), *_verified(cluster)]
    if exported < events:
        told.append(f"the ledger has {exported} of {events} events after {EXPORTED_WITHIN_S:g} s")
    return told[:MOST_TOLD]


def _wait_for(path: Path, events: int) -> int:
    deadline = time.monotonic() + EXPORTED_WITHIN_S
    while (size := _size(path)) < events and time.monotonic() < deadline:
        time.sleep(0.2)
    return size


def _size(path: Path) -> int:
    connection = sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=10)
    try:
        return int(connection.execute("SELECT size FROM ledger").fetchone()[0])
    except sqlite3.OperationalError:
        return 0
    finally:
        connection.close()


def _checked(cluster: Cluster) -> Iterator[str]:
    told = _told(cluster, "check", "--decisions")
    if not told["decisions"] or told["unknown_decisions"]:
        yield f"decisions: {told['decisions']} were recomputed, and {told['unknown_decisions']} could not be"
    for one in told["breaches"]:
        yield f"record {one['seq']}: {one['promise']}: {one['detail']}"


def _verified(cluster: Cluster) -> Iterator[str]:
    finding = _told(cluster, "verify")["finding"]
    if finding is not None:
        yield f"{finding['kind']}: {finding['detail']}"


def _told(cluster: Cluster, *words: str) -> Any:
    done: subprocess.CompletedProcess[str] = cluster.command("audit", *words, "--json", timeout_s=COMMAND_S)
    return json.loads(done.stdout)
