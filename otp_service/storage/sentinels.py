"""Where the primary of a Sentinel service is: all sentinels are asked all the time, and the most of them are believed.

A sentinel may be dead, hang, be cut off with the old primary, or watch another service. So one answer alone moves
nobody while more of those that answer say something else. Where as many name one server as another, the newest
configuration counts (`config-epoch`, which Sentinel raises with each failover). `SENTINEL GET-MASTER-ADDR-BY-NAME`
names the new primary up to a second earlier than `SENTINEL MASTER`, which tells everything else.

Each sentinel has a thread, which starts when the primary is first asked for, and again after a fork. Whoever follows is
told in that thread when the primary is another one. A process that reaches no sentinel keeps the connections it has.
"""

import contextlib
import os
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

import redis
from redis.exceptions import AuthenticationError, RedisError, ResponseError
from redis.sentinel import MasterNotFoundError

POLL_S = 0.1
"""Between two questions to the same sentinel."""

FRESH_S = 0.5
"""An answer that is older counts no more."""

WAIT_S = 0.4
"""So long at most is waited for answers by who needs them now."""

Address = tuple[str, int]


@dataclass(frozen=True, slots=True)
class Answer:
    """What one sentinel says of the service. `asked_at`: monotonic seconds."""

    primary: Address
    epoch: int
    flags: frozenset[str]
    """Of the primary: `s_down`, `o_down`, `failover_in_progress` …"""

    replicas: int
    sentinels: int
    """How many watch the service, this one among them."""

    quorum: int
    asked_at: float


class AskedSentinel:
    """One sentinel. If it wants a password and none is given for it, that of the servers (`otherwise`) is tried."""

    def __init__(self, host: str, port: int, otherwise: Mapping[str, Any], **options: Any) -> None:
        self.name = f"{host}:{port}"
        self._client = redis.Redis(host=host, port=port, decode_responses=True, **options)
        self._otherwise = {} if options.get("password") else dict(otherwise)

    def ask(self, service: str) -> Answer:
        """What it says now. Raises redis' errors."""
        try:
            return self._ask(service)
        except AuthenticationError:
            if not self._otherwise:
                raise
            self._client.connection_pool.connection_kwargs.update(self._otherwise)
            self._otherwise = {}
            self._client.connection_pool.reset()
            return self._ask(service)

    def _ask(self, service: str) -> Answer:
        began = time.monotonic()
        with self._client.pipeline(transaction=False) as pipe:
            commands: Any = pipe
            commands.execute_command("SENTINEL GET-MASTER-ADDR-BY-NAME", service)
            commands.execute_command("SENTINEL MASTER", service)
            replies = pipe.execute(raise_on_error=False)
        for reply in reversed(replies):
            if isinstance(reply, RedisError):
                raise reply
        (host, port), told = replies
        return Answer(
            primary=(str(host), int(port)),
            epoch=int(told["config-epoch"]),
            flags=frozenset(told["flags"].split(",") if isinstance(told["flags"], str) else told["flags"]),
            replicas=int(told["num-slaves"]),
            sentinels=int(told["num-other-sentinels"]) + 1,
            quorum=int(told["quorum"]),
            asked_at=began,
        )

    def quorum_fault(self, service: str) -> str | None:
        """Why a failover could not be decided, in the sentinel's words; None if it could. Raises redis' errors."""
        try:
            cast("Any", self._client).execute_command("SENTINEL CKQUORUM", service)
        except ResponseError as error:
            return str(error) if "NOQUORUM" in str(error) else None
        return None

    def close(self) -> None:
        """Close the connection."""
        self._client.close()


class _Asking:
    """What is known of one sentinel: its last answer, or the error that came instead, and when."""

    def __init__(self, sentinel: AskedSentinel) -> None:
        self.sentinel = sentinel
        self.answer: Answer | None = None
        self.error: Exception | None = None
        self.ended_at = -FRESH_S
        self.thread: threading.Thread | None = None

    def is_fresh(self) -> bool:
        """Whether it answered, or failed to, just now."""
        return time.monotonic() - self.ended_at < FRESH_S


class Sentinels:
    """The sentinels of one service. Safe for many threads."""

    def __init__(self, service: str, sentinels: Sequence[AskedSentinel]) -> None:
        self.service = service
        self._asked = [_Asking(sentinel) for sentinel in sentinels]
        self._pid = os.getpid()
        self._news = threading.Condition()
        self._stopped = threading.Event()
        self._followers: list[Callable[[], object]] = []
        self._named: Address | None = None

    def discover_master(self, _service: str = "") -> Address:
        """Where the primary is. Waits `WAIT_S` at most. Raises MasterNotFoundError if no sentinel knows."""
        self._start()
        with self._news:
            self._news.wait_for(self._is_decided, WAIT_S)
        named = self._judge()
        if named is None:
            raise MasterNotFoundError(f"No sentinel that answers knows a primary of {self.service!r}.")
        return named

    def answers(self) -> list[Answer]:
        """What the sentinels say that have answered just now."""
        known = [asked.answer for asked in self._asked if asked.is_fresh()]
        return [answer for answer in known if answer is not None]

    def errors(self) -> Iterator[tuple[str, Exception]]:
        """The name of each sentinel that does not answer, and what came instead."""
        for asked in self._asked:
            if asked.error is not None:
                yield asked.sentinel.name, asked.error

    def quorum_faults(self) -> Iterator[tuple[str, str]]:
        """The name of each sentinel that responds and sees no quorum, and what it says of that. Asks them now."""
        for asked in self._asked:
            told = None
            with contextlib.suppress(RedisError):
                told = asked.sentinel.quorum_fault(self.service) if asked.answer is not None else None
            if told is not None:
                yield asked.sentinel.name, told

    @property
    def count(self) -> int:
        """How many sentinels the URL names."""
        return len(self._asked)

    def confirm(self, primary: Address, within_s: float = 0.3) -> bool:
        """Whether a majority of the sentinels, asked so long ago at most, names this server, and none a failover."""
        answers, newest = self.answers(), time.monotonic() - within_s
        if any("failover_in_progress" in answer.flags for answer in answers):
            return False
        sure = [answer for answer in answers if answer.asked_at >= newest and answer.primary == primary]
        # The URL may name a few of them only.
        of = max(self.count, *(answer.sentinels for answer in answers), 0)
        return sum("o_down" not in answer.flags for answer in sure) * 2 > of

    def follow(self, moved: Callable[[], object]) -> Callable[[], None]:
        """Have `moved` called, in a thread of this class, whenever the primary is another one; returns what ends it."""
        self._followers.append(moved)

        def leave() -> None:
            with contextlib.suppress(ValueError):
                self._followers.remove(moved)

        return leave

    def close(self) -> None:
        """Ask no more, for good."""
        self._stopped.set()

    # ---- asking ------------------------------------------------------------------------------------------------------

    def _start(self) -> None:
        if self._pid != os.getpid():
            # A thread of the process that forked may have held it.
            self._pid, self._news = os.getpid(), threading.Condition()
        with self._news:
            for asked in self._asked:
                if not self._stopped.is_set() and (asked.thread is None or not asked.thread.is_alive()):
                    asked.thread = threading.Thread(target=self._run, args=(asked,), name="sentinel", daemon=True)
                    asked.thread.start()

    def _run(self, asked: _Asking) -> None:
        while not self._stopped.is_set():
            try:
                asked.answer, asked.error = asked.sentinel.ask(self.service), None
            except Exception as error:  # noqa: BLE001 - whatever it is, this one says nothing, and is asked again
                asked.answer, asked.error = None, error
            asked.ended_at = time.monotonic()
            self._tell()
            self._stopped.wait(POLL_S)
        asked.sentinel.close()

    def _tell(self) -> None:
        named = self._judge()
        with self._news:
            has_moved = named is not None and self._named not in (None, named)
            self._named = named or self._named
            self._news.notify_all()
        if has_moved:
            for moved in list(self._followers):
                moved()

    # ---- believing ---------------------------------------------------------------------------------------------------

    def _judge(self) -> Address | None:
        answers = self.answers()
        votes = Counter(answer.primary for answer in answers)
        if not votes:
            return None
        return max(answers, key=lambda answer: (votes[answer.primary], answer.epoch)).primary

    def _is_decided(self) -> bool:
        votes = Counter(answer.primary for answer in self.answers())
        has_majority = any(count * 2 > self.count for count in votes.values())
        return has_majority or all(asked.is_fresh() for asked in self._asked)
