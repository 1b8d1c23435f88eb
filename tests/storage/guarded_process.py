"""One process of several that send codes to unknown numbers of one block at the same moment.

`python -m tests.storage.guarded_process URL FIRST END` writes `ready`, waits for a line on its input, starts all
numbers from FIRST to END at once, and writes what each got as a JSON list: `sent`, or the budget that refuses.
"""

import json
import secrets
import sys
from functools import partial

import pytest

from otp_service.domain.guard.policy import GuardPolicy
from otp_service.domain.starting import Started, StartRefused

from ..patience import be_patient
from .guard import GuardedApp
from .harness import StoreHarness, at_once


def outcome(answer: Started | StartRefused) -> str:
    """A word for it."""
    return answer.limit if isinstance(answer, StartRefused) else "sent"


def main(url: str, first: int, end: int) -> None:
    """Run it."""
    be_patient(pytest.MonkeyPatch())  # so much at once takes a busy machine long
    harness = StoreHarness.open(url)
    app = GuardedApp(harness, GuardPolicy())

    def start(line: int, block: str = "202555") -> Started | StartRefused:
        number = f"+1{block}{line:04d}"
        reference = harness.ring.ids.new(harness.hash_of(number), secrets.token_bytes(10))
        return app.start(number, reference=reference, operation_id=secrets.token_hex(8))

    start(first, "312666")  # the store then knows the scripts
    _write("ready")
    sys.stdin.readline()
    _write(json.dumps([outcome(one) for one in at_once([partial(start, line) for line in range(first, end)])]))
    harness.close()


def _write(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))
