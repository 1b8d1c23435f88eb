"""The store of each target: a redis-server of its own with the append-only file on, forced to disk each second."""

import os
import shutil
from collections.abc import Sequence
from typing import Any

import redis

from otp_service.runtime.ports import free_port

from .programs import HOST, ProgramFailed, Programs, listens

SETTINGS = ("--save", "", "--appendonly", "yes", "--appendfsync", "everysec", "--maxmemory-policy", "noeviction")
SLOTS = 16_384


def program() -> str:
    """The path of the server. Raises ProgramFailed if none is installed."""
    found = shutil.which("redis-server") or shutil.which("valkey-server")
    if found is None:
        raise ProgramFailed("needs redis-server or valkey-server on the PATH")
    return found


def start(programs: Programs) -> int:
    """Start it; its port. Raises ProgramFailed."""
    return _start(programs, "store", [])


def start_cluster(programs: Programs, primaries: int) -> list[int]:
    """Start a Cluster of so many primaries, an equal part of the slots on each; their ports. Raises ProgramFailed.

    The programs are `store#1`, `store#2` …
    """
    ports = [_start(programs, f"store#{one}", _cluster_settings()) for one in range(1, primaries + 1)]
    clients: list[Any] = [redis.Redis(host=HOST, port=port) for port in ports]
    ends = [SLOTS * one // primaries for one in range(primaries + 1)]
    for client, first, end in zip(clients, ends, ends[1:], strict=False):
        client.execute_command("CLUSTER ADDSLOTSRANGE", first, end - 1)
    for client, port in zip(clients[1:], ports[1:], strict=True):
        bus = int(client.config_get("cluster-port")["cluster-port"])
        clients[0].execute_command("CLUSTER MEET", HOST, port, bus)
    programs.wait("store#1", lambda: all(map(_is_well, clients)))
    for client in clients:
        client.close()
    return ports


def _cluster_settings() -> list[str]:
    return ["--cluster-enabled", "yes", "--cluster-port", str(free_port()), "--cluster-node-timeout", "30000"]


def _is_well(client: Any) -> bool:
    info = client.execute_command("CLUSTER INFO")
    return bool(info["cluster_state"] == "ok" and info["cluster_slots_assigned"] == str(SLOTS))


def _start(programs: Programs, name: str, more: Sequence[str]) -> int:
    server = program()
    port = free_port()
    folder = programs.folder / f"store-{port}"
    folder.mkdir()
    command = [server, "--bind", HOST, "--port", str(port), "--dir", str(folder), *SETTINGS, *more]
    programs.start(name, command, {"PATH": os.environ.get("PATH", "")}, lambda: listens(port))
    return port
