"""Starts and checks of wrong codes as bare calls of the scripts.

`python -m tests.benchmarks.script_load STORE SECONDS`. STORE is the address of a Cluster, as in OTP_REDIS_URL.
Each node has as much to do as it can take: its next calls are there before it has answered the last ones. Prints one
line of JSON: calls, seconds, and the CPU seconds of this process meanwhile.
"""

import itertools
import json
import sys
import time
from collections.abc import Iterator, Sequence
from typing import Any

import redis
from redis.crc import key_slot

from . import script_calls
from .script_calls import Template
from .store import SLOTS

BATCH, AHEAD = 32, 3
"""Calls that are sent at once, and batches that a node has before it answers the first of them."""


class Node:
    """One primary with its shards."""

    def __init__(self, host: str, port: int, templates: Sequence[Template]) -> None:
        kind: Any = redis.Connection
        self._connection = kind(host=host, port=port)
        for text in script_calls.texts():
            self._connection.send_command("SCRIPT", "LOAD", text)
            self._connection.read_response()
        self._calls = _calls(templates)

    def send(self) -> None:
        """Send a batch."""
        self._connection.send_packed_command([b"".join(itertools.islice(self._calls, BATCH))])

    def read(self) -> int:
        """Read the replies to a batch; how many there were. Raises AssertionError for a refusal."""
        replies = [self._connection.read_response() for _ in range(BATCH)]
        # Starts and checks take turns, and a check's reply names the verification before the outcome.
        told = {one[1] for one in replies[::2]} | {one[2] for one in replies[1::2]}
        assert told == {b"created", b"wrong"}, told
        return BATCH


def _calls(templates: Sequence[Template]) -> Iterator[bytes]:
    """A start of somebody new, then a check of it, without an end."""
    for template in itertools.cycle(templates):
        start, token, number_hash = template.invent_named()
        yield start
        yield template.fill(template.wrong, token.encode(), number_hash.encode())


def nodes_of(url: str) -> list[Node]:
    """The nodes of a Cluster whose slots are shared out in the order of the addresses; none without a shard."""
    addresses = [address.split(":") for address in url.partition("://")[2].split(",")]
    harness = script_calls.open_catching(url)
    shards: list[list[Template]] = [[] for _ in addresses]
    for shard, template in enumerate(script_calls.templates(harness)):
        slot = key_slot(harness.keys.outbox(shard).encode())
        shards[min(slot * len(addresses) // SLOTS, len(addresses) - 1)].append(template)
    harness.close()
    pairs = zip(addresses, shards, strict=True)
    return [Node(host, int(port), templates) for (host, port), templates in pairs if templates]


def run(nodes: Sequence[Node], seconds: float) -> int:
    """Keep the nodes busy for so long; how many calls were answered meanwhile."""
    for node in nodes:
        for _ in range(AHEAD):
            node.send()
    calls, ends = 0, time.monotonic() + seconds
    for node in itertools.cycle(nodes):
        if time.monotonic() >= ends:
            break
        calls += node.read()
        node.send()
    for node in nodes:
        for _ in range(AHEAD):
            node.read()
    return calls


def main() -> None:
    """Run, and print the line."""
    nodes = nodes_of(sys.argv[1])
    began, used = time.monotonic(), time.process_time()
    calls = run(nodes, float(sys.argv[2])) + AHEAD * BATCH * len(nodes)
    told = {"calls": calls, "seconds": time.monotonic() - began, "cpu_s": time.process_time() - used}
    sys.stdout.write(json.dumps(told) + "\n")


if __name__ == "__main__":
    main()
