"""What is wrong with the servers behind a store: sentinels, replicas, nodes and slots, in words for the operator.

For `doctor`, `/readyz` and the start of a process. What cannot be asked is left out: nothing here raises.
"""

import contextlib
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

from .answering import STORE_ERRORS
from .refusals import what_it_does
from .sentinels import Answer, Sentinels
from .store import Store

SLOTS = 16_384
_MOST_RANGES = 4

Range = tuple[int, int]
"""The first and the last slot."""


def faults(store: Store, *, addresses: bool = False) -> list[str]:
    """What is wrong, a sentence each; empty if nothing is, and for a server with an address of its own.

    `addresses`: with hosts and ports, which are not for everybody.
    """
    if store.sentinels is not None:
        with contextlib.suppress(*STORE_ERRORS):
            store.sentinels.discover_master()
        found = [*_sentinel_faults(store.sentinels), *_replica_faults(store, store.sentinels.answers())]
    else:
        found = list(_cluster_faults(_nodes(store))) if store.is_cluster else []
    return [fault.text(addresses=addresses) for fault in found]


@dataclass(frozen=True, slots=True)
class _Fault:
    """A sentence; `{}` in it stands for `where` or, for everybody, for `instead`."""

    sentence: str
    where: str = ""
    instead: str = ""

    def text(self, *, addresses: bool) -> str:
        return self.sentence.replace("{}", self.where if addresses else self.instead)


def describe(store: Store) -> str:
    """The servers, where nothing is wrong with them."""
    if store.sentinels is not None:
        answers = store.sentinels.answers()
        followed = max((answer.replicas for answer in answers), default=0)
        return f"{len(answers)} sentinels agree on the primary; replicas: {followed}"
    primaries = [node for node in _nodes(store).values() if _is_primary(node)]
    return f"all slots are served; primaries: {len(primaries)}"


# ---- Sentinel --------------------------------------------------------------------------------------------------------


def _sentinel_faults(sentinels: Sentinels) -> Iterator[_Fault]:
    answers, one = sentinels.answers(), f"One of {sentinels.count} sentinels"
    if not answers:
        yield _Fault(f"None of {sentinels.count} sentinels tells where the primary is.")
    for name, error in sentinels.errors():
        yield _Fault(f"{{}} {_sentinel_fault(error, sentinels.service)}.", f"The sentinel {name}", one)
    if answers and len(answers) * 2 <= max(answer.sentinels for answer in answers):
        yield _Fault("So few sentinels respond that they could not choose another primary.")
    named = Counter(answer.primary for answer in answers)
    if len(named) > 1:
        told = ", ".join(f"{host}:{port} ({count})" for (host, port), count in named.most_common())
        yield _Fault("The sentinels name different primaries{}.", f": {told}")
    elif answers and all(answer.flags & {"s_down", "o_down"} for answer in answers):
        host, port = answers[0].primary
        yield _Fault("The primary{} is down, and the sentinels have not chosen another one.", f" {host}:{port}")


def _sentinel_fault(error: Exception, service: str) -> str:
    return f"knows no service {service}" if "No such master" in str(error) else what_it_does(error)


def _replica_faults(store: Store, answers: Sequence[Answer]) -> Iterator[_Fault]:
    known = max((answer.replicas for answer in answers), default=0)
    with contextlib.suppress(*STORE_ERRORS):
        info: Any = store.client.info("replication")
        replicas = [value for name, value in info.items() if re.fullmatch("slave[0-9]+", name)]
        online = sum(isinstance(replica, Mapping) and replica.get("state") == "online" for replica in replicas)
        if online < known:
            yield _Fault(f"Only {online} of {known} replicas follow the primary.")


# ---- Cluster ---------------------------------------------------------------------------------------------------------


def _nodes(store: Store) -> Mapping[str, Any]:
    """The nodes as the first of them that answers sees them."""
    client = cast("Any", store.client)
    with contextlib.suppress(*STORE_ERRORS):
        for node in client.get_nodes():
            with contextlib.suppress(*STORE_ERRORS):
                return cast("Mapping[str, Any]", client.execute_command("CLUSTER NODES", target_nodes=node))
    return {}


def _cluster_faults(nodes: Mapping[str, Any]) -> Iterator[_Fault]:
    down = [address for address, node in nodes.items() if "fail" in _flags(node)]
    if down:
        yield _Fault(f"Nodes of the Cluster that are down: {len(down)}{{}}.", f" ({', '.join(down)})")
    missing = _gaps([slots for node in nodes.values() if _is_primary(node) for slots in _slots(node)])
    if nodes and missing:
        count = sum(last - first + 1 for first, last in missing)
        yield _Fault(f"{count} of {SLOTS} slots have no living primary: {_told(missing)}.")


def _is_primary(node: Mapping[str, Any]) -> bool:
    return "master" in _flags(node) and "fail" not in _flags(node)


def _flags(node: Mapping[str, Any]) -> list[str]:
    return str(node["flags"]).split(",")


def _slots(node: Mapping[str, Any]) -> Iterator[Range]:
    return ((int(part[0]), int(part[-1])) for part in node["slots"])


def _gaps(ranges: Sequence[Range]) -> list[Range]:
    """What is left of all slots."""
    found, expected = [], 0
    for first, last in [*sorted(ranges), (SLOTS, SLOTS)]:
        if first > expected:
            found.append((expected, first - 1))
        expected = max(expected, last + 1)
    return found


def _told(ranges: Sequence[Range]) -> str:
    """`0-5460, 7`: a few of them."""
    told = [str(first) if first == last else f"{first}-{last}" for first, last in ranges[:_MOST_RANGES]]
    return ", ".join([*told, "…"] if len(ranges) > _MOST_RANGES else told)
