"""One broken service: a copy of the source with the changes, started as real processes, and judged."""

import asyncio
import random
import shutil
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import otp_service

from .. import breaches
from ..caller import Caller
from ..client import ApiClient
from ..cluster import Cluster, Pace
from ..collect import Collector
from ..evidence import Evidence, Fault
from ..gather import gather
from ..judge import Verdict, judge
from ..load import number_of
from ..observers import Observers
from ..store_faults import StoreFaults
from .changes import Change, Mutation, Scenario
from .scenarios import HANG_S, SHARD_DOWN_S, log_in_while_a_shard_is_down, log_in_while_the_store_hangs

PACE = Pace(code_ttl_s=15, sent_within_s=3, resend_s=(1, 2))
"""A code lives for long enough that a caller on a busy machine reads it, and does with it what the scenario is about.
"""

SETTLED_S = 30.0
"""How long after its code a delivery may take to end, on a busy machine: no longer is waited than it takes."""

QUIET_S = 5.0
WITHIN_S = 20.0
SOURCE = Path(otp_service.__file__).parent


class OutdatedError(Exception):
    """The text that a change replaces does not stand in the source once."""


def changed(change: Change) -> str:
    """The file with the change. Raises OutdatedError."""
    text = (SOURCE / change.path).read_text(encoding="utf-8")
    if text.count(change.old) != 1:
        raise OutdatedError(f"{change.path} has {text.count(change.old)} x {change.old!r}")
    return text.replace(change.old, change.new)


def copy_of_source(directory: Path, changes: Sequence[Change]) -> Path:
    """A directory to import the changed service from. Raises OutdatedError."""
    package = directory / "code" / "otp_service"
    # With what is compiled already: only the changed modules are compiled anew.
    shutil.copytree(SOURCE, package)
    for change in changes:
        (package / change.path).write_text(changed(change), encoding="utf-8")
    return package.parent


@dataclass(frozen=True, slots=True)
class Run:
    """Runs scenarios on a service, with one caller for each."""

    scenarios: Sequence[Scenario]
    changes: Sequence[Change] = ()
    to_the_end: bool = True
    """Whether all that was begun is waited for: codes expire, deliveries end."""

    callbacks: bool = True
    """Whether callbacks are waited for and judged."""

    judged_twice: bool = True
    """Whether the service's own judge is asked, too."""

    store: str = "server"
    """The kind of store."""

    async def verdict(self) -> Verdict:
        """What the judge says of it. Raises whatever keeps the campaign itself from running."""
        directory = Path(tempfile.mkdtemp(prefix="m", dir="/tmp"))
        try:
            code = await asyncio.to_thread(copy_of_source, directory, self.changes)
            cluster = Cluster(directory, self.store, copies=1, pace=PACE, code=code)
            try:
                return judge(await self._observe(cluster))
            finally:
                await asyncio.to_thread(cluster.kill_all)
        finally:
            await asyncio.to_thread(shutil.rmtree, directory, ignore_errors=True)

    async def _observe(self, cluster: Cluster) -> Evidence:
        endpoints = await cluster.open()
        api, collector = ApiClient(endpoints), Collector(endpoints, cluster.carrier_key)
        observers, faults = Observers(api), list[Fault]()
        watching = asyncio.create_task(observers.find_pauses())
        try:
            await asyncio.gather(*(self._call(cluster, api, faults, turn) for turn in range(len(self.scenarios))))
            if self.to_the_end:
                ended = time.time()
                await collector.settled(api.calls, ended, PACE.code_ttl_s, SETTLED_S)
                # A start whose response is lost has a code too.
                await asyncio.sleep(max(0.0, ended + PACE.code_ttl_s + 1.0 - time.time()))
            return await self._evidence(cluster, api, collector, observers, faults)
        finally:
            watching.cancel()
            await api.close()
            await collector.close()

    async def _call(self, cluster: Cluster, api: ApiClient, faults: list[Fault], turn: int) -> None:
        scenario, rng = self.scenarios[turn], random.Random(turn)
        caller = Caller(api, number_of(turn), f"m{turn}", rng, resend_s=PACE.resend_s)
        if scenario is log_in_while_a_shard_is_down:
            return await self._call_without_a_shard(cluster, caller, faults)
        if scenario is not log_in_while_the_store_hangs:
            return await scenario(caller)
        began, calls = time.time(), asyncio.ensure_future(scenario(caller))
        await asyncio.sleep(0.6)
        with cluster.stopped("store"):
            await asyncio.sleep(HANG_S)
        await calls
        faults.append(Fault("stop_store", began, time.time(), "store"))

    async def _call_without_a_shard(self, cluster: Cluster, caller: Caller, faults: list[Fault]) -> None:
        calls, hurt = asyncio.ensure_future(log_in_while_a_shard_is_down(caller)), StoreFaults(cluster)
        await asyncio.sleep(0.6)
        began = time.time()
        name = await hurt.actions["shard_down"](SHARD_DOWN_S)
        faults.append(Fault("shard_down", began, time.time(), name, hurt.unserved))
        await calls
        # What the evidence is collected from must be there.
        await hurt.ready_for("shard_down")

    async def _evidence(
        self, cluster: Cluster, api: ApiClient, collector: Collector, observers: Observers, faults: list[Fault]
    ) -> Evidence:
        found = await gather(
            cluster,
            api,
            collector,
            numbers=sorted({call.number for call in api.calls if call.number}),
            faults=faults,
            callbacks_s=(QUIET_S, WITHIN_S) if self.callbacks else None,
            judged_twice=self.judged_twice,
        )
        # A broken service is not excused by a busy machine.
        return found if self.changes else replace(found, pauses=tuple(observers.pauses))


def run_of(mutation: Mutation) -> Run:
    """The run that must show the mutation."""
    about_callbacks = breaches.CALLBACK in mutation.falls
    return Run(
        [mutation.scenario],
        mutation.changes,
        # A second message is sent when the report of the first has come.
        to_the_end=about_callbacks or breaches.DUPLICATE in mutation.falls,
        callbacks=about_callbacks,
        judged_twice=breaches.RECORD in mutation.falls,
        store=mutation.store,
    )
