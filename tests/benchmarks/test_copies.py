"""Very many verifications by copying."""

from collections import Counter
from typing import Any

import redis

from tests.conftest import needs_program

from . import script_time, store
from .copies import Copies


def weights(client: Any) -> dict[str, float]:
    """Keys, their bytes, entries and members of a store, with names and times left out."""
    found: Counter[str] = Counter()
    for key in client.scan_iter(count=1000):
        name, kind = key.split(":")[2], client.type(key)
        found[f"{name}: keys"] += kind == "hash"
        found[f"{name}: timed"] += kind == "hash" and client.pttl(key) > 0
        found[f"{name}: entries"] += {"stream": client.xlen, "zset": client.zcard, "hash": client.hlen}[kind](key)
        found[f"{name}: bytes"] += client.memory_usage(key, samples=0) if kind == "hash" else 0
    return dict(found)


def test_copies_weigh_what_the_originals_weigh() -> None:
    """Ten of each: keys with their time to live, fields, entries and members, on every shard."""
    needs_program("redis-server", "valkey-server")
    with script_time.own_store(store.program()) as url, redis.Redis.from_url(url, decode_responses=True) as client:
        copies = Copies(url)
        before, shards = weights(client), copies.live
        for number in range(2, 11):
            copies.fill(shards * number)
        after = weights(client)
        copies.close()
    assert shards == 16
    assert before["verification: timed"] == before["number: timed"] == before["secrets: timed"] == shards
    assert after == {name: count * 10 for name, count in before.items()}
