"""What a process knows of the replicas for which its writes wait.

An answer that must outlive a failover (an accepted start, an approval) is given when all replicas have what was written
for it. The script itself refuses where another number follows than has to (`_guard.lua`), so what is known here may be
old: then the replicas are counted again, and if they are too few, the write is refused and nothing is lost.
"""

from collections.abc import Iterable

from redis.exceptions import ResponseError

from .. import telemetry

WAIT_MS = 200
"""How long the replicas may take."""

NO_REPLICAS = "NOREPLICAS"
"""How the server, and the scripts, say that too few replicas follow."""


class UnconfirmedError(ResponseError):
    """The write was made, and not acknowledged in time."""


class ElsewhereError(UnconfirmedError):
    """The write was made on a server that is not, or no longer, the one for it: what it sent next was refused."""


class ReplicaGuard:
    """For how many replicas each shard's writes wait: for all that have to follow. Safe for many threads.

    `expected`: so many at least have to follow; with 0 a server that no replica ever followed needs none.
    """

    def __init__(self) -> None:
        self.on = False
        self.expected = 0
        self.has_news = False
        """Whether another number was learned since somebody said False here."""
        self._counts: dict[str, int | None] = {}

    def learn(self, run_key: str, count: int | None) -> None:
        """So many follow the server that holds this shard's run. None: too few."""
        self.has_news = self.has_news or self._counts.get(run_key) != count
        self._counts[run_key] = count

    def learn_counted(self, run_key: str, follow: int, need: int) -> None:
        """So many follow the server, and so many have to."""
        self.learn(run_key, follow if follow == need and follow >= self.expected else None)

    @property
    def missing(self) -> int:
        """How many places have too few replicas: shards, and that of the API keys."""
        return sum(count is None for count in list(self._counts.values())) if self.on else 0

    def missing_of(self, run_keys: Iterable[str]) -> int:
        """How many of these shards have too few replicas."""
        return sum(self._counts.get(run, 0) is None for run in run_keys) if self.on else 0

    def alone_of(self, run_keys: Iterable[str]) -> int:
        """How many of these shards no replica has to follow."""
        return sum(self._counts.get(run) == 0 for run in run_keys) if self.on else 0

    def uncounted_of(self, run_keys: Iterable[str]) -> int:
        """How many of these shards never said what follows them."""
        return sum(run not in self._counts for run in run_keys) if self.on else 0

    def has_all(self, run_key: str) -> bool:
        """Whether enough follow as far as this process knows; True where none are expected."""
        return not self.on or self._counts.get(run_key) is not None

    def waits_for(self, run_key: str) -> int:
        """How many replicas have to acknowledge a write. Raises redis' ResponseError where too few follow."""
        count = self._counts.get(run_key)
        if count is None:
            raise ResponseError(f"{NO_REPLICAS} too few replicas follow the server.")
        return count

    def require(self, count: int, confirmed: int) -> None:
        """Raise UnconfirmedError unless so many have acknowledged the write."""
        if confirmed < count:
            telemetry.STORE_UNCONFIRMED.inc()
            raise UnconfirmedError(f"{NO_REPLICAS} the write was not acknowledged in time.")
