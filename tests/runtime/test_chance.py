"""Random values for ids: of the length that was asked for, and no byte given out twice."""

import subprocess
import sys
import threading

from otp_service.bootstrap.chance import PORTION, SystemChance

WORD = 8

FORKED = """
import os
from otp_service.bootstrap.chance import SystemChance
chance = SystemChance()
chance.token_bytes(1)
reading, writing = os.pipe()
if os.fork() == 0:
    os.write(writing, chance.token_bytes(8))
    os._exit(0)
theirs = os.read(reading, 8)
print(len(theirs), theirs != chance.token_bytes(8))
"""


def words(chance: SystemChance, count: int = 2 * PORTION // WORD) -> set[bytes]:
    """Random words, of two portions."""
    return {chance.token_bytes(WORD) for _ in range(count)}


def test_every_value_is_as_long_as_asked_for() -> None:
    """Also one that is longer than a portion, and one that does not fit into what is left."""
    chance = SystemChance()
    assert [len(chance.token_bytes(size)) for size in (0, 1, 700, 700, 3 * PORTION, 1)] == [0, 1, 700, 700, 3072, 1]
    assert len(chance.token_hex(12)) == 24


def test_no_value_comes_twice() -> None:
    """Over several portions and in several threads."""
    chance, found = SystemChance(), []
    threads = [threading.Thread(target=lambda: found.append(words(chance))) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set.union(*found)) == 3 * 2 * PORTION // WORD


def test_a_forked_process_draws_its_own() -> None:
    """What the parent had drawn and not given out is not given out by its child as well."""
    found = subprocess.run([sys.executable, "-c", FORKED], check=True, capture_output=True, text=True)
    assert found.stdout.split() == ["8", "True"]
