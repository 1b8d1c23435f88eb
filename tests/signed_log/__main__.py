"""How long a bundle's own script takes: `python -m tests.signed_log [RECORDS …]`, for so many records each."""

import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path

from otp_service.signed_log.evidence import Gathering, Question, gather, search, stated
from otp_service.transparency import bundles

from .harness import BEGAN_MS, SignedHarness
from .verify_script import unpack

PERSON = {"mask": "+1******0143", "number_hash": "aa"}
SIZES = (1_000, 10_000)
OTHERS = 5_000
"""Records of the log that are not in the bundle: a path has more hashes the longer the log is."""


def bundle_of(directory: Path, count: int, others: int = 0) -> Mapping[str, bytes]:
    """The evidence of a time in which so many records were written, with what they disclose, in a log with others."""
    log = SignedHarness(directory / f"ledger-{count}.db")
    try:
        log.append_many(others)
        log.append(*({"type": "check.failed", "at_ms": BEGAN_MS + 1, "values": PERSON} for _ in range(count)))
        question = Question(since_ms=BEGAN_MS + 1, until_ms=BEGAN_MS + 2)
        seqs, size = search(log.database, question)
        detail = {"records": bundles.ranges_of(seqs), "token": "t", "question": question.sentence}
        detail["searched"] = f"1-{size}"
        log.append({"type": bundles.STATED, "detail": detail, "at_ms": BEGAN_MS + 2})
        while log.signer.sign():
            pass
        return gather(log.database, seqs, stated(log.database, "t"), Gathering(log.keys, log.ring.open, {}))
    finally:
        log.database.close()


def main(sizes: list[int]) -> None:
    """Print a line for each size."""
    with tempfile.TemporaryDirectory() as name:
        for count in sizes or SIZES:
            directory = Path(name) / str(count)
            unpack(directory, bundle_of(Path(name), count, OTHERS))
            began = time.perf_counter()
            done = subprocess.run(
                ["sh", str(directory / "verify.sh")], capture_output=True, check=False, text=True, timeout=7_200
            )
            took = time.perf_counter() - began
            said = (done.stdout or done.stderr).split("\n")[0]
            sys.stdout.write(f"{count} records: {took:.1f} s, {took / count * 1000:.1f} ms a record: {said}\n")


if __name__ == "__main__":
    main([int(word) for word in sys.argv[1:]])
