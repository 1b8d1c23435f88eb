"""Very many pending verifications in little time: one of each shard is started by the service's script, and the store
itself copies it.

A copy has keys of its own, as the original has them, and its own places in the shard's sorted sets and streams. Only
texts inside of its hashes still name the original, which costs and weighs the same. Nothing here knows the layout: what
names the original is found by looking.
"""

import itertools
import uuid
from collections.abc import Iterator
from typing import Any, NamedTuple

import redis

from . import script_calls

AT_ONCE = 2_000
"""So many copies are one call of the script: some 50 ms of the store."""

_COPY = """
local token, hash, count, seed = ARGV[1], ARGV[2], tonumber(ARGV[3]), ARGV[4]
local own, sets = tonumber(ARGV[5]), tonumber(ARGV[6])
local entries = {}
local function names(text) return string.find(text, token, 1, true) or string.find(text, hash, 1, true) end
for at = own + sets + 1, #KEYS do
  for _, entry in ipairs(redis.call('XRANGE', KEYS[at], '-', '+', 'COUNT', 8)) do
    local named = {}
    for place, text in ipairs(entry[2]) do
      if names(text) then named[#named + 1] = {place, text} end
    end
    if #named > 0 then entries[#entries + 1] = {KEYS[at], entry[2], named} end
  end
end
for number = 1, count do
  local one = redis.sha1hex(seed .. number)
  local other = redis.sha1hex(one)
  local new_token = string.sub(one .. other, 1, #token)
  local new_hash = string.sub(other .. one, 1, #hash)
  local function renamed(text) return (string.gsub(string.gsub(text, token, new_token), hash, new_hash)) end
  for at = 1, own do redis.call('COPY', KEYS[at], renamed(KEYS[at])) end
  for at = 1, sets do redis.call('ZADD', KEYS[own + at], ARGV[5 + 2 * at], renamed(ARGV[6 + 2 * at])) end
  for _, entry in ipairs(entries) do
    local fields = entry[2]
    for _, text in ipairs(entry[3]) do fields[text[1]] = renamed(text[2]) end
    redis.call('XADD', entry[1], '*', unpack(fields))
  end
end
return count
"""


class Original(NamedTuple):
    """A started verification: the keys that bear its name, its members of sorted sets, and streams that name it."""

    token: str
    number_hash: str
    own: list[str]
    members: list[tuple[str, str, float]]
    streams: list[str]

    def copy(self, client: Any, count: int) -> None:
        """Make so many copies."""
        keys = [*self.own, *(key for key, _, _ in self.members), *self.streams]
        words = [word for _, member, score in self.members for word in (score, member)]
        options = [self.token, self.number_hash, count, uuid.uuid4().hex, len(self.own), len(self.members), *words]
        client.eval(_COPY, len(keys), *keys, *options)


class Copies:
    """Fills a store that is empty at first: it looks for what bears a name before there is much to look through."""

    def __init__(self, url: str) -> None:
        options = {"encoding_errors": "surrogateescape", "decode_responses": True}
        self._client: Any = redis.Redis.from_url(url, **options)
        self._originals = list(_originals(self._client, url))
        self._next = itertools.cycle(self._originals)
        self.live = len(self._originals)
        """How many verifications are there."""

    def fill(self, live: int) -> None:
        """Copy until so many are there. Raises AssertionError if the store has not as many keys as they must have."""
        before, wanted = self._client.dbsize(), max(0, live - self.live)
        for begin in range(0, wanted, AT_ONCE):
            next(self._next).copy(self._client, min(AT_ONCE, wanted - begin))
        self.live += wanted
        assert self._client.dbsize() - before == wanted * len(self._originals[0].own), "copies are missing"

    def close(self) -> None:
        """Close its connection."""
        self._client.close()


def _originals(client: Any, url: str) -> Iterator[Original]:
    for text in script_calls.texts():
        client.script_load(text)
    harness = script_calls.open_catching(url)
    raw: Any = redis.Redis.from_url(url)
    connection = raw.connection_pool.get_connection()
    for template in script_calls.templates(harness):
        call, token, number_hash = template.invent_named()
        connection.send_packed_command([call])
        assert connection.read_response()[1] == b"created"
        yield _look(client, token, number_hash)
    raw.connection_pool.release(connection)
    raw.close()
    harness.close()


def _look(client: Any, token: str, number_hash: str) -> Original:
    """Find what a start has written."""
    own = sorted({*client.scan_iter(f"*{token}*", count=10_000), *client.scan_iter(f"*{number_hash}*", count=10_000)})
    tag = own[0].partition("}")[0]
    members, streams = [], []
    for key in client.scan_iter(f"{tag}}}*", count=10_000):
        kind = client.type(key)
        if kind == "zset":
            members += [(key, member, score) for member, score in client.zscan_iter(key, f"*{token}*")]
        elif kind == "stream":
            streams.append(key)
    return Original(token, number_hash, own, members, streams)
