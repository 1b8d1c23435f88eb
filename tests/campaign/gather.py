"""What the judge gets of a run: everything that callers, phones, the carrier and the store know at its end."""

import asyncio
import time
from collections.abc import Sequence

from .client import ApiClient
from .cluster import Cluster
from .collect import Collector, store_facts, verification_ids
from .evidence import Evidence, Fault
from .scenarios import MAX_CHECKS, WRONG_CODES_PER_NUMBER
from .second_judge import second_judge


async def gather(
    cluster: Cluster,
    api: ApiClient,
    collector: Collector,
    *,
    numbers: Sequence[str],
    faults: Sequence[Fault],
    callbacks_s: tuple[float, float] | None,
    judged_twice: bool = True,
) -> Evidence:
    """The evidence that every run has. `numbers`: of the phones that are read.

    `callbacks_s`: callbacks are awaited until none came for so long, for so long at most; None: not at all.
    `judged_twice`: the service's own judge is asked for what it says of the record.
    """
    judged_at = time.time()
    callbacks = await collector.callbacks(cluster.receiver.received, *callbacks_s) if callbacks_s else None
    requests = await collector.requests()
    messages = await collector.messages(numbers, requests)
    known = verification_ids(api.calls, await collector.events(), messages)
    events, facts = await collector.events(), await asyncio.to_thread(store_facts, cluster.store)
    return Evidence(
        max_checks=MAX_CHECKS,
        wrong_codes_per_number=WRONG_CODES_PER_NUMBER,
        judged_at=judged_at,
        calls=tuple(api.calls),
        messages=messages,
        requests=requests,
        verifications=await collector.verifications(known),
        events=events,
        faults=tuple(faults),
        store=facts,
        second_judge=await asyncio.to_thread(second_judge, cluster, len(events)) if judged_twice else (),
        accidents=[*cluster.accidents, *cluster.log_lines(("Traceback", "panicked"))[:20]],
        failed_starts=tuple(cluster.failed_starts),
        slow_disk=bool(cluster.log_lines(("fsync is taking too long",))),
        replies=tuple(api.replies),
        taken=tuple(cluster.webhooks.taken),
        callbacks=callbacks,
        slots=await asyncio.to_thread(cluster.slots, [*numbers, *{call.number for call in api.calls if call.number}]),
    )
