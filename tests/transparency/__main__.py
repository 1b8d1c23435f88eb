"""How long it takes to verify a log from a copy of its tiles: `python -m tests.transparency --records 1000000`.

Makes the copy in a temporary directory (half a gigabyte for a million records), and tells the time, and the ratio to
reading the same records and hashing each once.
"""

import argparse
import sys
import tempfile
import time
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path

from otp_service.transparency.checkpoints import Checkpoint, sign_checkpoint
from otp_service.transparency.published import verify_published
from otp_service.transparency.tiles import entries_of, entry_bundle, tile_path, width_in
from otp_service.transparency.tree import TILE_WIDTH, MemoryHashes, Tree, leaf_hash
from otp_service.witness.mirror import MirroredLog

from .signing import ORIGIN, signer

RECORD_BYTES = 480
ROUNDS = 3


def copy_of(directory: Path, count: int) -> None:
    """The published files of a log with so many records."""
    hashes: list[bytes] = []
    for number in range(-(-count // TILE_WIDTH)):
        first = number * TILE_WIDTH
        numbers = range(first + 1, min(first + TILE_WIDTH, count) + 1)
        leaves = [b'{"seq":%d,"detail":"' % seq + b"x" * (RECORD_BYTES - 30) + b'"}' for seq in numbers]
        hashes += map(leaf_hash, leaves)
        write(directory / "tile/entries" / tile_path(number, len(leaves)), entry_bundle(leaves))
    tree, level = MemoryHashes(hashes), 0
    while width_in(count, level, 0):
        for number in range(-(-(count >> (8 * level)) // TILE_WIDTH)):
            start, width = number * TILE_WIDTH, width_in(count, level, number)
            raw = b"".join(tree.read(level, start, start + width))
            write(directory / f"tile/{level}" / tile_path(number, width), raw)
        level += 1
    note = sign_checkpoint(Checkpoint(ORIGIN, count, Tree(tree).root(count)), signer(1))
    write(directory / "checkpoint", str(note).encode())


def write(path: Path, raw: bytes) -> None:
    """Write a file, with its directories."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(raw)


def read_and_hash(directory: Path, count: int) -> None:
    """What anybody has to do at least: read each record, and hash it once."""
    log = MirroredLog(directory)
    for number in range(-(-count // TILE_WIDTH)):
        for leaf in entries_of(log.entries(number, width_in(count, 0, number))):
            sha256(b"\0" + leaf).digest()


def verify(directory: Path, _: int) -> None:
    """All of it."""
    report = verify_published(MirroredLog(directory), signer(1).key, (1, None))
    if report.finding is not None:
        raise SystemExit(report.finding.sentence)


def seconds(work: Callable[[Path, int], None], directory: Path, count: int) -> float:
    """Of the processor, in the best of some rounds: what else the machine does is left out."""
    best = float("inf")
    for _ in range(ROUNDS):
        began = time.process_time()
        work(directory, count)
        best = min(best, time.process_time() - began)
    return best


def main() -> None:
    """Make the copy, and time both."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--records", type=int, default=1_000_000, help="how many (default 1,000,000)")
    count = parser.parse_args().records
    with tempfile.TemporaryDirectory() as name:
        copy_of(Path(name), count)
        plain, whole = (seconds(work, Path(name), count) for work in (read_and_hash, verify))
    told = f"read and hashed in {plain:.2f} s of the processor, verified in {whole:.2f} s: {whole / plain:.2f} times"
    sys.stdout.write(f"{count} records: {told}\n")


if __name__ == "__main__":
    main()
