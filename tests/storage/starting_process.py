"""One process of several that start verifications at the same moment.

`python -m tests.storage.starting_process URL NUMBER:APP:PURPOSE ...` writes `ready`, waits for a line on its input,
starts all of these at once, and writes what each got as a JSON list: `started`, or the code of the refusal.
"""

import json
import secrets
import sys
from collections.abc import Sequence
from dataclasses import replace
from functools import partial

import pytest

from otp_service.domain.starting import StartAnswer, StartCommand, StartRefused

from ..patience import be_patient
from .harness import SHOP, StoreHarness, at_once


def outcome(answer: StartAnswer) -> str:
    """A word for it."""
    return answer.code if isinstance(answer, StartRefused) else "started"


def command(harness: StoreHarness, subject: str) -> StartCommand:
    """The command to start. The harness counts its ids up, and would give the same in each process."""
    number, app, purpose = subject.split(":")
    ref = harness.ring.ids.new(harness.hash_of(number), secrets.token_bytes(10))
    shop, own = replace(SHOP, name=app), secrets.token_hex(8)
    return harness.start_command(number, shop, purpose=purpose, reference=ref, operation_id=own)


def main(url: str, subjects: Sequence[str]) -> None:
    """Run it."""
    be_patient(pytest.MonkeyPatch())  # so much at once takes a busy machine long
    harness = StoreHarness.open(url)
    harness.now()
    commands = [command(harness, subject) for subject in subjects]
    _write("ready")
    sys.stdin.readline()
    answers = at_once([partial(harness.verifications.start, one) for one in commands])
    _write(json.dumps([outcome(answer) for answer in answers]))
    harness.close()


def _write(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2:])
