"""The store of each target: a redis-server of its own with the append-only file on, forced to disk each second."""

import os
import shutil

from .programs import HOST, ProgramFailed, Programs, free_port, listens

SETTINGS = ("--save", "", "--appendonly", "yes", "--appendfsync", "everysec", "--maxmemory-policy", "noeviction")


def program() -> str:
    """The path of the server. Raises ProgramFailed if none is installed."""
    found = shutil.which("redis-server") or shutil.which("valkey-server")
    if found is None:
        raise ProgramFailed("needs redis-server or valkey-server on the PATH")
    return found


def start(programs: Programs) -> int:
    """Start it; its port. Raises ProgramFailed."""
    server = program()
    port = free_port()
    folder = programs.folder / f"store-{port}"
    folder.mkdir()
    command = [server, "--bind", HOST, "--port", str(port), "--dir", str(folder), *SETTINGS]
    programs.start("store", command, {"PATH": os.environ.get("PATH", "")}, lambda: listens(port))
    return port
